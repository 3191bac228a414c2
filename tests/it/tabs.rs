//! Several tabs, the back button, and callbacks that fail in a browser that is signed in.

use crate::support::{Browser, proxy};
use logto_proxy::dev::provider::{CallbackIssuerFault, Faults};

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.navigate("/.logto/user").await.json()["isAuthenticated"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn tab_one_finishes_with_the_state_of_tab_two_and_both_tabs_work() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let tab_one = browser.to_sign_in_page("/one").await;
    let tab_two = browser.to_sign_in_page("/two").await;
    // Logto keeps one pending sign-in a browser: tab 1 comes back with the later one's state.
    let callback = browser.choose(&tab_one, "plain").await.location();
    let done = browser.open(callback).await;
    assert_eq!(done.header("location"), Some("https://app.example.com/two"));
    assert!(is_signed_in(&mut browser).await);

    let stuck = browser.submit(tab_two.url, &[("persona", "plain")]).await;
    assert_eq!(
        stuck.location().path(),
        "/unknown-session",
        "Logto leaves tab 2 there"
    );
    assert_eq!(browser.navigate("/one").await.status, 200);
    assert_eq!(browser.navigate("/two").await.status, 200);
    assert_eq!(world.logto.counts().code_exchanges, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_with_a_session_at_logto_finish_in_any_order() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    browser.cookies.retain(|(_, name), _| name != "__Host-logto");
    let mut callbacks = Vec::new();
    for path in ["/one", "/two", "/three"] {
        let answer = browser.navigate(path).await;
        callbacks.push((path, browser.open(answer.location()).await.location()));
    }
    for (path, callback) in callbacks.into_iter().rev() {
        let done = browser.open(callback).await;
        let expected = format!("https://app.example.com{path}");
        assert_eq!(done.header("location"), Some(expected.as_str()));
        assert!(is_signed_in(&mut browser).await);
    }
    assert_eq!(world.logto.grants_revoked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_back_button_leads_on_while_there_is_a_session() {
    let world = proxy().session("recheck = \"1h\"").start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    browser.open(callback.clone()).await;
    let session = browser.cookie("__Host-logto").cloned();
    world.hand.advance(30);
    let back = browser.open(callback.clone()).await;
    assert_eq!(back.header("location"), Some("https://app.example.com/reports"));
    world.hand.advance(1_200);
    let back = browser.open(callback).await;
    assert!(
        back.location().as_str().starts_with("https://app.example.com/"),
        "{back:?}"
    );
    assert_eq!(back.problem(), None, "also when its state has expired");
    assert_eq!(browser.cookie("__Host-logto").cloned(), session);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_fails_in_a_signed_in_browser_goes_on_to_its_return_path() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let exchanges = world.logto.counts().code_exchanges;
    world.logto.set_faults(Faults {
        callback_issuer: Some(CallbackIssuerFault::Missing),
        ..Faults::default()
    });
    let answer = browser.navigate("/.logto/sign-in?redirect=/reports").await;
    let callback = browser.open(answer.location()).await.location();
    let done = browser.open(callback.clone()).await;
    assert_eq!(done.header("location"), Some("https://app.example.com/reports"));

    for query in ["", "?code=a", "?code=a&state=b", "?error=access_denied&state=c"] {
        let url = format!("https://app.example.com/.logto/callback{query}");
        let done = browser.open(url.parse().unwrap()).await;
        assert_eq!(
            done.header("location"),
            Some("https://app.example.com/"),
            "{query}"
        );
    }
    assert!(is_signed_in(&mut browser).await);
    assert_eq!(world.logto.counts().code_exchanges, exchanges);
}

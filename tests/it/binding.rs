//! The cookie that ties sign-ins to the browser that began them: one a browser, however many are begun.

use crate::support::proxy;

const NAME: &str = "__Host-logto-browser";

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_begun_sign_ins_leave_one_small_cookie_and_each_of_them_can_be_finished() {
    let world = proxy().section("[limits]\nsign_ins_per_minute = 0").start().await;
    let mut browser = world.browser();
    let first = browser.navigate("/first").await.location();
    let value = browser.cookie(NAME).cloned();
    for number in 0..199 {
        let answer = browser.navigate(&format!("/page/{number}")).await;
        assert_eq!(answer.status, 302);
    }
    assert_eq!(browser.cookie(NAME).cloned(), value, "never replaced");
    let field = browser.cookie_field();
    assert!(!field.contains(';') && field.len() < 1024, "{field}");

    let page = browser.open(first).await;
    let page = browser.follow(page, |_| false).await;
    let callback = browser.choose(&page, "plain").await.location();
    let done = browser.open(callback).await;
    assert_eq!(done.header("location"), Some("https://app.example.com/first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_for_this_host_alone_and_no_script_reads_it() {
    let world = proxy().start().await;
    let answer = world.browser().navigate("/").await;
    let lines = answer.set_cookies();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (pair, attributes) = lines[0].split_once("; ").unwrap();
    assert_eq!(pair.len(), NAME.len() + 1 + 43, "256 bits");
    assert_eq!(
        attributes,
        "Max-Age=86400; Path=/; HttpOnly; Secure; SameSite=Lax"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_began_a_sign_in_can_finish_it() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    let own = browser.cookie(NAME).unwrap().clone();
    let mut stranger = world.browser();
    stranger.navigate("/").await;
    let foreign = stranger.cookie(NAME).unwrap().clone();

    let mut cookies: Vec<(&str, Option<String>)> = vec![
        ("none", None),
        ("another browser's", Some(foreign.clone())),
        ("two", Some(format!("{own}; {NAME}={own}"))),
        ("own and another", Some(format!("{own}; {NAME}={foreign}"))),
        ("cut", Some(own[..42].to_owned())),
        ("padded", Some(format!("{own}="))),
        ("longer", Some(format!("{own}A"))),
        ("empty", Some(String::new())),
        ("zeros", Some("A".repeat(43))),
        ("quoted", Some(format!("\"{own}\""))),
        ("garbage", Some("%00'\"<>".to_owned())),
    ];
    cookies.push(("trimmed to it", Some(format!("{own}\u{2000}"))));
    for (name, value) in cookies {
        let mut thief = world.browser();
        if let Some(value) = value {
            thief.set_cookie(NAME, &value);
        }
        let answer = thief.open(callback.clone()).await;
        assert_eq!(answer.problem().as_deref(), Some("other_browser"), "{name}");
        assert!(!thief.has_session(), "{name}");
    }
    assert_eq!(world.logto.counts().token, 0, "a stolen callback calls nobody");

    browser.open(callback).await;
    assert!(browser.has_session(), "and it does the owner no harm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_someone_else_made_signs_nobody_in() {
    // Login CSRF: an attacker's own callback, opened in a victim's browser.
    let world = proxy().start().await;
    let mut attacker = world.browser();
    let callback = attacker.to_callback("admin", "/reports").await;
    let mut victim = world.browser();
    victim.navigate("/reports").await;
    let answer = victim.open(callback.clone()).await;
    assert_eq!(answer.problem().as_deref(), Some("other_browser"));
    assert!(!victim.has_session());

    let mut victim = world.signed_in("plain").await;
    victim.open(callback).await;
    let user = victim.navigate("/.logto/user").await.json();
    assert_eq!(user["claims"]["sub"], "plainuser001", "still who it was");
    assert_eq!(world.logto.counts().code_exchanges, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_cookie_is_replaced() {
    let world = proxy().start().await;
    for value in ["", "x", &"A".repeat(42), &"%".repeat(43)] {
        let mut browser = world.browser();
        browser.set_cookie(NAME, value);
        let answer = browser.sign_in("plain", "/reports").await;
        assert_eq!(answer.status, 200, "{value:?}");
        assert_ne!(browser.cookie(NAME).unwrap(), value);
    }
}

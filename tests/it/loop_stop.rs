//! The loop stop: three completed sign-ins in half a minute and still no session end in a page that says why.

use crate::support::{Answer, Browser, proxy};

/// A browser that does not keep the session cookie: the rounds are completed in vain.
async fn lose_session(browser: &mut Browser) {
    browser
        .cookies
        .retain(|(_, name), _| !(name == "__Host-logto" || name == "logto"));
}

async fn round(browser: &mut Browser, path: &str) -> Answer {
    let answer = browser.navigate(path).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    let callback = browser.open(answer.location()).await.location();
    let done = browser.open(callback).await;
    assert_eq!(done.status, 303, "{done:?}");
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fourth_round_without_a_session_is_a_page_and_half_a_minute_later_it_goes_on() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    lose_session(&mut browser).await;
    // The sign-in above was the first.
    for _ in 0..2 {
        round(&mut browser, "/reports").await;
        lose_session(&mut browser).await;
    }
    for path in ["/reports", "/.logto/sign-in?redirect=/reports"] {
        let answer = browser.navigate(path).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("location").is_none());
        for cause in ["public_url", "clock", "cookie"] {
            assert!(
                answer.body.to_lowercase().contains(cause),
                "{cause}: {}",
                answer.body
            );
        }
        assert!(
            answer.body.contains("/.logto/sign-in?redirect=%2Freports"),
            "a way out"
        );
    }
    assert_eq!(browser.fetch("/reports").await.status, 401);
    assert_eq!(
        world.browser().navigate("/reports").await.status,
        302,
        "others are not stopped"
    );
    world.hand.advance(31);
    round(&mut browser, "/reports").await;
    assert_eq!(browser.navigate("/reports").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn begun_and_abandoned_sign_ins_do_not_count() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    for _ in 0..8 {
        let answer = browser.navigate("/reports").await;
        assert_eq!(answer.status, 302);
        // As far as Logto, then back.
        browser.open(answer.location()).await;
    }
    assert_eq!(browser.sign_in("plain", "/reports").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_callbacks_do_not_count() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    for _ in 0..5 {
        browser.navigate("/.logto/callback?error=access_denied").await;
        browser.navigate("/.logto/callback?code=x&state=y").await;
    }
    assert_eq!(browser.navigate("/reports").await.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_starts_the_count_anew() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    for _ in 0..5 {
        assert_eq!(browser.sign_in("plain", "/reports").await.status, 200);
        browser.navigate("/.logto/sign-out").await;
        assert!(!browser.has_session());
        world.logto.end_sessions();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_that_end_in_a_session_never_stop_anybody() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    for _ in 0..6 {
        round(&mut browser, "/.logto/sign-in?redirect=/reports").await;
        assert_eq!(browser.navigate("/reports").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_count_stops_nobody() {
    let world = proxy().start().await;
    let now = world.clock.now().as_u64();
    let ahead = now + 100;
    for value in [
        "x".to_owned(),
        "....".to_owned(),
        "9".repeat(4_000),
        format!("{ahead}.{ahead}.{ahead}"),
        "1.2.3".to_owned(),
    ] {
        let mut browser = world.browser();
        browser.set_cookie("__Host-logto-rounds", &value);
        assert_eq!(browser.navigate("/reports").await.status, 302, "{value}");
    }
}

//! A code is redeemed once, whoever repeats its callback: at Logto a replay revokes the whole grant.

use crate::support::{Browser, World, eventually, proxy};
use logto_proxy::dev::provider::{EndpointFault, Faults, Misbehaviour};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

fn assert_redeemed_once(world: &World) {
    assert_eq!(world.logto.counts().code_exchanges, 1);
    assert_eq!(world.logto.grants_revoked(), 0);
}

fn slow_token(world: &World, milliseconds: u64) {
    world.logto.set_faults(Faults {
        token: EndpointFault {
            delay: Duration::from_millis(milliseconds),
            misbehaviour: None,
        },
        ..Faults::default()
    });
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.navigate("/.logto/user").await.json()["isAuthenticated"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_redeems_the_code_once_and_both_clicks_arrive() {
    let world = proxy().start().await;
    let mut first = world.browser();
    let callback = first.to_callback("plain", "/reports").await;
    let (mut second, mut third) = (first.clone(), first.clone());
    slow_token(&world, 150);
    let answers = tokio::join!(
        first.open(callback.clone()),
        second.open(callback.clone()),
        third.open(callback.clone())
    );
    for answer in [&answers.0, &answers.1, &answers.2] {
        assert_eq!(answer.header("location"), Some("https://app.example.com/reports"));
    }
    for browser in [&mut first, &mut second, &mut third] {
        assert!(is_signed_in(browser).await);
    }
    assert_redeemed_once(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_or_replay_of_the_callback_never_redeems_again() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    let mut without_session = browser.clone();
    browser.open(callback.clone()).await;

    let reloaded = browser.open(callback.clone()).await;
    assert_eq!(
        reloaded.header("location"),
        Some("https://app.example.com/reports")
    );
    for seconds in [10, 60, 480] {
        world.hand.advance(seconds);
        let replayed = browser.open(callback.clone()).await;
        assert_eq!(
            replayed.header("location"),
            Some("https://app.example.com/reports")
        );
        let replayed = without_session.open(callback.clone()).await;
        assert_eq!(replayed.problem().as_deref(), Some("already_used"));
        assert!(!without_session.has_session());
    }
    world.hand.advance(120);
    let replayed = without_session.open(callback.clone()).await;
    assert_eq!(replayed.problem().as_deref(), Some("sign_in_expired"));
    assert_redeemed_once(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_state_takes_no_second_code() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    browser.open(callback.clone()).await;
    world.hand.advance(10);
    let (name, value) = callback.query_pairs().find(|(name, _)| name == "code").unwrap();
    let injected = callback
        .as_str()
        .replace(&format!("{name}={value}"), "code=injected");
    let mut other = browser.clone();
    other.cookies.retain(|(_, name), _| name != "__Host-logto");
    let answer = other.open(injected.parse().unwrap()).await;
    assert_eq!(answer.problem().as_deref(), Some("already_used"));
    assert_redeemed_once(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_leaves_during_the_token_call_finds_its_session_on_a_reload() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    slow_token(&world, 200);
    let request = format!(
        "GET {}?{} HTTP/1.1\r\nHost: app.example.com\r\nCookie: {}\r\n\r\n",
        callback.path(),
        callback.query().unwrap(),
        browser.cookie_field()
    );
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let token_calls = || async { world.logto.counts().token == 1 };
    eventually("the token call", token_calls).await;
    drop(stream);
    let answer = browser.open(callback).await;
    assert_eq!(answer.header("location"), Some("https://app.example.com/reports"));
    assert!(is_signed_in(&mut browser).await);
    assert_redeemed_once(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_of_unknown_fate_is_not_tried_again() {
    for (misbehaviour, expected) in [
        (Misbehaviour::ResetAfterProcessing, "logto_unavailable"),
        (Misbehaviour::Reset, "logto_unavailable"),
        (Misbehaviour::Status(503), "logto_unavailable"),
        (Misbehaviour::Status(500), "logto_unavailable"),
        (Misbehaviour::Garbage, "not_verified"),
        (Misbehaviour::Oversized(2 << 20), "not_verified"),
        (
            Misbehaviour::Redirect("http://127.0.0.1:1/".to_owned()),
            "not_verified",
        ),
    ] {
        let world = proxy().start().await;
        let mut browser = world.browser();
        let callback = browser.to_callback("plain", "/reports").await;
        world.logto.set_faults(Faults {
            token: misbehaviour.clone().into(),
            ..Faults::default()
        });
        for _ in 0..2 {
            let answer = browser.open(callback.clone()).await;
            assert_eq!(answer.problem().as_deref(), Some(expected), "{misbehaviour:?}");
        }
        world.logto.set_faults(Faults::default());
        world.hand.advance(10);
        let answer = browser.open(callback.clone()).await;
        assert_eq!(
            answer.problem().as_deref(),
            Some("already_used"),
            "{misbehaviour:?}"
        );
        assert!(!browser.has_session());
        assert!(world.logto.counts().code_exchanges <= 1, "{misbehaviour:?}");
        assert_eq!(world.logto.grants_revoked(), 0, "{misbehaviour:?}");
        // Trying again is a new sign-in, and that works.
        let done = browser.sign_in("plain", "/reports").await;
        assert_eq!(done.status, 200, "{misbehaviour:?}");
    }
}

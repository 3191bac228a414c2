//! How long a session lives, when its cookie is sent anew, and how keys are changed under it.

use crate::support::{Answer, Browser, Upstream, World, proxy};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use logto_proxy::clock::ClockHand;
use std::sync::{Arc, Mutex};

const NAME: &str = "__Host-logto";
const HOUR: i64 = 3_600;

fn renewal(answer: &Answer) -> Option<String> {
    let lines = answer.set_cookies();
    assert!(lines.len() <= 1, "{lines:?}");
    lines.into_iter().find(|line| line.starts_with("__Host-logto=1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_session_ends_after_the_idle_timeout() {
    let world = proxy().session("idle_timeout = \"1h\"").start().await;
    let mut browser = world.signed_in("plain").await;
    let first = browser.clone();
    for _ in 0..4 {
        world.hand.advance(HOUR - 5);
        assert_eq!(browser.fetch("/").await.status, 200, "in use");
    }
    assert_eq!(
        first.clone().fetch("/").await.status,
        401,
        "the cookie that was not renewed"
    );
    world.hand.advance(HOUR + 2);
    assert_eq!(browser.fetch("/").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_use_makes_a_session_live_longer_than_its_lifetime() {
    let world = proxy()
        .session("idle_timeout = \"1h\"\nlifetime = \"3h\"")
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    for _ in 0..5 {
        world.hand.advance(HOUR / 2);
        let answer = browser.fetch("/").await;
        assert_eq!(answer.status, 200);
        assert!(renewal(&answer).is_some());
    }
    world.hand.advance(HOUR / 2 - 100);
    let line = renewal(&browser.fetch("/").await).unwrap();
    let age: u64 = line
        .split("Max-Age=")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(age <= 100, "the browser forgets it when it is over: {age}");
    world.hand.advance(101);
    assert_eq!(browser.fetch("/").await.status, 401);
    world.hand.advance(24 * HOUR);
    assert_eq!(browser.fetch("/").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_well_ahead_is_none() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    world.hand.advance(-50);
    assert_eq!(browser.fetch("/").await.status, 200, "clocks differ a little");
    world.hand.advance(-100);
    assert_eq!(browser.fetch("/").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn shorter_limits_hold_for_sessions_that_exist() {
    let world = proxy().start().await;
    let browser = world.signed_in("plain").await;
    let strict = proxy()
        .session("idle_timeout = \"10m\"\nlifetime = \"20m\"")
        .beside(&world)
        .start()
        .await;
    let at = |world: &World| {
        let mut browser_there: Browser = world.browser();
        browser_there.cookies = browser.cookies.clone();
        browser_there
    };
    assert_eq!(at(&strict).fetch("/").await.status, 200);
    world.hand.advance(660);
    assert_eq!(at(&world).fetch("/").await.status, 200);
    assert_eq!(at(&strict).fetch("/").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_sent_anew_at_most_once_a_minute() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    for _ in 0..3 {
        let before = browser.cookie(NAME).cloned();
        for _ in 0..3 {
            assert_eq!(renewal(&browser.fetch("/").await), None, "not within a minute");
        }
        world.hand.advance(61);
        let answer = browser.fetch("/").await;
        assert!(renewal(&answer).is_some(), "{answer:?}");
        assert_ne!(browser.cookie(NAME).cloned(), before);
        let user = browser.fetch("/.logto/user").await.json();
        assert_eq!(user["claims"]["sub"], "plainuser001");
    }
    let seen = world.upstream.last();
    assert_eq!(
        seen.header("x-user-name"),
        Some("Plain User"),
        "nothing is lost on the way"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_renewed_cookie_is_kept_by_no_shared_cache() {
    let upstream = Upstream::answering(|seen| {
        let mut response = Response::builder().header("vary", "Accept-Encoding");
        if let Some((_, cache)) = seen.target.split_once('?') {
            let cache = cache.replace("%20", " ");
            response = response.header("cache-control", cache);
        }
        response.body(Full::new(Bytes::from_static(b"ok"))).unwrap()
    })
    .await;
    let world = proxy().upstream(upstream).start().await;
    let mut browser = world.signed_in("plain").await;
    for (from_app, expected) in [
        ("", "private"),
        ("?public,%20max-age=60", "private"),
        ("?max-age=60", "private"),
        ("?no-store", "no-store"),
        ("?private,%20max-age=5", "private, max-age=5"),
        ("?private=%22x%22", "private"),
    ] {
        world.hand.advance(61);
        let path = format!("/page{from_app}").replace("%22", "'");
        let answer = browser.fetch(&path).await;
        assert!(renewal(&answer).is_some(), "{from_app}");
        assert_eq!(answer.header("cache-control"), Some(expected), "{from_app}");
        let vary: Vec<&str> = answer
            .headers
            .get_all("vary")
            .iter()
            .flat_map(|value| value.to_str().unwrap().split(", "))
            .collect();
        assert!(
            vary.contains(&"Cookie") && vary.contains(&"Accept-Encoding"),
            "{vary:?}"
        );
        let again = browser.fetch(&path).await;
        assert_eq!(renewal(&again), None);
        assert_eq!(
            again.headers.get_all("vary").iter().count(),
            1,
            "untouched otherwise"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_without_signing_anybody_out() {
    const NEW: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
    let old_key = crate::support::proxy::SESSION_KEY;
    let before = proxy().start().await;
    let during = proxy().keys(&[NEW, old_key]).beside(&before).start().await;
    let after = proxy().keys(&[NEW]).beside(&before).start().await;
    let browser = before.signed_in("plain").await;
    let at = |world: &World, browser: &Browser| {
        let mut there = world.browser();
        there.cookies = browser.cookies.clone();
        there
    };
    let key_of = |browser: &Browser| browser.cookie(NAME).unwrap()[3..12].to_owned();

    let mut rotated = at(&during, &browser);
    let answer = rotated.fetch("/").await;
    assert_eq!(
        (answer.status, renewal(&answer)),
        (200, None),
        "a newer key waits for the renewal"
    );
    before.hand.advance(61);
    assert!(renewal(&rotated.fetch("/").await).is_some());
    assert_ne!(key_of(&rotated), key_of(&browser), "sealed by the newest");

    assert_eq!(at(&after, &rotated).fetch("/").await.status, 200);
    assert_eq!(
        at(&after, &browser).fetch("/").await.status,
        401,
        "the old key is gone"
    );
    assert_eq!(at(&before, &rotated).fetch("/").await.status, 401);

    // A sign-in begun under the old key is finished under the new.
    let mut begun = before.browser();
    let callback = begun.to_callback("plain", "/reports").await;
    let mut begun = at(&during, &begun);
    let done = begun.open(callback).await;
    assert_eq!(done.header("location"), Some("https://app.example.com/reports"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_renews_too() {
    let hand: Arc<Mutex<Option<ClockHand>>> = Arc::default();
    let moves = Arc::clone(&hand);
    let upstream = Upstream::answering(move |seen| {
        if seen.target == "/slow" {
            moves.lock().unwrap().as_ref().unwrap().advance(6);
        }
        Response::new(Full::default())
    })
    .await;
    let world = proxy().upstream(upstream).start().await;
    *hand.lock().unwrap() = Some(world.hand.clone());
    let mut browser = world.signed_in("plain").await;
    world.hand.advance(61);
    let slow = browser.fetch("/slow").await;
    assert_eq!(slow.status, 200);
    assert!(renewal(&slow).is_some(), "an app may have no other answers");
    assert_eq!(renewal(&browser.fetch("/quick").await), None, "done");
}

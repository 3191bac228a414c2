//! A sign-in without a question confirms the session that it was begun for, of the same user through the same session at
//! Logto, and no other; it brings nothing back that has ended, and it does not go in circles.

use crate::support::proxy::Builder;
use crate::support::{Answer, Browser, RawUpstream, Wire, World, get, proxy, request};
use logto_proxy::dev::provider::{EndpointFault, Faults, Misbehaviour};
use logto_proxy::session::{Cause, Effect, Notice, Scope};
use std::time::Duration;

/// Past the life of access tokens, within the grace.
const PAST_TOKENS: i64 = 3_700;

/// Without refresh tokens.
fn without_refresh() -> Builder {
    proxy().client(|client| client.always_issue_refresh_token = false)
}

async fn id(browser: &mut Browser) -> String {
    let document = browser.fetch("/.logto/sessions").await.json();
    let sessions = document["sessions"].as_array().unwrap();
    let current = sessions.iter().find(|session| session["isCurrent"] == true);
    current.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn subject(browser: &mut Browser) -> Option<String> {
    let document = browser.fetch("/.logto/user").await.json();
    document["claims"]["sub"].as_str().map(str::to_owned)
}

/// The browser is signed in at Logto as that other one is.
fn take_over_logto(browser: &mut Browser, from: &Browser) {
    let is_logtos = |host: &str| host != "app.example.com";
    browser.cookies.retain(|(host, _), _| !is_logtos(host));
    let theirs = from.cookies.iter().filter(|((host, _), _)| is_logtos(host));
    let theirs: Vec<_> = theirs.map(|(key, value)| (key.clone(), value.clone())).collect();
    browser.cookies.extend(theirs);
}

/// A page view, through Logto without a question, up to the callback.
async fn to_silent_callback(browser: &mut Browser) -> Answer {
    let answer = browser.navigate("/page").await;
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(answer.location().query().unwrap().contains("prompt=none"));
    browser
        .follow(answer, |url| url.path() == "/.logto/callback")
        .await
}

async fn silently(browser: &mut Browser) -> Answer {
    let callback = to_silent_callback(browser).await;
    browser.open(callback.location()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_same_user_through_the_same_session_at_logto_keeps_a_session() {
    let world = without_refresh().back_channel_logout(true).start().await;
    let mut same = world.signed_in("plain").await;
    let (mut again, mut another) = (same.clone(), same.clone());
    let before = id(&mut same).await;
    let fresh = world.signed_in("plain").await;
    let admin = world.signed_in("admin").await;
    world.hand.advance(PAST_TOKENS);
    assert_eq!(silently(&mut same).await.location().path(), "/page");
    assert_eq!(id(&mut same).await, before);
    take_over_logto(&mut again, &fresh);
    silently(&mut again).await;
    assert_ne!(id(&mut again).await, before, "another session at Logto");
    take_over_logto(&mut another, &admin);
    silently(&mut another).await;
    assert_ne!(id(&mut another).await, before, "another user");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_takes_another_users_claims() {
    // Without a `sid` only the user tells sessions apart.
    let world = without_refresh().start().await;
    let mut browser = world.signed_in("plain").await;
    let mut admin = world.signed_in("admin").await;
    let (before, administrator) = (id(&mut browser).await, subject(&mut admin).await);
    world.hand.advance(PAST_TOKENS);
    take_over_logto(&mut browser, &admin);
    silently(&mut browser).await;
    assert_ne!(id(&mut browser).await, before);
    assert_eq!(subject(&mut browser).await, administrator);
    assert!(administrator.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_was_begun_for_one_session_confirms_no_other() {
    let world = without_refresh().start().await;
    let mut browser = world.signed_in("plain").await;
    let mut other = world.signed_in("plain").await;
    let ids = [id(&mut browser).await, id(&mut other).await];
    world.hand.advance(PAST_TOKENS);
    let callback = to_silent_callback(&mut browser).await;
    browser.set_cookie("__Host-logto", &other.cookie("__Host-logto").unwrap().clone());
    browser.open(callback.location()).await;
    assert!(!ids.contains(&id(&mut browser).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_meanwhile_stays_ended() {
    let world = without_refresh().start().await;
    let mut browser = world.signed_in("plain").await;
    let session = id(&mut browser).await.parse().unwrap();
    world.hand.advance(PAST_TOKENS);
    let callback = to_silent_callback(&mut browser).await;
    let faults = Faults {
        code_exchange: EndpointFault {
            delay: Duration::ZERO,
            misbehaviour: Some(Misbehaviour::AnswerLate(Duration::from_millis(600))),
        },
        ..Faults::default()
    };
    world.logto.set_faults(faults);
    let mut waiting = browser.clone();
    let done = tokio::spawn(async move {
        waiting.open(callback.location()).await;
        waiting
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let now = world.clock.now();
    assert!(world.revocations.apply(&Notice {
        scope: Scope::Session(session),
        effect: Effect::End(Cause::SignOut),
        at: now,
        until: now.plus(Duration::from_secs(86_400)),
    }));
    let mut browser = done.await.unwrap();
    assert_eq!(browser.fetch("/page").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_logto_would_have_to_ask_the_session_leaves_the_browser_unless_it_has_another() {
    let world = without_refresh().start().await;
    let mut browser = world.signed_in("plain").await;
    let mut with_another = browser.clone();
    world.hand.advance(PAST_TOKENS);
    let other = world.signed_in("plain").await;
    world.logto.end_sessions();
    assert_eq!(silently(&mut browser).await.location().path(), "/page");
    assert!(!browser.has_session());
    let next = browser.navigate("/page").await;
    assert!(
        !next.location().query().unwrap().contains("prompt=none"),
        "{next:?}"
    );

    let callback = to_silent_callback(&mut with_another).await;
    let newer = other.cookie("__Host-logto").unwrap().clone();
    with_another.set_cookie("__Host-logto", &newer);
    with_another.open(callback.location()).await;
    assert_eq!(with_another.cookie("__Host-logto"), Some(&newer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logto_that_fails_every_silent_sign_in_is_asked_once_in_half_a_minute() {
    let world = without_refresh().start().await;
    let mut browser = world.signed_in("plain").await;
    world.hand.advance(PAST_TOKENS);
    let faults = Faults {
        authorization_error: Some("server_error".to_owned()),
        ..Faults::default()
    };
    world.logto.set_faults(faults);
    silently(&mut browser).await;
    assert!(browser.has_session(), "it may be confirmed later");
    for _ in 0..3 {
        let answer = browser.navigate("/page").await;
        assert!(
            !answer
                .location()
                .query()
                .unwrap_or_default()
                .contains("prompt=none")
        );
    }
    assert!(
        world.upstream.seen().is_empty(),
        "and nothing is served meanwhile"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_sign_in_can_confirm_is_not_served_meanwhile() {
    let world = without_refresh().start().await;
    let mut browser = world.signed_in("plain").await;
    world.hand.advance(PAST_TOKENS);
    for request in 0..4 {
        let answer = browser.fetch("/page").await;
        assert_eq!(answer.status, 401, "{request}: {answer:?}");
        assert!(answer.json()["hint"].is_string(), "{request}");
    }
    silently(&mut browser).await;
    assert_eq!(browser.fetch("/page").await.status, 200, "confirmed");
}

/// An app whose answers never end.
async fn endless() -> RawUpstream {
    RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await;
        wire.is_cut().await;
    })
    .await
}

async fn ends_with_the_grace(world: World) {
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/.logto/sign-in").await;
    browser.open(callback).await;
    let cookies = browser.cookie_field();
    let mut wire = world.wire().await;
    wire.send(request("GET", "/events", &[("Cookie", &cookies)]))
        .await;
    wire.head().await;
    world.hand.advance(301);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let mut other = world.wire().await;
    other.send(get("/.logto/sign-in")).await;
    assert_eq!(other.reply().await.status, 302, "the proxy is there");
    // Past five minutes and the hour of grace since it was confirmed, within idle timeout and lifetime.
    world.hand.advance(4_000);
    let cut = tokio::time::timeout(Duration::from_secs(6), wire.is_cut()).await;
    assert!(cut.is_ok(), "the stream lives on unconfirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_session_nobody_can_confirm_ends_with_the_grace() {
    let app = endless().await;
    let world = without_refresh().upstream_url(app.url()).start().await;
    ends_with_the_grace(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_session_logto_does_not_confirm_ends_with_the_grace() {
    let app = endless().await;
    let world = proxy().upstream_url(app.url()).start().await;
    let faults = Faults {
        refresh: EndpointFault {
            delay: Duration::ZERO,
            misbehaviour: Some(Misbehaviour::Status(500)),
        },
        ..Faults::default()
    };
    world.logto.set_faults(faults);
    ends_with_the_grace(world).await;
}

//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0): Logto's word ends sessions at once, nobody else's does.

use crate::support::{Answer, Browser, World, proxy};
use bytes::Bytes;
use logto_proxy::dev::provider::{Client, LogoutTokenFault};
use std::time::{Duration, Instant};
use url::Url;

const PATH: &str = "/.logto/back-channel-logout";
const URL: &str = "https://app.example.com/.logto/back-channel-logout";
const FORM: &str = "application/x-www-form-urlencoded";

async fn world(change: impl FnOnce(&mut Client) + 'static) -> World {
    let world = proxy()
        .client(move |client| {
            client.backchannel_logout_uri = Some(URL.to_owned());
            change(client);
        })
        .start()
        .await;
    world.logto.route("https://app.example.com", world.address);
    world
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.fetch("/.logto/user").await.json()["isAuthenticated"] == true
}

async fn post(world: &World, content_type: &str, body: &str) -> Answer {
    let url: Url = URL.parse().unwrap();
    let fields = [("content-type", content_type)];
    world
        .browser()
        .send("POST", url, &fields, Bytes::from(body.to_owned()))
        .await
}

fn assert_refused(answer: &Answer, error: &str) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(document["error"], error, "{document}");
    assert!(document["error_description"].is_string());
    assert!(answer.set_cookies().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_a_sid_ends_the_sessions_of_that_sign_in_and_no_other() {
    let world = world(|client| client.backchannel_logout_session_required = true).await;
    let mut earlier = world.signed_in("plain").await;
    let mut ended = world.signed_in("plain").await;
    let mut copy = ended.clone();
    let begun = Instant::now();
    assert_eq!(world.logto.send_logout("test-app", "plain").await, Ok(200));
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(!is_signed_in(&mut ended).await);
    assert!(!is_signed_in(&mut copy).await, "a copied cookie is no better");
    assert!(is_signed_in(&mut earlier).await, "another session at Logto");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_sid_ends_all_sessions_of_its_user_and_nobody_elses() {
    let world = world(|client| client.backchannel_logout_session_required = false).await;
    let (mut one, mut two) = (world.signed_in("plain").await, world.signed_in("plain").await);
    let mut other = world.signed_in("admin").await;
    let token = world
        .logto
        .logout_token("test-app", "plain")
        .unwrap()
        .sign()
        .unwrap();
    let answer = post(&world, FORM, &format!("logout_token={token}")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!is_signed_in(&mut one).await && !is_signed_in(&mut two).await);
    assert!(is_signed_in(&mut other).await);
    world.hand.advance(1);
    assert!(
        is_signed_in(&mut world.signed_in("plain").await).await,
        "a new sign-in is a new session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_at_logto_signs_out_here() {
    let world = world(|client| client.backchannel_logout_session_required = true).await;
    let mut browser = world.signed_in("plain").await;
    let mut copy = browser.clone();
    let end = format!("{}/session/end?client_id=test-app", world.issuer);
    let page = browser.open(end.parse().unwrap()).await;
    let secret = page.body.split("name=\"xsrf\" value=\"").nth(1).unwrap();
    let secret = secret.split('"').next().unwrap().to_owned();
    let confirm = page.url.join("/oidc/session/end/confirm").unwrap();
    browser
        .submit(confirm, &[("xsrf", &secret), ("logout", "yes")])
        .await;
    assert_eq!(world.logto.deliveries().len(), 1);
    assert_eq!(world.logto.deliveries()[0].outcome, Ok(200));
    assert!(!is_signed_in(&mut copy).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_wrong_in_any_way_ends_nothing() {
    use LogoutTokenFault as Fault;
    let world = world(|client| client.backchannel_logout_session_required = true).await;
    let mut browser = world.signed_in("plain").await;
    let fetched = world.logto.counts().jwks;
    for fault in [
        Fault::WrongIssuer,
        Fault::NoIssuer,
        Fault::WrongAudience,
        Fault::NoAudience,
        Fault::Expired,
        Fault::NoExpiry,
        Fault::IssuedInTheFuture,
        Fault::IssuedLongAgo,
        Fault::NoIssuedAt,
        Fault::NoTokenId,
        Fault::Nonce,
        Fault::NoEvents,
        Fault::OtherEvent,
        Fault::EventNotAnObject,
        Fault::Nobody,
        Fault::EmptySubject,
        Fault::WrongType,
        Fault::NoType,
        Fault::AlgorithmNone,
        Fault::Hs256WithClientSecret,
        Fault::BadSignature,
        Fault::UnknownKey,
        Fault::StolenKeyId,
        Fault::Malformed,
    ] {
        let token = world.logto.logout_token("test-app", "plain").unwrap();
        let token = token.fault(fault).sign().unwrap();
        let answer = post(&world, FORM, &format!("logout_token={token}")).await;
        assert_eq!(answer.status, 400, "{fault:?}");
        assert_refused(&answer, "invalid_request");
        assert!(!answer.body.contains(&token));
    }
    assert!(is_signed_in(&mut browser).await);
    assert!(
        world.logto.counts().jwks - fetched <= 1,
        "strangers cannot make the proxy ask Logto over and over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_once() {
    let world = world(|client| client.backchannel_logout_session_required = false).await;
    let token = world
        .logto
        .logout_token("test-app", "plain")
        .unwrap()
        .sign()
        .unwrap();
    let form = format!("logout_token={token}");
    assert_eq!(post(&world, FORM, &form).await.status, 200);
    world.hand.advance(1);
    let mut browser = world.signed_in("plain").await;
    world.hand.advance(1);
    assert_refused(&post(&world, FORM, &form).await, "invalid_request");
    assert!(is_signed_in(&mut browser).await, "who signed in since stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_form_with_one_token_is_read() {
    let world = world(|client| client.backchannel_logout_session_required = false).await;
    let mut browser = world.signed_in("plain").await;
    let token = || {
        world
            .logto
            .logout_token("test-app", "plain")
            .unwrap()
            .sign()
            .unwrap()
    };
    let long = format!("padding={}&logout_token={}", "x".repeat(40_000), token());
    for (content_type, body) in [
        (FORM, String::new()),
        (FORM, "logout_token=".to_owned()),
        (FORM, format!("logout_token={}&logout_token={}", token(), token())),
        (FORM, format!("token={}", token())),
        (FORM, long),
        ("text/plain", format!("logout_token={}", token())),
        (
            "application/json",
            format!("{{\"logout_token\":\"{}\"}}", token()),
        ),
    ] {
        assert_refused(&post(&world, content_type, &body).await, "invalid_request");
    }
    // Not in the URL either.
    let url = format!("{URL}?logout_token={}", token());
    let answer = world
        .browser()
        .send(
            "POST",
            url.parse().unwrap(),
            &[("content-type", FORM)],
            Bytes::new(),
        )
        .await;
    assert_refused(&answer, "invalid_request");
    for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
        let answer = world
            .browser()
            .send(method, URL.parse().unwrap(), &[], Bytes::new())
            .await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("POST")),
            "{method}"
        );
    }
    assert!(is_signed_in(&mut browser).await);
    assert!(world.upstream.seen().is_empty(), "the app sees none of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_says_of_itself_makes_no_difference() {
    let world = world(|client| client.backchannel_logout_session_required = false).await;
    let token = world
        .logto
        .logout_token("test-app", "plain")
        .unwrap()
        .sign()
        .unwrap();
    let body = format!("logout_token={token}");
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent:\r\nSec-Fetch-Site: cross-site\r\nOrigin: null\r\nPurpose: prefetch\r\nCookie: __Host-logto=1broken\r\nContent-Type: {FORM}; charset=UTF-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = world.raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("set-cookie"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_is_heard_while_logto_answers_nothing() {
    let world = world(|client| client.backchannel_logout_session_required = true).await;
    let mut browser = world.signed_in("plain").await;
    let token = world
        .logto
        .logout_token("test-app", "plain")
        .unwrap()
        .sign()
        .unwrap();
    world.stop_provider().await;
    let answer = post(&world, FORM, &format!("logout_token={token}")).await;
    assert_eq!(answer.status, 200, "its keys are known");
    assert!(!is_signed_in(&mut browser).await);
}

/// Logto sends it once, and a new key signs from the moment of a rotation.
#[tokio::test(flavor = "multi_thread")]
async fn junk_does_not_lose_the_logout_that_comes_with_a_new_key() {
    let world = world(|client| client.backchannel_logout_session_required = true).await;
    let mut browser = world.signed_in("plain").await;
    let fetched = world.logto.counts().jwks;
    let token = || world.logto.logout_token("test-app", "plain").unwrap();
    for _ in 0..50 {
        let junk = token().fault(LogoutTokenFault::UnknownKey).sign().unwrap();
        let answer = post(&world, FORM, &format!("logout_token={junk}")).await;
        assert_eq!(answer.status, 400);
    }
    world.logto.rotate_to_rs256().unwrap();
    let begun = Instant::now();
    let form = format!("logout_token={}", token().sign().unwrap());
    assert_refused(&post(&world, FORM, &form).await, "logout_failed");
    while is_signed_in(&mut browser).await {
        assert!(begun.elapsed() < Duration::from_secs(15), "the logout is lost");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(world.logto.counts().jwks - fetched, 2);
    assert_refused(&post(&world, FORM, &form).await, "invalid_request");
}

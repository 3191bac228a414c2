//! `sid` and back-channel logout.

use serde_json::{Value, json};
use std::time::Duration;
use url::form_urlencoded;

use super::super::{Client, DeliveryError, LogoutTokenFault};
use super::browser::{AFTER, Browser, CALLBACK, VERIFIER, World, client, decode, form, start};
use super::receiver::{Received, Receiver};
use super::tokens::{text, verified};
use crate::clock;
use crate::secret::SecretText;

async fn with_logout(session_required: bool, receiver: &Receiver) -> World {
    let world = start().await;
    world.control.register(Client {
        backchannel_logout_uri: Some(receiver.url("/logout")),
        backchannel_logout_session_required: session_required,
        always_issue_refresh_token: true,
        ..client()
    });
    world
}

fn token_of(received: &Received) -> String {
    let mut pairs = form_urlencoded::parse(received.body.as_bytes());
    let (name, token) = pairs.next().unwrap();
    assert!(name == "logout_token" && pairs.next().is_none());
    token.into_owned()
}

/// Signs in, redeems, and keeps the browser.
async fn signed_in(world: &World, persona: &str) -> (Browser, Value) {
    let mut browser = world.browser();
    let callback = browser.sign_in(&world.authorize(&[]), persona).await;
    let tokens = world.redeem(&callback["code"], VERIFIER).await.json();
    (browser, tokens)
}

/// Through the page that submits itself.
async fn sign_out(browser: &mut Browser) -> String {
    let target = format!(
        "/oidc/session/end?{}",
        form(&[("client_id", "app"), ("post_logout_redirect_uri", AFTER)])
    );
    let page = browser.get(&target).await.body;
    let secret = page.split(r#"name="xsrf" value=""#).nth(1).unwrap();
    let secret = secret.split('"').next().unwrap().to_owned();
    let done = browser
        .post("/oidc/session/end/confirm", &[("xsrf", &secret)])
        .await;
    done.location().to_owned()
}

#[tokio::test]
async fn id_tokens_name_the_session_when_the_application_wants_it() {
    let receiver = Receiver::answering(200, Duration::ZERO).await;
    let world = with_logout(true, &receiver).await;
    let (mut browser, tokens) = signed_in(&world, "plain").await;
    let sid = verified(&world, text(&tokens, "id_token")).await["sid"].clone();
    assert!(sid.is_string());
    assert_eq!(world.control.session_ids("app", "plain"), [sid.as_str().unwrap()]);
    let refreshed = world.refresh(text(&tokens, "refresh_token")).await.json();
    assert_eq!(
        decode(text(&refreshed, "id_token")).1["sid"],
        sid,
        "repeated in refreshed ones"
    );
    let again = browser.get(&world.authorize(&[])).await.callback();
    let again = world.redeem(&again["code"], VERIFIER).await.json();
    assert_eq!(decode(text(&again, "id_token")).1["sid"], sid, "the same session");
    let (_, other) = signed_in(&world, "plain").await;
    assert_ne!(decode(text(&other, "id_token")).1["sid"], sid, "another browser");
    world.control.register(Client {
        redirect_uris: vec![CALLBACK.into()],
        backchannel_logout_uri: Some(receiver.url("/second")),
        backchannel_logout_session_required: true,
        ..Client::new("second", SecretText::new("second".into()), CALLBACK)
    });
    browser.get(&world.authorize(&[("client_id", "second")])).await;
    assert_ne!(
        world.control.session_ids("second", "plain"),
        [sid.as_str().unwrap()],
        "a name for each client"
    );
    for change in [
        |client: &mut Client| client.backchannel_logout_session_required = false,
        |client: &mut Client| {
            client.backchannel_logout_session_required = true;
            client.backchannel_logout_uri = None;
        },
    ] {
        world.control.update_client("app", change);
        let (_, tokens) = signed_in(&world, "plain").await;
        assert!(decode(text(&tokens, "id_token")).1.get("sid").is_none());
    }
}

#[tokio::test]
async fn a_sign_out_tells_the_application_before_the_browser_goes_on() {
    let receiver = Receiver::answering(200, Duration::from_millis(200)).await;
    let world = with_logout(true, &receiver).await;
    let (mut browser, tokens) = signed_in(&world, "plain").await;
    let (_elsewhere, _) = signed_in(&world, "plain").await;
    let before = clock::monotonic();
    assert_eq!(sign_out(&mut browser).await, AFTER);
    assert!(before.elapsed() >= Duration::from_millis(200), "it waited");
    let received = receiver.only();
    assert_eq!(received.headers["user-agent"], "");
    assert!(
        received.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/x-www-form-urlencoded")
    );
    let token = token_of(&received);
    let (header, _) = decode(&token);
    assert_eq!(
        (&header["typ"], &header["alg"]),
        (&json!("logout+jwt"), &json!("ES384"))
    );
    let claims = verified(&world, &token).await;
    let id_token = decode(text(&tokens, "id_token")).1;
    for same in ["iss", "aud", "sub", "sid"] {
        assert_eq!(claims[same], id_token[same], "{same}");
    }
    assert!(claims["aud"].is_string());
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        120
    );
    assert_eq!(
        claims["events"],
        json!({"http://schemas.openid.net/event/backchannel-logout": {}})
    );
    assert_eq!(text(&claims, "jti").len(), 43);
    assert!(claims.get("nonce").is_none());
    assert_eq!(world.control.sessions(), 1, "the other browser's");
    assert_eq!(
        world.refresh(text(&tokens, "refresh_token")).await.error().1,
        "invalid_grant"
    );
}

#[tokio::test]
async fn without_sessions_the_token_names_the_user_alone() {
    let receiver = Receiver::answering(204, Duration::ZERO).await;
    let world = with_logout(false, &receiver).await;
    let (mut browser, _) = signed_in(&world, "plain").await;
    sign_out(&mut browser).await;
    let claims = decode(&token_of(&receiver.only())).1;
    assert_eq!(claims["sub"], "plainuser001");
    assert!(claims.get("sid").is_none());
    assert_eq!(world.control.deliveries()[0].outcome, Ok(204));
}

#[tokio::test]
async fn whatever_the_application_answers_the_user_is_signed_out() {
    let hanging = Receiver::answering(200, Duration::from_secs(60)).await;
    let world = with_logout(true, &hanging).await;
    let (mut browser, _) = signed_in(&world, "plain").await;
    let before = clock::monotonic();
    assert_eq!(sign_out(&mut browser).await, AFTER);
    assert!(before.elapsed() < Duration::from_secs(10));
    assert_eq!(
        world.control.deliveries()[0].outcome,
        Err(DeliveryError::TimedOut)
    );
    assert_eq!(world.control.sessions(), 0);
}

#[tokio::test]
async fn only_an_interactive_sign_out_is_told() {
    let receiver = Receiver::answering(200, Duration::ZERO).await;
    let world = with_logout(true, &receiver).await;
    signed_in(&world, "plain").await;
    signed_in(&world, "admin").await;
    assert!(world.control.suspend("plain") && world.control.delete("admin"));
    world.control.end_sessions();
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn a_test_may_send_one_or_make_a_wrong_one() {
    let receiver = Receiver::answering(200, Duration::ZERO).await;
    let world = with_logout(true, &receiver).await;
    signed_in(&world, "plain").await;
    let (_, newest) = signed_in(&world, "plain").await;
    assert_eq!(world.control.send_logout("app", "plain").await, Ok(200));
    let sent = verified(&world, &token_of(&receiver.only())).await;
    assert_eq!(sent["sid"], decode(text(&newest, "id_token")).1["sid"]);
    assert!(world.control.logout_token("app", "nobody").is_none());
    assert!(world.control.logout_token("nobody", "plain").is_none());

    let right = world.control.logout_token("app", "plain").unwrap();
    let unchanged = decode(&right.sign().unwrap());
    assert_eq!(
        decode(&right.sign().unwrap()).1["jti"],
        unchanged.1["jti"],
        "the same token twice is a replay"
    );
    for fault in LogoutTokenFault::ALL {
        let token = right.clone().fault(fault).sign().unwrap();
        assert_eq!(token.matches('.').count(), 2, "{fault:?}");
        let signature_alone = matches!(
            fault,
            LogoutTokenFault::BadSignature | LogoutTokenFault::StolenKeyId | LogoutTokenFault::Malformed
        );
        if !signature_alone {
            assert_ne!(decode(&token), unchanged, "{fault:?}");
        }
    }
    let own = right.claim("sid", json!("mine")).without("sub").sign().unwrap();
    assert_eq!(decode(&own).1["sid"], "mine");
    assert_eq!(world.control.send_logout_token("app", &own).await, Ok(200));
    assert_eq!(token_of(&receiver.received()[1]), own);
}

#[tokio::test]
async fn tokens_follow_the_key() {
    let receiver = Receiver::answering(200, Duration::ZERO).await;
    let world = with_logout(true, &receiver).await;
    world.control.rotate_to_rs256().unwrap();
    let token = world.control.logout_token("app", "plain").unwrap();
    let token = token.sign().unwrap();
    assert_eq!(decode(&token).0["alg"], "RS256");
    verified(&world, &token).await;
}

//! `GET user`: who is signed in, for front ends.

use crate::support::{Answer, World, proxy};
use bytes::Bytes;
use serde_json::json;

const NAME: &str = "__Host-logto";

fn assert_kept_by_nobody(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("vary"), Some("Cookie"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("access-control-allow-origin").is_none());
}

async fn user(world: &World, cookie: Option<&str>) -> Answer {
    let mut browser = world.browser();
    if let Some(cookie) = cookie {
        browser.set_cookie(NAME, cookie);
    }
    browser.fetch("/.logto/user").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_in_user_is_described_with_the_claims_in_use_and_without_tokens() {
    let world = proxy()
        .client(|client| client.always_issue_refresh_token = true)
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    let answer = browser.fetch("/.logto/user").await;
    assert_eq!(answer.status, 200);
    assert_kept_by_nobody(&answer);
    let document = answer.json();
    let members: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        ["claims", "expiresAt", "idleExpiresAt", "isAuthenticated"]
    );
    assert_eq!(document["isAuthenticated"], true);
    let claims = &document["claims"];
    assert_eq!(claims["sub"], "adminuser001");
    assert_eq!(claims["name"], "Admin User");
    assert_eq!(claims["email"], "admin@example.com");
    assert_eq!(claims["roles"], json!(["admin", "editor"]));
    assert_eq!(claims["organizations"], json!(["exampleorg01", "exampleorg02"]));
    for absent in [
        "nonce",
        "at_hash",
        "iss",
        "aud",
        "exp",
        "iat",
        "custom_data",
        "refresh_token",
        "access_token",
        "id_token",
    ] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    assert!(!answer.body.contains("eyJ"), "{}", answer.body);
    let now = world.clock.now().as_u64();
    let close = |moment: &serde_json::Value, expected: u64| moment.as_u64().unwrap().abs_diff(expected) <= 5;
    assert!(close(&document["expiresAt"], now + 7 * 86_400), "{document}");
    assert!(close(&document["idleExpiresAt"], now + 8 * 3_600), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_described_as_such_with_200_whatever_is_in_the_cookie() {
    let world = proxy().start().await;
    let over = world.signed_in("plain").await.cookie(NAME).unwrap().clone();
    world.hand.advance(9 * 3_600);
    for cookie in [None, Some(""), Some("1x"), Some(over.as_str())] {
        let answer = user(&world, cookie).await;
        assert_eq!(answer.status, 200, "{cookie:?}");
        assert_eq!(answer.json(), json!({ "isAuthenticated": false }));
        assert_kept_by_nobody(&answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_keeps_no_session_alive() {
    let world = proxy().session("idle_timeout = \"10m\"").start().await;
    let mut browser = world.signed_in("plain").await;
    let ends = browser.fetch("/.logto/user").await.json()["idleExpiresAt"].clone();
    for _ in 0..2 {
        world.hand.advance(290);
        let answer = browser.fetch("/.logto/user").await.json();
        assert_eq!(answer["isAuthenticated"], true);
        assert_eq!(answer["idleExpiresAt"], ends);
    }
    world.hand.advance(30);
    assert_eq!(
        browser.fetch("/.logto/user").await.json()["isAuthenticated"],
        false
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_get_and_head_alone_and_never_asks_the_app() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let url: url::Url = "https://app.example.com/.logto/user".parse().unwrap();
    let head = browser.send("HEAD", url.clone(), &[], Bytes::new()).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_kept_by_nobody(&head);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = browser.send(method, url.clone(), &[], Bytes::new()).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoints_can_be_moved_for_apps_written_for_another_integration() {
    let section =
        "[routes]\nprefix = \"/api/logto\"\ncallback = \"/api/logto/sign-in-callback\"\nuser = \"/me\"";
    let register = |client: &mut logto_proxy::dev::provider::Client| {
        client.redirect_uris = vec!["https://app.example.com/api/logto/sign-in-callback".to_owned()];
    };
    let mut world = proxy()
        .section(section)
        .client(register)
        .logto_down_at_start()
        .start()
        .await;
    world.start_provider();
    crate::support::eventually("ready", || async { world.health("/readyz").await.0 == 200 }).await;
    let mut browser = world.browser();
    let answer = browser
        .sign_in("plain", "/api/logto/sign-in?redirect=/reports")
        .await;
    assert_eq!((answer.status, answer.url.path()), (200, "/reports"));
    assert_eq!(browser.fetch("/me").await.json()["isAuthenticated"], true);
    assert_eq!(browser.navigate("/api/logto/sign-out").await.status, 303);
    assert!(!browser.has_session());
    world.upstream.forget();
    browser.sign_in("plain", "/.logto/user").await;
    assert_eq!(
        world.upstream.last().target,
        "/.logto/user",
        "the old address is the app's"
    );
}

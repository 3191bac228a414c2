//! Personal access tokens, and what introspection says of the tokens that they become.

use serde_json::{Value, json};
use std::time::Duration;

use super::browser::{Answer, SECRET, World, start};
use super::tokens::{offline, text};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const KIND: &str = "urn:logto:token-type:personal_access_token";

async fn exchange(world: &World, token: &str, kind: &str) -> Answer {
    let pairs = [
        ("grant_type", GRANT),
        ("subject_token", token),
        ("subject_token_type", kind),
        ("scope", "openid profile roles offline_access nonsense"),
    ];
    world.post_as("app", SECRET, "/oidc/token", &pairs).await
}

async fn introspect(world: &World, token: &str) -> Value {
    world
        .post_as("app", SECRET, "/oidc/token/introspection", &[("token", token)])
        .await
        .json()
}

#[tokio::test]
async fn a_personal_token_becomes_an_opaque_one() {
    let world = start().await;
    let token = world.control.issue_personal_access_token("admin", None).unwrap();
    assert!(token.starts_with("pat_"));
    let refused = exchange(&world, &token, KIND).await;
    assert_eq!(refused.error(), (400, "unauthorized_client".into()));
    world
        .control
        .update_client("app", |client| client.allow_token_exchange = true);
    let tokens = exchange(&world, &token, KIND).await.json();
    assert_eq!(
        tokens,
        json!({
            "access_token": tokens["access_token"], "expires_in": 3_600, "scope": "openid profile roles",
            "token_type": "Bearer"
        }),
        "no ID token, no refresh token"
    );
    let opaque = text(&tokens, "access_token");
    let userinfo = world.userinfo(opaque).await.json();
    assert_eq!(userinfo["roles"], json!(["admin", "editor"]));
    let told = introspect(&world, opaque).await;
    assert_eq!(
        (told["client_id"].as_str(), told["token_type"].as_str()),
        (Some("app"), Some("Bearer"))
    );

    // What it became outlives it, but not its user.
    assert!(world.control.delete_personal_access_token(&token));
    assert_eq!(exchange(&world, &token, KIND).await.error().1, "invalid_grant");
    assert_eq!(introspect(&world, opaque).await["active"], true);
    world.control.suspend("admin");
    assert_eq!(introspect(&world, opaque).await, json!({"active": false}));
}

#[tokio::test]
async fn whatever_is_not_a_live_personal_token_is_refused() {
    let world = start().await;
    world
        .control
        .update_client("app", |client| client.allow_token_exchange = true);
    let hour = Some(Duration::from_secs(3_600));
    let token = world.control.issue_personal_access_token("plain", hour).unwrap();
    let other_kind = "urn:ietf:params:oauth:token-type:access_token";
    assert_eq!(
        exchange(&world, &token, other_kind).await.error().1,
        "invalid_grant"
    );
    assert_eq!(
        exchange(&world, "pat_junk", KIND).await.error().1,
        "invalid_grant"
    );
    world.control.revoke_access("plain");
    assert_eq!(exchange(&world, &token, KIND).await.error().1, "access_denied");
    world.control.restore_access("plain");
    assert!(exchange(&world, &token, KIND).await.status.is_success());
    world.clock.advance(3_601);
    assert_eq!(exchange(&world, &token, KIND).await.error().1, "invalid_grant");
    let pairs = [("grant_type", GRANT), ("subject_token", token.as_str())];
    let incomplete = world.post_as("app", SECRET, "/oidc/token", &pairs).await;
    assert_eq!(incomplete.error(), (400, "invalid_request".into()));
    assert_eq!(world.control.counts().token_exchanges, 6);
    assert_eq!(world.control.issue_personal_access_token("nobody", None), None);
}

#[tokio::test]
async fn introspection_tells_access_tokens_from_refresh_tokens() {
    let world = start().await;
    let tokens = offline(&world).await;
    let access = introspect(&world, text(&tokens, "access_token")).await;
    let refresh = introspect(&world, text(&tokens, "refresh_token")).await;
    assert_eq!(
        (access["active"].as_bool(), access["token_type"].as_str()),
        (Some(true), Some("Bearer"))
    );
    assert_eq!(
        (refresh["active"].as_bool(), refresh.get("token_type")),
        (Some(true), None)
    );
}

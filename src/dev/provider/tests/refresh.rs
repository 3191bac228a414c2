//! Refresh tokens: who gets one, what a refresh shows, rotation.

use ::http::StatusCode;
use serde_json::json;
use std::time::Duration;

use super::super::{Client, Faults, IdTokenFault, Misbehaviour};
use super::browser::{CALLBACK, SECRET, client, decode, start};
use super::tokens::{offline, text, verified};
use crate::secret::SecretText;

const DAY: i64 = 86_400;

#[tokio::test]
async fn refresh_tokens_are_for_those_who_asked_rightly() {
    let world = start().await;
    let without_consent = world
        .tokens_of("plain", &[("scope", "openid offline_access")])
        .await;
    assert!(without_consent.get("refresh_token").is_none());
    assert_eq!(text(&without_consent, "scope"), "openid");
    assert!(offline(&world).await.get("refresh_token").is_some());
    world
        .control
        .update_client("app", |client| client.always_issue_refresh_token = true);
    let bound = world.tokens_of("plain", &[("scope", "openid")]).await;
    let independent = offline(&world).await;
    world.control.end_sessions();
    assert_eq!(
        world.refresh(text(&bound, "refresh_token")).await.error().1,
        "invalid_grant"
    );
    assert_eq!(
        world.userinfo(text(&bound, "access_token")).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        world.refresh(text(&independent, "refresh_token")).await.status,
        StatusCode::OK
    );
    assert_eq!(
        world.userinfo(text(&independent, "access_token")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_refresh_shows_what_changed_and_may_narrow_but_not_widen() {
    let world = start().await;
    let tokens = offline(&world).await;
    let refresh_token = text(&tokens, "refresh_token");
    assert!(world.control.set_roles("admin", &["reader"]));
    let refreshed = world.refresh(refresh_token).await.json();
    assert_eq!(
        refreshed["refresh_token"], refresh_token,
        "the same until 70 % of its life"
    );
    let claims = verified(&world, text(&refreshed, "id_token")).await;
    assert_eq!(claims["roles"], json!(["reader"]));
    assert_eq!(claims["nonce"], "the-nonce");
    assert_eq!(
        world.userinfo(text(&tokens, "access_token")).await.status,
        StatusCode::OK,
        "older ones stay valid"
    );
    let narrow = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("scope", "openid"),
    ];
    let narrowed = world.post_as("app", SECRET, "/oidc/token", &narrow).await.json();
    assert!(decode(text(&narrowed, "id_token")).1.get("roles").is_none());
    let wide = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("scope", "openid email"),
    ];
    let refused = world.post_as("app", SECRET, "/oidc/token", &wide).await;
    assert_eq!(refused.error(), (400, "invalid_scope".to_owned()));
    assert!(
        refused.json()["error_description"]
            .as_str()
            .unwrap()
            .contains("email")
    );
    assert_eq!(world.control.counts().refreshes, 3);
}

#[tokio::test]
async fn rotation_forgives_three_seconds_and_then_ends_the_grant() {
    let world = start().await;
    let tokens = offline(&world).await;
    let old = text(&tokens, "refresh_token").to_owned();
    world.clock.advance(14 * DAY * 69 / 100);
    assert_eq!(world.refresh(&old).await.json()["refresh_token"], old.as_str());
    world.clock.advance(14 * DAY * 2 / 100);
    let new = world.refresh(&old).await.json();
    assert_ne!(new["refresh_token"], old.as_str());
    let late = world.refresh(&old).await;
    assert_eq!(late.status, StatusCode::OK, "within the leeway");
    assert_ne!(late.json()["refresh_token"], new["refresh_token"]);
    world.clock.advance(5);
    assert_eq!(world.refresh(&old).await.error().1, "invalid_grant");
    assert_eq!(world.control.grants_revoked(), 1);
    assert_eq!(
        world.refresh(text(&new, "refresh_token")).await.error().1,
        "invalid_grant",
        "its successor too"
    );
    assert_eq!(world.control.counts().rotations, 2);
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_the_grant_only_after_the_leeway() {
    let world = start().await;
    let tokens = offline(&world).await;
    let old = text(&tokens, "refresh_token").to_owned();
    world.clock.advance(14 * DAY * 71 / 100);
    world.control.set_faults(Faults {
        refresh: Misbehaviour::ResetAfterProcessing.times(1).into(),
        ..Faults::default()
    });
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", old.as_str()),
        ("client_id", "app"),
        ("client_secret", SECRET),
    ];
    assert!(world.post("/oidc/token", &[], &pairs).await.is_err());
    assert_eq!(world.control.counts().rotations, 1, "nobody heard of it");
    world.clock.advance(2);
    let new = world.refresh(&old).await.json();
    world.clock.advance(100);
    let new = text(&new, "refresh_token");
    assert_eq!(world.refresh(new).await.json()["refresh_token"], new);
    assert_eq!(world.refresh(&old).await.error().1, "invalid_grant");
    assert_eq!(world.refresh(new).await.error().1, "invalid_grant");
}

#[tokio::test]
async fn refreshes_may_lie_alone() {
    let world = start().await;
    world.control.set_faults(Faults {
        refreshed_id_token: Some(IdTokenFault::OtherSubject),
        ..Faults::default()
    });
    let tokens = offline(&world).await;
    let token = text(&tokens, "refresh_token");
    assert_eq!(decode(text(&tokens, "id_token")).1["sub"], "adminuser001");
    let refreshed = world.refresh(token).await.json();
    assert_eq!(decode(text(&refreshed, "id_token")).1["sub"], "otheruser001");
    world.control.set_faults(Faults {
        refreshed_id_token: Some(IdTokenFault::Missing),
        refresh_token_withheld: true,
        ..Faults::default()
    });
    let bare = world.refresh(token).await.json();
    assert!(bare.get("id_token").is_none() && bare.get("refresh_token").is_none());
    assert!(bare["access_token"].is_string());
}

#[tokio::test]
async fn refresh_tokens_end_and_need_not_rotate() {
    let world = start().await;
    world.control.register(Client {
        rotate_refresh_token: false,
        refresh_token_ttl: Duration::from_secs(100),
        ..client()
    });
    let tokens = offline(&world).await;
    let token = text(&tokens, "refresh_token");
    world.clock.advance(95);
    assert_eq!(world.refresh(token).await.json()["refresh_token"], token);
    world.clock.advance(10);
    assert_eq!(world.refresh(token).await.error().1, "invalid_grant");
    assert_eq!(world.refresh("junk").await.error().1, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_is_its_applications_own() {
    let world = start().await;
    world
        .control
        .register(Client::new("second", SecretText::new("other".into()), CALLBACK));
    let tokens = offline(&world).await;
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&tokens, "refresh_token")),
    ];
    let stolen = world.post_as("second", "other", "/oidc/token", &pairs).await;
    assert_eq!(stolen.error(), (400, "invalid_grant".to_owned()));
}

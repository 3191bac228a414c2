//! Personal access tokens.

use super::world;
use crate::bearer::{BearerError, TokenKind};
use crate::dev::provider::{Faults, Misbehaviour};
use serde_json::json;

#[tokio::test]
async fn one_calls_as_its_user() {
    let world = world().await;
    let caller = world.present(&world.personal("admin")).await.unwrap();
    assert_eq!(caller.kind, TokenKind::Personal);
    assert_eq!(caller.subject.as_deref(), Some("adminuser001"));
    assert_eq!((caller.client_id.as_str(), caller.is_machine), ("app", false));
    assert_eq!(caller.claims.members()["roles"], json!(["admin", "editor"]));
    assert_eq!(caller.claims.members()["sub"], "adminuser001");
    assert_eq!(world.control.counts().introspection, 0);
}

/// Every exchange leaves a grant behind at Logto, and too many of them push the user's sign-ins out.
#[tokio::test]
async fn it_is_exchanged_rarely_and_confirmed_every_minute() {
    let world = world().await;
    let token = world.personal("admin");
    for minute in 1..=10 {
        for _ in 0..3 {
            world.present(&token).await.unwrap();
        }
        let counts = world.control.counts();
        assert_eq!(
            (counts.token_exchanges, counts.userinfo),
            (1, minute),
            "minute {minute}"
        );
        world.hand.advance(60);
    }
    world.control.set_roles("admin", &["reader"]);
    let caller = world.present(&token).await.unwrap();
    assert_eq!(caller.claims.members()["roles"], json!(["reader"]));
    let counts = world.control.counts();
    assert_eq!((counts.token_exchanges, counts.userinfo), (2, 11));
    world.hand.advance(60);
    world.control.set_roles("admin", &["writer"]);
    let caller = world.present(&token).await.unwrap();
    assert_eq!(caller.claims.members()["roles"], json!(["writer"]));
    assert_eq!(world.control.counts().token_exchanges, 2);
}

#[tokio::test]
async fn it_ends_with_its_user_within_a_minute_and_when_deleted_within_ten() {
    let world = world().await;
    let (deleted, suspended) = (world.personal("plain"), world.personal("admin"));
    world.present(&deleted).await.unwrap();
    world.present(&suspended).await.unwrap();
    world.control.delete_personal_access_token(&deleted);
    world.control.suspend("admin");
    world.hand.advance(60);
    world.present(&deleted).await.unwrap();
    assert_eq!(world.refusal(&suspended).await, "exchange");
    world.hand.advance(540);
    assert_eq!(world.refusal(&deleted).await, "exchange");
}

#[tokio::test]
async fn an_evicted_grant_is_replaced() {
    let world = world().await;
    let token = world.personal("admin");
    world.present(&token).await.unwrap();
    world.control.evict_grants("app", "admin");
    world.hand.advance(60);
    world.present(&token).await.unwrap();
    assert_eq!(world.control.counts().token_exchanges, 2);
}

#[tokio::test]
async fn without_leave_to_exchange_it_is_refused() {
    let world = world().await;
    world
        .control
        .update_client("app", |client| client.allow_token_exchange = false);
    let token = world.personal("admin");
    assert_eq!(world.refusal(&token).await, "exchange");
    assert_eq!(world.refusal(&token).await, "exchange");
    assert_eq!(world.control.counts().token_exchanges, 1);
    world
        .control
        .update_client("app", |client| client.allow_token_exchange = true);
    world.hand.advance(10);
    world.present(&token).await.unwrap();
    world.control.revoke_access("admin");
    assert_eq!(world.refusal(&world.personal("admin")).await, "exchange");
    assert_eq!(
        world
            .refusal("pat_0123456789012345678901234567890123456789012")
            .await,
        "exchange"
    );
}

#[tokio::test]
async fn an_outage_is_neither_yes_nor_no() {
    let world = world().await;
    let token = world.personal("admin");
    for faults in [
        Faults {
            token_exchange: Misbehaviour::Status(503).into(),
            ..Faults::default()
        },
        Faults {
            userinfo: Misbehaviour::Status(503).times(2).into(),
            ..Faults::default()
        },
    ] {
        world.control.set_faults(faults);
        let error = world.present(&token).await.unwrap_err();
        assert!(matches!(error, BearerError::Unavailable { .. }), "{error:?}");
        world.control.set_faults(Faults::default());
    }
    // The circuit is open after three outages; it asks again after a while.
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while world.present(&token).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    })
    .await
    .unwrap();
}

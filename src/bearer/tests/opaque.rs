//! Opaque access tokens.

use super::{world, world_with};
use crate::bearer::{BearerError, TokenKind};
use crate::dev::provider::{Faults, Misbehaviour};
use serde_json::{Value, json};

#[tokio::test]
async fn one_of_this_application_calls_with_its_users_claims() {
    let world = world().await;
    let token = world.opaque("app", "admin").await;
    let caller = world.present(&token).await.unwrap();
    assert_eq!(caller.kind, TokenKind::Opaque);
    assert_eq!(caller.subject.as_deref(), Some("adminuser001"));
    assert_eq!((caller.client_id.as_str(), caller.is_machine), ("app", false));
    assert!(caller.scopes.contains(&"openid".to_owned()));
    assert_eq!(
        Value::Object(caller.claims.members().clone()),
        json!({ "sub": "adminuser001", "email": "admin@example.com", "roles": ["admin", "editor"] })
    );
}

/// Such a token names no audience: any application that a user once signed in to could call here as that user.
#[tokio::test]
async fn those_of_other_applications_count_only_where_they_are_listed() {
    let world = world().await;
    let token = world.opaque("another", "admin").await;
    let userinfo = world.control.counts().userinfo;
    assert_eq!(world.refusal(&token).await, "client_id");
    assert_eq!(world.control.counts().userinfo, userinfo);
    let world = world_with(&["another"]).await;
    let token = world.opaque("another", "admin").await;
    assert_eq!(world.present(&token).await.unwrap().client_id, "another");
}

#[tokio::test]
async fn an_answer_counts_for_a_minute() {
    let world = world().await;
    let token = world.opaque("app", "admin").await;
    for _ in 0..5 {
        world.present(&token).await.unwrap();
    }
    assert_eq!(world.control.counts().introspection, 1);
    world.control.set_roles("admin", &["reader"]);
    world.hand.advance(50);
    world.present(&token).await.unwrap();
    assert_eq!(world.control.counts().introspection, 1);
    world.hand.advance(10);
    let caller = world.present(&token).await.unwrap();
    assert_eq!(caller.claims.members()["roles"], json!(["reader"]));
    assert_eq!(world.control.counts().introspection, 2);
    world.control.suspend("admin");
    world.hand.advance(60);
    assert_eq!(world.refusal(&token).await, "inactive");
    // A clock that is set back makes nothing fresh for ever.
    let token = world.opaque("app", "plain").await;
    world.present(&token).await.unwrap();
    world.hand.advance(-300);
    world.present(&token).await.unwrap();
    assert_eq!(world.control.counts().introspection, 5);
}

#[tokio::test]
async fn an_answer_ends_with_the_token() {
    let world = world().await;
    let token = world.opaque("app", "admin").await;
    world.hand.advance(3_580);
    world.present(&token).await.unwrap();
    world.hand.advance(20);
    assert_eq!(world.refusal(&token).await, "inactive");
}

#[tokio::test]
async fn a_refusal_is_remembered_briefly() {
    let world = world().await;
    let junk = "j".repeat(43);
    for _ in 0..5 {
        assert_eq!(world.refusal(&junk).await, "inactive");
    }
    assert_eq!(world.control.counts().introspection, 1);
    world.hand.advance(10);
    assert_eq!(world.refusal(&junk).await, "inactive");
    assert_eq!(world.control.counts().introspection, 2);
}

#[tokio::test]
async fn an_outage_is_neither_yes_nor_no() {
    let world = world().await;
    let (known, new) = (
        world.opaque("app", "admin").await,
        world.opaque("app", "plain").await,
    );
    world.present(&known).await.unwrap();
    let broken = Faults {
        introspection: Misbehaviour::Status(503).into(),
        ..Faults::default()
    };
    world.control.set_faults(broken);
    world.present(&known).await.expect("what is known goes on");
    let error = world.present(&new).await.unwrap_err();
    assert!(matches!(error, BearerError::Unavailable { .. }));
    assert_eq!((error.status().as_u16(), error.retry_after()), (503, Some(5)));
    world.hand.advance(60);
    let error = world.present(&known).await.unwrap_err();
    assert!(
        matches!(error, BearerError::Unavailable { .. }),
        "no longer than a minute"
    );
    world.control.set_faults(Faults::default());
    world.present(&new).await.expect("it was not refused for good");
    world.present(&known).await.unwrap();
    // Userinfo that is away is an outage, too; one that knows somebody else is not.
    let token = world.opaque("app", "plain").await;
    let away = Faults {
        userinfo: Misbehaviour::Status(503).into(),
        ..Faults::default()
    };
    world.control.set_faults(away);
    assert!(matches!(
        world.present(&token).await,
        Err(BearerError::Unavailable { .. })
    ));
    let other = Faults {
        userinfo_subject: Some("adminuser001".into()),
        ..Faults::default()
    };
    world.control.set_faults(other);
    assert_eq!(world.refusal(&token).await, "sub");
}

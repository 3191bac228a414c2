//! JWT access tokens.

use super::{API, World, fields, headers, world};
use crate::bearer::{BearerError, Presented, TokenKind};
use crate::dev::provider::AccessTokenFault;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};

#[tokio::test]
async fn users_machines_and_organizations_call() {
    let world = world().await;
    let token = world
        .control
        .access_token("another", Some("admin"), API, &["read", "write"]);
    let token = token
        .unwrap()
        .claim("roles", json!(["admin"]))
        .claim("phone", json!("1"));
    let caller = world.present(&token.sign().unwrap()).await.unwrap();
    assert_eq!(caller.kind, TokenKind::Jwt);
    assert_eq!(caller.subject.as_deref(), Some("adminuser001"));
    assert_eq!((caller.client_id.as_str(), caller.is_machine), ("another", false));
    assert_eq!(caller.scopes, ["read", "write"]);
    assert_eq!(
        Value::Object(caller.claims.members().clone()),
        json!({ "sub": "adminuser001", "roles": ["admin"] }),
        "what is kept, and no more"
    );
    assert!(!format!("{caller:?}").contains("adminuser001"));

    let machine = world.present(&world.jwt(None)).await.unwrap();
    assert_eq!((machine.subject.as_deref(), machine.is_machine), (None, true));
    assert_eq!(machine.client_id, "machine");
    assert_eq!(
        machine.claims.members().get("sub"),
        None,
        "nobody's identity goes out"
    );

    let audience = "urn:logto:organization:org-1";
    let token = world
        .control
        .access_token("another", Some("plain"), audience, &[])
        .unwrap();
    let member = world.present(&token.sign().unwrap()).await.unwrap();
    assert_eq!(member.organization.as_deref(), Some("org-1"));
}

#[tokio::test]
async fn wrong_ones_are_refused_without_a_call() {
    let world = world().await;
    world.present(&world.jwt(Some("plain"))).await.unwrap();
    let before = world.control.counts();
    for fault in AccessTokenFault::ALL {
        let token = world
            .control
            .access_token("another", Some("plain"), API, &[])
            .unwrap();
        let wrong = token.fault(fault).sign().unwrap();
        let error = world.present(&wrong).await.expect_err("a refusal");
        let is_refused = matches!(error, BearerError::InvalidToken { .. });
        assert!(
            is_refused || fault == AccessTokenFault::UnknownKey,
            "{fault:?}: {error:?}"
        );
    }
    // Nothing about a wrong token is worth a question, and one with an unknown key but one of the keys, once a minute.
    assert_eq!(world.control.counts(), before);
    world.control.rotate_to_rs256().unwrap();
    assert_eq!(
        world.refusal(&world.jwt(Some("plain"))).await,
        "unavailable",
        "it may be good, and is not thrown away"
    );
    assert_eq!(world.control.counts(), before);
}

#[tokio::test]
async fn no_token_is_no_caller_and_a_bad_one_never_is_none() {
    let world = world().await;
    let none = world.bearers.authenticate(&fields(&HeaderMap::new())).await;
    assert!(matches!(none, Presented::None));
    let basic = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Basic dTpw"))]);
    assert!(matches!(
        world.bearers.authenticate(&fields(&basic)).await,
        Presented::None
    ));
    let mut two = headers(&world.jwt(Some("plain")));
    two.append(AUTHORIZATION, HeaderValue::from_static("Basic dTpw"));
    let two = world.bearers.authenticate(&fields(&two)).await;
    assert!(matches!(two, Presented::Invalid(BearerError::InvalidRequest)));
    assert_eq!(world.refusal("not.a.token").await, "format");
    assert_eq!(world.refusal("junk").await, "format");
    assert_eq!(world.refusal(&"x".repeat(20_000)).await, "size");
    assert_eq!(world.control.counts(), crate::dev::provider::Counts::default());
}

async fn is_remembered(world: &World, token: &str) -> bool {
    let hash = <sha2::Sha256 as sha2::Digest>::digest(token).into();
    let now = world.clock.now();
    world.bearers.0.proved.get(&hash, now).is_some()
}

#[tokio::test]
async fn a_proved_one_is_remembered_no_longer_than_it_lives() {
    let world = world().await;
    let token = world.jwt(Some("plain"));
    assert!(!is_remembered(&world, &token).await);
    world.present(&token).await.unwrap();
    assert!(is_remembered(&world, &token).await);
    world.hand.advance(290);
    assert!(is_remembered(&world, &token).await);
    world.hand.advance(11);
    assert!(
        !is_remembered(&world, &token).await,
        "its signature is looked at again"
    );
    world.hand.advance(3_600 - 301 - 10);
    world.present(&token).await.unwrap();
    assert!(is_remembered(&world, &token).await);
    world.hand.advance(10);
    assert!(!is_remembered(&world, &token).await);
    world.hand.advance(60);
    assert_eq!(world.refusal(&token).await, "exp");
    let wrong = world
        .control
        .access_token("another", Some("plain"), API, &[])
        .unwrap();
    let wrong = wrong.fault(AccessTokenFault::BadSignature).sign().unwrap();
    assert_eq!(world.refusal(&wrong).await, "signature");
    assert!(!is_remembered(&world, &wrong).await);
}

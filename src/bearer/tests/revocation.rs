//! What is learnt of users ends their tokens.

use super::world;
use crate::bearer::BearerError;
use crate::session::{Effect, OLDEST_TOKEN};
use serde_json::json;

#[tokio::test]
async fn a_users_older_jwts_end_with_their_sessions() {
    let world = world().await;
    let (old, unseen) = (world.jwt(Some("plain")), world.jwt(Some("plain")));
    let (other, machine) = (world.jwt(Some("admin")), world.jwt(None));
    world.present(&old).await.unwrap();
    world.hand.advance(5);
    world.end("plainuser001");
    assert_eq!(world.refusal(&old).await, "revoked", "also out of the cache");
    assert_eq!(world.refusal(&unseen).await, "revoked");
    world.present(&other).await.unwrap();
    world.present(&machine).await.unwrap();
    let same_second = world.jwt(Some("plain"));
    assert_eq!(world.refusal(&same_second).await, "revoked");
    world.hand.advance(1);
    world
        .present(&world.jwt(Some("plain")))
        .await
        .expect("made since");
    assert_eq!(world.refusal(&old).await, "revoked");
}

#[tokio::test]
async fn older_opaque_tokens_end_without_a_call() {
    let world = world().await;
    let old = world.opaque("app", "plain").await;
    world.present(&old).await.unwrap();
    world.hand.advance(5);
    world.end("plainuser001");
    for _ in 0..3 {
        assert_eq!(world.refusal(&old).await, "revoked");
    }
    assert_eq!(world.control.counts().introspection, 1);
    // One that was never seen is asked about, and its date speaks against it.
    let unseen = world.opaque("app", "plain").await;
    assert_eq!(world.refusal(&unseen).await, "revoked");
    world.hand.advance(1);
    let new = world.opaque("app", "plain").await;
    world.present(&new).await.unwrap();
}

#[tokio::test]
async fn a_personal_token_is_exchanged_anew() {
    let world = world().await;
    let token = world.personal("plain");
    world.present(&token).await.unwrap();
    world.hand.advance(5);
    world.end("plainuser001");
    world.hand.advance(1);
    world.present(&token).await.expect("Logto still stands by it");
    assert_eq!(world.control.counts().token_exchanges, 2);
    world.control.suspend("plain");
    world.end("plainuser001");
    assert_eq!(world.refusal(&token).await, "exchange");
}

#[tokio::test]
async fn a_change_is_asked_about_at_once() {
    let world = world().await;
    let (opaque, personal) = (world.opaque("app", "admin").await, world.personal("admin"));
    let jwt = world.jwt(Some("admin"));
    for token in [&opaque, &personal, &jwt] {
        world.present(token).await.unwrap();
    }
    world.hand.advance(5);
    world.control.set_roles("admin", &["reader"]);
    world.notice("adminuser001", Effect::Recheck, world.clock.now());
    world.hand.advance(1);
    for token in [&opaque, &personal] {
        let caller = world.present(token).await.unwrap();
        assert_eq!(caller.claims.members()["roles"], json!(["reader"]));
        world.present(token).await.unwrap();
    }
    world.present(&jwt).await.expect("its word is in it");
    let counts = world.control.counts();
    assert_eq!((counts.introspection, counts.token_exchanges), (2, 2));
}

#[tokio::test]
async fn a_refusal_out_of_revocation_is_no_lasting_one() {
    let world = world().await;
    let token = world.personal("plain");
    world.end("plainuser001");
    let error = world.present(&token).await.unwrap_err();
    assert_eq!(
        error,
        BearerError::InvalidToken { check: "revoked" },
        "exchanged in that second"
    );
    world.hand.advance(1);
    world.present(&token).await.unwrap();
}

#[tokio::test]
async fn none_is_taken_for_longer_than_an_ending_is_remembered() {
    let world = world().await;
    let lives_long = |persona| {
        let app_id = if persona == "plain" { "another" } else { "machine" };
        let persona = (persona == "plain").then_some("plain");
        let token = world
            .control
            .access_token(app_id, persona, super::API, &[])
            .unwrap();
        let end = world.clock.now().plus(OLDEST_TOKEN * 4).as_u64();
        token.claim("exp", json!(end)).sign().unwrap()
    };
    let (user, machine) = (lives_long("plain"), lives_long("machine"));
    world
        .hand
        .advance(i64::try_from(OLDEST_TOKEN.as_secs()).unwrap() - 1);
    let caller = world.present(&user).await.unwrap();
    assert_eq!(
        caller.ends_at(),
        world.clock.now().plus(std::time::Duration::from_secs(1)),
        "its streams, too"
    );
    world.hand.advance(1);
    assert_eq!(world.refusal(&user).await, "age", "also out of the cache");
    world.present(&machine).await.expect("nobody signs it out");
}

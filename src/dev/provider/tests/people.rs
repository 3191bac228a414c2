//! What is taken from people, and what it takes from their tokens.

use ::http::StatusCode;
use serde_json::json;

use super::super::{Organization, Provider};
use super::browser::{CALLBACK, VERIFIER, decode, start};
use super::tokens::{offline, text};
use crate::tasks::Tasks;

#[tokio::test]
async fn access_withdrawn_is_refused_at_refresh_while_userinfo_goes_on() {
    let world = start().await;
    let tokens = offline(&world).await;
    let refresh_token = text(&tokens, "refresh_token");
    assert!(world.control.revoke_access("admin"));
    assert_eq!(
        world.refresh(refresh_token).await.error(),
        (400, "access_denied".to_owned())
    );
    assert_eq!(
        world.userinfo(text(&tokens, "access_token")).await.status,
        StatusCode::OK
    );
    assert!(world.control.restore_access("admin"));
    assert_eq!(world.refresh(refresh_token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn suspension_and_deletion_end_everything_at_once() {
    let world = start().await;
    for take_away in [
        |control: &super::super::Control| control.suspend("admin"),
        |control: &super::super::Control| control.delete("admin"),
    ] {
        let tokens = offline(&world).await;
        let mut browser = world.browser();
        let code = browser.sign_in(&world.authorize(&[]), "admin").await["code"].clone();
        assert!(take_away(&world.control));
        assert_eq!(
            world.refresh(text(&tokens, "refresh_token")).await.error().1,
            "invalid_grant"
        );
        assert_eq!(
            world.userinfo(text(&tokens, "access_token")).await.status,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            world.redeem(&code, VERIFIER).await.error().1,
            "invalid_grant",
            "pending codes too"
        );
        assert_eq!(world.control.sessions(), 0);
        let silent = browser.get(&world.authorize(&[("prompt", "none")])).await;
        assert_eq!(silent.callback()["error"], "login_required");
        world.control.unsuspend("admin");
    }
    assert!(!world.control.delete("admin") && !world.control.suspend("admin"));
}

#[tokio::test]
async fn grants_may_be_evicted_and_sessions_ended_one_by_one() {
    let world = start().await;
    world
        .control
        .update_client("app", |client| client.always_issue_refresh_token = true);
    let first = world.tokens_of("plain", &[]).await;
    let second = world.tokens_of("plain", &[]).await;
    let other = world.tokens_of("admin", &[]).await;
    let sids = world.control.session_ids("app", "plain");
    assert_eq!(sids.len(), 2);
    assert!(world.control.end_session(&sids[0]) && !world.control.end_session(&sids[0]));
    let refreshed =
        async |tokens: &serde_json::Value| world.refresh(text(tokens, "refresh_token")).await.status.as_u16();
    assert_eq!(
        (refreshed(&first).await, refreshed(&second).await),
        (400, 200),
        "bound to their sessions"
    );
    assert_eq!(world.control.evict_grants("other-app", "plain"), 0);
    assert_eq!(world.control.evict_grants("app", "plain"), 2);
    assert_eq!(
        (refreshed(&second).await, refreshed(&other).await),
        (400, 200),
        "one persona's"
    );
    assert_eq!(world.control.sessions(), 2, "an eviction ends no session");
    assert_eq!(world.control.end_sessions_of("plain"), 1);
    assert_eq!(world.control.end_sessions_of("plain"), 0);
    assert_eq!(refreshed(&other).await, 200);
}

#[tokio::test]
async fn organisations_change_with_the_next_refresh() {
    let world = start().await;
    let scope = "openid offline_access urn:logto:scope:organizations urn:logto:scope:organization_roles";
    let tokens = world
        .tokens_of("admin", &[("scope", scope), ("prompt", "consent")])
        .await;
    let organization = Organization {
        id: "exampleorg03".into(),
        name: "Third Organization".into(),
        roles: vec!["guest".into()],
    };
    assert!(world.control.set_organizations("admin", &[organization]));
    let refreshed = world.refresh(text(&tokens, "refresh_token")).await.json();
    let claims = decode(text(&refreshed, "id_token")).1;
    assert_eq!(claims["organizations"], json!(["exampleorg03"]));
    assert_eq!(claims["organization_roles"], json!(["exampleorg03:guest"]));
}

#[tokio::test]
async fn a_silent_request_is_answered_at_once() {
    let world = start().await;
    let mut browser = world.browser();
    let silent = world.authorize(&[("prompt", "none")]);
    let refused = browser.get(&silent).await.callback();
    assert_eq!(refused["error"], "login_required");
    assert_eq!(refused["state"], "the-state");
    assert_eq!(refused["iss"], world.issuer);
    browser.sign_in(&world.authorize(&[]), "plain").await;
    let granted = browser.get(&silent).await;
    assert!(granted.location().starts_with(CALLBACK) && granted.callback().contains_key("code"));
    world.control.revoke_access("plain");
    world.control.evict_grants("app", "plain");
    assert_eq!(browser.get(&silent).await.callback()["error"], "consent_required");
    assert_eq!(world.control.counts().silent_authorizations, 3);
}

#[tokio::test]
async fn a_provider_that_comes_back_remembers() {
    let (clock, _) = crate::clock::Clock::movable();
    let settings = super::super::ProviderSettings {
        clock,
        ..Default::default()
    };
    let provider = Provider::bind("127.0.0.1:0".parse().unwrap(), settings)
        .await
        .unwrap();
    let (address, control) = (provider.address(), provider.control());
    let tasks = Tasks::new();
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = tasks.spawn(provider.serve(stop.clone(), tasks.clone()));
    control.suspend("plain");
    stop.cancel();
    serving.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let again = Provider::bind_again(&control).await.unwrap();
    assert_eq!(again.address(), address);
    assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    assert!(again.control().shared.state().persona("plain").unwrap().suspended);
}

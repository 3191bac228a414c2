//! Tokens for API resources and organizations, of users and of machines.

use serde_json::{Value, json};

use super::super::{
    AccessTokenFault, ApiResource, Client, Organization, Permission, Persona, ProviderSettings,
};
use super::browser::{Answer, SECRET, VERIFIER, World, decode, start_with};
use super::tokens::{text, verified};
use crate::secret::SecretText;
use std::time::Duration;

const API: &str = "https://api.example.com/";

async fn with_resources() -> World {
    let mut api = ApiResource::new(
        API,
        vec![
            Permission::new("read:things", &["editor", "reader", "member"]),
            Permission::new("write:things", &["editor", "owner"]),
            Permission::new("delete:things", &["nobody"]),
        ],
    );
    api.access_token_ttl = Duration::from_secs(600);
    let world = start_with(ProviderSettings {
        resources: vec![api],
        organization_permissions: vec![
            Permission::new("bill", &["billing"]),
            Permission::new("own", &["owner"]),
        ],
        personas: Persona::built_in(),
        ..ProviderSettings::default()
    })
    .await;
    let mut machine = Client::machine("machine", SecretText::new("m".into()), &["reader"]);
    let organizations = &mut machine.machine.as_mut().unwrap().organizations;
    organizations.push(Organization {
        id: "exampleorg01".into(),
        name: "Example".into(),
        roles: vec!["billing".into()],
    });
    world.control.register(machine);
    world
}

/// Admin, signed in for the API and for organizations.
async fn signed_in(world: &World, scope: &str) -> Value {
    let url = world.authorize(&[("scope", scope), ("prompt", "consent"), ("resource", API)]);
    let url = format!("{url}&resource=urn%3Alogto%3Aresource%3Aorganizations");
    let callback = world.browser().sign_in(&url, "admin").await;
    world.redeem(&callback["code"], VERIFIER).await.json()
}

const EVERYTHING: &str = "openid offline_access profile read:things write:things delete:things bill own unknown urn:logto:scope:organizations";

async fn refreshed(world: &World, tokens: &Value, more: &[(&str, &str)]) -> Answer {
    let mut pairs = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", text(tokens, "refresh_token")),
    ];
    pairs.extend(more);
    world.post_as("app", SECRET, "/oidc/token", &pairs).await
}

#[tokio::test]
async fn a_refresh_token_buys_tokens_of_what_was_asked_for() {
    let world = with_resources().await;
    let tokens = signed_in(&world, EVERYTHING).await;
    assert_eq!(
        text(&tokens, "access_token").len(),
        43,
        "asking at the sign-in is not enough"
    );
    assert!(!text(&tokens, "scope").contains("things"));

    let api = refreshed(&world, &tokens, &[("resource", API)]).await.json();
    assert_eq!(api["expires_in"], 600);
    assert_eq!(
        text(&api, "scope"),
        "read:things write:things",
        "what the roles carry"
    );
    let (header, _) = decode(text(&api, "access_token"));
    assert_eq!(header["typ"], "at+jwt");
    let claims = verified(&world, text(&api, "access_token")).await;
    let iat = claims["iat"].as_u64().unwrap();
    assert_eq!(
        claims,
        json!({
            "jti": claims["jti"], "sub": "adminuser001", "iat": iat, "exp": iat + 600, "client_id": "app",
            "scope": "read:things write:things", "iss": world.issuer, "aud": API
        })
    );
    assert_eq!(world.userinfo(text(&api, "access_token")).await.error().0, 401);

    let pairs = [("resource", API), ("scope", "openid read:things")];
    let fewer = refreshed(&world, &tokens, &pairs).await.json();
    assert_eq!(text(&fewer, "scope"), "read:things");
    let plain = refreshed(&world, &tokens, &[]).await.json();
    assert_eq!(text(&plain, "access_token").len(), 43);
    let other = refreshed(&world, &tokens, &[("resource", "https://other.example.com/")]).await;
    assert_eq!(other.error(), (400, "invalid_target".into()));
}

#[tokio::test]
async fn organization_tokens_are_for_members() {
    let world = with_resources().await;
    let tokens = signed_in(&world, EVERYTHING).await;
    let organization = [("organization_id", "exampleorg01")];
    let token = refreshed(&world, &tokens, &organization).await.json();
    let claims = verified(&world, text(&token, "access_token")).await;
    assert_eq!(claims["aud"], "urn:logto:organization:exampleorg01");
    assert_eq!(claims["scope"], "bill own");
    assert!(claims.get("organization_id").is_none());

    let both = [("organization_id", "exampleorg02"), ("resource", API)];
    let token = refreshed(&world, &tokens, &both).await.json();
    let claims = verified(&world, text(&token, "access_token")).await;
    assert_eq!(
        (claims["aud"].as_str(), claims["organization_id"].as_str()),
        (Some(API), Some("exampleorg02"))
    );
    assert_eq!(claims["scope"], "read:things", "by the roles in the organization");

    let stranger = refreshed(&world, &tokens, &[("organization_id", "exampleorg09")]).await;
    assert_eq!(stranger.error(), (403, "access_denied".into()));
    let without = signed_in(&world, "openid offline_access").await;
    let answer = refreshed(&world, &without, &organization).await;
    assert_eq!(answer.error(), (403, "insufficient_scope".into()));
}

#[tokio::test]
async fn the_authorization_endpoint_knows_its_resources() {
    let world = with_resources().await;
    let mut browser = world.browser();
    let answer = browser
        .get(&world.authorize(&[("resource", "https://other.example.com/")]))
        .await;
    assert_eq!(answer.callback()["error"], "invalid_target");
    // A code can be exchanged for a resource's token at once.
    let url = world.authorize(&[("scope", "openid read:things"), ("resource", API)]);
    let code = world.browser().sign_in(&url, "admin").await["code"].clone();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", super::browser::CALLBACK),
        ("code_verifier", VERIFIER),
        ("resource", API),
    ];
    let tokens = world.post_as("app", SECRET, "/oidc/token", &pairs).await.json();
    assert_eq!(decode(text(&tokens, "access_token")).1["scope"], "read:things");
    assert!(tokens.get("id_token").is_some());
}

#[tokio::test]
async fn machines_have_tokens_of_their_own() {
    let world = with_resources().await;
    let ask = async |id: &str, secret: &str, more: &[(&str, &str)]| {
        let mut pairs = vec![("grant_type", "client_credentials")];
        pairs.extend(more);
        world.post_as(id, secret, "/oidc/token", &pairs).await
    };
    let scope = ("scope", "read:things write:things bill");
    let token = ask("machine", "m", &[("resource", API), scope]).await.json();
    let claims = verified(&world, text(&token, "access_token")).await;
    assert_eq!(
        (claims["sub"].as_str(), claims["client_id"].as_str()),
        (Some("machine"), Some("machine"))
    );
    assert_eq!(
        (claims["aud"].as_str(), claims["scope"].as_str()),
        (Some(API), Some("read:things"))
    );
    assert!(token.get("id_token").is_none() && token.get("refresh_token").is_none());
    let organization = ("organization_id", "exampleorg01");
    let token = ask("machine", "m", &[organization, scope]).await.json();
    let claims = verified(&world, text(&token, "access_token")).await;
    assert_eq!(claims["aud"], "urn:logto:organization:exampleorg01");
    assert_eq!(claims["scope"], "bill");

    for (id, secret, more, error) in [
        ("machine", "m", vec![], (400, "invalid_target")),
        (
            "machine",
            "m",
            vec![("resource", "https://other.example.com/")],
            (400, "invalid_target"),
        ),
        (
            "machine",
            "m",
            vec![("organization_id", "exampleorg02")],
            (403, "access_denied"),
        ),
        (
            "machine",
            "wrong",
            vec![("resource", API)],
            (401, "invalid_client"),
        ),
        (
            "app",
            SECRET,
            vec![("resource", API)],
            (400, "unauthorized_client"),
        ),
    ] {
        let (status, code) = ask(id, secret, &more).await.error();
        assert_eq!((status, code.as_str()), error, "{id} {more:?}");
    }
    assert_eq!(world.control.counts().client_credentials, 6);
}

#[tokio::test]
async fn a_test_can_have_any_access_token() {
    let world = with_resources().await;
    let right = world
        .control
        .access_token("app", Some("plain"), API, &["a", "b"])
        .unwrap();
    let claims = verified(&world, &right.sign().unwrap()).await;
    assert_eq!(
        (claims["sub"].as_str(), claims["scope"].as_str()),
        (Some("plainuser001"), Some("a b"))
    );
    let machine = world.control.access_token("machine", None, API, &[]).unwrap();
    assert_eq!(decode(&machine.sign().unwrap()).1["sub"], "machine");
    let mut seen = std::collections::BTreeSet::new();
    for fault in AccessTokenFault::ALL {
        let wrong = right.clone().fault(fault).sign().unwrap();
        assert!(seen.insert(wrong), "{fault:?}");
    }
    assert!(!seen.contains(&right.sign().unwrap()));
    assert!(
        world
            .control
            .access_token("app", Some("nobody"), API, &[])
            .is_none()
    );
}

//! Codes, access tokens, ID tokens, revocation, keys.

use ::http::StatusCode;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::{Client, ProviderSettings};
use super::browser::{CALLBACK, SECRET, VERIFIER, World, decode, start, start_with};
use crate::secret::SecretText;

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

pub(super) async fn offline(world: &World) -> Value {
    world
        .tokens_of(
            "admin",
            &[
                ("scope", "openid profile roles offline_access"),
                ("prompt", "consent"),
            ],
        )
        .await
}

/// Verifies a token against the published keys, as a relying party would.
pub(super) async fn verified(world: &World, token: &str) -> Value {
    let (header, payload) = decode(token);
    let jwks = world.get("/oidc/jwks").await.json();
    let keys = jwks["keys"].as_array().unwrap().clone();
    let key = keys
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .expect("a published key");
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(key, name)).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    match header["alg"].as_str().unwrap() {
        "ES384" => {
            let point = [&[4][..], &bytes("x"), &bytes("y")].concat();
            let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point);
            key.verify(message.as_bytes(), &signature)
                .expect("an ES384 signature");
        }
        "RS256" => {
            let key = RsaPublicKeyComponents {
                n: bytes("n"),
                e: bytes("e"),
            };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
                .expect("an RS256 signature");
        }
        other => panic!("{other}"),
    }
    payload
}

#[tokio::test]
async fn the_whole_flow_gives_logtos_tokens() {
    let world = start().await;
    let tokens = world.tokens_of("admin", &[]).await;
    assert_eq!(tokens["expires_in"], 3_600);
    assert_eq!(tokens["token_type"], "Bearer");
    assert!(text(&tokens, "scope").starts_with("openid profile"));
    assert_eq!(text(&tokens, "access_token").len(), 43);
    assert!(tokens.get("refresh_token").is_none());
    let id_token = text(&tokens, "id_token");
    let claims = verified(&world, id_token).await;
    let (header, _) = decode(id_token);
    assert!(
        header.get("typ").is_none() && claims.get("at_hash").is_none() && claims.get("auth_time").is_none()
    );
    assert_eq!(claims["iss"], world.issuer);
    assert_eq!(claims["aud"], "app");
    assert_eq!(claims["nonce"], "the-nonce");
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        3_600
    );
    assert_eq!(claims["roles"], json!(["admin", "editor"]));
    assert!(
        claims["updated_at"].as_u64().unwrap() / 1_000 >= claims["iat"].as_u64().unwrap() - 5,
        "moved, milliseconds"
    );
    let userinfo = world.userinfo(text(&tokens, "access_token")).await.json();
    assert_eq!(userinfo["sub"], claims["sub"]);
    assert_eq!(userinfo["custom_data"], json!({"theme": "dark"}));
    let counts = world.control.counts();
    assert_eq!(
        (
            counts.authorize,
            counts.token,
            counts.code_exchanges,
            counts.userinfo
        ),
        (1, 1, 1, 1)
    );
}

#[tokio::test]
async fn the_older_shape_has_typ_and_at_hash() {
    let world = start_with(ProviderSettings {
        legacy_id_token_shape: true,
        ..ProviderSettings::default()
    })
    .await;
    let tokens = world.tokens_of("plain", &[("max_age", "100")]).await;
    let (header, claims) = decode(text(&tokens, "id_token"));
    assert_eq!(header["typ"], "JWT");
    assert_eq!(text(&claims, "at_hash").len(), 32, "half of SHA-384");
    assert!(claims["auth_time"].is_u64());
    assert!(claims["picture"].is_null());
}

#[tokio::test]
async fn keys_rotate_and_two_stay_published() {
    let world = start().await;
    let first = text(&world.tokens_of("plain", &[]).await, "id_token").to_owned();
    world.control.rotate_to_rs256().unwrap();
    let second = text(&world.tokens_of("plain", &[]).await, "id_token").to_owned();
    assert_eq!(decode(&second).0["alg"], "RS256");
    verified(&world, &first).await;
    verified(&world, &second).await;
    let document = world.get("/oidc/.well-known/openid-configuration").await.json();
    assert_eq!(
        document["id_token_signing_alg_values_supported"],
        json!(["PS256", "RS256", "ES384"])
    );
    world.control.rotate_to_es384().unwrap();
    let jwks = world.get("/oidc/jwks").await.json();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    assert!(
        jwks["keys"]
            .as_array()
            .unwrap()
            .iter()
            .all(|key| key["kid"] != decode(&first).0["kid"])
    );
}

#[tokio::test]
async fn a_code_used_twice_ends_the_whole_grant() {
    let world = start().await;
    let mut browser = world.browser();
    let first = browser.sign_in(&world.authorize(&[]), "plain").await;
    let one = world.redeem(&first["code"], VERIFIER).await.json();
    // A second sign-in of the same browser shares the grant.
    let second = browser
        .get(&world.authorize(&[("scope", "openid offline_access"), ("prompt", "consent")]))
        .await
        .callback();
    let two = world.redeem(&second["code"], VERIFIER).await.json();
    assert_eq!(
        world.redeem(&first["code"], VERIFIER).await.error(),
        (400, "invalid_grant".to_owned())
    );
    assert_eq!(world.control.grants_revoked(), 1);
    for tokens in [&one, &two] {
        let answer = world.userinfo(text(tokens, "access_token")).await;
        assert_eq!(answer.error(), (401, "invalid_token".to_owned()));
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer ")
        );
    }
    assert_eq!(
        world.refresh(text(&two, "refresh_token")).await.error().1,
        "invalid_grant"
    );
    let third = browser.get(&world.authorize(&[])).await.callback();
    assert_eq!(
        world.redeem(&third["code"], VERIFIER).await.status,
        StatusCode::OK,
        "a new grant"
    );
}

#[tokio::test]
async fn a_wrong_verifier_refuses_and_does_not_burn_the_code() {
    let world = start().await;
    let code = world.browser().sign_in(&world.authorize(&[]), "plain").await["code"].clone();
    for verifier in ["", "short", "another-verifier-another-verifier-another-verifier"] {
        assert_eq!(
            world.redeem(&code, verifier).await.error().1,
            "invalid_grant",
            "{verifier}"
        );
    }
    let other_uri = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://127.0.0.1:9/other"),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(
        world
            .post_as("app", SECRET, "/oidc/token", &other_uri)
            .await
            .error()
            .1,
        "invalid_grant"
    );
    world
        .control
        .register(Client::new("second", SecretText::new("other".into()), CALLBACK));
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(
        world
            .post_as("second", "other", "/oidc/token", &pairs)
            .await
            .error()
            .1,
        "invalid_grant"
    );
    assert_eq!(world.redeem(&code, VERIFIER).await.status, StatusCode::OK);
    assert_eq!(world.control.grants_revoked(), 0);
}

#[tokio::test]
async fn a_code_lives_sixty_seconds() {
    let world = start().await;
    let code = world.browser().sign_in(&world.authorize(&[]), "plain").await["code"].clone();
    world.clock.advance(61);
    assert_eq!(world.redeem(&code, VERIFIER).await.error().1, "invalid_grant");
    let code = world.browser().sign_in(&world.authorize(&[]), "plain").await["code"].clone();
    world.clock.advance(58);
    assert_eq!(world.redeem(&code, VERIFIER).await.status, StatusCode::OK);
}

#[tokio::test]
async fn applications_must_prove_who_they_are() {
    let world = start().await;
    let code = world.browser().sign_in(&world.authorize(&[]), "plain").await["code"].clone();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let wrong = world.post_as("app", "wrong", "/oidc/token", &pairs).await;
    assert_eq!(wrong.error(), (401, "invalid_client".to_owned()));
    assert_eq!(wrong.json()["error_description"], "client authentication failed");
    assert!(
        wrong.headers["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
    let expired = world.post_as("app", "old secret", "/oidc/token", &pairs).await;
    assert_eq!(expired.error(), (400, "invalid_request".to_owned()));
    assert_eq!(expired.json()["error_description"], "client secret has expired");
    assert_eq!(
        world
            .post_as("nobody", SECRET, "/oidc/token", &pairs)
            .await
            .error()
            .0,
        401
    );
    assert_eq!(
        world.post("/oidc/token", &[], &pairs).await.unwrap().error().0,
        400
    );
    let plain_error = world
        .post_as("app", "wrong", "/oidc/token?parse_error=false", &pairs)
        .await
        .json();
    assert!(plain_error.get("code").is_none() && plain_error.get("message").is_none());
    let by_post = [&pairs[..], &[("client_id", "app"), ("client_secret", SECRET)]].concat();
    assert_eq!(
        world
            .post_as("app", SECRET, "/oidc/token", &by_post)
            .await
            .error()
            .1,
        "invalid_request",
        "both ways"
    );
    let twice = [&by_post[..], &[("code", "x")]].concat();
    assert_eq!(
        world.post("/oidc/token", &[], &twice).await.unwrap().error().1,
        "invalid_request"
    );
    let good = world.post("/oidc/token", &[], &by_post).await.unwrap();
    assert_eq!(
        good.status,
        StatusCode::OK,
        "none of the refused calls touched the code"
    );
    assert_eq!(world.get("/oidc/token").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn suspension_ends_everything_at_once() {
    let world = start().await;
    let mut browser = world.browser();
    let callback = browser.sign_in(&world.authorize(&[]), "admin").await;
    let tokens = offline(&world).await;
    assert!(world.control.suspend("admin"));
    assert_eq!(
        world.redeem(&callback["code"], VERIFIER).await.error().1,
        "invalid_grant"
    );
    assert_eq!(
        world.refresh(text(&tokens, "refresh_token")).await.error().1,
        "invalid_grant"
    );
    assert_eq!(
        world.userinfo(text(&tokens, "access_token")).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert!(
        browser
            .get(&world.authorize(&[]))
            .await
            .location()
            .starts_with("/sign-in?")
    );
}

#[tokio::test]
async fn revocation_ends_the_grant_and_introspection_tells() {
    let world = start().await;
    let tokens = offline(&world).await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let ask = async |token: &str| {
        world
            .post_as("app", SECRET, "/oidc/token/introspection", &[("token", token)])
            .await
            .json()
    };
    let told = ask(access).await;
    assert_eq!(
        (told["active"].as_bool(), told["sub"].as_str()),
        (Some(true), Some("adminuser001"))
    );
    assert_eq!(ask("junk").await, json!({"active": false}));
    let revoke = async |id: &str, secret: &str, token: &str| {
        world
            .post_as(id, secret, "/oidc/token/revocation", &[("token", token)])
            .await
    };
    world
        .control
        .register(Client::new("second", SecretText::new("other".into()), CALLBACK));
    assert_eq!(revoke("second", "other", refresh).await.error().0, 400);
    assert_eq!(
        revoke("app", SECRET, text(&tokens, "id_token")).await.error().1,
        "unsupported_token_type"
    );
    assert_eq!(revoke("app", SECRET, "junk").await.status, StatusCode::OK);
    assert_eq!(world.control.grants_revoked(), 0);
    assert_eq!(revoke("app", SECRET, refresh).await.status, StatusCode::OK);
    assert_eq!(ask(access).await, json!({"active": false}));
    assert_eq!(world.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.control.grants_revoked(), 1);
    assert_eq!(world.control.counts().revocation, 4);
}

#[tokio::test]
async fn access_tokens_end_and_must_have_openid() {
    let world = start().await;
    let tokens = world
        .tokens_of("plain", &[("scope", "profile"), ("nonce", "")])
        .await;
    assert!(tokens.get("id_token").is_none());
    assert_eq!(
        world.userinfo(text(&tokens, "access_token")).await.error().1,
        "invalid_token"
    );
    let tokens = world.tokens_of("plain", &[]).await;
    world.clock.advance(3_601);
    assert_eq!(
        world.userinfo(text(&tokens, "access_token")).await.status,
        StatusCode::UNAUTHORIZED
    );
}

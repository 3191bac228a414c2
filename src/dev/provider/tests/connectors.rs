//! The generic OAuth 2.0 connector: there and back, what Logto records, and whose tokens open what.

use ::http::StatusCode;
use serde_json::json;
use std::time::Duration;

use super::super::{Connector, ProfileMap, ProviderSettings, TokenStorage};
use super::browser::{Answer, Browser, VERIFIER, World, start, start_with};
use super::tokens::text;

const MINUTE: TokenStorage = TokenStorage {
    lifetime: Some(Duration::from_secs(60)),
    renews: true,
};

/// To a connector's consent screen; the screen and its `state`.
async fn consent(world: &World, browser: &mut Browser, target: &str) -> (Answer, String) {
    let direct = world.authorize(&[("direct_sign_in", &format!("social:{target}"))]);
    let answer = browser.get(&direct).await;
    let page = browser.follow(answer).await;
    let visit = page.body.split("name=\"state\" value=\"").nth(1).unwrap();
    let visit = visit.split('"').next().unwrap().to_owned();
    (page, visit)
}

/// Signs in through a connector; the answer of the token endpoint.
async fn sign_in(world: &World, target: &str, persona: &str) -> serde_json::Value {
    let mut browser = world.browser();
    let (_, visit) = consent(world, &mut browser, target).await;
    let pairs = [("state", visit.as_str()), ("persona", persona)];
    let decided = browser.post(&format!("/{target}/oauth/authorize"), &pairs).await;
    let callback = browser.follow(decided).await.callback();
    world.redeem(&callback["code"], VERIFIER).await.json()
}

#[tokio::test]
async fn acme_there_and_back() {
    let world = start().await;
    let mut browser = world.browser();
    let page = browser.get(&world.authorize(&[])).await;
    let sign_in_page = browser.get(page.location()).await.body;
    assert!(sign_in_page.contains(r#"name="social" value="acme" id="continue-with-acme""#));
    let social = browser.post(page.location(), &[("social", "acme")]).await;
    assert!(social.location().starts_with("/acme/oauth/authorize?"));
    let asked = Connector::acme().scope.replace(' ', "+");
    assert!(social.location().contains(&format!("scope={asked}&")));

    let (page, visit) = consent(&world, &mut browser, "acme").await;
    assert!(page.body.contains("Authorize as Acme User"), "{page:?}");
    assert!(
        !page.body.contains("authorize-huggingface"),
        "an account elsewhere: {page:?}"
    );
    // Neither who has no account at Acme comes back with one, nor what Acme began through another connector.
    let path = "/acme/oauth/authorize";
    let stranger = browser
        .post(path, &[("state", &visit), ("persona", "huggingface")])
        .await;
    assert!(stranger.location().contains("error=access_denied"));
    let elsewhere = browser
        .post(
            "/huggingface/oauth/authorize",
            &[("state", &visit), ("persona", "huggingface")],
        )
        .await;
    assert_eq!(elsewhere.location(), "/unknown-session");
    let decided = browser
        .post(path, &[("state", &visit), ("persona", "acme")])
        .await;
    assert!(decided.location().starts_with("/callback/oauth2-acme?code="));
    let crossed = decided.location().replace("oauth2-acme", "huggingface-universal");
    assert_eq!(browser.get(&crossed).await.location(), "/unknown-session");
}

#[tokio::test]
async fn the_profile_map_says_what_is_what() {
    let world = start().await;
    let tokens = sign_in(&world, "acme", "acme").await;
    let userinfo = world.userinfo(text(&tokens, "access_token")).await.json();
    assert_eq!(userinfo["sub"], "acmeuser0001");
    let raw = json!({
        "uid": 1001, "login": "acme-user", "display_name": "Acme User", "mail": "acme@example.org",
        "avatar_url": "https://example.org/acme.png", "projects": ["anvil", "rocket"],
    });
    let details = json!({
        "id": "1001", "name": "Acme User", "email": "acme@example.org", "avatar": "https://example.org/acme.png",
        "rawData": raw,
    });
    assert_eq!(
        userinfo["identities"],
        json!({"acme": {"userId": "1001", "details": details}})
    );
    let as_it_is = ProfileMap::default().identity(&json!({"id": "x", "phone": "1"}));
    assert_eq!(
        as_it_is,
        json!({"userId": "x", "details": {"id": "x", "phone": "1", "rawData": {"id": "x", "phone": "1"}}})
    );
}

#[tokio::test]
async fn a_connectors_tokens_are_stored_renewed_and_good_for_it_alone() {
    let world = start().await;
    world.control.set_account_center(true);
    assert!(world.control.set_token_storage("acme", Some(MINUTE)));
    assert!(!world.control.set_token_storage("elsewhere", Some(MINUTE)));
    let tokens = sign_in(&world, "acme", "acme").await;
    let token = text(&tokens, "access_token");
    let path = "/api/my-account/identities/acme/access-token";
    let given = world.get_as(path, token).await.json();
    let first = text(&given, "access_token").to_owned();
    assert_eq!(
        given,
        json!({"access_token": first, "scope": Connector::acme().scope, "token_type": "bearer", "expires_in": 60})
    );
    let account = world.get_as("/acme/oauth/userinfo", &first).await.json();
    assert_eq!(account["projects"], json!(["anvil", "rocket"]));
    assert_eq!(
        world.get_as("/huggingface/oauth/userinfo", &first).await.status,
        StatusCode::UNAUTHORIZED
    );
    let elsewhere = world.control.store_token("acme", "huggingface", MINUTE).unwrap();
    let refused = world.get_as("/acme/oauth/userinfo", &elsewhere).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        refused.headers["www-authenticate"],
        r#"Bearer error="invalid_token""#
    );

    world.clock.advance(60);
    assert_eq!(world.get_as("/acme/oauth/userinfo", &first).await.status, 401);
    let renewed = world.get_as(path, token).await.json();
    let second = text(&renewed, "access_token");
    assert_ne!(second, first);
    assert_eq!(renewed["expires_in"], 60);
    assert_eq!(world.get_as("/acme/oauth/userinfo", second).await.status, 200);
}

#[tokio::test]
async fn a_target_is_a_connectors_or_leads_to_the_sign_in_page() {
    let other = Connector {
        target: "my_id-p".into(),
        id: "oauth2-other".into(),
        ..Connector::acme()
    };
    let settings = ProviderSettings {
        connectors: vec![other],
        ..ProviderSettings::default()
    };
    let world = start_with(settings).await;
    let mut browser = world.browser();
    let (page, _) = consent(&world, &mut browser, "my_id-p").await;
    assert!(page.body.contains("my_id-p-consent"), "{page:?}");
    for target in ["acme", "huggingface", "my_id", ""] {
        let direct = world.authorize(&[("direct_sign_in", &format!("social:{target}"))]);
        let answer = browser.get(&direct).await;
        let page = browser.follow(answer).await;
        assert!(page.body.contains("persona-plain"), "{target}: {page:?}");
    }
    for path in [
        "/acme/oauth/authorize",
        "/acme/oauth/userinfo",
        "/callback/oauth2-acme",
        "/direct",
    ] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

//! Tokens of third parties from the Secret Vault.

use super::fake::{FakeLogto, Instead, VAULT};
use super::{logto, logto_with, settings};
use crate::logto::{Settings, SocialToken, SocialTokenFailure};
use crate::secret::SecretText;
use serde_json::json;

async fn ask(fake: &FakeLogto, target: &str) -> Result<SocialToken, SocialTokenFailure> {
    let token = SecretText::new("the-access-token".into());
    logto(fake).social_token(&token, target).await
}

fn storing() -> FakeLogto {
    let fake = FakeLogto::start();
    fake.state().stored_token = json!({
        "access_token": "hf_oauth_token", "scope": "openid profile", "token_type": "bearer", "expires_in": 1800
    });
    fake
}

#[tokio::test]
async fn a_stored_token_is_given_to_its_user() {
    let fake = storing();
    let token = ask(&fake, "huggingface").await.unwrap();
    assert_eq!(token.access_token.expose(), "hf_oauth_token");
    assert_eq!(
        (token.expires_in, token.scope.as_deref()),
        (Some(1800), Some("openid profile"))
    );
    let calls = fake.state().calls.clone();
    assert_eq!(calls.len(), 1, "no metadata is needed");
    assert_eq!(calls[0].authorization.as_deref(), Some("Bearer the-access-token"));
    fake.state().stored_token = json!({ "access_token": "hf_x" });
    assert_eq!(ask(&fake, "huggingface").await.unwrap().expires_in, None);
}

#[tokio::test]
async fn it_is_asked_for_where_logto_is_called() {
    let fake = storing();
    let settings = Settings {
        endpoint: super::address("https://auth.example.com/"),
        internal_endpoint: Some(fake.endpoint()),
        ..settings(&fake)
    };
    let token = SecretText::new("x".into());
    let logto = logto_with(settings).0;
    logto.social_token(&token, "huggingface").await.unwrap();
    // A target is one segment, whatever it holds.
    logto.social_token(&token, "../../x?y#z").await.unwrap_err();
    let paths: Vec<_> = fake.state().calls.iter().map(|call| call.path.clone()).collect();
    assert_eq!(paths[0], VAULT);
    assert_eq!(
        paths[1],
        "/api/my-account/identities/..%2F..%2Fx%3Fy%23z/access-token"
    );
}

#[tokio::test]
async fn every_refusal_has_a_name() {
    let error = |status, code: &str| Instead::Answer(status, json!({ "code": code, "message": "…" }));
    for (instead, expected, calls) in [
        (
            error(400, "account_center.not_enabled"),
            Some(SocialTokenFailure::AccountCenterOff),
            1,
        ),
        (
            error(403, "auth.forbidden"),
            Some(SocialTokenFailure::MissingScope),
            1,
        ),
        (
            error(404, "secrets.third_party_token_set.token_not_found"),
            Some(SocialTokenFailure::NotStored),
            1,
        ),
        (
            error(401, "secrets.third_party_token_set.access_token_expired"),
            Some(SocialTokenFailure::Expired),
            1,
        ),
        (
            error(401, "auth.unauthorized"),
            Some(SocialTokenFailure::Refused),
            1,
        ),
        (
            Instead::Answer(401, json!({})),
            Some(SocialTokenFailure::Refused),
            1,
        ),
        (error(404, "entity.not_found"), None, 1),
        (Instead::Text(404, "<html>".into()), None, 1),
        (error(422, "connector.general"), None, 1),
        (Instead::Redirect("http://127.0.0.1:1/".into()), None, 1),
        (Instead::Text(200, "<html>".into()), None, 1),
        (Instead::Answer(200, json!({ "access_token": "" })), None, 1),
        (Instead::Answer(200, json!({ "access_token": "a\r\nb" })), None, 1),
        (Instead::Answer(503, json!({})), None, 2),
        (Instead::Reset, None, 2),
    ] {
        let fake = storing();
        fake.state().instead.insert(VAULT, instead.clone());
        let failure = ask(&fake, "huggingface").await.unwrap_err();
        match expected {
            Some(expected) => assert_eq!(failure, expected, "{instead:?}"),
            None => assert!(
                matches!(failure, SocialTokenFailure::Unavailable(_)),
                "{instead:?}"
            ),
        }
        assert_eq!(fake.calls(VAULT).len(), calls, "{instead:?}");
    }
}

//! Personal access tokens: exchanged (RFC 8693), and whose they are.

use super::fake::{FakeLogto, Instead, TOKEN, USERINFO};
use super::{logto, logto_with, settings};
use crate::logto::{LogtoErrorKind, RefreshMode, Settings};
use crate::secret::SecretText;
use serde_json::{Value, json};

fn pat() -> SecretText {
    SecretText::new("pat_0123456789".into())
}

fn exchanging() -> FakeLogto {
    let fake = FakeLogto::start();
    fake.state().tokens = json!({
        "access_token": "the-exchanged-token", "expires_in": 3600, "scope": "openid profile", "token_type": "Bearer"
    });
    fake.state().userinfo = json!({ "sub": "user-1", "roles": ["editor"], "exp": 1, "acr": "high" });
    fake
}

#[tokio::test]
async fn it_is_exchanged_and_userinfo_says_whose_it_is() {
    let fake = exchanging();
    let settings = Settings {
        refresh: RefreshMode::Offline,
        ..settings(&fake)
    };
    let logto = logto_with(settings).0;
    let exchanged = logto
        .exchange_personal_access_token(&pat())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(exchanged.subject, "user-1");
    assert_eq!(
        Value::Object(exchanged.claims.clone()),
        json!({ "sub": "user-1", "roles": ["editor"] })
    );
    assert_eq!(exchanged.scopes, ["openid", "profile"]);
    assert_eq!(exchanged.access_token.expose(), "the-exchanged-token");
    assert_eq!(exchanged.expires_in, Some(3600));
    assert_eq!(format!("{exchanged:?}"), "Exchanged");
    let form = &fake.calls(TOKEN)[0].form;
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:token-exchange"
    );
    assert_eq!(form["subject_token"], "pat_0123456789");
    assert_eq!(
        form["subject_token_type"],
        "urn:logto:token-type:personal_access_token"
    );
    assert_eq!(
        form["scope"], "openid profile email",
        "and nothing that outlives it"
    );
    assert_eq!(
        fake.calls(USERINFO)[0].authorization.as_deref(),
        Some("Bearer the-exchanged-token"),
        "never the personal one"
    );
}

#[tokio::test]
async fn refusals_are_told_from_settings_and_outages() {
    for (path, instead, expected) in [
        (
            TOKEN,
            Instead::Answer(400, json!({ "error": "invalid_grant" })),
            "invalid_grant",
        ),
        (
            TOKEN,
            Instead::Answer(400, json!({ "error": "access_denied" })),
            "access_denied",
        ),
        (
            TOKEN,
            Instead::Answer(400, json!({ "error": "unauthorized_client" })),
            "unauthorized_client",
        ),
        (
            TOKEN,
            Instead::Answer(400, json!({ "error": "unsupported_grant_type" })),
            "unauthorized_client",
        ),
        (
            TOKEN,
            Instead::Answer(400, json!({ "error": "invalid_request" })),
            "unauthorized_client",
        ),
        (
            TOKEN,
            Instead::Answer(401, json!({ "error": "invalid_client" })),
            "settings",
        ),
        (TOKEN, Instead::Answer(503, json!({})), "outage"),
        (TOKEN, Instead::Reset, "outage"),
        (TOKEN, Instead::Text(200, "{}".into()), "answer"),
        (USERINFO, Instead::Answer(401, json!({})), "invalid_token"),
        (USERINFO, Instead::Answer(200, json!({})), "answer"),
        (USERINFO, Instead::Answer(200, json!({ "sub": "" })), "answer"),
        (USERINFO, Instead::Answer(200, json!({ "sub": 7 })), "answer"),
        (USERINFO, Instead::Reset, "outage"),
    ] {
        let fake = exchanging();
        fake.state().instead.insert(path, instead.clone());
        let error = logto(&fake)
            .exchange_personal_access_token(&pat())
            .await
            .unwrap_err();
        let kind = match error.kind() {
            LogtoErrorKind::Refused { error } => error.as_str(),
            LogtoErrorKind::Misconfigured { .. } => "settings",
            LogtoErrorKind::BadAnswer { .. } => "answer",
            _ => "outage",
        };
        assert_eq!(kind, expected, "{instead:?}");
        assert_eq!(fake.calls(TOKEN).len(), 1, "{instead:?}");
    }
}

//! Introspection (RFC 7662): which answers make a caller.

use super::fake::{DISCOVERY, FakeLogto, INTROSPECTION, Instead, metadata};
use super::{changed, logto};
use crate::clock::UnixSeconds;
use crate::logto::{Introspection, Logto, LogtoErrorKind};
use crate::secret::SecretText;
use serde_json::{Value, json};

fn honest(fake: &FakeLogto) -> Value {
    let now = fake.claims()["iat"].as_u64().unwrap();
    json!({
        "active": true, "client_id": "another-app", "sub": "user-1", "scope": "openid profile", "iss": fake.issuer(),
        "iat": now, "exp": now + 3600, "token_type": "Bearer"
    })
}

async fn ask(logto: &Logto) -> Result<Option<Introspection>, LogtoErrorKind> {
    let token = SecretText::new("an-opaque-token".into());
    match logto.introspect(&token).await {
        Ok(answer) => Ok(answer.map(|answer| answer.into_inner())),
        Err(error) => Err(error.kind().clone()),
    }
}

#[tokio::test]
async fn a_live_access_token_is_read() {
    let fake = FakeLogto::start();
    let logto = logto(&fake);
    fake.state().introspection = honest(&fake);
    let read = ask(&logto).await.unwrap().unwrap();
    let now = honest(&fake)["iat"].as_u64().unwrap();
    assert_eq!(
        (read.client_id.as_str(), read.subject.as_deref()),
        ("another-app", Some("user-1"))
    );
    assert_eq!(read.scopes, ["openid", "profile"]);
    assert!(read.expires_at.unwrap() >= UnixSeconds::new(now + 3599));
    assert!(read.issued_at.is_some() && read.organization.is_none());
    assert!(!format!("{read:?}").contains("user-1"));
    let call = &fake.calls(INTROSPECTION)[0];
    assert!(call.authorization.as_deref().unwrap().starts_with("Basic "));
    assert_eq!(call.form["token"], "an-opaque-token");
    assert_eq!(call.form["token_type_hint"], "access_token");

    fake.state().introspection = changed(
        &honest(&fake),
        &json!({ "sub": null, "scope": null, "exp": null, "iat": "REMOVED", "organization_id": "org-1" }),
    );
    let read = ask(&logto).await.unwrap().unwrap();
    assert_eq!(
        (read.subject, read.expires_at, read.issued_at),
        (None, None, None)
    );
    assert_eq!(read.organization.as_deref(), Some("org-1"));
}

#[tokio::test]
async fn whatever_is_not_a_live_access_token_is_nobodys() {
    let fake = FakeLogto::start();
    let logto = logto(&fake);
    let now = honest(&fake)["iat"].as_u64().unwrap();
    for (case, changes) in [
        ("inactive", json!({ "active": false })),
        ("a refresh token has no type", json!({ "token_type": "REMOVED" })),
        ("bound by proof of possession", json!({ "token_type": "DPoP" })),
        ("null type", json!({ "token_type": null })),
        ("bound to a certificate", json!({ "cnf": { "x5t#S256": "x" } })),
        ("another issuer's", json!({ "iss": "https://evil.example/oidc" })),
        ("over", json!({ "exp": now - 10 })),
    ] {
        fake.state().introspection = changed(&honest(&fake), &changes);
        assert_eq!(ask(&logto).await, Ok(None), "{case}");
    }
    let refusal = json!({ "error": "unsupported_token_type" });
    fake.state()
        .instead
        .insert(INTROSPECTION, Instead::Answer(400, refusal));
    assert_eq!(ask(&logto).await, Ok(None), "a structured token");
}

#[tokio::test]
async fn odd_answers_are_errors_and_no_caller() {
    let fake = FakeLogto::start();
    let logto = logto(&fake);
    for changes in [
        json!({ "active": "true" }),
        json!({ "active": 1 }),
        json!({ "active": "REMOVED" }),
        json!({ "client_id": "REMOVED" }),
        json!({ "client_id": 7 }),
        json!({ "sub": 7 }),
        json!({ "sub": "a\nb" }),
        json!({ "scope": ["openid"] }),
        json!({ "organization_id": "" }),
    ] {
        fake.state().introspection = changed(&honest(&fake), &changes);
        let error = ask(&logto).await.unwrap_err();
        assert!(
            matches!(error, LogtoErrorKind::BadAnswer { .. }),
            "{changes}: {error:?}"
        );
    }
    let doubled = format!("{{\"active\":false,{}", &honest(&fake).to_string()[1..]);
    for (instead, transient) in [
        (Instead::Text(200, doubled), false),
        (Instead::Text(200, "[]".into()), false),
        (Instead::Answer(400, json!({ "error": "invalid_request" })), false),
        (Instead::Redirect("http://127.0.0.1:1/".into()), false),
        (Instead::Answer(401, json!({ "error": "invalid_client" })), false),
        (Instead::Answer(503, json!({})), true),
        (Instead::Reset, true),
    ] {
        fake.state().calls.clear();
        fake.state().instead.insert(INTROSPECTION, instead.clone());
        let error = logto
            .introspect(&SecretText::new("x".into()))
            .await
            .expect_err("no answer");
        assert_eq!(error.is_transient(), transient, "{instead:?}");
        assert_eq!(fake.calls(INTROSPECTION).len(), 1, "{instead:?}");
    }
}

#[tokio::test]
async fn the_endpoint_is_on_logtos_own_origin() {
    let fake = FakeLogto::start();
    let origin = fake.endpoint().origin().ascii_serialization();
    fake.state().metadata = changed(
        &metadata(&origin),
        &json!({ "introspection_endpoint": "https://evil.example/introspect" }),
    );
    let error = ask(&logto(&fake)).await.unwrap_err();
    assert!(matches!(error, LogtoErrorKind::Misconfigured { .. }), "{error:?}");
    fake.state().metadata = changed(
        &metadata(&origin),
        &json!({ "introspection_endpoint": "REMOVED" }),
    );
    let error = ask(&logto(&fake)).await.unwrap_err();
    assert!(matches!(error, LogtoErrorKind::BadAnswer { .. }), "{error:?}");
    assert!(fake.state().calls.iter().all(|call| call.path == DISCOVERY));
}

//! What each failure of a refresh means for the session, and that the next refresh token is never lost over it.

use super::fake::{Instead, JWKS, TOKEN, TestKey};
use super::refresh::{refresh, rotated, token};
use super::{changed, logto, ready};
use crate::logto::{LogtoErrorKind, Verdict};
use serde_json::{Value, json};

#[tokio::test]
async fn what_logto_refuses_ends_a_session_or_does_not() {
    let oauth = |status, error: &str| Instead::Answer(status, json!({ "error": error }));
    let expired = json!({ "error": "invalid_request", "error_description": "client secret has expired" });
    let table = [
        // Logto's error body, with its additions.
        (
            Instead::Answer(
                400,
                json!({ "code": "oidc.invalid_grant", "message": "Grant request is invalid.", "error": "invalid_grant", "error_description": "grant request is invalid" }),
            ),
            Verdict::Refused,
        ),
        (oauth(400, "access_denied"), Verdict::Refused),
        (oauth(403, "access_denied"), Verdict::Refused),
        // An operator's to mend.
        (oauth(401, "invalid_client"), Verdict::Transient),
        (oauth(400, "invalid_request"), Verdict::Transient),
        (Instead::Answer(400, expired), Verdict::Transient),
        (oauth(400, "invalid_scope"), Verdict::Transient),
        (oauth(400, "invalid_target"), Verdict::Transient),
        (oauth(400, "unauthorized_client"), Verdict::Transient),
        (oauth(400, "unsupported_grant_type"), Verdict::Transient),
        (oauth(400, "something_new"), Verdict::Transient),
        // Outages, and whatever stands between.
        (oauth(500, "server_error"), Verdict::Transient),
        (oauth(503, "invalid_grant"), Verdict::Transient),
        (oauth(429, "access_denied"), Verdict::Transient),
        (Instead::Reset, Verdict::Transient),
        (oauth(200, "invalid_grant"), Verdict::Transient),
        (oauth(302, "invalid_grant"), Verdict::Transient),
        (Instead::Text(200, "<html>".into()), Verdict::Transient),
        (Instead::Text(400, "<html>".into()), Verdict::Transient),
        (
            Instead::Text(404, "{\"message\":\"no such page\"}".into()),
            Verdict::Transient,
        ),
        (
            Instead::Redirect("http://127.0.0.1:1/".into()),
            Verdict::Transient,
        ),
    ];
    for (instead, verdict) in table {
        let (fake, _) = ready();
        fake.state().instead.insert(TOKEN, instead.clone());
        let failure = refresh(&logto(&fake)).await.unwrap_err();
        assert_eq!(failure.verdict, verdict, "{instead:?}: {}", failure.error);
        assert_eq!(token(&failure), None);
        assert_eq!(fake.calls(TOKEN).len(), 1, "{instead:?}");
        assert!(!format!("{failure:?} {}", failure.error).contains("the old"));
    }
}

#[tokio::test]
async fn a_token_that_is_not_logtos_ends_the_session() {
    let (fake, key) = ready();
    let stranger = TestKey::ec("k1", "P-384");
    let now = fake.claims()["iat"].as_i64().unwrap();
    let signed = |changes: Value| key.sign(&changed(&fake.claims(), &changes));
    let table = [
        (
            "another issuer",
            signed(json!({ "iss": "https://evil.example" })),
            Verdict::Refused,
        ),
        (
            "another audience",
            signed(json!({ "aud": "other" })),
            Verdict::Refused,
        ),
        (
            "another party",
            signed(json!({ "azp": "other" })),
            Verdict::Refused,
        ),
        ("forged", stranger.sign(&fake.claims()), Verdict::Refused),
        (
            "unsigned",
            key.sign_with(&json!({ "alg": "none" }), &fake.claims().to_string()),
            Verdict::Refused,
        ),
        (
            "an access token",
            key.sign_with(
                &json!({ "alg": "ES384", "kid": "k1", "typ": "at+jwt" }),
                &fake.claims().to_string(),
            ),
            Verdict::Refused,
        ),
        (
            "another access token's",
            signed(json!({ "at_hash": "AAAA" })),
            Verdict::Refused,
        ),
        ("no token at all", "x".into(), Verdict::Refused),
        ("empty subject", signed(json!({ "sub": "" })), Verdict::Refused),
        (
            "another user",
            signed(json!({ "sub": "user-2" })),
            Verdict::OtherUser,
        ),
        (
            "the user in other case",
            signed(json!({ "sub": "User-1" })),
            Verdict::OtherUser,
        ),
        // A wrong clock, here or there, takes nobody's access away.
        ("expired", signed(json!({ "exp": now - 90 })), Verdict::Transient),
        (
            "from the future",
            signed(json!({ "iat": now + 90 })),
            Verdict::Transient,
        ),
        ("stale", signed(json!({ "iat": now - 900 })), Verdict::Transient),
        (
            "not valid yet",
            signed(json!({ "nbf": now + 90 })),
            Verdict::Transient,
        ),
    ];
    for (case, id_token, verdict) in table {
        fake.state().tokens = rotated(&fake, Some(&id_token));
        let failure = refresh(&logto(&fake)).await.unwrap_err();
        assert_eq!(failure.verdict, verdict, "{case}: {}", failure.error);
        assert!(
            matches!(failure.error.kind(), LogtoErrorKind::InvalidToken { .. }),
            "{case}"
        );
        assert_eq!(token(&failure), Some("the new token"), "{case}");
    }
}

/// A rotation at Logto: the new key is looked for, and only a key set as new as the token can say that there is none.
#[tokio::test]
async fn an_unknown_key_is_a_forgery_only_when_logto_says_so() {
    let (fake, key) = ready();
    let new = TestKey::rsa("k2", "RS256");
    let logto = logto(&fake);
    refresh(&logto).await.unwrap();

    // The set cannot be had.
    fake.state().tokens = rotated(&fake, Some(&new.sign(&fake.claims())));
    fake.state().instead.insert(JWKS, Instead::Answer(503, json!({})));
    let failure = refresh(&logto).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Transient);
    assert_eq!(token(&failure), Some("the new token"));

    // It could be had, but was asked for a moment ago.
    fake.state().instead.clear();
    fake.publish(&[&new, &key]);
    let failure = refresh(&logto).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Transient);
    assert_eq!(
        failure.error.kind(),
        &LogtoErrorKind::InvalidToken { check: "kid" }
    );
    assert_eq!(token(&failure), Some("the new token"));
    assert_eq!(fake.calls(JWKS).len(), 2);

    // Logto publishes no such key.
    let (fake, _) = ready();
    let logto = super::logto(&fake);
    refresh(&logto).await.unwrap();
    fake.state().tokens = rotated(&fake, Some(&new.sign(&fake.claims())));
    let failure = refresh(&logto).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Refused);

    // It does.
    let (fake, key) = ready();
    let logto = super::logto(&fake);
    refresh(&logto).await.unwrap();
    fake.publish(&[&new, &key]);
    fake.state().tokens = rotated(&fake, Some(&new.sign(&fake.claims())));
    assert_eq!(
        refresh(&logto).await.unwrap().refresh_token.expose(),
        "the new token"
    );
}

#[tokio::test]
async fn a_new_refresh_token_survives_a_useless_answer() {
    let (fake, _) = ready();
    let good = rotated(&fake, None);
    let with = |name: &str, value: Value| {
        let mut tokens = good.clone();
        tokens[name] = value;
        tokens
    };
    for (tokens, kept) in [
        (with("token_type", json!("mac")), Some("the new token")),
        (with("token_type", Value::Null), Some("the new token")),
        (with("access_token", json!(7)), Some("the new token")),
        (with("id_token", json!(["x"])), Some("the new token")),
        // No ID token, and no userinfo to ask instead.
        (good.clone(), Some("the new token")),
        (with("refresh_token", json!("")), None),
        (with("refresh_token", json!(7)), None),
    ] {
        let mut metadata = super::fake::metadata(&format!("http://{}", fake.address));
        metadata.as_object_mut().unwrap().remove("userinfo_endpoint");
        fake.state().metadata = metadata;
        fake.state().tokens = tokens.clone();
        let failure = refresh(&logto(&fake)).await.unwrap_err();
        assert_eq!(failure.verdict, Verdict::Transient, "{tokens}");
        assert_eq!(token(&failure), kept, "{tokens}");
    }
}

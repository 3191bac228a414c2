//! Refreshing: what is sent, how often, what it proves, and what each failure means for the session.

use super::fake::{FakeLogto, Instead, JWKS, TOKEN, TestKey, USERINFO};
use super::{changed, logto, logto_with, ready, request, settings};
use crate::logto::{
    Logto, LogtoErrorKind, RefreshFailure, RefreshMode, RefreshRequest, Refreshed, Userinfo, Verdict,
};
use crate::secret::SecretText;
use serde_json::{Value, json};
use std::time::Duration;

fn refresh_request() -> RefreshRequest {
    RefreshRequest {
        refresh_token: SecretText::new("the old/token".into()),
        subject: "user-1".into(),
    }
}

async fn refresh(logto: &Logto) -> Result<Refreshed, RefreshFailure> {
    logto
        .refresh(refresh_request())
        .await
        .map(crate::logto::Verified::into_inner)
}

fn with_userinfo(fake: &FakeLogto) -> Logto {
    logto_with(super::Settings {
        userinfo: Userinfo::WhenNeeded(vec!["identities".into()]),
        ..settings(fake)
    })
    .0
}

/// What Logto sends after a rotation.
fn rotated(fake: &FakeLogto, id_token: Option<&str>) -> Value {
    let mut tokens = fake.state().tokens.clone();
    tokens["refresh_token"] = json!("the new token");
    match id_token {
        Some(token) => tokens["id_token"] = json!(token),
        None => {
            tokens.as_object_mut().unwrap().remove("id_token");
        }
    }
    tokens
}

fn token(failure: &RefreshFailure) -> Option<&str> {
    failure.refresh_token.as_ref().map(SecretText::expose)
}

#[tokio::test]
async fn a_refresh_is_one_call_and_proves_the_user() {
    let (fake, key) = ready();
    // Logto repeats the nonce of the sign-in, and computes the rest anew.
    let claims = changed(
        &fake.claims(),
        &json!({ "nonce": "of long ago", "roles": ["editor"], "sid": "s-1" }),
    );
    fake.state().tokens = rotated(&fake, Some(&key.sign(&claims)));
    let logto = logto(&fake);
    let refreshed = refresh(&logto).await.unwrap();
    assert_eq!(refreshed.claims["roles"], json!(["editor"]));
    assert_eq!(refreshed.claims["sub"], "user-1");
    assert_eq!(refreshed.sid.as_deref(), Some("s-1"));
    assert!(refreshed.complete);
    assert_eq!(refreshed.refresh_token.expose(), "the new token");
    assert_eq!(refreshed.access_token.expose(), "the-access-token");
    assert_eq!(refreshed.expires_in, Some(3600));
    for name in ["iss", "aud", "exp", "iat", "nonce", "sid"] {
        assert!(!refreshed.claims.contains_key(name), "{name} is about the token");
    }
    let printed = format!("{refreshed:?} {:?}", refresh_request());
    assert!(
        !printed.contains("token\"") && !printed.contains("example.com"),
        "{printed}"
    );

    let calls = fake.calls(TOKEN);
    assert_eq!(calls.len(), 1);
    let form = &calls[0].form;
    assert_eq!(form.len(), 2, "no scope: that would narrow or widen");
    assert_eq!(form["grant_type"], "refresh_token");
    assert_eq!(form["refresh_token"], "the old/token");
    assert!(calls[0].authorization.as_ref().unwrap().starts_with("Basic "));
    assert!(fake.calls(USERINFO).is_empty());

    // No nonce, and no new refresh token: the old one goes on.
    let claims = changed(&fake.claims(), &json!({ "nonce": "REMOVED" }));
    fake.state().tokens = rotated(&fake, Some(&key.sign(&claims)));
    fake.state()
        .tokens
        .as_object_mut()
        .unwrap()
        .remove("refresh_token");
    let refreshed = refresh(&logto).await.unwrap();
    assert_eq!(refreshed.refresh_token.expose(), "the old/token");
    assert_eq!(refreshed.sid, None);
}

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

#[tokio::test]
async fn without_an_id_token_userinfo_says_who_it_is() {
    let (fake, _) = ready();
    fake.state().tokens = rotated(&fake, None);
    fake.state().userinfo = json!({ "sub": "user-1", "roles": ["editor"], "iss": "x", "auth_time": 1 });
    // Even where userinfo is never asked otherwise: there is nothing else.
    let refreshed = refresh(&logto(&fake)).await.unwrap();
    assert_eq!(
        Value::Object(refreshed.claims),
        json!({ "sub": "user-1", "roles": ["editor"] })
    );
    assert!(refreshed.complete);

    for (instead, verdict) in [
        (
            Instead::Answer(200, json!({ "sub": "user-2" })),
            Verdict::OtherUser,
        ),
        (Instead::Answer(200, json!({ "sub": null })), Verdict::Transient),
        (Instead::Answer(200, json!([])), Verdict::Transient),
        (Instead::Answer(502, json!({})), Verdict::Transient),
        (
            Instead::Answer(401, json!({ "error": "invalid_token" })),
            Verdict::Transient,
        ),
    ] {
        fake.state().instead.insert(USERINFO, instead.clone());
        let failure = refresh(&logto(&fake)).await.unwrap_err();
        assert_eq!(failure.verdict, verdict, "{instead:?}");
        assert_eq!(token(&failure), Some("the new token"));
    }
}

#[tokio::test]
async fn userinfo_is_merged_and_may_be_away() {
    let (fake, _) = ready();
    fake.state().userinfo =
        json!({ "sub": "user-1", "identities": { "huggingface": { "userId": "hf-1" } }, "sid": "x" });
    let refreshed = refresh(&with_userinfo(&fake)).await.unwrap();
    assert_eq!(refreshed.claims["identities"]["huggingface"]["userId"], "hf-1");
    assert_eq!(refreshed.claims["email"], "a@example.com");
    assert_eq!(refreshed.sid, None);
    assert!(refreshed.complete);

    for instead in [Instead::Answer(503, json!({})), Instead::Reset] {
        fake.state().instead.insert(USERINFO, instead);
        let refreshed = refresh(&with_userinfo(&fake)).await.unwrap();
        assert!(!refreshed.complete);
        assert_eq!(refreshed.claims["roles"], json!(["admin"]));
        assert!(!refreshed.claims.contains_key("identities"));
        assert_eq!(refreshed.refresh_token.expose(), "the-refresh-token");
    }
    for (instead, verdict) in [
        (
            Instead::Answer(200, json!({ "sub": "user-2" })),
            Verdict::OtherUser,
        ),
        (
            Instead::Answer(200, json!({ "identities": {} })),
            Verdict::Transient,
        ),
        (Instead::Answer(401, json!({})), Verdict::Transient),
        (Instead::Answer(403, json!({})), Verdict::Transient),
        (Instead::Text(200, "<html>".into()), Verdict::Transient),
    ] {
        fake.state().instead.insert(USERINFO, instead.clone());
        let failure = refresh(&with_userinfo(&fake)).await.unwrap_err();
        assert_eq!(failure.verdict, verdict, "{instead:?}");
        assert_eq!(token(&failure), Some("the-refresh-token"));
    }
}

/// What can fail without the token fails before it is used.
#[tokio::test]
async fn without_metadata_or_keys_nothing_is_sent() {
    for path in [super::fake::DISCOVERY, JWKS] {
        let (fake, _) = ready();
        fake.state().instead.insert(path, Instead::Answer(404, json!({})));
        let failure = refresh(&logto(&fake)).await.unwrap_err();
        assert_eq!(failure.verdict, Verdict::Transient);
        assert!(fake.calls(TOKEN).is_empty());
    }
}

/// A refresh token that was replaced and comes again after three seconds makes Logto revoke the grant.
#[tokio::test]
async fn a_lost_connection_is_never_followed_by_a_second_request() {
    let (fake, _) = ready();
    let app_secrets = vec![SecretText::new("old".into()), SecretText::new("new".into())];
    let logto = logto_with(super::Settings {
        app_secrets,
        ..settings(&fake)
    })
    .0;
    refresh(&logto).await.unwrap();
    for sent in 2..4 {
        fake.state().instead.insert(TOKEN, Instead::Reset);
        let failure = refresh(&logto).await.unwrap_err();
        assert_eq!(failure.verdict, Verdict::Transient);
        assert_eq!(failure.error.kind(), &LogtoErrorKind::Unreachable);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(fake.calls(TOKEN).len(), sent);
    }

    // The other secret is tried after an answer which says that the first was not accepted, and then only.
    fake.state().instead.clear();
    fake.state()
        .once
        .push((TOKEN, Instead::Answer(401, json!({ "error": "invalid_client" }))));
    refresh(&logto).await.unwrap();
    assert_eq!(fake.calls(TOKEN).len(), 5);
}

/// The answer may carry the only refresh token that still works, so it is worth a wait.
#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let (fake, key) = ready();
    fake.state().tokens = rotated(&fake, Some(&key.sign(&fake.claims())));
    fake.state()
        .instead
        .insert(TOKEN, Instead::Late(Duration::from_secs(11)));
    let logto = logto(&fake);
    let refreshed = refresh(&logto).await.unwrap();
    assert_eq!(refreshed.refresh_token.expose(), "the new token");
    assert_eq!(fake.calls(TOKEN).len(), 1);
}

#[tokio::test]
async fn refreshes_do_not_wait_for_each_other() {
    let (fake, _) = ready();
    let logto = logto(&fake);
    refresh(&logto).await.unwrap();
    fake.state()
        .instead
        .insert(TOKEN, Instead::Late(Duration::from_millis(500)));
    let began = crate::clock::monotonic();
    let all = futures_util::future::join_all((0..50).map(|_| refresh(&logto))).await;
    assert!(all.iter().all(Result::is_ok));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(fake.calls(TOKEN).len(), 51, "one call each");
    assert_eq!(fake.calls(JWKS).len(), 1);
}

#[tokio::test]
async fn a_refresh_token_that_is_not_wanted_is_dropped() {
    let (fake, _) = ready();
    for (mode, kept) in [
        (RefreshMode::Session, true),
        (RefreshMode::Offline, true),
        (RefreshMode::None, false),
    ] {
        let logto = logto_with(super::Settings {
            refresh: mode,
            ..settings(&fake)
        })
        .0;
        let signed_in = logto.redeem(request()).await.unwrap();
        assert_eq!(signed_in.refresh_token.is_some(), kept, "{mode:?}");
    }
}

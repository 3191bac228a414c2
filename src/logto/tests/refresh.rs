//! Refreshing: what is sent, how often, and what it proves.

use super::fake::{DISCOVERY, FakeLogto, Instead, JWKS, TOKEN, TestKey, USERINFO};
use super::{changed, logto, logto_with, ready, request, settings};
use crate::clock;
use crate::logto::{
    Logto, LogtoErrorKind, RefreshFailure, RefreshMode, RefreshRequest, Refreshed, Userinfo, Verdict,
};
use crate::secret::SecretText;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) fn refresh_request() -> RefreshRequest {
    RefreshRequest {
        refresh_token: SecretText::new("the old/token".into()),
        subject: "user-1".into(),
        until: clock::monotonic() + Duration::from_secs(60),
    }
}

pub(super) async fn refresh(logto: &Logto) -> Result<Refreshed, RefreshFailure> {
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
pub(super) fn rotated(fake: &FakeLogto, id_token: Option<&str>) -> Value {
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

pub(super) fn token(failure: &RefreshFailure) -> Option<&str> {
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
        assert_eq!(failure.error.kind(), &LogtoErrorKind::Interrupted);
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

/// The right to use the refresh token may end before Logto's answers do.
#[tokio::test]
async fn nothing_is_waited_for_beyond_the_end_and_no_token_is_lost() {
    const LEFT: Duration = Duration::from_millis(700);
    for (hangs, rotated_key, gives) in [
        (DISCOVERY, false, Err(None)),
        (TOKEN, false, Err(None)),
        // The ID token is of a key that cannot be had.
        (JWKS, true, Err(Some("the new token"))),
        // What is signed was proved.
        (USERINFO, false, Ok("the new token")),
    ] {
        let (fake, key) = ready();
        let logto = with_userinfo(&fake);
        let new_key = TestKey::ec("k2", "P-384");
        if hangs != DISCOVERY {
            fake.state().userinfo = json!({ "sub": "user-1", "identities": {} });
            logto.refresh(refresh_request()).await.unwrap();
        }
        let signing = if rotated_key { &new_key } else { &key };
        let id_token = signing.sign(&fake.claims());
        fake.state().tokens = rotated(&fake, Some(&id_token));
        fake.state().instead.insert(hangs, Instead::Hang);
        let begun = clock::monotonic();
        let request = RefreshRequest {
            until: begun + LEFT,
            ..refresh_request()
        };
        let result = logto.refresh(request).await;
        assert!(begun.elapsed() < LEFT + Duration::from_millis(800), "{hangs}");
        match result {
            Ok(refreshed) => {
                assert!(!refreshed.complete, "{hangs}");
                assert_eq!(Ok(refreshed.refresh_token.expose()), gives, "{hangs}");
            }
            Err(failure) => {
                assert_eq!(failure.verdict, Verdict::Transient, "{hangs}");
                assert_eq!(failure.error.kind(), &LogtoErrorKind::Timeout, "{hangs}");
                assert_eq!(Err(token(&failure)), gives, "{hangs}");
            }
        }
    }
}

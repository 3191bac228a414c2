//! The token, userinfo and revocation calls: what is sent, how often, and what is made of the answer.

use super::fake::{FakeLogto, Instead, JWKS, REVOCATION, TOKEN, USERINFO};
use super::{APP_ID, logto, logto_with, ready, request, settings};
use crate::logto::{Fault, Logto, LogtoErrorKind, Userinfo};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::HashSet;

fn with_userinfo(fake: &FakeLogto, userinfo: Userinfo) -> Logto {
    logto_with(super::Settings {
        userinfo,
        ..settings(fake)
    })
    .0
}

#[tokio::test]
async fn a_code_is_redeemed_as_the_specifications_say() {
    let (fake, _) = ready();
    let request = request();
    let verifier = request.code_verifier.clone();
    let signed_in = logto(&fake).redeem(request).await.unwrap();

    assert_eq!(signed_in.subject, "user-1");
    assert_eq!(
        signed_in.refresh_token.as_ref().unwrap().expose(),
        "the-refresh-token"
    );
    assert_eq!(signed_in.access_token.expose(), "the-access-token");
    assert_eq!(signed_in.expires_in, Some(3600));
    assert_eq!(signed_in.claims["roles"], json!(["admin"]));
    assert_eq!(signed_in.claims["updated_at"], json!(1_700_000_000_123_u64));
    assert_eq!(signed_in.claims["picture"], Value::Null);
    for name in ["iss", "aud", "exp", "iat", "nonce", "sid"] {
        assert!(!signed_in.claims.contains_key(name), "{name} is about the token");
    }
    assert_eq!(signed_in.claims["sub"], "user-1");
    let printed = format!("{signed_in:?}");
    assert!(
        !printed.contains("token") && !printed.contains("example.com"),
        "{printed}"
    );

    let calls = fake.calls(TOKEN);
    assert_eq!(calls.len(), 1);
    let form = &calls[0].form;
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code"], "the-code");
    assert_eq!(form["code_verifier"], verifier.expose());
    assert_eq!(form["redirect_uri"], "https://app.example.com/.logto/callback");
    assert!(!form.contains_key("client_secret"));
    let basic = calls[0]
        .authorization
        .as_ref()
        .unwrap()
        .strip_prefix("Basic ")
        .unwrap();
    let pair = String::from_utf8(BASE64_STANDARD.decode(basic).unwrap()).unwrap();
    assert_eq!(pair, "app+id%2F1:s3cret%2B%2F");
}

#[tokio::test]
async fn a_code_is_never_sent_twice() {
    let invalid_grant = json!({ "error": "invalid_grant", "error_description": "grant request is invalid", "code": "oidc.invalid_grant" });
    let cases = [
        (Instead::Reset, LogtoErrorKind::Interrupted, true),
        (
            Instead::Answer(503, json!({})),
            LogtoErrorKind::ServerError { status: 503 },
            true,
        ),
        (
            Instead::Answer(429, json!({})),
            LogtoErrorKind::ServerError { status: 429 },
            true,
        ),
        (
            Instead::Answer(400, invalid_grant),
            LogtoErrorKind::Refused {
                error: "invalid_grant".into(),
            },
            false,
        ),
        (
            Instead::Answer(400, json!({ "error": "access_denied" })),
            LogtoErrorKind::Refused {
                error: "access_denied".into(),
            },
            false,
        ),
    ];
    for (instead, kind, transient) in cases {
        let (fake, _) = ready();
        fake.state().instead.insert(TOKEN, instead);
        let error = logto(&fake).redeem(request()).await.unwrap_err();
        assert_eq!(error.kind(), &kind);
        assert_eq!(error.is_transient(), transient);
        assert_eq!(fake.calls(TOKEN).len(), 1, "{kind:?}");
        assert!(!format!("{error} {error:?} {}", error.safe_text()).contains("the-code"));
    }
}

#[tokio::test]
async fn odd_answers_of_the_token_endpoint_are_refused() {
    let (fake, _) = ready();
    let good = fake.state().tokens.clone();
    let without = |name: &str| {
        let mut tokens = good.clone();
        tokens.as_object_mut().unwrap().remove(name);
        Instead::Answer(200, tokens)
    };
    let mut mac = good.clone();
    mac["token_type"] = json!("mac");
    for instead in [
        without("id_token"),
        without("access_token"),
        without("token_type"),
        Instead::Answer(200, mac),
        Instead::Answer(200, json!([])),
        Instead::Text(200, "<html>".into()),
        Instead::Answer(201, good.clone()),
        Instead::Redirect(format!("http://{}{USERINFO}", fake.address)),
    ] {
        fake.state().instead.insert(TOKEN, instead.clone());
        let error = logto(&fake).redeem(request()).await.unwrap_err();
        assert!(
            matches!(error.kind(), LogtoErrorKind::BadAnswer { .. }),
            "{instead:?}: {error}"
        );
    }
    assert!(fake.calls(USERINFO).is_empty(), "a redirect is never followed");
}

#[tokio::test]
async fn the_other_secret_is_tried_when_one_is_not_accepted() {
    for refusal in [
        Instead::Answer(
            401,
            json!({ "error": "invalid_client", "error_description": "client authentication failed" }),
        ),
        Instead::Answer(
            400,
            json!({ "error": "invalid_request", "error_description": "client secret has expired" }),
        ),
    ] {
        let (fake, _) = ready();
        let app_secrets = vec![SecretText::new("old".into()), SecretText::new("new".into())];
        let logto = logto_with(super::Settings {
            app_secrets,
            ..settings(&fake)
        })
        .0;
        fake.state().once.push((TOKEN, refusal.clone()));
        logto.redeem(request()).await.unwrap();
        logto.redeem(request()).await.unwrap();
        let calls = fake.calls(TOKEN);
        let sent: Vec<_> = calls
            .iter()
            .map(|call| call.authorization.clone().unwrap())
            .collect();
        assert_eq!(sent.len(), 3, "the one that worked is remembered");
        assert!(sent[0] != sent[1] && sent[1] == sent[2]);

        fake.state().instead.insert(TOKEN, refusal);
        let error = logto.redeem(request()).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Operator);
        assert!(error.to_string().contains("logto.app_secret"));
        assert_eq!(fake.calls(TOKEN).len(), 5, "each secret once");
    }
}

/// Another `invalid_request` may be about the code, which is then spent.
#[tokio::test]
async fn no_other_refusal_brings_out_the_other_secret() {
    let (fake, _) = ready();
    let app_secrets = vec![SecretText::new("old".into()), SecretText::new("new".into())];
    let logto = logto_with(super::Settings {
        app_secrets,
        ..settings(&fake)
    })
    .0;
    for error in ["invalid_request", "invalid_grant", "unauthorized_client"] {
        fake.state()
            .instead
            .insert(TOKEN, Instead::Answer(400, json!({ "error": error })));
        assert!(logto.redeem(request()).await.is_err());
    }
    assert_eq!(fake.calls(TOKEN).len(), 3);
}

#[tokio::test]
async fn every_call_has_its_own_connection() {
    let (fake, _) = ready();
    fake.state().userinfo = json!({ "sub": "user-1" });
    let logto = with_userinfo(&fake, Userinfo::Always);
    for _ in 0..3 {
        logto.redeem(request()).await.unwrap();
    }
    let connections: HashSet<_> = fake.state().calls.iter().map(|call| call.connection).collect();
    assert_eq!(connections.len(), 2 + 3 * 2);
}

/// An answer that would be good, were it not for the spaces after it.
#[tokio::test]
async fn no_more_than_a_mebibyte_is_read() {
    let (fake, _) = ready();
    let good = fake.state().tokens.to_string();
    let padded = |length: usize| Instead::Text(200, format!("{good}{}", " ".repeat(length - good.len())));
    fake.state().instead.insert(TOKEN, padded(1024 * 1024));
    logto(&fake).redeem(request()).await.unwrap();
    fake.state().instead.insert(TOKEN, padded(1024 * 1024 + 1));
    let error = logto(&fake).redeem(request()).await.unwrap_err();
    assert!(error.to_string().contains("1 MiB"));
}

#[tokio::test]
async fn userinfo_fills_what_the_token_lacks() {
    let (fake, _) = ready();
    fake.state().userinfo = json!({
        "sub": "user-1", "roles": ["admin", "editor"], "identities": { "huggingface": { "userId": "hf-1" } },
        "iss": "https://evil.example", "nonce": "x", "sid": "x", "acr": "high", "auth_time": 1
    });
    let needed = |name: &str| Userinfo::WhenNeeded(vec!["roles".into(), name.into()]);
    for (userinfo, calls) in [
        (needed("identities"), 1),
        (needed("picture"), 0),
        (Userinfo::Never, 0),
        (Userinfo::Always, 1),
    ] {
        fake.state().calls.clear();
        let signed_in = with_userinfo(&fake, userinfo.clone())
            .redeem(request())
            .await
            .unwrap();
        assert_eq!(fake.calls(USERINFO).len(), calls, "{userinfo:?}");
        if calls == 1 {
            assert_eq!(
                fake.calls(USERINFO)[0].authorization.as_deref(),
                Some("Bearer the-access-token")
            );
            assert_eq!(signed_in.claims["roles"], json!(["admin", "editor"]));
            assert_eq!(signed_in.claims["identities"]["huggingface"]["userId"], "hf-1");
            assert_eq!(signed_in.claims["email"], "a@example.com");
        }
        for name in ["iss", "nonce", "sid", "acr", "auth_time"] {
            assert!(
                !signed_in.claims.contains_key(name),
                "{name} only counts when signed"
            );
        }
        assert_eq!(signed_in.sid, None);
    }
}

#[tokio::test]
async fn userinfo_of_anybody_else_ends_the_sign_in() {
    let (fake, _) = ready();
    let logto = with_userinfo(&fake, Userinfo::Always);
    for (userinfo, kind) in [
        (
            json!({ "sub": "user-2" }),
            LogtoErrorKind::InvalidToken { check: "sub" },
        ),
        (
            json!({ "sub": null }),
            LogtoErrorKind::InvalidToken { check: "sub" },
        ),
        (
            json!({ "sub": ["user-1"] }),
            LogtoErrorKind::InvalidToken { check: "sub" },
        ),
        (json!({}), LogtoErrorKind::InvalidToken { check: "sub" }),
        (
            json!([{ "sub": "user-1" }]),
            LogtoErrorKind::BadAnswer {
                what: "not a JSON object",
            },
        ),
    ] {
        fake.state().userinfo = userinfo;
        assert_eq!(logto.redeem(request()).await.unwrap_err().kind(), &kind);
    }
    fake.state().instead.insert(
        USERINFO,
        Instead::Answer(401, json!({ "error": "invalid_token" })),
    );
    let error = logto.redeem(request()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        &LogtoErrorKind::Refused {
            error: "invalid_token".into()
        }
    );
}

#[tokio::test]
async fn userinfo_is_asked_again_after_an_outage() {
    let (fake, _) = ready();
    fake.state().userinfo = json!({ "sub": "user-1" });
    let logto = with_userinfo(&fake, Userinfo::Always);
    fake.state()
        .once
        .push((USERINFO, Instead::Answer(502, json!({}))));
    logto.redeem(request()).await.unwrap();
    assert_eq!((fake.calls(TOKEN).len(), fake.calls(USERINFO).len()), (1, 2));
}

/// What may fail without the code fails before it is spent.
#[tokio::test]
async fn no_keys_no_exchange() {
    let (fake, _) = ready();
    fake.state().instead.insert(JWKS, Instead::Answer(500, json!({})));
    let logto = logto(&fake);
    assert!(logto.redeem(request()).await.unwrap_err().is_transient());
    assert!(logto.redeem(request()).await.unwrap_err().is_transient());
    assert_eq!(
        (fake.calls(TOKEN).len(), fake.calls(JWKS).len()),
        (0, 1),
        "and at most one attempt a second"
    );
}

#[tokio::test]
async fn a_refresh_token_is_revoked() {
    let (fake, _) = ready();
    let logto = logto(&fake);
    let token = SecretText::new("the refresh/token".into());
    logto.revoke_refresh_token(&token).await.unwrap();
    let calls = fake.calls(REVOCATION);
    assert_eq!(calls[0].form["token"], "the refresh/token");
    assert_eq!(calls[0].form["token_type_hint"], "refresh_token");
    assert!(calls[0].authorization.as_ref().unwrap().starts_with("Basic "));
    fake.state().instead.insert(
        REVOCATION,
        Instead::Answer(400, json!({ "error": "unsupported_token_type" })),
    );
    let error = logto.revoke_refresh_token(&token).await.unwrap_err();
    assert_eq!(
        error.kind(),
        &LogtoErrorKind::Refused {
            error: "unsupported_token_type".into()
        }
    );
}

/// Worker threads have a runtime each, and those end in any order.
#[test]
fn calls_work_from_several_runtimes() {
    let (fake, _) = ready();
    fake.state().userinfo = json!({ "sub": "user-1" });
    let logto = with_userinfo(&fake, Userinfo::Always);
    for round in 0..3 {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let logto = logto.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    // Spawned, as the callback does it.
                    let task = async move { logto.redeem(request()).await.map(|_| ()) };
                    runtime
                        .block_on(async { Tasks::new().spawn(task).await })
                        .unwrap()
                        .unwrap();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(fake.calls(USERINFO).len(), 4 * (round + 1));
    }
    assert_eq!(fake.calls(JWKS).len(), 1);
    assert!(!format!("{logto:?}").contains(APP_ID));
}

//! Tokens for resources and organizations, bought with a refresh token.

use super::fake::{DISCOVERY, FakeLogto, Instead, TOKEN};
use super::logto;
use crate::clock::monotonic;
use crate::logto::{ResourceToken, ResourceTokenFailure, ResourceVerdict};
use crate::secret::SecretText;
use serde_json::{Value, json};
use std::time::Duration;

const RESOURCE: &str = "https://api.example.com/";
const JWT: &str = "aaa.bbb.ccc";

fn answer(access_token: &str) -> Value {
    json!({ "access_token": access_token, "expires_in": 3600, "scope": "read write", "token_type": "Bearer" })
}

async fn ask(
    fake: &FakeLogto,
    resource: Option<&str>,
    organization: Option<&str>,
) -> Result<ResourceToken, ResourceTokenFailure> {
    let token = SecretText::new("the-refresh-token".into());
    let until = monotonic() + Duration::from_secs(60);
    logto(fake)
        .resource_token(&token, resource, organization, until)
        .await
}

#[tokio::test]
async fn what_is_asked_for_is_what_is_named() {
    let fake = FakeLogto::start();
    for (resource, organization, token) in [
        (None, None, "opaque"),
        (Some(RESOURCE), None, JWT),
        (None, Some("org-1"), JWT),
        (Some(RESOURCE), Some("org-1"), JWT),
    ] {
        fake.state().calls.clear();
        fake.state().tokens = answer(token);
        let got = ask(&fake, resource, organization).await.unwrap();
        assert_eq!(got.access_token.expose(), token);
        assert_eq!((got.expires_in, got.scopes.len()), (Some(3600), 2));
        assert_eq!(
            got.refresh_token.expose(),
            "the-refresh-token",
            "none came, so this one stays"
        );
        let form = &fake.calls(TOKEN)[0].form;
        assert_eq!(form["grant_type"], "refresh_token");
        assert_eq!(form.get("resource").map(String::as_str), resource);
        assert_eq!(form.get("organization_id").map(String::as_str), organization);
    }
    let mut rotated = answer(JWT);
    rotated["refresh_token"] = json!("the-next-one");
    fake.state().tokens = rotated;
    let got = ask(&fake, Some(RESOURCE), None).await.unwrap();
    assert_eq!(got.refresh_token.expose(), "the-next-one");
}

#[tokio::test]
async fn verdicts_tell_the_session_from_the_token() {
    let refused = |status, error: &str| Instead::Answer(status, json!({ "error": error }));
    for (instead, organization, verdict) in [
        (refused(400, "invalid_grant"), None, ResourceVerdict::Over),
        (
            refused(400, "invalid_grant"),
            Some("org-1"),
            ResourceVerdict::Over,
        ),
        (refused(400, "access_denied"), None, ResourceVerdict::Over),
        (
            refused(403, "access_denied"),
            Some("org-1"),
            ResourceVerdict::NotGranted,
        ),
        (refused(400, "invalid_target"), None, ResourceVerdict::NotGranted),
        (
            refused(403, "insufficient_scope"),
            Some("org-1"),
            ResourceVerdict::NotGranted,
        ),
        (refused(400, "invalid_request"), None, ResourceVerdict::Transient),
        (refused(401, "invalid_client"), None, ResourceVerdict::Transient),
        (refused(503, "server_error"), None, ResourceVerdict::Transient),
        (Instead::Reset, None, ResourceVerdict::Transient),
        (
            Instead::Text(200, "<html>".into()),
            None,
            ResourceVerdict::Transient,
        ),
    ] {
        let fake = FakeLogto::start();
        fake.state().instead.insert(TOKEN, instead.clone());
        let failure = ask(&fake, Some(RESOURCE), organization).await.unwrap_err();
        assert_eq!(failure.verdict, verdict, "{instead:?}");
        assert!(failure.refresh_token.is_none());
        assert_eq!(fake.calls(TOKEN).len(), 1, "sent once: {instead:?}");
    }
}

#[tokio::test]
async fn an_unusable_token_does_not_lose_the_refresh_token() {
    for token in ["opaque", "", "a.b\r\nX-Evil: 1.c", "a.b c.d", "ä.b.c"] {
        let fake = FakeLogto::start();
        let mut tokens = answer(token);
        tokens["refresh_token"] = json!("the-next-one");
        fake.state().tokens = tokens;
        let failure = ask(&fake, Some(RESOURCE), None).await.unwrap_err();
        assert_eq!(failure.verdict, ResourceVerdict::Transient, "{token}");
        let kept = failure.refresh_token.unwrap();
        assert_eq!(kept.expose(), "the-next-one", "{token}");
    }
}

#[tokio::test]
async fn nothing_is_waited_for_beyond_the_end() {
    let fake = FakeLogto::start();
    for hangs in [DISCOVERY, TOKEN] {
        fake.state().instead.clear();
        fake.state().instead.insert(hangs, Instead::Hang);
        let token = SecretText::new("the-refresh-token".into());
        let (begun, left) = (monotonic(), Duration::from_millis(500));
        let given = logto(&fake)
            .resource_token(&token, Some(RESOURCE), None, begun + left)
            .await;
        assert!(begun.elapsed() < left + Duration::from_millis(800), "{hangs}");
        assert_eq!(given.unwrap_err().verdict, ResourceVerdict::Transient, "{hangs}");
    }
}

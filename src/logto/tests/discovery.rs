//! What metadata is accepted, and what the operator is told of the rest.

use super::fake::{DISCOVERY, FakeLogto, Instead, JWKS, REVOCATION, TOKEN, TestKey, USERINFO, metadata};
use super::{address, logto, logto_with, request, settings};
use crate::clock::Clock;
use crate::logto::{AuthorizationRequest, Fault, Logto, LogtoErrorKind, SetupError, Userinfo};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use serde_json::json;

#[tokio::test]
async fn metadata_is_fetched_once() {
    let fake = FakeLogto::start();
    let logto = logto(&fake);
    assert!(logto.metadata().is_none());
    let (one, two) = tokio::join!(logto.metadata_or_fetch(), logto.metadata_or_fetch());
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(logto.metadata().unwrap().issuer(), fake.issuer());
    assert_eq!(logto.issuer(), fake.issuer());
    assert!(logto.metadata().unwrap().sends_iss_parameter());
    assert_eq!(fake.calls(DISCOVERY).len(), 1);
}

#[tokio::test]
async fn the_issuer_is_exact() {
    let fake = FakeLogto::start();
    for issuer in [
        "https://evil.example/oidc".to_owned(),
        format!("{}/", fake.issuer()),
        fake.issuer().to_uppercase(),
    ] {
        fake.state().metadata["issuer"] = json!(issuer);
        let error = logto(&fake).metadata_or_fetch().await.unwrap_err();
        assert!(
            matches!(error.kind(), LogtoErrorKind::Misconfigured { .. }),
            "{issuer}"
        );
        assert_eq!(error.fault(), Fault::Operator);
        assert!(error.to_string().contains("logto.endpoint"));
        assert!(!error.safe_text().contains("http"));
    }
}

#[tokio::test]
async fn every_endpoint_lies_on_the_issuers_origin() {
    for member in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "end_session_endpoint",
        "revocation_endpoint",
    ] {
        let fake = FakeLogto::start();
        fake.state().metadata[member] = json!("http://internal.example:3001/oidc/x");
        let error = logto(&fake).metadata_or_fetch().await.unwrap_err();
        assert!(
            matches!(error.kind(), LogtoErrorKind::Misconfigured { .. }),
            "{member}"
        );
        let text = error.to_string();
        assert!(
            text.contains(member) && text.contains("TRUST_PROXY_HEADER"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn odd_documents_are_refused() {
    let fake = FakeLogto::start();
    let mut without_token = metadata(&format!("http://{}", fake.address));
    without_token.as_object_mut().unwrap().remove("token_endpoint");
    for instead in [
        Instead::Answer(200, json!([])),
        Instead::Answer(200, json!({})),
        Instead::Answer(200, without_token),
        Instead::Text(200, "<html>".into()),
        Instead::Answer(404, json!({})),
        Instead::Redirect(format!("http://{}{DISCOVERY}", fake.address)),
    ] {
        fake.state().instead.insert(DISCOVERY, instead.clone());
        let error = logto(&fake).metadata_or_fetch().await.unwrap_err();
        assert!(!error.is_transient(), "{instead:?}");
    }
    assert_eq!(fake.calls(DISCOVERY).len(), 6, "no redirect followed");
}

/// Browsers go to the public address, this proxy to the internal one, and tokens name the public one.
#[tokio::test]
async fn an_internal_endpoint_carries_the_back_channel() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    let issuer = "https://auth.example.com/oidc";
    fake.state().metadata["issuer"] = json!(issuer);
    let mut claims = fake.claims();
    claims["iss"] = json!(issuer);
    fake.hand_out(&key.sign(&claims));
    fake.state().userinfo = json!({ "sub": "user-1" });
    let settings = super::Settings {
        endpoint: address("https://auth.example.com"),
        internal_endpoint: Some(fake.endpoint()),
        userinfo: Userinfo::Always,
        ..settings(&fake)
    };
    let logto = logto_with(settings).0;
    logto.redeem(request()).await.unwrap();
    logto
        .revoke_refresh_token(&SecretText::new("r".into()))
        .await
        .unwrap();
    for path in [DISCOVERY, JWKS, TOKEN, USERINFO, REVOCATION] {
        assert_eq!(fake.calls(path).len(), 1, "{path}");
    }
    let metadata = logto.metadata().unwrap();
    let sign_in = logto.authorization_url(&metadata, &AuthorizationRequest::default());
    assert!(
        sign_in
            .as_str()
            .starts_with("https://auth.example.com/oidc/auth?"),
        "{sign_in}"
    );
    let sign_out = logto
        .end_session_url(&metadata, "https://app.example.com/", None)
        .unwrap();
    assert!(
        sign_out
            .as_str()
            .starts_with("https://auth.example.com/oidc/session/end?"),
        "{sign_out}"
    );
}

#[test]
fn wrong_settings_are_found_without_a_call() {
    let fake = FakeLogto::start();
    let made = |change: &dyn Fn(&mut super::Settings)| {
        let mut settings = settings(&fake);
        change(&mut settings);
        Logto::new(settings, Clock::system(), Tasks::new(), super::Metrics::default()).map(|_| ())
    };
    assert_eq!(made(&|_| {}), Ok(()));
    assert_eq!(
        made(&|settings| settings.app_secrets.clear()),
        Err(SetupError::NoSecret)
    );
    for bad in [
        "ftp://x/",
        "https://user@x/",
        "https://:p@x/",
        "https://x/?q",
        "https://x/#f",
        "data:x",
    ] {
        assert!(
            made(&|settings| settings.endpoint = address(bad)).is_err(),
            "{bad}"
        );
        assert!(
            made(&|settings| settings.internal_endpoint = Some(address(bad))).is_err(),
            "{bad}"
        );
    }
    assert!(made(&|settings| settings.internal_endpoint = Some(address("http://x/path"))).is_err());
    let garbage = rustls::pki_types::CertificateDer::from(vec![0x30, 0x00]);
    assert_eq!(
        made(&|settings| settings.extra_roots = vec![garbage.clone()]),
        Err(SetupError::TrustAnchor)
    );
    assert!(fake.state().calls.is_empty());
}

#[test]
fn the_issuer_follows_the_endpoint() {
    let fake = FakeLogto::start();
    for (endpoint, issuer) in [
        ("https://t.logto.app", "https://t.logto.app/oidc"),
        ("https://t.logto.app/", "https://t.logto.app/oidc"),
        ("https://x.example:3001/auth/", "https://x.example:3001/auth/oidc"),
    ] {
        let settings = super::Settings {
            endpoint: address(endpoint),
            ..settings(&fake)
        };
        assert_eq!(logto_with(settings).0.issuer(), issuer);
    }
}

//! Where browsers are sent, and that TLS is really verified.

use super::fake::FakeLogto;
use super::{APP_ID, address, logto, logto_with, settings};
use crate::logto::{AuthorizationRequest, LogtoErrorKind, RefreshMode};
use crate::tasks::Tasks;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn the_authentication_request_is_complete_and_cannot_be_bent() {
    let fake = FakeLogto::start();
    let logto = logto(&fake);
    let metadata = logto.metadata_or_fetch().await.unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let extra = [
        pair("direct_sign_in", "social:huggingface"),
        pair("ui_locales", "en ja"),
        pair("direct_sign_in", "social:other"),
        pair("redirect_uri", "https://evil.example/"),
        pair("scope", "everything"),
        pair("state", "s2"),
        pair("nonce", "n2"),
        pair("code_challenge_method", "plain"),
        pair("response_type", "token"),
        pair("response_mode", "fragment"),
        pair("request", "x"),
        pair("resource", "https://evil.example/"),
        pair("client_id", "other"),
        pair("prompt", "none"),
        pair("login_hint", "a&b=c d"),
    ];
    let request = AuthorizationRequest {
        state: "the state+/=",
        nonce: "n1",
        code_challenge: "c1",
        prompt: Some("login consent"),
        max_age: Some(Duration::from_secs(300)),
        extra: &extra,
    };
    let url = logto.authorization_url(&metadata, &request);
    assert_eq!(url.origin(), fake.endpoint().origin());
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let query: HashMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(query.len(), pairs.len(), "nothing twice");
    let expected = [
        ("response_type", "code"),
        ("client_id", APP_ID),
        ("redirect_uri", "https://app.example.com/.logto/callback"),
        ("scope", "openid profile email"),
        ("state", "the state+/="),
        ("nonce", "n1"),
        ("code_challenge", "c1"),
        ("code_challenge_method", "S256"),
        ("prompt", "login consent"),
        ("max_age", "300"),
        ("direct_sign_in", "social:huggingface"),
        ("ui_locales", "en ja"),
        ("login_hint", "a&b=c d"),
    ];
    assert_eq!(query.len(), expected.len());
    for (name, value) in expected {
        assert_eq!(query[name], value, "{name}");
    }
}

/// A refresh token buys tokens of what the sign-in asked for, and of nothing else.
#[tokio::test]
async fn resources_are_asked_for_at_the_sign_in() {
    let fake = FakeLogto::start();
    let mut settings = settings(&fake);
    settings.sign_in_resources = vec!["https://api.example.com/".into(), "urn:x:y".into()];
    let logto = logto_with(settings).0;
    let metadata = logto.metadata_or_fetch().await.unwrap();
    let url = logto.authorization_url(&metadata, &AuthorizationRequest::default());
    let asked: Vec<String> = url
        .query_pairs()
        .filter(|(name, _)| name == "resource")
        .map(|(_, value)| value.into_owned())
        .collect();
    assert_eq!(asked, ["https://api.example.com/", "urn:x:y"]);
}

/// Without consent Logto drops `offline_access` and says nothing.
#[tokio::test]
async fn offline_refresh_tokens_take_scope_and_consent() {
    let fake = FakeLogto::start();
    let asked = async |refresh, scopes: &[&str], prompt| {
        let logto = logto_with(super::Settings {
            refresh,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..settings(&fake)
        })
        .0;
        let metadata = logto.metadata_or_fetch().await.unwrap();
        let request = AuthorizationRequest {
            prompt,
            ..AuthorizationRequest::default()
        };
        let url = logto.authorization_url(&metadata, &request);
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        (query["scope"].clone(), query.get("prompt").cloned())
    };
    for (prompt, expected) in [
        (None, "consent"),
        (Some("login"), "login consent"),
        (Some("consent"), "consent"),
        (Some("login consent"), "login consent"),
        (Some("consent login"), "consent login"),
        // A silent request has nobody to ask, and any other word beside it is an error.
        (Some("none"), "none"),
    ] {
        let (scope, sent) = asked(RefreshMode::Offline, &["profile"], prompt).await;
        assert_eq!(scope, "openid profile offline_access");
        assert_eq!(sent.as_deref(), Some(expected), "{prompt:?}");
    }
    let (scope, _) = asked(RefreshMode::Offline, &["offline_access", "email"], None).await;
    assert_eq!(scope, "openid offline_access email");
    for mode in [RefreshMode::Session, RefreshMode::None] {
        for prompt in [None, Some("login"), Some("none")] {
            let (scope, sent) = asked(mode, &["profile"], prompt).await;
            assert_eq!((scope.as_str(), sent.as_deref()), ("openid profile", prompt));
        }
    }
}

#[tokio::test]
async fn signing_out_names_the_client() {
    let fake = FakeLogto::start();
    let logto = logto(&fake);
    let metadata = logto.metadata_or_fetch().await.unwrap();
    let url = logto
        .end_session_url(&metadata, "https://app.example.com/bye?x=1", Some("s"))
        .unwrap();
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query.len(), 3);
    assert_eq!(query["client_id"], APP_ID);
    assert_eq!(
        query["post_logout_redirect_uri"],
        "https://app.example.com/bye?x=1"
    );
    assert_eq!(query["state"], "s");

    let without = FakeLogto::start();
    without
        .state()
        .metadata
        .as_object_mut()
        .unwrap()
        .remove("end_session_endpoint");
    let logto = super::logto(&without);
    let metadata = logto.metadata_or_fetch().await.unwrap();
    assert!(
        logto
            .end_session_url(&metadata, "https://app.example.com/", None)
            .is_none()
    );
}

/// A server with a certificate of a private authority: unreachable until that authority is trusted.
#[tokio::test]
async fn tls_is_verified() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".into()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let der = certificate.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![der.clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let body = super::fake::metadata(&endpoint).to_string();
    Tasks::new().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                seen.push(stream.read_u8().await.unwrap());
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.ok();
        }
    });
    let fake = FakeLogto::start();
    let trusting = super::Settings {
        endpoint: address(&endpoint),
        extra_roots: vec![der],
        ..settings(&fake)
    };
    let not_trusting = super::Settings {
        extra_roots: Vec::new(),
        ..trusting.clone()
    };
    let error = logto_with(not_trusting).0.metadata_or_fetch().await.unwrap_err();
    assert_eq!(error.kind(), &LogtoErrorKind::Unreachable);
    logto_with(trusting).0.metadata_or_fetch().await.unwrap();
}

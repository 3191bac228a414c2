//! Webhooks as Logto sends them.

use aws_lc_rs::hmac;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use logto_proxy::clock::Clock;
use serde_json::json;

/// The signing key, of tests only.
const KEY: &str = "interop-webhook-signing-key";

/// The configuration's section for it.
pub fn section() -> String {
    format!("[webhook]\nsigning_key = \"{KEY}\"")
}

/// Tells the proxy at this address that a user changed: the next request of each of the user's sessions asks Logto.
pub async fn user_changed(proxy: &str, sub: &str) {
    let body = json!({
        "event": "User.Data.Updated",
        "createdAt": Clock::system().now().to_rfc3339(),
        "params": { "userId": sub },
    })
    .to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes());
    let signature: String = hmac::sign(&key, body.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{proxy}/.logto/webhook"))
        .header(CONTENT_TYPE, "application/json")
        .header("logto-signature-sha-256", signature)
        .body(Full::from(body))
        .expect("a well-formed request");
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let answer = client.request(request).await.expect("the proxy answers");
    assert!(
        answer.status() == StatusCode::OK || answer.status() == StatusCode::NO_CONTENT,
        "a webhook was not taken: {answer:?}"
    );
}

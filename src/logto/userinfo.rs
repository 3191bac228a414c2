//! The userinfo endpoint (OpenID Connect Core §5.3): claims that Logto leaves out of ID tokens.
//!
//! The answer is not signed. It counts because it came over TLS for an access token that was issued with a verified ID token,
//! and only when [`verify`](super::verify) finds the same `sub` in it.

use super::error::{Call, LogtoError};
use super::http::{CALL_TIMEOUT, HttpClient};
use super::strict_json;
use crate::secret::SecretText;
use http::StatusCode;
use http::header::HeaderValue;
use serde_json::{Map, Value};
use url::Url;

/// When the userinfo endpoint is asked at a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Userinfo {
    /// When the ID token lacks one of these claims (top-level names).
    WhenNeeded(Vec<String>),
    /// At every sign-in.
    Always,
    /// Never: only the ID token counts.
    Never,
}

impl Userinfo {
    pub(super) fn is_needed(&self, id_token: &Map<String, Value>) -> bool {
        match self {
            Self::WhenNeeded(names) => names.iter().any(|name| !id_token.contains_key(name)),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Claims as the endpoint gave them, not yet tied to a user.
pub(super) struct UnverifiedUserinfo(pub(super) Map<String, Value>);

/// Asks with an access token; a second time when the first attempt met an outage, since a GET changes nothing.
pub(super) async fn fetch(
    http: &HttpClient,
    url: &Url,
    token: &SecretText,
) -> Result<UnverifiedUserinfo, LogtoError> {
    let attempt = || http.call(Call::UserInfo, attempt(http, url, token));
    match attempt().await {
        Err(error) if error.is_transient() => attempt().await,
        result => result,
    }
}

async fn attempt(http: &HttpClient, url: &Url, token: &SecretText) -> Result<UnverifiedUserinfo, LogtoError> {
    let authorization = bearer(token)?;
    let answer = http
        .get(Call::UserInfo, url, Some(authorization), CALL_TIMEOUT)
        .await?;
    match answer.status {
        StatusCode::OK => strict_json::object(&answer.body)
            .map(UnverifiedUserinfo)
            .ok_or(LogtoError::bad_answer(Call::UserInfo, "not a JSON object")),
        StatusCode::UNAUTHORIZED => Err(LogtoError::refused(Call::UserInfo, "invalid_token")),
        StatusCode::FORBIDDEN => Err(LogtoError::refused(Call::UserInfo, "access_denied")),
        _ => Err(LogtoError::bad_answer(
            Call::UserInfo,
            "the userinfo endpoint does not answer 200",
        )),
    }
}

/// An access token as an `Authorization` field (RFC 6750 §2.1).
pub(super) fn bearer(token: &SecretText) -> Result<HeaderValue, LogtoError> {
    let field = SecretText::new(format!("Bearer {}", token.expose()));
    let mut authorization = HeaderValue::from_str(field.expose()).map_err(|_| {
        LogtoError::bad_answer(
            Call::Token,
            "the access token has characters that no header may have",
        )
    })?;
    authorization.set_sensitive(true);
    Ok(authorization)
}

//! Error answers in Logto's two shapes, and what ends a request without an answer.

use ::http::header::WWW_AUTHENTICATE;
use ::http::{HeaderValue, StatusCode};
use serde_json::json;

use super::super::reply::{self, Reply};

/// An OAuth error (RFC 6749 §5.2) with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OidcError {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) description: String,
    /// The value of `WWW-Authenticate`'s scheme, when the answer carries one.
    pub(super) challenge: Option<&'static str>,
}

impl OidcError {
    /// 400 with this code.
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description: description.into(),
            challenge: None,
        }
    }

    /// Every refusal of a grant reads the same, so that nobody learns why.
    pub(super) fn invalid_grant() -> Self {
        Self::new("invalid_grant", "grant request is invalid")
    }

    /// 401: the application is not who it says.
    pub(super) fn invalid_client(by_header: bool) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge: by_header.then_some("Basic"),
            ..Self::new("invalid_client", "client authentication failed")
        }
    }

    /// 401: the access token is not good here.
    pub(super) fn invalid_token() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some("Bearer"),
            ..Self::new("invalid_token", "invalid token provided")
        }
    }

    /// Logto's body: its own `code` and `message` beside OAuth's members, unless `parse_error=false` asks
    /// for OAuth's alone.
    pub(super) fn reply(&self, with_own_members: bool) -> Reply {
        let mut body = json!({"error": self.error, "error_description": self.description});
        if with_own_members && let Some(members) = body.as_object_mut() {
            members.insert("code".into(), json!(format!("oidc.{}", self.error)));
            members.insert("message".into(), json!(self.description));
        }
        let mut reply = reply::json(self.status, &body);
        if let Some(scheme) = self.challenge
            && let Ok(value) = HeaderValue::from_str(&format!(
                "{scheme} realm=\"logto-proxy dev\", error=\"{}\", error_description=\"{}\"",
                self.error, self.description
            ))
        {
            reply.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        reply
    }
}

/// Why a request gets no answer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Randomness or a signature could not be had: 500.
    #[error("the provider could not make a random value or a signature")]
    Internal,
    /// A test wants the connection reset.
    #[error("the connection is reset on purpose")]
    Reset,
}

impl From<aws_lc_rs::error::Unspecified> for Failure {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Internal
    }
}

impl From<getrandom::Error> for Failure {
    fn from(_: getrandom::Error) -> Self {
        Self::Internal
    }
}

/// What a handler gives back.
pub(super) type Outcome = Result<Reply, Failure>;

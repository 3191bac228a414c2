//! What is wrong with a bearer token, as data and as RFC 6750 §3 writes it.
//!
//! Nothing in here holds a token or text that a client chose.

use http::{HeaderValue, StatusCode};
use std::time::Duration;

/// When to come back while Logto does not answer.
const AWAY: Duration = Duration::from_secs(5);
/// When to come back when too much is asked.
const BUSY: Duration = Duration::from_secs(1);

/// Why a bearer token lets nobody pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BearerError {
    /// The field is there more than once, or holds no token (`invalid_request`).
    InvalidRequest,
    /// The token is not good: malformed, over, revoked, for somebody else, or nobody's (`invalid_token`).
    InvalidToken {
        /// The check that failed, for the log: `aud`, `exp`, `signature`, `inactive`, `revoked`, …
        check: &'static str,
    },
    /// The token is good, but not for this (`insufficient_scope`). For the rules to say; nothing here does.
    InsufficientScope {
        /// Scopes that would do. Of the configuration.
        scopes: Vec<String>,
    },
    /// The token could not be judged: Logto is away, or too many tokens are being asked about. Not the caller's fault, so not
    /// a refusal: a 401 would make a program throw a good token away.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
}

impl BearerError {
    pub(super) const fn away() -> Self {
        Self::Unavailable { retry_after: AWAY }
    }

    pub(super) const fn busy() -> Self {
        Self::Unavailable { retry_after: BUSY }
    }

    /// The status of the answer (RFC 6750 §3.1).
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::InvalidToken { .. } => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope { .. } => StatusCode::FORBIDDEN,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error code (RFC 6750 §3.1).
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest => Some("invalid_request"),
            Self::InvalidToken { .. } => Some("invalid_token"),
            Self::InsufficientScope { .. } => Some("insufficient_scope"),
            Self::Unavailable { .. } => None,
        }
    }

    /// What happened, for whoever sent the token.
    pub const fn description(&self) -> &'static str {
        match self {
            Self::InvalidRequest => "one Authorization field with one token is expected",
            Self::InvalidToken { .. } => {
                "the access token is malformed, expired, revoked or not for this service"
            }
            Self::InsufficientScope { .. } => "the access token is not for this",
            Self::Unavailable { .. } => "the access token cannot be judged now; it may be good",
        }
    }

    /// What happened, for the log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidRequest => "request",
            Self::InvalidToken { check } => check,
            Self::InsufficientScope { .. } => "scope",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// Seconds for `Retry-After`.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Unavailable { retry_after } => Some(retry_after.as_secs()),
            _ => None,
        }
    }

    /// The value of `WWW-Authenticate`; `None` where there is nothing to prove.
    pub fn challenge(&self) -> Option<HeaderValue> {
        let code = self.code()?;
        let text = match self {
            Self::InvalidRequest | Self::InvalidToken { .. } => {
                format!(
                    r#"Bearer error="{code}", error_description="{}""#,
                    self.description()
                )
            }
            Self::InsufficientScope { scopes }
                if scopes.iter().all(|scope| is_scope(scope)) && !scopes.is_empty() =>
            {
                format!(r#"Bearer error="{code}", scope="{}""#, scopes.join(" "))
            }
            Self::InsufficientScope { .. } | Self::Unavailable { .. } => format!(r#"Bearer error="{code}""#),
        };
        HeaderValue::from_str(&text).ok()
    }

    /// The challenge to a request without a token: no error, since none was made (RFC 6750 §3.1).
    pub const fn challenge_without_token() -> HeaderValue {
        HeaderValue::from_static("Bearer")
    }
}

/// RFC 6749 §3.3.
fn is_scope(scope: &str) -> bool {
    let fits = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
    !scope.is_empty() && scope.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_answer() {
        let scopes = |scopes: &[&str]| BearerError::InsufficientScope {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        };
        for (error, status, challenge) in [
            (
                BearerError::InvalidRequest,
                400,
                Some("Bearer error=\"invalid_request\""),
            ),
            (
                BearerError::InvalidToken { check: "aud" },
                401,
                Some("Bearer error=\"invalid_token\""),
            ),
            (
                scopes(&["read", "a:b"]),
                403,
                Some("Bearer error=\"insufficient_scope\", scope=\"read a:b\""),
            ),
            (scopes(&[]), 403, Some("Bearer error=\"insufficient_scope\"")),
            (
                scopes(&["a\"b"]),
                403,
                Some("Bearer error=\"insufficient_scope\""),
            ),
            (BearerError::away(), 503, None),
        ] {
            assert_eq!(error.status().as_u16(), status, "{error:?}");
            let written = error.challenge();
            assert_eq!(written.is_some(), challenge.is_some(), "{error:?}");
            if let (Some(written), Some(challenge)) = (written, challenge) {
                let written = written.to_str().unwrap().to_owned();
                assert!(written.starts_with(challenge), "{written}");
                assert!(!written.contains("a\"b"), "{written}");
            }
            assert_eq!(error.retry_after().is_some(), status == 503);
            assert_eq!(error.code().is_some(), status != 503);
        }
    }
}

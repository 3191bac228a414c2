//! What can go wrong between this proxy and Logto: what happened, whose fault it is, may it be tried again, and what may be shown.
//!
//! Nothing in here can hold a token, code, secret, or text chosen by Logto or by a browser: an error code from an answer is
//! kept only when it is a short lower-case word, descriptions are dropped. So no error of this module can leak or inject.

use std::fmt;

/// A call to Logto, named for logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Fetching the provider metadata (OpenID Connect Discovery 1.0 §4).
    Discovery,
    /// Fetching the JSON Web Key Set (RFC 7517 §5).
    Keys,
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// The userinfo endpoint (OpenID Connect Core §5.3).
    UserInfo,
    /// The revocation endpoint (RFC 7009).
    Revocation,
    /// Not a call to Logto but one from it: a logout token (OpenID Connect Back-Channel Logout 1.0 §2.5).
    LogoutToken,
}

impl Call {
    /// A short lower-case word for logs and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "keys",
            Self::Token => "token",
            Self::UserInfo => "userinfo",
            Self::Revocation => "revocation",
            Self::LogoutToken => "logout_token",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogtoErrorKind {
    /// No connection, or TLS failed: nothing was sent.
    Unreachable,
    /// The connection broke before the answer was whole. Logto may have done what it was asked all the same.
    Interrupted,
    /// No whole answer within the time allowed.
    Timeout,
    /// Logto answered with a 5xx status, or 429.
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// Nothing was sent: Logto was away a moment ago, and calls to it are held back.
    Away,
    /// Logto answered with something that its specification does not allow.
    BadAnswer {
        /// What was wrong with the answer.
        what: &'static str,
    },
    /// Logto refused the request with an OAuth error (RFC 6749 §5.2, RFC 6750 §3.1).
    Refused {
        /// The error code, such as `invalid_grant`. Never the description.
        error: String,
    },
    /// The settings of this proxy and those of Logto do not fit together; an operator must act.
    Misconfigured {
        /// What does not fit, and the remedy.
        what: String,
    },
    /// A token of Logto's did not pass a check.
    InvalidToken {
        /// The check, as the claim or header it looks at: `iss`, `aud`, `signature`, `nonce`, …
        check: &'static str,
    },
}

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The browser sent something stale or wrong; signing in again helps.
    Client,
    /// The operator of this proxy: its settings or Logto's are wrong.
    Operator,
    /// Logto, or the way to it.
    Logto,
}

/// A failed call to Logto, or a token that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogtoError {
    kind: LogtoErrorKind,
    call: Call,
}

impl std::error::Error for LogtoError {}

/// Longest error code kept from an answer, in bytes. RFC 6749's longest is 25.
const LONGEST_ERROR_CODE: usize = 48;

impl LogtoError {
    pub(super) const fn new(call: Call, kind: LogtoErrorKind) -> Self {
        Self { kind, call }
    }

    pub(super) const fn bad_answer(call: Call, what: &'static str) -> Self {
        Self::new(call, LogtoErrorKind::BadAnswer { what })
    }

    pub(super) const fn invalid_token(call: Call, check: &'static str) -> Self {
        Self::new(call, LogtoErrorKind::InvalidToken { check })
    }

    pub(super) fn misconfigured(call: Call, what: impl Into<String>) -> Self {
        Self::new(call, LogtoErrorKind::Misconfigured { what: what.into() })
    }

    /// A refusal. A code that is not a short lower-case word is replaced, since it comes from outside and goes to logs.
    pub(super) fn refused(call: Call, error: &str) -> Self {
        let well_formed = !error.is_empty()
            && error.len() <= LONGEST_ERROR_CODE
            && error
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let error = if well_formed { error } else { "unknown_error" };
        Self::new(
            call,
            LogtoErrorKind::Refused {
                error: error.to_owned(),
            },
        )
    }

    /// What happened.
    pub const fn kind(&self) -> &LogtoErrorKind {
        &self.kind
    }

    /// The call that failed.
    pub const fn call(&self) -> Call {
        self.call
    }

    /// Who has to act.
    pub fn fault(&self) -> Fault {
        match &self.kind {
            LogtoErrorKind::Unreachable
            | LogtoErrorKind::Interrupted
            | LogtoErrorKind::Timeout
            | LogtoErrorKind::ServerError { .. }
            | LogtoErrorKind::Away
            | LogtoErrorKind::BadAnswer { .. } => Fault::Logto,
            LogtoErrorKind::Misconfigured { .. } => Fault::Operator,
            LogtoErrorKind::Refused { error } => match error.as_str() {
                "invalid_grant" | "access_denied" | "invalid_token" => Fault::Client,
                _ => Fault::Operator,
            },
            // A wrong nonce is what a mixed-up or injected sign-in looks like; the rest only Logto or a wrong clock can cause.
            LogtoErrorKind::InvalidToken { check: "nonce" } => Fault::Client,
            LogtoErrorKind::InvalidToken { .. } => Fault::Logto,
        }
    }

    /// True when the same thing may work in a moment: an outage, not a refusal. It does not mean that the same call may
    /// be sent again: a code whose exchange broke off has an unknown fate.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            LogtoErrorKind::Unreachable
                | LogtoErrorKind::Interrupted
                | LogtoErrorKind::Timeout
                | LogtoErrorKind::ServerError { .. }
                | LogtoErrorKind::Away
        )
    }

    /// A short word for a metric label: the kind alone, so that the number of labels is fixed.
    pub const fn reason(&self) -> &'static str {
        match &self.kind {
            LogtoErrorKind::Unreachable => "unreachable",
            LogtoErrorKind::Interrupted => "interrupted",
            LogtoErrorKind::Timeout => "timeout",
            LogtoErrorKind::ServerError { .. } => "server_error",
            LogtoErrorKind::Away => "away",
            LogtoErrorKind::BadAnswer { .. } => "bad_answer",
            LogtoErrorKind::Refused { .. } => "refused",
            LogtoErrorKind::Misconfigured { .. } => "misconfigured",
            LogtoErrorKind::InvalidToken { .. } => "invalid_token",
        }
    }

    /// A sentence for the person in front of the browser. Names no host, setting or check.
    pub fn safe_text(&self) -> &'static str {
        match &self.kind {
            LogtoErrorKind::Unreachable
            | LogtoErrorKind::Interrupted
            | LogtoErrorKind::Timeout
            | LogtoErrorKind::ServerError { .. }
            | LogtoErrorKind::Away => "The sign-in service cannot be reached at the moment.",
            LogtoErrorKind::Refused { error } => match error.as_str() {
                "invalid_grant" | "invalid_token" => "This sign-in is no longer valid. Please sign in again.",
                "access_denied" => "The sign-in service says that this account has no access.",
                _ => "The sign-in service refused this application.",
            },
            LogtoErrorKind::Misconfigured { .. } => "Sign-in is not set up correctly.",
            LogtoErrorKind::BadAnswer { .. } => {
                "The sign-in service gave an answer that could not be understood."
            }
            LogtoErrorKind::InvalidToken { .. } => "The answer of the sign-in service could not be verified.",
        }
    }
}

/// For the operator: which call, what happened, and where there is one the remedy.
impl fmt::Display for LogtoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.call.name();
        match &self.kind {
            LogtoErrorKind::Unreachable => write!(formatter, "Logto cannot be reached ({call})"),
            LogtoErrorKind::Interrupted => write!(formatter, "the connection to Logto broke ({call})"),
            LogtoErrorKind::Timeout => write!(formatter, "Logto did not answer in time ({call})"),
            LogtoErrorKind::ServerError { status } => write!(formatter, "Logto answered {status} ({call})"),
            LogtoErrorKind::Away => write!(
                formatter,
                "Logto was away a moment ago, so it was not asked ({call})"
            ),
            LogtoErrorKind::BadAnswer { what } => {
                write!(formatter, "Logto's answer was not usable: {what} ({call})")
            }
            LogtoErrorKind::Refused { error } => write!(formatter, "Logto refused: {error} ({call})"),
            LogtoErrorKind::Misconfigured { what } => write!(formatter, "{what} ({call})"),
            LogtoErrorKind::InvalidToken { check } => {
                write!(
                    formatter,
                    "Logto's token was refused: check of {check} failed ({call})"
                )?;
                if matches!(*check, "exp" | "iat" | "nbf" | "auth_time") {
                    formatter.write_str("; is the clock of this machine right?")?;
                }
                Ok(())
            }
        }
    }
}

/// Settings that no [`Logto`](super::Logto) can be made of. Found when it is made, before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// An address of Logto is not usable.
    #[error("{setting}: {what}")]
    Address {
        /// `logto.endpoint` or `logto.internal_endpoint`.
        setting: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no client secret, and this proxy is a confidential client.
    #[error("logto.app_secret: at least one secret is needed")]
    NoSecret,
    /// An additional trust anchor could not be used.
    #[error("logto.ca_file: a certificate in it cannot be used as a trust anchor")]
    TrustAnchor,
    /// The TLS library refused its own defaults.
    #[error("TLS could not be set up")]
    Tls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_from_outside_is_a_word_or_nothing() {
        for hostile in ["", "a b", "<script>", "A", "x\r\ny", &"a".repeat(49), "h\u{e9}"] {
            let error = LogtoError::refused(Call::Token, hostile);
            assert_eq!(
                error.kind(),
                &LogtoErrorKind::Refused {
                    error: "unknown_error".into()
                }
            );
        }
        assert!(
            LogtoError::refused(Call::Token, "invalid_grant")
                .to_string()
                .contains("invalid_grant")
        );
    }

    #[test]
    fn only_outages_are_transient() {
        assert!(LogtoError::new(Call::Keys, LogtoErrorKind::Timeout).is_transient());
        assert!(LogtoError::new(Call::Token, LogtoErrorKind::Away).is_transient());
        assert!(LogtoError::new(Call::Keys, LogtoErrorKind::ServerError { status: 502 }).is_transient());
        assert!(!LogtoError::refused(Call::Token, "invalid_grant").is_transient());
        assert!(!LogtoError::invalid_token(Call::Token, "nonce").is_transient());
    }

    #[test]
    fn faults_point_at_who_must_act() {
        assert_eq!(
            LogtoError::refused(Call::Token, "invalid_grant").fault(),
            Fault::Client
        );
        assert_eq!(
            LogtoError::refused(Call::Token, "invalid_scope").fault(),
            Fault::Operator
        );
        assert_eq!(
            LogtoError::invalid_token(Call::Token, "nonce").fault(),
            Fault::Client
        );
        assert_eq!(
            LogtoError::invalid_token(Call::Token, "signature").fault(),
            Fault::Logto
        );
        assert_eq!(
            LogtoError::new(Call::Token, LogtoErrorKind::Unreachable).fault(),
            Fault::Logto
        );
    }
}

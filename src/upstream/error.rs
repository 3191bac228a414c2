//! What can go wrong between the proxy and the app, and whose fault it is.
//!
//! Nothing here holds a byte of the request or the answer, so every error may be logged.

use crate::http::body::BodyError;
use ::http::StatusCode;
use std::io;

/// Why a request got no answer that can be passed on.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The app's name or address could not be connected to.
    #[error("the upstream refused the connection or cannot be reached")]
    Refused(#[source] io::Error),
    /// Connecting took longer than `connect_timeout`.
    #[error("connecting to the upstream took too long")]
    ConnectTimeout,
    /// The TLS handshake failed, or the certificate is not trusted.
    #[error("the TLS handshake with the upstream failed")]
    Tls(#[source] io::Error),
    /// The connection ended before an answer had begun.
    #[error("the upstream closed the connection without an answer")]
    Reset(#[source] hyper::Error),
    /// The app did not begin its answer within `response_header_timeout`.
    #[error("the upstream did not answer in time")]
    ResponseTimeout,
    /// The answer is not HTTP/1.1, or not one that can be passed on.
    #[error("the upstream's answer is invalid: {reason}")]
    BadResponse {
        /// Which rule it breaks; a fixed text.
        reason: &'static str,
        /// What the parser said, where it was the parser.
        #[source]
        source: Option<hyper::Error>,
    },
    /// The client's body ended before its end, was malformed, or exceeded a limit.
    #[error("the client's request body failed")]
    RequestBody(#[source] BodyError),
    /// The client sent nothing more of its body for `request_body_timeout`.
    #[error("the client's request body did not arrive in time")]
    RequestBodyTimeout,
}

/// Whose fault an [`UpstreamError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client's: it failed to send the request it had begun.
    Client,
    /// The app's, or the network's on the way to it.
    Upstream,
}

impl UpstreamError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::RequestBody(_) | Self::RequestBodyTimeout => Fault::Client,
            _ => Fault::Upstream,
        }
    }

    /// The status that says so to the client (RFC 9110 §15.5, §15.6): 400, 408, 413, 502 or 504.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::RequestBody(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestBody(_) => StatusCode::BAD_REQUEST,
            Self::RequestBodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::ConnectTimeout | Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Refused(_) | Self::Tls(_) | Self::Reset(_) | Self::BadResponse { .. } => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// A fixed word for metrics and logs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls(_) => "tls",
            Self::Reset(_) => "reset",
            Self::ResponseTimeout => "response_timeout",
            Self::BadResponse { .. } => "bad_response",
            Self::RequestBody(_) => "request_body",
            Self::RequestBodyTimeout => "request_body_timeout",
        }
    }

    /// An answer that breaks one of our rules.
    pub(super) const fn bad_response(reason: &'static str) -> Self {
        Self::BadResponse { reason, source: None }
    }

    /// What hyper's error means when no answer had begun.
    pub(super) fn from_exchange(error: hyper::Error) -> Self {
        if error.is_parse() {
            Self::BadResponse {
                reason: "its head cannot be parsed",
                source: Some(error),
            }
        } else {
            Self::Reset(error)
        }
    }
}

//! Why a request is refused before anyone asks who sent it.

use ::http::StatusCode;

/// A message that is refused as it stands. The connection is closed after the answer, since what follows on
/// it cannot be trusted to be where it seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The request target has a form that a reverse proxy does not serve (RFC 9112 §3.2).
    #[error("the request target is not a path")]
    Target,
    /// The path can be read in more than one way.
    #[error("the path is ambiguous")]
    AmbiguousPath,
    /// The request target is longer than `limits.target_bytes`.
    #[error("the request target is too long")]
    TargetTooLong,
    /// There is not exactly one valid Host, or it differs from the target's (RFC 9112 §3.2).
    #[error("the Host field is missing, repeated or malformed")]
    Host,
    /// This host is not served here.
    #[error("this host is not served here")]
    MisdirectedHost,
    /// Content-Length and Transfer-Encoding do not say plainly where the body ends (RFC 9112 §6).
    #[error("the length of the body is ambiguous")]
    Framing,
    /// CONNECT and TRACE are not served.
    #[error("this method is not served")]
    Method,
    /// The field section is larger than `limits.header_bytes` or has more than `limits.headers` lines.
    #[error("the header is too large")]
    HeaderTooLarge,
    /// A WebSocket handshake that RFC 6455 §4.2.1 does not allow.
    #[error("the WebSocket handshake is malformed")]
    Upgrade,
    /// A WebSocket version other than 13 (RFC 6455 §4.4).
    #[error("only WebSocket version 13 is served")]
    UpgradeVersion,
    /// A WebSocket handshake from a page of another origin.
    #[error("WebSocket connections from other origins are refused")]
    UpgradeOrigin,
    /// An Expect other than `100-continue` (RFC 9110 §10.1.1).
    #[error("this expectation cannot be met")]
    Expectation,
    /// A peer that is not trusted asks whether a request may pass.
    #[error("only peers in trusted_proxies may ask whether a request may pass")]
    CheckPeer,
    /// A trusted peer asks, and does not say plainly about which request.
    #[error("the request to check is not described, or not in one way only")]
    CheckDescription,
    /// The request that a peer describes is refused as it stands, and the peer knows no other answer, or would hand on to the
    /// app what is not for it.
    #[error("the described request is ambiguous or not served")]
    Described,
    /// The request that a peer describes is for one of the proxy's own URLs.
    #[error("this path belongs to the proxy, and requests for it must come here")]
    DescribedEndpoint,
    /// The body is larger than `limits.body_bytes`.
    #[error("the body is too large")]
    BodyTooLarge,
}

impl Reject {
    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Target
            | Self::AmbiguousPath
            | Self::Host
            | Self::Framing
            | Self::Upgrade
            | Self::CheckDescription => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::MisdirectedHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UpgradeVersion => StatusCode::UPGRADE_REQUIRED,
            Self::UpgradeOrigin | Self::CheckPeer | Self::Described | Self::DescribedEndpoint => {
                StatusCode::FORBIDDEN
            }
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// One word for programs and the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Target => "bad_target",
            Self::AmbiguousPath => "ambiguous_path",
            Self::TargetTooLong => "target_too_long",
            Self::Host => "bad_host",
            Self::MisdirectedHost => "misdirected_host",
            Self::Framing => "ambiguous_framing",
            Self::Method => "method_not_allowed",
            Self::HeaderTooLarge => "header_too_large",
            Self::Upgrade => "bad_upgrade",
            Self::UpgradeVersion => "websocket_version",
            Self::UpgradeOrigin => "websocket_origin",
            Self::Expectation => "expectation_failed",
            Self::CheckPeer => "untrusted_peer",
            Self::CheckDescription => "bad_description",
            Self::Described => "described_request",
            Self::DescribedEndpoint => "own_endpoint",
            Self::BodyTooLarge => "body_too_large",
        }
    }
}

//! Pure helpers over HTTP messages: no I/O, no configuration, no clock.
//!
//! Everything a request is judged by is read here, once, from the bytes that are also forwarded. Each file
//! stops one family of attacks and says which. The `http` crate is `::http`; this module is `crate::http`.

pub mod body;
pub mod cookies;
pub mod cors;
pub mod folding;
pub mod forwarded;
pub mod framing;
pub mod grpc;
pub mod hop_by_hop;
pub mod host;
pub mod method_override;
pub mod navigation;
pub mod request_id;
pub mod rewrite;
pub mod target;
pub mod upgrade;
pub mod user_agent;

pub use body::{Body, BodyError, ReadError, read_limited};
pub use folding::{fold, folded_equals, folded_starts_with};
pub use forwarded::{Client, Peer, PublicOrigin, TrustedProxies};
pub use framing::{FramingError, check_framing};
pub use hop_by_hop::remove_hop_by_hop;
pub use host::{HostAndPort, HostError, request_host};
pub use navigation::{Audience, Language};
pub use rewrite::Rewrite;
pub use target::{Ambiguity, AmbiguousPath, Certain, RequestTarget, TargetError};
pub use upgrade::{Upgrade, UpgradeError, requested_upgrade};

/// Takes spaces and tabs off both ends: HTTP's optional whitespace (RFC 9110 §5.6.3) and nothing more.
///
/// The standard library also trims form feeds and line breaks, which other parsers keep.
fn trim_optional_whitespace(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The items of a comma-separated field over all its lines, trimmed, empty ones left out (RFC 9110 §5.6.1).
///
/// Commas inside quoted strings split too: no field read this way has a use for them.
fn list_items<'a>(
    headers: &'a ::http::HeaderMap,
    name: &::http::HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(trim_optional_whitespace)
        .filter(|item| !item.is_empty())
}

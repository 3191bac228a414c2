//! `[assertion]`.

use crate::secret::SecretText;
use ::http::HeaderName;
use std::time::Duration;

/// `[assertion]`, where there is a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertionConfig {
    /// One or two private EC keys on P-256, in PEM or as JWK, the one that signs in front.
    pub keys: Vec<SecretText>,
    /// The header; never one that forwarding depends on.
    pub header: HeaderName,
    /// How long an assertion lasts; at least 10 s, at most 1 h.
    pub ttl: Duration,
    /// `iss`: not empty.
    pub issuer: String,
    /// `aud`, where a route has none of its own; `None`: the route.
    pub audience: Option<String>,
}

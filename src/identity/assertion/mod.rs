//! The identity assertion: a short-lived JWT that says who a request is from, for apps that do not trust the network between
//! them and the proxy.
//!
//! Promises ES256 by a key of its own, which signs nothing else; an audience for each route, so that what one app is sent is
//! no use at another; claims that can overwrite nothing which the assertion says itself; an end no later than that of the
//! session. Stops whoever can reach the app past the proxy, or can write headers on the way. Refuses to know sessions and
//! routes.

mod cache;
mod key;

pub use key::{AssertionKey, BadAssertionKey};

use super::claims::Claims;
use crate::clock::UnixSeconds;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cache::{Cache, Fingerprint};
use http::HeaderValue;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// What an assertion says itself, and what would tell a recipient something about a token: no claim of the user's gets through
/// under these names (RFC 7519 §4.1, RFC 7800, RFC 8693, OpenID Connect Core §2).
const OWN_CLAIMS: [&str; 20] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "azp",
    "nonce",
    "auth_time",
    "at_hash",
    "c_hash",
    "s_hash",
    "acr",
    "amr",
    "act",
    "may_act",
    "cnf",
    "client_id",
    "scope",
];

/// How assertions are made.
#[derive(Debug)]
pub struct AssertionSettings {
    /// The first signs, all are published. Never empty.
    pub keys: Vec<AssertionKey>,
    /// `iss`.
    pub issuer: String,
    /// How long one lasts.
    pub ttl: Duration,
}

/// Makes assertions.
pub struct Assertions {
    settings: AssertionSettings,
    /// `{"alg":"ES256",…}.` encoded, with the dot.
    head: String,
    cache: Cache,
}

/// Who an assertion is about.
#[derive(Debug, Clone, Copy)]
pub enum Asserted<'a> {
    /// A user.
    User {
        /// Claim `sub`.
        subject: &'a str,
        /// What Logto says of the user: a JSON object.
        claims: &'a [u8],
    },
    /// A program with an account of its own. It has no `sub`, so that no app takes it for a user.
    Program {
        /// Claim `client_id`.
        client_id: &'a str,
    },
}

impl Assertions {
    /// Prepares the signing. `None`: there is no key.
    pub fn new(settings: AssertionSettings) -> Option<Self> {
        let kid = settings.keys.first()?.kid();
        let head = json!({"alg": "ES256", "kid": kid, "typ": "JWT"}).to_string();
        Some(Self {
            head: format!("{}.", URL_SAFE_NO_PAD.encode(head)),
            settings,
            cache: Cache::default(),
        })
    }

    /// The public keys, for whoever checks assertions (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        let keys: Vec<&Value> = self.settings.keys.iter().map(AssertionKey::jwk).collect();
        json!({ "keys": keys })
    }

    /// An assertion for an audience, valid to `ends_at` at most: one made before, as long as half its time is left, or a new
    /// one. `None`: `ends_at` is past, or it could not be signed.
    pub fn make(
        &self,
        audience: &str,
        asserted: Asserted<'_>,
        ends_at: UnixSeconds,
        now: UnixSeconds,
    ) -> Option<HeaderValue> {
        let fingerprint = fingerprint(audience, asserted, ends_at);
        if let Some(assertion) = self.cache.get(&fingerprint, now) {
            return Some(assertion);
        }
        let expires_at = now.plus(self.settings.ttl).min(ends_at);
        if expires_at <= now {
            return None;
        }
        let payload = self.payload(audience, asserted, now, expires_at);
        let assertion = self.sign(&payload)?;
        let reuse_until = now.plus(self.settings.ttl / 2).min(expires_at);
        self.cache.put(fingerprint, &assertion, now, reuse_until);
        Some(assertion)
    }

    fn payload(
        &self,
        audience: &str,
        asserted: Asserted<'_>,
        now: UnixSeconds,
        expires_at: UnixSeconds,
    ) -> Map<String, Value> {
        let mut payload = match asserted {
            Asserted::User { claims, .. } => {
                Claims::from_json(claims).map_or_else(Map::new, Claims::into_members)
            }
            Asserted::Program { .. } => Map::new(),
        };
        payload.retain(|name, value| !OWN_CLAIMS.contains(&name.as_str()) && !value.is_null());
        let (name, who) = match asserted {
            Asserted::User { subject, .. } => ("sub", subject),
            Asserted::Program { client_id } => ("client_id", client_id),
        };
        let own = [
            ("iss", Value::from(self.settings.issuer.as_str())),
            ("aud", Value::from(audience)),
            (name, Value::from(who)),
            ("iat", Value::from(now.as_u64())),
            ("exp", Value::from(expires_at.as_u64())),
        ];
        payload.extend(own.map(|(name, value)| (name.to_owned(), value)));
        payload
    }

    fn sign(&self, payload: &Map<String, Value>) -> Option<HeaderValue> {
        let payload = serde_json::to_vec(payload).ok()?;
        let mut assertion = self.head.clone();
        URL_SAFE_NO_PAD.encode_string(payload, &mut assertion);
        let signature = self
            .settings
            .keys
            .first()?
            .sign(assertion.as_bytes())
            .inspect_err(|_| tracing::error!("an identity assertion could not be signed"))
            .ok()?;
        assertion.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut assertion);
        let mut value = HeaderValue::try_from(assertion).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl std::fmt::Debug for Assertions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Assertions").field(&self.settings).finish()
    }
}

/// Of all that an assertion says but its times. Whatever changes what is said makes another assertion.
fn fingerprint(audience: &str, asserted: Asserted<'_>, ends_at: UnixSeconds) -> Fingerprint {
    let (kind, who, claims) = match asserted {
        Asserted::User { subject, claims } => (b"user", subject, claims),
        Asserted::Program { client_id } => (b"prog", client_id, &[][..]),
    };
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update(ends_at.as_u64().to_be_bytes());
    for part in [audience.as_bytes(), who.as_bytes(), claims] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;

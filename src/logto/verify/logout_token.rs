//! Proving logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4 to §2.6).
//!
//! It stops forged, stale and foreign logout tokens, and ID tokens and access tokens passed off as one (`typ`, `events`,
//! `nonce`). Whether a token was used before (`jti`) is for the caller to
//! remember; [`LogoutToken::refused_from`] bounds for how long.

use super::super::keys::KeySet;
use super::jws::{UnprovedJws, identifier, time};
use super::{LEEWAY, Refusal, Verified};
use crate::clock::UnixSeconds;
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// The type of a logout token (§2.4). Logto names it, so it is required: no other token of Logto's has it.
const TYPE: &str = "logout+jwt";
/// Oldest token that is accepted. Logto's end after 120 s by themselves.
const OLDEST: Duration = Duration::from_secs(600);
/// The one event of a logout token (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Logto's word that sessions are over.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutToken {
    /// The user, 1 to 255 characters. This or `sid`, or both.
    pub subject: Option<String>,
    /// The session at Logto, 1 to 255 characters. When it is there, only sessions of it are meant.
    pub sid: Option<String>,
    /// What makes the token unique, 1 to 255 characters.
    pub jti: String,
    /// When it was made.
    pub issued_at: UnixSeconds,
    /// From then on this token is refused by its age, so that its `jti` need not be remembered.
    pub refused_from: UnixSeconds,
}

/// Says nothing: who signs out when is personal.
impl fmt::Debug for LogoutToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LogoutToken")
    }
}

/// Who a logout token must be from and for, and when.
pub(in crate::logto) struct Audience<'a> {
    pub(in crate::logto) issuer: &'a str,
    pub(in crate::logto) client_id: &'a str,
    pub(in crate::logto) now: UnixSeconds,
}

/// A logout token that is right in everything but perhaps its signature.
pub(in crate::logto) struct UnprovedLogoutToken<'a> {
    content: LogoutToken,
    jws: UnprovedJws<'a>,
}

impl<'a> UnprovedLogoutToken<'a> {
    /// Checks all that needs no key. Fails with the name of the check.
    pub(in crate::logto) fn read(token: &'a str, audience: &Audience<'_>) -> Result<Self, &'static str> {
        // 1., 6. Encryption is not negotiated; the type, and no algorithm that shares a key.
        let (jws, claims) = UnprovedJws::read(token, TYPE)?;
        let content = read_claims(&claims, audience)?;
        Ok(Self { content, jws })
    }

    /// When it says that it was made.
    pub(in crate::logto) const fn issued_at(&self) -> UnixSeconds {
        self.content.issued_at
    }

    /// 2. The signature fits, by a key of Logto's and one of that key's algorithms.
    pub(in crate::logto) fn prove(&self, keys: &KeySet) -> Result<Verified<LogoutToken>, Refusal> {
        self.jws.prove(keys)?;
        Ok(Verified(self.content.clone()))
    }
}

fn read_claims(claims: &Map<String, Value>, audience: &Audience<'_>) -> Result<LogoutToken, &'static str> {
    let now = audience.now;
    let latest = now.plus(LEEWAY);

    // 3. `iss`, `aud`, `iat` and `exp` as in an ID token (OpenID Connect Core §3.1.3.7).
    if claims.get("iss").and_then(Value::as_str) != Some(audience.issuer) {
        return Err("iss");
    }
    let is_us = |value: &Value| value.as_str() == Some(audience.client_id);
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => !audiences.is_empty() && audiences.iter().all(is_us),
        Some(one) => is_us(one),
        None => false,
    };
    if !is_for_us {
        return Err("aud");
    }
    if claims.get("azp").is_some_and(|party| !is_us(party)) {
        return Err("azp");
    }
    let issued_at = time(claims, "iat").ok_or("iat")?;
    let expires_at = time(claims, "exp").ok_or("exp")?;
    if issued_at > latest {
        return Err("iat");
    }
    let refused_from = expires_at.plus(LEEWAY);
    if refused_from <= now {
        return Err("exp");
    }
    let refused_from = refused_from.min(issued_at.plus(OLDEST));
    if refused_from <= now {
        return Err("iat");
    }
    if claims.contains_key("nbf") && time(claims, "nbf").is_none_or(|from| from > latest) {
        return Err("nbf");
    }

    // 4. `sub` or `sid`, or both.
    let subject = identifier(claims, "sub")?;
    let sid = identifier(claims, "sid")?;
    if subject.is_none() && sid.is_none() {
        return Err("sub");
    }

    // 5. The event of a logout, whose value is an object.
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err("events");
    }

    // 6. No `nonce`: with one it would be an ID token.
    if claims.contains_key("nonce") {
        return Err("nonce");
    }

    // 7. `jti` is there; whether it was seen before is for the caller to know.
    let jti = identifier(claims, "jti")?.ok_or("jti")?;
    Ok(LogoutToken {
        subject,
        sid,
        jti,
        issued_at,
        refused_from,
    })
}

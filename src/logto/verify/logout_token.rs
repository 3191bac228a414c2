//! Proving logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4 to §2.6).
//!
//! Anybody can post one, so everything that needs no key is checked first, and nothing is believed before the signature. It
//! stops forged, stale and foreign logout tokens, ID tokens and access tokens passed off as one (`typ`, `events`, `nonce`),
//! and logout tokens that two readers could read differently. Whether a token was used before (`jti`) is for the caller to
//! remember; [`LogoutToken::refused_from`] bounds for how long.

use super::super::key::SigningKey;
use super::super::keys::KeySet;
use super::super::strict_json;
use super::{LEEWAY, Refusal, Verified, is_identifier};
use crate::clock::UnixSeconds;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::core::CoreJwsSigningAlgorithm as Algorithm;
use openidconnect::{JsonWebKey as _, JsonWebKeyUse as _, JwsSigningAlgorithm as _};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// Longest token that is looked at, in bytes. Logto's are below 1,000.
const LONGEST_TOKEN: usize = 16 * 1024;
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
    algorithm: Algorithm,
    kid: Option<String>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> UnprovedLogoutToken<'a> {
    /// Checks all that needs no key. Fails with the name of the check.
    pub(in crate::logto) fn read(token: &'a str, audience: &Audience<'_>) -> Result<Self, &'static str> {
        if token.len() > LONGEST_TOKEN {
            return Err("size");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("format")?;
        let (header, payload) = signed.split_once('.').ok_or("format")?;
        // 1. Encryption is not negotiated: a token of five parts has dots where base64 has none.
        let signature = decoded(signature)?;
        let header = strict_json::object(&decoded(header)?).ok_or("format")?;
        let claims = strict_json::object(&decoded(payload)?).ok_or("format")?;
        let (algorithm, kid) = read_header(&header)?;
        let content = read_claims(&claims, audience)?;
        Ok(Self {
            content,
            algorithm,
            kid,
            signed,
            signature,
        })
    }

    /// 2. The signature fits, by a key of Logto's and one of that key's algorithms.
    pub(in crate::logto) fn prove(&self, keys: &KeySet) -> Result<Verified<LogoutToken>, Refusal> {
        let fits = |key: &&SigningKey| {
            let kid = key.key_id().map(|kid| kid.as_str());
            self.kid.as_ref().is_none_or(|named| kid == Some(named))
                && key.key_use().is_none_or(|key_use| key_use.allows_signature())
                && key.algorithms().contains(&self.algorithm)
        };
        let mut candidates = keys.keys().iter().filter(fits);
        let key = candidates.next().ok_or(Refusal::UnknownKey)?;
        if candidates.next().is_some() {
            return Err(Refusal::Check("kid"));
        }
        key.verify_signature(&self.algorithm, self.signed.as_bytes(), &self.signature)
            .map_err(|_| Refusal::Check("signature"))?;
        Ok(Verified(self.content.clone()))
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, &'static str> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "format")
}

/// The algorithm and the key's name.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), &'static str> {
    // §2.4 recommends explicit typing and Logto does it, so it is required: no other token of Logto's has this type.
    let typ = header.get("typ").and_then(Value::as_str).ok_or("typ")?;
    let typ = match typ.split_at_checked("application/".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    };
    if !typ.eq_ignore_ascii_case("logout+jwt") {
        return Err("typ");
    }
    // RFC 7515 §4.1.11: an extension that is not understood makes the token invalid. Nested tokens are not negotiated.
    if header.contains_key("crit") || header.contains_key("cty") {
        return Err("header");
    }
    let algorithm = header.get("alg").cloned().ok_or("alg")?;
    let algorithm: Algorithm = serde_json::from_value(algorithm).map_err(|_| "alg")?;
    // 6. `none` never, and no algorithm whose key a client would have to share.
    if algorithm == Algorithm::None || algorithm.uses_shared_secret() {
        return Err("alg");
    }
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().ok_or("kid")?.to_owned()),
    };
    Ok((algorithm, kid))
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

/// A NumericDate (RFC 7519 §2), rounded down.
fn time(claims: &Map<String, Value>, name: &str) -> Option<UnixSeconds> {
    let seconds = claims.get(name)?.as_f64()?;
    let since_epoch = Duration::try_from_secs_f64(seconds).ok()?;
    Some(UnixSeconds::new(since_epoch.as_secs()))
}

/// An identifier where there is one; anything else by that name is refused.
fn identifier(claims: &Map<String, Value>, name: &'static str) -> Result<Option<String>, &'static str> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if is_identifier(text) => Ok(Some(text.clone())),
        Some(_) => Err(name),
    }
}

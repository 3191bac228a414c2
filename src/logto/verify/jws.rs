//! A signed token that somebody sent here (RFC 7515 §3.1): read without a key, proved with one.
//!
//! Whoever finds an endpoint may send one, so everything that needs no key is checked first, and nothing is believed before
//! the signature. It stops tokens of another type (RFC 8725 §3.11), `none`, HMAC with a public key, extensions that are not
//! understood, and tokens that two readers could read differently.

use super::super::key::SigningKey;
use super::super::keys::KeySet;
use super::super::strict_json;
use super::{Refusal, is_identifier};
use crate::clock::UnixSeconds;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::core::CoreJwsSigningAlgorithm as Algorithm;
use openidconnect::{JsonWebKey as _, JsonWebKeyUse as _, JwsSigningAlgorithm as _};
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest token that is looked at, in bytes. Logto's are below 2,000.
pub(in crate::logto) const LONGEST_TOKEN: usize = 16 * 1024;

/// A token whose header is right, but perhaps not its signature.
pub(super) struct UnprovedJws<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> UnprovedJws<'a> {
    /// Takes a token apart and checks that its header says this type. Its payload is not to be believed yet. Fails with the
    /// name of a check.
    pub(super) fn read(token: &'a str, typ: &str) -> Result<(Self, Map<String, Value>), &'static str> {
        if token.len() > LONGEST_TOKEN {
            return Err("size");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("format")?;
        let (header, payload) = signed.split_once('.').ok_or("format")?;
        // Encryption is not negotiated: a token of five parts has dots where base64 has none.
        let signature = decoded(signature)?;
        let header = strict_json::object(&decoded(header)?).ok_or("format")?;
        let claims = strict_json::object(&decoded(payload)?).ok_or("format")?;
        let (algorithm, kid) = read_header(&header, typ)?;
        let token = Self {
            algorithm,
            kid,
            signed,
            signature,
        };
        Ok((token, claims))
    }

    /// The signature fits, by a key of Logto's and one of that key's algorithms.
    pub(super) fn prove(&self, keys: &KeySet) -> Result<(), Refusal> {
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
            .map_err(|_| Refusal::Check("signature"))
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, &'static str> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "format")
}

/// The algorithm and the key's name.
fn read_header(header: &Map<String, Value>, typ: &str) -> Result<(Algorithm, Option<String>), &'static str> {
    let named = header.get("typ").and_then(Value::as_str).ok_or("typ")?;
    let named = match named.split_at_checked("application/".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => named,
    };
    if !named.eq_ignore_ascii_case(typ) {
        return Err("typ");
    }
    // RFC 7515 §4.1.11: an extension that is not understood makes the token invalid. Nested tokens are not negotiated.
    if header.contains_key("crit") || header.contains_key("cty") {
        return Err("header");
    }
    let algorithm = header.get("alg").cloned().ok_or("alg")?;
    let algorithm: Algorithm = serde_json::from_value(algorithm).map_err(|_| "alg")?;
    // `none` never, and no algorithm whose key a client would have to share.
    if algorithm == Algorithm::None || algorithm.uses_shared_secret() {
        return Err("alg");
    }
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().ok_or("kid")?.to_owned()),
    };
    Ok((algorithm, kid))
}

/// A NumericDate (RFC 7519 §2), rounded down.
pub(super) fn time(claims: &Map<String, Value>, name: &str) -> Option<UnixSeconds> {
    let seconds = claims.get(name)?.as_f64()?;
    let since_epoch = Duration::try_from_secs_f64(seconds).ok()?;
    Some(UnixSeconds::new(since_epoch.as_secs()))
}

/// An identifier where there is one; anything else by that name is refused.
pub(super) fn identifier(
    claims: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<String>, &'static str> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if is_identifier(text) => Ok(Some(text.clone())),
        Some(_) => Err(name),
    }
}

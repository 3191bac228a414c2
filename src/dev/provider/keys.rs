//! Signing keys: EC P-384 at first (ES384), RSA after a rotation (RS256), at most two published, as Logto does.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384};
use std::sync::Arc;

/// Uncompressed point: one tag byte, then two coordinates of 48 bytes (SEC 1 §2.3.3).
const P384_COORDINATE_BYTES: usize = 48;

/// A private key with the public half ready for a JWKS.
pub(super) struct SigningKey {
    kind: Kind,
    jwk: Value,
    key_id: String,
}

enum Kind {
    EllipticCurve(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A new P-384 key.
    pub(super) fn elliptic_curve() -> Result<Self, Unspecified> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
        let point = pair.public_key().as_ref().get(1..).ok_or(Unspecified)?;
        let (x, y) = point.split_at_checked(P384_COORDINATE_BYTES).ok_or(Unspecified)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let key_id = thumbprint(&format!(r#"{{"crv":"P-384","kty":"EC","x":"{x}","y":"{y}"}}"#));
        let jwk =
            json!({"kty": "EC", "use": "sig", "alg": "ES384", "kid": key_id, "crv": "P-384", "x": x, "y": y});
        Ok(Self {
            kind: Kind::EllipticCurve(pair),
            jwk,
            key_id,
        })
    }

    /// A new RSA key of 2048 bits. Its JWK carries no `alg`, as Logto's does not.
    pub(super) fn rsa() -> Result<Self, Unspecified> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let (n, e) = rsa_public_numbers(pair.public_key().as_ref()).ok_or(Unspecified)?;
        let (n, e) = (URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e));
        let key_id = thumbprint(&format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#));
        let jwk = json!({"kty": "RSA", "use": "sig", "kid": key_id, "e": e, "n": n});
        Ok(Self {
            kind: Kind::Rsa(pair),
            jwk,
            key_id,
        })
    }

    /// `kid`: the RFC 7638 thumbprint.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// `alg` of tokens signed by this key.
    pub(super) fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::EllipticCurve(_) => "ES384",
            Kind::Rsa(_) => "RS256",
        }
    }

    /// The public half (RFC 7517).
    pub(super) fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// The signature as JWS writes it (RFC 7515; fixed length for ECDSA).
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match &self.kind {
            Kind::EllipticCurve(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Kind::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// Whether this key made the signature.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::EllipticCurve(pair) => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, pair.public_key())
                .verify(message, signature)
                .is_ok(),
            Kind::Rsa(pair) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key())
                .verify(message, signature)
                .is_ok(),
        }
    }

    /// A JWS in compact form over exactly this header and payload.
    pub(super) fn compact(&self, header: &Value, payload: &Value) -> Result<String, Unspecified> {
        let message = signing_input(header, payload);
        let signature = self.sign(message.as_bytes())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// `at_hash`: the left half of the hash that the algorithm names (OpenID Connect Core §3.1.3.6).
    pub(super) fn access_token_hash(&self, access_token: &str) -> String {
        let digest = match self.kind {
            Kind::EllipticCurve(_) => Sha384::digest(access_token.as_bytes()).to_vec(),
            Kind::Rsa(_) => Sha256::digest(access_token.as_bytes()).to_vec(),
        };
        let half = digest.get(..digest.len() / 2).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(half)
    }
}

/// `header.payload`, both base64url.
pub(super) fn signing_input(header: &Value, payload: &Value) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(payload.to_string())
    )
}

/// The current key and the one before.
pub(super) struct KeyStore {
    current: Arc<SigningKey>,
    previous: Option<Arc<SigningKey>>,
}

impl KeyStore {
    /// A store with one P-384 key.
    pub(super) fn new() -> Result<Self, Unspecified> {
        Ok(Self {
            current: Arc::new(SigningKey::elliptic_curve()?),
            previous: None,
        })
    }

    /// Signs with a new key from now on; the one before the last is forgotten.
    pub(super) fn rotate_to(&mut self, key: SigningKey) {
        self.previous = Some(std::mem::replace(&mut self.current, Arc::new(key)));
    }

    /// The key that signs.
    pub(super) fn current(&self) -> Arc<SigningKey> {
        Arc::clone(&self.current)
    }

    fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&*self.current).chain(self.previous.as_deref())
    }

    /// The JWK Set.
    pub(super) fn jwks(&self) -> Value {
        json!({"keys": self.keys().map(SigningKey::jwk).collect::<Vec<_>>()})
    }

    /// What discovery lists: whatever the keys of the store can do.
    pub(super) fn algorithms(&self) -> Vec<&'static str> {
        let has = |algorithm| self.keys().any(|key| key.algorithm() == algorithm);
        let mut algorithms = Vec::new();
        if has("RS256") {
            algorithms.extend(["PS256", "RS256"]);
        }
        if has("ES384") {
            algorithms.push("ES384");
        }
        algorithms
    }
}

/// RFC 7638 §3.
fn thumbprint(canonical: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}

/// Modulus and exponent of a DER `RSAPublicKey` (RFC 8017 A.1.1), without leading zero bytes.
fn rsa_public_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = der_element(der, 0x30)?;
    let (modulus, rest) = der_element(sequence, 0x02)?;
    let (exponent, _) = der_element(rest, 0x02)?;
    Some((without_sign_byte(modulus), without_sign_byte(exponent)))
}

/// The content of the first element, which must have this tag, and what follows it.
fn der_element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = der.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if octets.len() > 4 {
            return None;
        }
        (
            octets
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet)),
            rest,
        )
    };
    rest.split_at_checked(length)
}

fn without_sign_byte(integer: &[u8]) -> &[u8] {
    integer.strip_prefix(&[0]).unwrap_or(integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_publishes_two_keys_and_what_they_can_do() {
        let mut store = KeyStore::new().unwrap();
        assert_eq!(store.algorithms(), ["ES384"]);
        let first = store.current().key_id().to_owned();
        store.rotate_to(SigningKey::rsa().unwrap());
        assert_eq!(store.algorithms(), ["PS256", "RS256", "ES384"]);
        assert_eq!(store.current().algorithm(), "RS256");
        store.rotate_to(SigningKey::elliptic_curve().unwrap());
        let jwks = store.jwks();
        let keys = jwks["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2);
        assert!(
            keys.iter().all(|key| key["kid"] != first),
            "the first key is gone"
        );
        assert!(
            keys.iter()
                .any(|key| key["kty"] == "RSA" && key.get("alg").is_none() && key["e"] == "AQAB")
        );
        assert!(keys.iter().any(|key| key["alg"] == "ES384"));
    }

    #[test]
    fn signatures_verify_with_the_right_key_only() {
        let (rsa, ec) = (SigningKey::rsa().unwrap(), SigningKey::elliptic_curve().unwrap());
        for (key, other) in [(&rsa, &ec), (&ec, &rsa)] {
            let signature = key.sign(b"message").unwrap();
            assert!(key.verifies(b"message", &signature));
            assert!(!key.verifies(b"massage", &signature));
            assert!(!other.verifies(b"message", &signature));
        }
        assert_eq!(ec.sign(b"x").unwrap().len(), 96);
    }
}

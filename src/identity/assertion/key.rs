//! The keys that assertions are signed with: EC P-256, from PEM or JWK.
//!
//! Promises that no error says anything of a key, and that only the public half is ever published.

use crate::secret::SecretText;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a coordinate of P-256.
const COORDINATE: usize = 32;
/// Characters of a line of PEM (RFC 7468 §2).
const PEM_LINE: usize = 64;

/// A private key that signs assertions.
pub struct AssertionKey {
    pair: EcdsaKeyPair,
    kid: String,
    jwk: Value,
}

/// The text is no private EC key on the curve P-256, in PEM (PKCS #8 or SEC 1) or as JWK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a private EC key on the curve P-256, in PEM or as JWK")]
pub struct BadAssertionKey;

/// RFC 7518 §6.2; other members are of no interest.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct PrivateJwk {
    kty: String,
    crv: String,
    d: String,
    x: String,
    y: String,
}

impl AssertionKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`BadAssertionKey`].
    pub fn parse(text: &SecretText) -> Result<Self, BadAssertionKey> {
        let text = text.expose().trim();
        let pair = if text.starts_with('{') {
            of_jwk(text)
        } else {
            of_pem(text)
        };
        Self::of(pair.ok_or(BadAssertionKey)?).ok_or(BadAssertionKey)
    }

    /// Makes a key: PKCS #8 in PEM, with a line break at its end.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<SecretText, Unspecified> {
        let document = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?.to_pkcs8v1()?;
        let encoded = Zeroizing::new(STANDARD.encode(document.as_ref()));
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        for line in encoded.as_bytes().chunks(PEM_LINE) {
            pem.push_str(std::str::from_utf8(line).unwrap_or_default());
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(SecretText::new(pem))
    }

    fn of(pair: EcdsaKeyPair) -> Option<Self> {
        // Uncompressed point: one tag byte, then two coordinates (SEC 1 §2.3.3).
        let point = pair.public_key().as_ref().get(1..)?;
        let (x, y) = point.split_at_checked(COORDINATE)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = thumbprint(&x, &y);
        let jwk =
            json!({"kty": "EC", "use": "sig", "alg": "ES256", "kid": kid, "crv": "P-256", "x": x, "y": y});
        Some(Self { pair, kid, jwk })
    }

    /// What names it: the thumbprint of its public half (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half (RFC 7517).
    pub const fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// A signature as JWS has it: 64 bytes (RFC 7518 §3.4).
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let signature = self.pair.sign(&SystemRandom::new(), message)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl std::fmt::Debug for AssertionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AssertionKey({})", self.kid)
    }
}

fn of_pem(text: &str) -> Option<EcdsaKeyPair> {
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()?;
    EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der()).ok()
}

fn of_jwk(text: &str) -> Option<EcdsaKeyPair> {
    let jwk: PrivateJwk = serde_json::from_str(text).ok()?;
    if jwk.kty != "EC" || jwk.crv != "P-256" {
        return None;
    }
    let number = |text: &str| {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        (bytes.len() == COORDINATE).then_some(bytes)
    };
    let (d, x, y) = (number(&jwk.d)?, number(&jwk.x)?, number(&jwk.y)?);
    let point = [&[4][..], &x, &y].concat();
    EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &point).ok()
}

fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

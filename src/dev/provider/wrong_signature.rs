//! Tokens whose signature proves nothing, for tests of the relying party.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::error::Failure;
use super::keys::{SigningKey, signing_input};
use super::settings::Client;

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WrongSignature {
    /// `alg: none`, no signature.
    None,
    /// HS256 keyed with the client secret.
    ClientSecret,
    /// One bit flipped.
    FlippedBit,
    /// By a key that the JWK Set does not list.
    UnknownKey,
    /// By a stranger's key under the `kid` of the published one.
    StolenKeyId,
}

impl WrongSignature {
    /// The token, where `key` would have signed it rightly.
    pub(super) fn compact(
        self,
        key: &SigningKey,
        mut header: Map<String, Value>,
        claims: Map<String, Value>,
        client: &Client,
    ) -> Result<String, Failure> {
        let claims = Value::Object(claims);
        match self {
            Self::None => {
                header.insert("alg".into(), json!("none"));
                Ok(format!("{}.", signing_input(&Value::Object(header), &claims)))
            }
            Self::ClientSecret => {
                header.insert("alg".into(), json!("HS256"));
                let secret = client.secrets.first().map_or("", |secret| secret.text.expose());
                let message = signing_input(&Value::Object(header), &claims);
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                let tag = hmac::sign(&key, message.as_bytes());
                Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)))
            }
            Self::FlippedBit => {
                let message = signing_input(&Value::Object(header), &claims);
                let mut signature = key.sign(message.as_bytes())?;
                if let Some(byte) = signature.first_mut() {
                    *byte ^= 1;
                }
                Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
            }
            Self::UnknownKey | Self::StolenKeyId => {
                let stranger = SigningKey::elliptic_curve()?;
                header.insert("alg".into(), json!(stranger.algorithm()));
                if self == Self::UnknownKey {
                    header.insert("kid".into(), json!(stranger.key_id()));
                }
                Ok(stranger.compact(&Value::Object(header), &claims)?)
            }
        }
    }
}

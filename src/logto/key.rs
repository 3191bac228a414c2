//! One signing key of Logto's, as openidconnect's verifier wants it.
//!
//! A key decides by its own type and curve which algorithms it may be used with (RFC 7518 §3.1), never the token, and never the
//! key's `alg` alone: RSA keys of Logto carry none, and some versions label every EC key ES384. Symmetric algorithms cannot be
//! expressed, so the classic confusion of a public key with an HMAC secret has no place to happen. The arithmetic is
//! aws-lc-rs's: constant time, RSA from 2,048 bits up, and P-521 too, which openidconnect's own key type lacks.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKeyType, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm as Algorithm};
use openidconnect::{JsonWebKey, JsonWebKeyAlgorithm, JsonWebKeyId, SignatureVerificationError};
use serde::{Deserialize, Serialize};

/// A public key that may verify signatures of Logto.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "JwkMembers", into = "JwkMembers")]
pub(super) struct SigningKey {
    kid: Option<JsonWebKeyId>,
    key_use: Option<CoreJsonWebKeyUse>,
    /// The one algorithm an EC or OKP key has; for RSA what the key's `alg` says, if anything.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    /// Modulus and exponent, big endian, without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The uncompressed point (SEC 1 §2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(Vec<u8>),
    Ed25519(Vec<u8>),
    /// Verifies nothing: what openidconnect gets when it wants a symmetric key.
    Nothing,
}

/// The members of a JSON Web Key (RFC 7517 §4, RFC 7518 §6) that matter here. Others are ignored.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct JwkMembers {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    key_use: Option<CoreJsonWebKeyUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<JsonWebKeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

/// A JSON Web Key that is not a usable public signing key. The set goes on without it.
#[derive(Debug, thiserror::Error)]
#[error("not a usable public signing key")]
struct UnusableKey;

impl TryFrom<JwkMembers> for SigningKey {
    type Error = UnusableKey;

    fn try_from(jwk: JwkMembers) -> Result<Self, UnusableKey> {
        let (material, algorithm) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let material = Material::Rsa {
                    modulus: without_leading_zeros(bytes(jwk.n.as_deref())?),
                    exponent: without_leading_zeros(bytes(jwk.e.as_deref())?),
                };
                let algorithm = match jwk.alg.as_deref() {
                    None => None,
                    Some(name) => Some(rsa_algorithm(name).ok_or(UnusableKey)?),
                };
                (material, algorithm)
            }
            ("EC", Some("P-256")) => (Material::P256(point(&jwk, 32)?), Some(Algorithm::EcdsaP256Sha256)),
            ("EC", Some("P-384")) => (Material::P384(point(&jwk, 48)?), Some(Algorithm::EcdsaP384Sha384)),
            ("EC", Some("P-521")) => (Material::P521(point(&jwk, 66)?), Some(Algorithm::EcdsaP521Sha512)),
            ("OKP", Some("Ed25519")) => (
                Material::Ed25519(bytes(jwk.x.as_deref())?),
                Some(Algorithm::EdDsa),
            ),
            _ => return Err(UnusableKey),
        };
        Ok(Self {
            kid: jwk.kid,
            key_use: jwk.key_use,
            algorithm,
            material,
        })
    }
}

/// Only for openidconnect's bound on keys; nothing here writes keys out.
impl From<SigningKey> for JwkMembers {
    fn from(key: SigningKey) -> Self {
        let encoded = |bytes: &[u8]| Some(BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let point = |crv: &str, point: &[u8]| {
            let (x, y) = point
                .get(1..)
                .unwrap_or_default()
                .split_at(point.len().saturating_sub(1) / 2);
            Self {
                kty: "EC".into(),
                crv: Some(crv.into()),
                x: encoded(x),
                y: encoded(y),
                ..Self::default()
            }
        };
        let members = match &key.material {
            Material::Rsa { modulus, exponent } => Self {
                kty: "RSA".into(),
                n: encoded(modulus),
                e: encoded(exponent),
                ..Self::default()
            },
            Material::P256(bytes) => point("P-256", bytes),
            Material::P384(bytes) => point("P-384", bytes),
            Material::P521(bytes) => point("P-521", bytes),
            Material::Ed25519(bytes) => Self {
                kty: "OKP".into(),
                crv: Some("Ed25519".into()),
                x: encoded(bytes),
                ..Self::default()
            },
            Material::Nothing => Self::default(),
        };
        Self {
            key_use: key.key_use,
            kid: key.kid,
            ..members
        }
    }
}

impl SigningKey {
    /// The algorithms this key may verify. Asymmetric ones only.
    pub(super) fn algorithms(&self) -> &[Algorithm] {
        const RSA: &[Algorithm] = &[
            Algorithm::RsaSsaPkcs1V15Sha256,
            Algorithm::RsaSsaPkcs1V15Sha384,
            Algorithm::RsaSsaPkcs1V15Sha512,
            Algorithm::RsaSsaPssSha256,
            Algorithm::RsaSsaPssSha384,
            Algorithm::RsaSsaPssSha512,
        ];
        match (&self.material, &self.algorithm) {
            (Material::Nothing, _) => &[],
            (Material::Rsa { .. }, None) => RSA,
            (_, Some(algorithm)) => std::slice::from_ref(algorithm),
            (_, None) => &[],
        }
    }
}

impl JsonWebKey for SigningKey {
    type KeyUse = CoreJsonWebKeyUse;
    type SigningAlgorithm = Algorithm;

    fn key_id(&self) -> Option<&JsonWebKeyId> {
        self.kid.as_ref()
    }

    fn key_type(&self) -> &CoreJsonWebKeyType {
        match self.material {
            Material::Rsa { .. } => &CoreJsonWebKeyType::RSA,
            Material::P256(_) | Material::P384(_) | Material::P521(_) => &CoreJsonWebKeyType::EllipticCurve,
            Material::Ed25519(_) => &CoreJsonWebKeyType::OctetKeyPair,
            Material::Nothing => &CoreJsonWebKeyType::Symmetric,
        }
    }

    fn key_use(&self) -> Option<&CoreJsonWebKeyUse> {
        self.key_use.as_ref()
    }

    fn signing_alg(&self) -> JsonWebKeyAlgorithm<&Algorithm> {
        match (&self.material, &self.algorithm) {
            (Material::Nothing, _) => JsonWebKeyAlgorithm::Unsupported,
            (_, Some(algorithm)) => JsonWebKeyAlgorithm::Algorithm(algorithm),
            (_, None) => JsonWebKeyAlgorithm::Unspecified,
        }
    }

    fn new_symmetric(_key: Vec<u8>) -> Self {
        Self {
            kid: None,
            key_use: None,
            algorithm: None,
            material: Material::Nothing,
        }
    }

    fn verify_signature(
        &self,
        algorithm: &Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureVerificationError> {
        if !self.algorithms().contains(algorithm) {
            return Err(SignatureVerificationError::DisallowedAlg(
                "not this key's algorithm".into(),
            ));
        }
        let verified =
            match &self.material {
                Material::Rsa { modulus, exponent } => {
                    let parameters = match algorithm {
                        Algorithm::RsaSsaPkcs1V15Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                        Algorithm::RsaSsaPkcs1V15Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                        Algorithm::RsaSsaPkcs1V15Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                        Algorithm::RsaSsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
                        Algorithm::RsaSsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
                        Algorithm::RsaSsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
                        _ => return Err(SignatureVerificationError::UnsupportedAlg("RSA".into())),
                    };
                    let key = RsaPublicKeyComponents {
                        n: modulus.as_slice(),
                        e: exponent.as_slice(),
                    };
                    key.verify(parameters, message, signature)
                }
                Material::P256(key) => UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key)
                    .verify(message, signature),
                Material::P384(key) => UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, key)
                    .verify(message, signature),
                Material::P521(key) => UnparsedPublicKey::new(&signature::ECDSA_P521_SHA512_FIXED, key)
                    .verify(message, signature),
                Material::Ed25519(key) => {
                    UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signature)
                }
                Material::Nothing => Err(aws_lc_rs::error::Unspecified),
            };
        verified.map_err(|_| SignatureVerificationError::CryptoError("bad signature".into()))
    }

    fn hash_bytes(&self, bytes: &[u8], algorithm: &Algorithm) -> Result<Vec<u8>, String> {
        let function = match algorithm {
            Algorithm::RsaSsaPkcs1V15Sha256 | Algorithm::RsaSsaPssSha256 | Algorithm::EcdsaP256Sha256 => {
                &digest::SHA256
            }
            Algorithm::RsaSsaPkcs1V15Sha384 | Algorithm::RsaSsaPssSha384 | Algorithm::EcdsaP384Sha384 => {
                &digest::SHA384
            }
            Algorithm::RsaSsaPkcs1V15Sha512
            | Algorithm::RsaSsaPssSha512
            | Algorithm::EcdsaP521Sha512
            | Algorithm::EdDsa => &digest::SHA512,
            _ => return Err("no hash for this algorithm".into()),
        };
        Ok(digest::digest(function, bytes).as_ref().to_vec())
    }
}

fn bytes(member: Option<&str>) -> Result<Vec<u8>, UnusableKey> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(member.ok_or(UnusableKey)?);
    decoded.ok().filter(|bytes| !bytes.is_empty()).ok_or(UnusableKey)
}

/// RFC 7518 §6.2.1.2: a coordinate has exactly the length of the field.
fn point(jwk: &JwkMembers, length: usize) -> Result<Vec<u8>, UnusableKey> {
    let (x, y) = (bytes(jwk.x.as_deref())?, bytes(jwk.y.as_deref())?);
    if x.len() != length || y.len() != length {
        return Err(UnusableKey);
    }
    Ok([&[0x04], x.as_slice(), y.as_slice()].concat())
}

fn without_leading_zeros(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

fn rsa_algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RsaSsaPkcs1V15Sha256),
        "RS384" => Some(Algorithm::RsaSsaPkcs1V15Sha384),
        "RS512" => Some(Algorithm::RsaSsaPkcs1V15Sha512),
        "PS256" => Some(Algorithm::RsaSsaPssSha256),
        "PS384" => Some(Algorithm::RsaSsaPssSha384),
        "PS512" => Some(Algorithm::RsaSsaPssSha512),
        _ => None,
    }
}

//! One key on its own.

use super::fake::TestKey;
use crate::logto::key::SigningKey;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey as _;
use openidconnect::core::CoreJwsSigningAlgorithm as Algorithm;
use serde_json::json;

/// The key itself knows its algorithm, whoever asks it.
#[test]
fn a_key_verifies_by_its_own_algorithm_only() {
    let verifies = |key: &TestKey, alg: Option<&str>, algorithm: &Algorithm| {
        let mut jwk = key.jwk();
        if let Some(alg) = alg {
            jwk["alg"] = json!(alg);
        }
        let token = key.sign(&json!({}));
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key: SigningKey = serde_json::from_value(jwk).unwrap();
        key.verify_signature(algorithm, input.as_bytes(), &signature)
            .is_ok()
    };
    let (ec, rsa) = (TestKey::ec("k", "P-384"), TestKey::rsa("k", "RS256"));
    assert!(verifies(&ec, None, &Algorithm::EcdsaP384Sha384));
    assert!(!verifies(&ec, None, &Algorithm::EcdsaP256Sha256));
    assert!(!verifies(&ec, None, &Algorithm::HmacSha256));
    assert!(!verifies(&ec, None, &Algorithm::None));
    assert!(verifies(&rsa, None, &Algorithm::RsaSsaPkcs1V15Sha256));
    assert!(verifies(&rsa, Some("RS256"), &Algorithm::RsaSsaPkcs1V15Sha256));
    assert!(!verifies(&rsa, Some("PS256"), &Algorithm::RsaSsaPkcs1V15Sha256));
    assert!(
        SigningKey::new_symmetric(b"k".to_vec())
            .verify_signature(&Algorithm::HmacSha256, b"", b"")
            .is_err()
    );
}

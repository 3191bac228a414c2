//! Proof Key for Code Exchange (RFC 7636) and the nonce: the random values of one sign-in.
//!
//! Only the S256 method exists here. Logto does not demand PKCE of confidential clients, so that a code which was stolen or
//! injected cannot be redeemed rests on this proxy alone.

use crate::secret::SecretText;
use openidconnect::{Nonce, PkceCodeChallenge};

/// Random bytes in a nonce.
const NONCE_BYTES: u32 = 32;

/// A new code verifier of 256 random bits, and its S256 challenge (RFC 7636 §4.1, §4.2), both base64url of 43 characters.
pub fn make() -> (SecretText, String) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    (
        SecretText::new(verifier.into_secret()),
        challenge.as_str().to_owned(),
    )
}

/// A new nonce of 256 random bits, base64url of 43 characters (OpenID Connect Core §15.5.2).
pub fn nonce() -> String {
    Nonce::new_random_len(NONCE_BYTES).secret().clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn the_challenge_is_the_hash_of_the_verifier() {
        let (verifier, challenge) = make();
        assert_eq!(verifier.expose().len(), 43);
        assert_eq!(
            challenge,
            BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
        );
    }

    #[test]
    fn nothing_repeats_and_nothing_is_short() {
        assert_ne!(make().0, make().0);
        assert_ne!(nonce(), nonce());
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(nonce()).unwrap().len(), 32);
    }
}

//! The `state` parameter: all that a sign-in must remember, sealed, so that the server remembers nothing.
//!
//! Stops login CSRF, code injection and open redirects: the PKCE verifier, the nonce and the return path are
//! inside, together with the hash of the one binding cookie of the browser that began the sign-in. Any number
//! of tabs can be under way at once.

use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use crate::session::SessionId;
use crate::session::{KeyRing, Purpose};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// How long a sign-in may take: ten minutes.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// Names the parameter inside the seal, so that no other sealed value can take its place.
const CONTEXT: &[u8] = b"state";

/// What a sealed `state` carries.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct SignInState {
    /// PKCE code verifier (RFC 7636 §4.1).
    code_verifier: String,
    /// OpenID Connect nonce.
    pub nonce: String,
    /// Return path, checked again when it is taken out.
    pub return_path: String,
    /// When the sign-in began, in Unix seconds.
    begun_at: u64,
    /// SHA-256 of the browser's binding value.
    pub browser: [u8; 32],
    /// The session that a silent sign-in is to confirm; Logto then asks the user nothing.
    #[serde(default)]
    silent_for: Option<[u8; 16]>,
}

/// Why a `state` is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It was not sealed here, or it was changed.
    #[error("the state was not made here")]
    Foreign,
    /// The sign-in was begun more than [`LIFETIME`] ago.
    #[error("the sign-in has expired")]
    Expired,
}

impl SignInState {
    /// State of a sign-in that begins now.
    pub fn new(
        code_verifier: &SecretText,
        nonce: String,
        return_path: String,
        browser: [u8; 32],
        now: UnixSeconds,
    ) -> Self {
        Self {
            code_verifier: code_verifier.expose().to_owned(),
            nonce,
            return_path,
            begun_at: now.as_u64(),
            browser,
            silent_for: None,
        }
    }

    /// The same for a silent sign-in, which is to confirm this session.
    #[must_use]
    pub fn silently_for(mut self, session: SessionId) -> Self {
        self.silent_for = Some(*session.as_bytes());
        self
    }

    /// The session that it is to confirm, if it is silent.
    pub fn silent_for(&self) -> Option<SessionId> {
        self.silent_for.map(SessionId::from_bytes)
    }

    /// The PKCE code verifier.
    pub fn code_verifier(&self) -> SecretText {
        SecretText::new(self.code_verifier.clone())
    }

    /// The value of the `state` parameter; `None` only if the system has no randomness.
    pub fn seal(&self, keyring: &KeyRing) -> Option<String> {
        let plaintext = Zeroizing::new(serde_json::to_vec(self).ok()?);
        keyring.seal(Purpose::SignIn, CONTEXT, &plaintext).ok()
    }

    /// Opens a `state` parameter.
    pub fn open(sealed: &str, keyring: &KeyRing, now: UnixSeconds) -> Result<Self, StateError> {
        let opened = keyring
            .open(Purpose::SignIn, CONTEXT, sealed.as_bytes())
            .map_err(|_| StateError::Foreign)?;
        let state: Self = serde_json::from_slice(&opened.plaintext).map_err(|_| StateError::Foreign)?;
        let begun_at = UnixSeconds::new(state.begun_at);
        // A state from the future comes from a replica whose clock is ahead; a minute is forgiven.
        if now.since(begun_at) > LIFETIME || begun_at.since(now) > Duration::from_secs(60) {
            return Err(StateError::Expired);
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::keyring::{KeyContext, SessionKey};

    #[test]
    fn a_silent_sign_in_names_its_session_under_the_seal() {
        let text = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let key = SessionKey::parse(&SecretText::new(text.to_owned())).unwrap();
        let context = KeyContext {
            issuer: "https://logto.test/oidc".to_owned(),
            client_id: "app".to_owned(),
            public_origin: "https://app.example.com".to_owned(),
        };
        let keyring = KeyRing::new(vec![key], &context).unwrap();
        let now = UnixSeconds::new(1_000_000);
        let state = || {
            let verifier = SecretText::new("verifier".to_owned());
            SignInState::new(&verifier, "nonce".to_owned(), "/".to_owned(), [7; 32], now)
        };
        let reopened = |state: SignInState| {
            let sealed = state.seal(&keyring).unwrap();
            SignInState::open(&sealed, &keyring, now).unwrap().silent_for()
        };
        let session = SessionId::from_bytes([9; 16]);
        assert_eq!(reopened(state()), None);
        assert_eq!(reopened(state().silently_for(session)), Some(session));
        // One that was sealed before there were silent ones is an ordinary one.
        let mut members = serde_json::to_value(state()).unwrap();
        members.as_object_mut().unwrap().remove("silent_for");
        let sealed = keyring
            .seal(Purpose::SignIn, CONTEXT, members.to_string().as_bytes())
            .unwrap();
        assert_eq!(
            SignInState::open(&sealed, &keyring, now).unwrap().silent_for(),
            None
        );
    }
}

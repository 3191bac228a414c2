//! The hand of a test on the provider: what happened, and what shall go wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::fault::Faults;
use super::keys::SigningKey;
use super::settings::Client;
use super::state::Shared;

/// Steers and observes a running provider, from inside the process only. Clones steer the same one.
#[derive(Clone)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
}

/// A signing key could not be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key could not be generated")]
pub struct KeyError;

/// How often each endpoint was called, refused calls included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Discovery document.
    pub discovery: u64,
    /// JWK Set.
    pub jwks: u64,
    /// Authorization endpoint, resumed sign-ins not counted.
    pub authorize: u64,
    /// Sound requests at it with `prompt=none`.
    pub silent_authorizations: u64,
    /// Token endpoint, any grant.
    pub token: u64,
    /// Token endpoint with `grant_type=authorization_code`.
    pub code_exchanges: u64,
    /// Token endpoint with `grant_type=refresh_token`.
    pub refreshes: u64,
    /// Refreshes that gave a new refresh token, whether or not anyone heard of it.
    pub rotations: u64,
    /// Token endpoint with `grant_type=client_credentials`.
    pub client_credentials: u64,
    /// Token endpoint with a token exchange.
    pub token_exchanges: u64,
    /// Userinfo endpoint.
    pub userinfo: u64,
    /// Revocation endpoint.
    pub revocation: u64,
    /// Introspection endpoint.
    pub introspection: u64,
    /// End-session endpoint, confirmations not counted.
    pub end_session: u64,
    /// The Account API's endpoint of stored tokens.
    pub stored_tokens: u64,
    /// Hugging Face's userinfo endpoint.
    pub hugging_face_userinfo: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) discovery: AtomicU64,
    pub(super) jwks: AtomicU64,
    pub(super) authorize: AtomicU64,
    pub(super) silent_authorizations: AtomicU64,
    pub(super) token: AtomicU64,
    pub(super) code_exchanges: AtomicU64,
    pub(super) refreshes: AtomicU64,
    pub(super) rotations: AtomicU64,
    pub(super) client_credentials: AtomicU64,
    pub(super) token_exchanges: AtomicU64,
    pub(super) userinfo: AtomicU64,
    pub(super) revocation: AtomicU64,
    pub(super) introspection: AtomicU64,
    pub(super) end_session: AtomicU64,
    pub(super) stored_tokens: AtomicU64,
    pub(super) hugging_face_userinfo: AtomicU64,
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

impl Control {
    /// Registers an application, or replaces the one with the same `app_id`.
    pub fn register(&self, client: Client) {
        let mut state = self.shared.state();
        state.clients.retain(|known| known.app_id != client.app_id);
        state.clients.push(client);
    }

    /// Changes a registered application; false when there is none.
    pub fn update_client(&self, app_id: &str, change: impl FnOnce(&mut Client)) -> bool {
        let mut state = self.shared.state();
        let client = state.clients.iter_mut().find(|client| client.app_id == app_id);
        client.map(change).is_some()
    }

    /// How often each endpoint was called.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let counters = &self.shared.counters;
        Counts {
            discovery: read(&counters.discovery),
            jwks: read(&counters.jwks),
            authorize: read(&counters.authorize),
            silent_authorizations: read(&counters.silent_authorizations),
            token: read(&counters.token),
            code_exchanges: read(&counters.code_exchanges),
            refreshes: read(&counters.refreshes),
            rotations: read(&counters.rotations),
            client_credentials: read(&counters.client_credentials),
            token_exchanges: read(&counters.token_exchanges),
            userinfo: read(&counters.userinfo),
            revocation: read(&counters.revocation),
            introspection: read(&counters.introspection),
            end_session: read(&counters.end_session),
            stored_tokens: read(&counters.stored_tokens),
            hugging_face_userinfo: read(&counters.hugging_face_userinfo),
        }
    }

    /// How many grants were revoked: by a code or refresh token used twice, by revocation, by suspension.
    pub fn grants_revoked(&self) -> u64 {
        self.shared.state().grants_revoked
    }

    /// The parameters of the last authorization request, in the order received.
    pub fn last_authorization(&self) -> Vec<(String, String)> {
        self.shared.state().last_authorization.clone()
    }

    /// Signs with a new RSA key (RS256) from now on.
    pub fn rotate_to_rs256(&self) -> Result<(), KeyError> {
        self.rotate(SigningKey::rsa().map_err(|_| KeyError)?);
        Ok(())
    }

    /// Signs with a new P-384 key (ES384) from now on.
    pub fn rotate_to_es384(&self) -> Result<(), KeyError> {
        self.rotate(SigningKey::elliptic_curve().map_err(|_| KeyError)?);
        Ok(())
    }

    fn rotate(&self, key: SigningKey) {
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.rotate_to(key);
    }

    /// The faults in force.
    pub fn faults(&self) -> Faults {
        self.shared.faults()
    }

    /// Puts these faults in force instead of the former ones; `Faults::default()` ends them all.
    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Control")
            .field("issuer", &self.shared.issuer)
            .finish_non_exhaustive()
    }
}

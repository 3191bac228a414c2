//! The Secret Vault: tokens of third parties that a connector stored, given back through the Account API.
//!
//! Logto's own Hugging Face connector does not store tokens; a generic OAuth 2.0 connector does. One with the target
//! `huggingface` is what stands for it here once it has a [`TokenStorage`].

use ::http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

use super::super::reply;
use super::call::Call;
use super::control::{Control, count};
use super::error::{Failure, Outcome};
use super::state::{AccountOwner, Shared, State, random_token};
use crate::clock::UnixSeconds;

/// Before the target in the path.
pub(super) const PATH_PREFIX: &str = "/api/my-account/identities/";
/// Behind it.
pub(super) const PATH_SUFFIX: &str = "/access-token";
/// How long a token without an end lives at the third party.
const ENDLESS: Duration = Duration::from_secs(3_650 * 86_400);

/// How the connector stores tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenStorage {
    /// How long a token lives; `None`: the third party does not say.
    pub lifetime: Option<Duration>,
    /// Whether a refresh token came along, so that Logto can renew one that has ended.
    pub renews: bool,
}

/// A token in the vault.
#[derive(Debug, Clone)]
pub(super) struct StoredToken {
    access_token: String,
    ends: Option<UnixSeconds>,
    storage: TokenStorage,
}

/// Puts a new token of a persona at a target into the vault.
pub(super) fn store(
    state: &mut State,
    persona: &str,
    target: &str,
    storage: TokenStorage,
    now: UnixSeconds,
) -> Result<String, Failure> {
    let prefix = state
        .connector(target)
        .map_or("", |connector| &connector.token_prefix);
    let access_token = format!("{prefix}{}", random_token()?);
    let ends = storage.lifetime.map(|lifetime| now.plus(lifetime));
    let known_until = ends.unwrap_or(now.plus(ENDLESS));
    let owner = AccountOwner {
        target: target.to_owned(),
        persona: persona.to_owned(),
    };
    state
        .third_party_tokens
        .insert(access_token.clone(), owner, known_until, now);
    let stored = StoredToken {
        access_token: access_token.clone(),
        ends,
        storage,
    };
    state
        .stored_tokens
        .insert((persona.to_owned(), target.to_owned()), stored);
    Ok(access_token)
}

/// `GET /api/my-account/identities/<target>/access-token` with the user's opaque access token.
pub(super) fn stored_token(shared: &Shared, call: &Call, target: &str) -> Outcome {
    count(&shared.counters.stored_tokens);
    let (status, body) = match answer(shared, call, target)? {
        Ok(body) => (StatusCode::OK, body),
        Err((status, code)) => (status, json!({"code": code, "message": "See the code."})),
    };
    Ok(reply::json(status, &body))
}

type Refused = (StatusCode, &'static str);

fn answer(shared: &Shared, call: &Call, target: &str) -> Result<Result<Value, Refused>, Failure> {
    let now = shared.now();
    let mut state = shared.state();
    let entry = call
        .bearer_token()
        .and_then(|token| state.access_tokens.get(token, now))
        .filter(|entry| state.stands(&entry.issued, now))
        .filter(|entry| entry.issued.scopes.iter().any(|scope| scope == "openid"));
    let Some(entry) = entry else {
        return Ok(Err((StatusCode::UNAUTHORIZED, "auth.unauthorized")));
    };
    if !state.account_center {
        return Ok(Err((StatusCode::BAD_REQUEST, "account_center.not_enabled")));
    }
    if !entry.issued.scopes.iter().any(|scope| scope == "identities") {
        return Ok(Err((StatusCode::FORBIDDEN, "auth.forbidden")));
    }
    let key = (entry.issued.persona.clone(), target.to_owned());
    let Some(stored) = state.stored_tokens.get(&key).cloned() else {
        let code = "secrets.third_party_token_set.token_not_found";
        return Ok(Err((StatusCode::NOT_FOUND, code)));
    };
    if stored.ends.is_none_or(|ends| now < ends) {
        return Ok(Ok(body(&state, target, &stored, now)));
    }
    if !stored.storage.renews {
        // Logto deletes it, so that the next call finds none.
        state.stored_tokens.remove(&key);
        let code = "secrets.third_party_token_set.access_token_expired";
        return Ok(Err((StatusCode::UNAUTHORIZED, code)));
    }
    store(&mut state, &key.0, target, stored.storage, now)?;
    let renewed = state.stored_tokens.get(&key).ok_or(Failure::Internal)?;
    Ok(Ok(body(&state, target, renewed, now)))
}

fn body(state: &State, target: &str, stored: &StoredToken, now: UnixSeconds) -> Value {
    let mut body = json!({
        "access_token": stored.access_token,
        "scope": state.connector(target).map(|connector| &connector.scope),
        "token_type": "bearer",
    });
    if let (Some(ends), Some(members)) = (stored.ends, body.as_object_mut()) {
        members.insert("expires_in".to_owned(), json!(ends.since(now).as_secs()));
    }
    body
}

impl Control {
    /// Turns the Account Center on or off; with it off the Account API answers 400.
    pub fn set_account_center(&self, on: bool) {
        self.shared.state().account_center = on;
    }

    /// Stores a new token of a persona at a target; the token. `None` without such a persona.
    pub fn store_token(&self, persona: &str, target: &str, storage: TokenStorage) -> Option<String> {
        let now = self.shared.now();
        let mut state = self.shared.state();
        state.persona(persona)?;
        store(&mut state, persona, target, storage, now).ok()
    }

    /// The token that is stored of a persona at a target, alive or not.
    pub fn stored_token(&self, persona: &str, target: &str) -> Option<String> {
        let state = self.shared.state();
        let stored = state
            .stored_tokens
            .get(&(persona.to_owned(), target.to_owned()))?;
        Some(stored.access_token.clone())
    }

    /// Ends the stored token now, at the third party too. False when there is none.
    pub fn expire_stored_token(&self, persona: &str, target: &str) -> bool {
        let now = self.shared.now();
        let mut state = self.shared.state();
        let key = (persona.to_owned(), target.to_owned());
        let Some(stored) = state.stored_tokens.get_mut(&key) else {
            return false;
        };
        stored.ends = Some(now);
        let token = stored.access_token.clone();
        state.third_party_tokens.remove(&token, now);
        true
    }

    /// Takes the stored token out of the vault. False when there is none.
    pub fn forget_stored_token(&self, persona: &str, target: &str) -> bool {
        let key = (persona.to_owned(), target.to_owned());
        self.shared.state().stored_tokens.remove(&key).is_some()
    }
}

//! A Hugging Face account: what its userinfo endpoint says, now and as Logto recorded it at the first sign-in.

use ::http::StatusCode;
use serde_json::{Value, json};

use super::super::reply;
use super::call::Call;
use super::control::{Control, count};
use super::error::Outcome;
use super::persona::HuggingFaceAccount;
use super::state::Shared;

/// Hugging Face's userinfo endpoint.
pub(super) const USERINFO_PATH: &str = "/huggingface/oauth/userinfo";

impl HuggingFaceAccount {
    /// What Hugging Face's userinfo says of it.
    pub(super) fn userinfo(&self) -> Value {
        let orgs: Value = self
            .organizations
            .iter()
            .map(|(id, handle)| {
                json!({
                    "sub": id, "name": handle, "preferred_username": handle, "picture": format!("https://example.org/{handle}.png"),
                    "isEnterprise": false, "canPay": false, "roleInOrg": "contributor",
                })
            })
            .collect();
        json!({
            "sub": self.user_id, "name": self.name, "preferred_username": self.username,
            "profile": format!("https://example.org/{}", self.username), "picture": self.picture,
            "email": self.email, "email_verified": true, "isPro": false, "orgs": orgs,
        })
    }
}

/// `GET /huggingface/oauth/userinfo` with a token of Hugging Face's: the account as it is now.
pub(super) fn userinfo(shared: &Shared, call: &Call) -> Outcome {
    count(&shared.counters.hugging_face_userinfo);
    let now = shared.now();
    let state = shared.state();
    let account = call
        .bearer_token()
        .and_then(|token| state.hugging_face_tokens.get(token, now))
        .and_then(|persona| state.persona(persona))
        .and_then(|persona| {
            persona
                .hugging_face_now
                .as_ref()
                .or(persona.hugging_face.as_ref())
        });
    Ok(match account {
        Some(account) => reply::json(StatusCode::OK, &account.userinfo()),
        None => reply::json(
            StatusCode::UNAUTHORIZED,
            &json!({"error": "Invalid credentials in Authorization header"}),
        ),
    })
}

impl Control {
    /// Changes a persona's account at Hugging Face. Logto's claims stay as they were at the first sign-in. False when the
    /// persona or its account does not exist.
    pub fn update_hugging_face(&self, key: &str, change: impl FnOnce(&mut HuggingFaceAccount)) -> bool {
        let mut state = self.shared.state();
        let Some(persona) = state.persona_mut(key) else {
            return false;
        };
        let Some(recorded) = &persona.hugging_face else {
            return false;
        };
        change(persona.hugging_face_now.get_or_insert_with(|| recorded.clone()));
        true
    }
}

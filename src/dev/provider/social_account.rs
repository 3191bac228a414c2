//! Accounts at third parties: what Logto recorded of them at the first sign-in, and what the third party says.

use ::http::header::WWW_AUTHENTICATE;
use ::http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use super::super::reply;
use super::call::Call;
use super::connector::{Connector, HUGGING_FACE};
use super::control::count;
use super::error::Outcome;
use super::persona::Persona;
use super::state::Shared;

/// An account at the third party of a generic connector.
#[derive(Debug, Clone, PartialEq)]
pub struct SocialAccount {
    /// The connector's target.
    pub target: String,
    /// What the third party's userinfo says of it.
    pub userinfo: Map<String, Value>,
    /// What Logto recorded of that: `userId` and `details`.
    pub identity: Value,
}

impl SocialAccount {
    /// An account as the connector links it.
    pub fn linked(connector: &Connector, userinfo: Map<String, Value>) -> Self {
        Self {
            target: connector.target.clone(),
            identity: connector.profile_map.identity(&Value::Object(userinfo.clone())),
            userinfo,
        }
    }
}

impl Persona {
    /// `identities`: by target, what Logto recorded.
    pub(super) fn identities(&self) -> Value {
        let mut identities = Map::new();
        if let Some(account) = &self.hugging_face {
            let map = Connector::hugging_face().profile_map;
            identities.insert(HUGGING_FACE.to_owned(), map.identity(&account.userinfo()));
        }
        for account in &self.accounts {
            identities.insert(account.target.clone(), account.identity.clone());
        }
        Value::Object(identities)
    }

    /// What the third party calls this persona's account; `None` without one.
    pub(super) fn account_name(&self, target: &str) -> Option<String> {
        if target == HUGGING_FACE {
            return self.hugging_face.as_ref().map(|account| account.username.clone());
        }
        let account = self.accounts.iter().find(|account| account.target == target)?;
        let name = account.identity.pointer("/details/name").and_then(Value::as_str);
        Some(name.unwrap_or(&self.key).to_owned())
    }

    /// What the third party's userinfo says of it today.
    fn account_today(&self, target: &str) -> Option<Value> {
        if target == HUGGING_FACE {
            return self.hugging_face_today().map(|account| account.userinfo());
        }
        let account = self.accounts.iter().find(|account| account.target == target)?;
        Some(Value::Object(account.userinfo.clone()))
    }
}

/// `GET /<target>/oauth/userinfo` with a token of the third party's: the account as it is now.
pub(super) fn userinfo(shared: &Shared, call: &Call, connector: &Connector) -> Outcome {
    let is_hugging_face = connector.target == HUGGING_FACE;
    if is_hugging_face {
        count(&shared.counters.hugging_face_userinfo);
    }
    let now = shared.now();
    let state = shared.state();
    let account = call
        .bearer_token()
        .and_then(|token| state.third_party_tokens.get(token, now))
        .filter(|owner| owner.target == connector.target)
        .and_then(|owner| state.persona(&owner.persona))
        .and_then(|persona| persona.account_today(&connector.target));
    Ok(match account {
        Some(account) => reply::json(StatusCode::OK, &account),
        None => {
            let error = if is_hugging_face {
                "Invalid credentials in Authorization header"
            } else {
                "invalid_token"
            };
            let mut reply = reply::json(StatusCode::UNAUTHORIZED, &json!({"error": error}));
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            reply
        }
    })
}

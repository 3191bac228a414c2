//! Social connectors: what Logto is told of a third party, and how it reads what that says of an account.
//!
//! One is Hugging Face's. Any other is the generic OAuth 2.0 connector with a target of its own; the third party is played here
//! too, below `/<target>`.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::control::Control;
use super::state::State;
use super::vault::TokenStorage;

/// The target of Hugging Face's connector.
pub(super) const HUGGING_FACE: &str = "huggingface";

/// A social connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// What `direct_sign_in=social:<target>`, `identities` and the Account API call it: lower-case letters, digits, `-`, `_`.
    pub target: String,
    /// The third party's name on buttons and pages.
    pub name: String,
    /// Logto's ID of the connector, the last segment of its redirect URI.
    pub id: String,
    /// What Logto asks of the third party, separated by spaces.
    pub scope: String,
    /// Which members of the third party's userinfo Logto takes.
    pub profile_map: ProfileMap,
    /// What the third party's tokens begin with.
    pub token_prefix: String,
    /// How a sign-in stores the token that came of it, if it does. Logto: not.
    pub token_storage: Option<TokenStorage>,
}

/// `profileMap` of Logto's OAuth 2.0 connector: its name of a member, and the third party's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileMap {
    /// The account's identifier. Has to be there.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Email address.
    pub email: String,
    /// Phone number.
    pub phone: String,
    /// Picture URL.
    pub avatar: String,
}

impl Default for ProfileMap {
    /// Both names the same, as at Logto.
    fn default() -> Self {
        Self {
            id: "id".into(),
            name: "name".into(),
            email: "email".into(),
            phone: "phone".into(),
            avatar: "avatar".into(),
        }
    }
}

impl ProfileMap {
    /// What `identities.<target>` says of an account: its identifier, what is mapped, and all that the third party said.
    pub(super) fn identity(&self, userinfo: &Value) -> Value {
        let id = match userinfo.get(&self.id) {
            Some(Value::String(id)) => id.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let mut details = Map::from_iter([("id".to_owned(), json!(id))]);
        for (name, theirs) in [
            ("name", &self.name),
            ("email", &self.email),
            ("phone", &self.phone),
            ("avatar", &self.avatar),
        ] {
            if let Some(value) = userinfo.get(theirs) {
                details.insert(name.to_owned(), value.clone());
            }
        }
        details.insert("rawData".to_owned(), userinfo.clone());
        json!({"userId": id, "details": details})
    }
}

impl Connector {
    /// The connectors that a stand-in starts with: [`hugging_face`](Self::hugging_face) and [`acme`](Self::acme).
    pub fn built_in() -> Vec<Self> {
        vec![Self::hugging_face(), Self::acme()]
    }

    /// Hugging Face's.
    pub fn hugging_face() -> Self {
        Self {
            target: HUGGING_FACE.into(),
            name: "Hugging Face".into(),
            id: "huggingface-universal".into(),
            scope: "openid profile email".into(),
            profile_map: ProfileMap {
                id: "sub".into(),
                avatar: "picture".into(),
                ..ProfileMap::default()
            },
            token_prefix: "hf_oauth_".into(),
            token_storage: None,
        }
    }

    /// A generic OAuth 2.0 connector, to a third party that names nothing as Logto does.
    pub fn acme() -> Self {
        Self {
            target: "acme".into(),
            name: "Acme".into(),
            id: "oauth2-acme".into(),
            scope: "profile projects offline_access".into(),
            profile_map: ProfileMap {
                id: "uid".into(),
                name: "display_name".into(),
                email: "mail".into(),
                avatar: "avatar_url".into(),
                ..ProfileMap::default()
            },
            token_prefix: "acme_".into(),
            token_storage: None,
        }
    }

    /// Where the third party sends the browser back to, at Logto.
    pub(super) fn callback_path(&self) -> String {
        format!("/callback/{}", self.id)
    }

    /// The third party's authorization endpoint.
    pub(super) fn authorize_path(&self) -> String {
        format!("/{}/oauth/authorize", self.target)
    }
}

/// What a path is for a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `/direct/social/<target>` of Logto's.
    Direct,
    /// `/callback/<connector>` of Logto's.
    Callback,
    /// The third party's authorization endpoint.
    Authorize,
    /// The third party's userinfo endpoint.
    Userinfo,
}

impl State {
    /// The connector with this target.
    pub(super) fn connector(&self, target: &str) -> Option<&Connector> {
        self.connectors
            .iter()
            .find(|connector| connector.target == target)
    }

    /// Which connector a path belongs to, and what it is there.
    pub(super) fn connector_at(&self, path: &str) -> Option<(Connector, Place)> {
        let (by_id, name, place) = match path.strip_prefix('/')?.split('/').collect::<Vec<_>>()[..] {
            ["direct", "social", target] => (false, target, Place::Direct),
            ["callback", id] => (true, id, Place::Callback),
            [target, "oauth", "authorize"] => (false, target, Place::Authorize),
            [target, "oauth", "userinfo"] => (false, target, Place::Userinfo),
            _ => return None,
        };
        let found = self.connectors.iter().find(|connector| {
            let own = if by_id { &connector.id } else { &connector.target };
            percent_decode_str(name).eq(own.bytes())
        })?;
        Some((found.clone(), place))
    }
}

impl Control {
    /// From now on a sign-in through the connector with this target stores the token that came of it; `None`: none does. False
    /// when there is no such connector.
    pub fn set_token_storage(&self, target: &str, storage: Option<TokenStorage>) -> bool {
        let mut state = self.shared.state();
        let found = state
            .connectors
            .iter_mut()
            .find(|connector| connector.target == target);
        found.map(|connector| connector.token_storage = storage).is_some()
    }
}

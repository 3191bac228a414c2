//! Asking Hugging Face who a token belongs to, and which organizations that account is in now.
//!
//! Promises: one bounded call, sent to one configured address, never repeated; while Hugging Face is away few calls are made;
//! an answer counts only with an account and a list of organizations in it. An organization whose own conditions the user has
//! not met (single sign-on, a second factor) is left out: there too it would not open. Refuses to know sessions, claims and
//! where the token comes from.

mod pause;

#[cfg(test)]
mod tests;

use crate::back_channel::{self, BackChannel, CallFailure, SetupFailure};
use crate::clock;
use crate::secret::SecretText;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use pause::Pause;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use url::Url;

/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read, in bytes. An organization takes some 300.
const BODY_LIMIT: usize = 256 * 1024;
/// Most organizations that are looked at.
const MOST_ORGANIZATIONS: usize = 500;

/// The userinfo endpoint of Hugging Face, or of whatever speaks like it.
#[derive(Debug)]
pub struct HuggingFace {
    channel: BackChannel,
    userinfo: Url,
    pause: Pause,
}

/// An account as Hugging Face describes it at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its ID: `sub`.
    pub id: String,
    /// The organizations it is in and may use, each with `sub` and what else a claim of Logto's says that is short:
    /// `name`, `preferred_username`, `roleInOrg`, `isEnterprise`.
    pub organizations: Vec<Value>,
}

/// Why nothing is known of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountFailure {
    /// Hugging Face does not accept the token: it ended or was revoked.
    Refused,
    /// The answer does not say which organizations there are: the token lacks the scope `profile`, or this is not Hugging Face.
    NotTold,
    /// Hugging Face is away, slow, or wants to be asked less often.
    Away,
}

#[derive(Deserialize)]
struct Userinfo {
    sub: String,
    orgs: Option<Vec<Map<String, Value>>>,
}

impl HuggingFace {
    /// Asks at this address.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(userinfo: Url) -> Result<Self, SetupFailure> {
        Ok(Self {
            channel: BackChannel::new(&[])?,
            userinfo,
            pause: Pause::default(),
        })
    }

    /// Where it asks.
    pub const fn userinfo(&self) -> &Url {
        &self.userinfo
    }

    /// Whose token this is, and which organizations that account is in. Takes 5 s at most.
    ///
    /// # Errors
    /// See [`AccountFailure`].
    pub async fn account(&self, token: &SecretText) -> Result<Account, AccountFailure> {
        let request = self.request(token).ok_or(AccountFailure::Refused)?;
        if self.pause.is_on(clock::monotonic()) {
            return Err(AccountFailure::Away);
        }
        let sent = self
            .channel
            .send("hugging_face", request, CALL_TIMEOUT, BODY_LIMIT)
            .await;
        match sent {
            Ok(answer) => {
                self.pause.answered();
                read(answer.status, &answer.body)
            }
            Err(CallFailure::TooLarge) => {
                self.pause.answered();
                Err(AccountFailure::NotTold)
            }
            // Said of one user's token, so that it must not count against everybody.
            Err(CallFailure::ServerError { status: 429 }) => Err(AccountFailure::Away),
            Err(_) => {
                self.pause.failed(clock::monotonic());
                Err(AccountFailure::Away)
            }
        }
    }

    fn request(&self, token: &SecretText) -> Option<Request<Full<Bytes>>> {
        let field = SecretText::new(format!("Bearer {}", token.expose()));
        let mut authorization = HeaderValue::from_str(field.expose()).ok()?;
        authorization.set_sensitive(true);
        Request::builder()
            .method(Method::GET)
            .uri(self.userinfo.as_str())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, HeaderValue::from_static(back_channel::USER_AGENT))
            .header(AUTHORIZATION, authorization)
            .body(Full::default())
            .ok()
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<Account, AccountFailure> {
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(AccountFailure::Refused),
        _ => return Err(AccountFailure::NotTold),
    }
    let userinfo: Userinfo = serde_json::from_slice(body).map_err(|_| AccountFailure::NotTold)?;
    let organizations = userinfo.orgs.ok_or(AccountFailure::NotTold)?;
    Ok(Account {
        id: userinfo.sub,
        organizations: organizations
            .iter()
            .take(MOST_ORGANIZATIONS)
            .filter(|organization| is_usable(organization))
            .map(short)
            .collect(),
    })
}

/// Whether the user has met what the organization asks of its members.
fn is_usable(organization: &Map<String, Value>) -> bool {
    ["pendingSSO", "missingMFA"]
        .iter()
        .all(|unmet| organization.get(*unmet) != Some(&Value::Bool(true)))
}

/// Without what only takes room in a cookie, such as pictures.
fn short(organization: &Map<String, Value>) -> Value {
    let mut kept = Map::new();
    for name in ["sub", "name", "preferred_username", "roleInOrg", "isEnterprise"] {
        if let Some(value) = organization.get(name).filter(|value| !value.is_null()) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    json!(kept)
}

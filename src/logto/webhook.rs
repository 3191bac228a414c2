//! Webhooks of Logto: that they are Logto's, and what they say about users.
//!
//! A webhook is signed with a key that only Logto and this proxy have: `logto-signature-sha-256` is the HMAC-SHA256 of the raw
//! body in hexadecimal. Nothing of the body is read before that holds, the comparison takes the same time whatever is wrong,
//! and a webhook older than five minutes is refused, so that an old one cannot be played again. Logto sends one up to four
//! times; what follows from an event must bear that.
//!
//! The shapes are those that Logto 1.42 sends, and earlier versions. In events of the Management API the user is named by the
//! route (`params.userId`); `data` is whatever that route answered, which for custom data is an object of the user's own
//! choosing, so an `id` in there counts only where no route is named. Other events name the user as `data.id` or `userId`.

use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use aws_lc_rs::hmac;
use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How old a webhook may be, and how far ahead of this machine's clock.
const OLDEST: Duration = Duration::from_secs(300);
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;
/// Most users that one event may name one by one. Logto names up to 10,000; beyond this all sessions are meant.
const MOST_SUBJECTS: usize = 100;
/// Longest user id, in characters. Logto's have 12.
const LONGEST_SUBJECT: usize = 255;

/// The signing key of a webhook, as Logto's console shows it.
#[derive(Debug, Clone)]
pub struct WebhookKey(SecretText);

impl WebhookKey {
    /// Takes the key as text: its bytes are the HMAC's key.
    pub const fn new(key: SecretText) -> Self {
        Self(key)
    }
}

/// What a webhook says that concerns sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookEvent {
    /// `User.SuspensionStatus.Updated`: the user may no longer sign in.
    Suspended {
        /// The user.
        subject: String,
    },
    /// `User.Deleted`.
    Deleted {
        /// The user.
        subject: String,
    },
    /// `User.Data.Updated`, `Grant.LimitExceeded` (grants were taken back), `Organization.Membership.Updated` that says
    /// whose: what is known of these users is out of date.
    Changed {
        /// The users, at least one, each once.
        subjects: Vec<String>,
    },
    /// `Organization.Membership.Updated` that does not say whose, or names very many.
    MembershipChanged,
    /// Nothing that concerns sessions.
    Other,
}

impl WebhookEvent {
    /// A short lower-case word for a metric label.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Suspended { .. } => "suspended",
            Self::Deleted { .. } => "deleted",
            Self::Changed { .. } => "changed",
            Self::MembershipChanged => "membership_changed",
            Self::Other => "other",
        }
    }
}

/// Why a webhook does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookRefusal {
    /// No signature, or not one of this body by this key.
    #[error("the signature is missing or wrong")]
    Signature,
    /// Signed, but not JSON of the expected form.
    #[error("the body is not an event")]
    Format,
    /// Made too long ago, or in the future.
    #[error("the event is too old, or from the future")]
    Age,
}

impl WebhookRefusal {
    /// A short lower-case word for a metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Format => "format",
            Self::Age => "age",
        }
    }
}

/// The members that count; there are others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    event: String,
    created_at: String,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    user_id: Value,
    #[serde(default)]
    added_user_ids: Vec<String>,
    #[serde(default)]
    removed_user_ids: Vec<String>,
    #[serde(default)]
    added_application_ids: Vec<String>,
    #[serde(default)]
    removed_application_ids: Vec<String>,
}

/// Proves and reads a webhook. `signature` is the value of `logto-signature-sha-256`.
pub fn read(
    key: &WebhookKey,
    signature: Option<&[u8]>,
    body: &[u8],
    now: UnixSeconds,
) -> Result<WebhookEvent, WebhookRefusal> {
    let tag = signature.and_then(unhex).ok_or(WebhookRefusal::Signature)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.0.expose().as_bytes());
    hmac::verify(&key, body, &tag).map_err(|_| WebhookRefusal::Signature)?;

    let payload: Payload = serde_json::from_slice(body).map_err(|_| WebhookRefusal::Format)?;
    let created = DateTime::parse_from_rfc3339(&payload.created_at).map_err(|_| WebhookRefusal::Format)?;
    let created = u64::try_from(created.timestamp()).map_err(|_| WebhookRefusal::Age)?;
    if now.as_u64().abs_diff(created) > OLDEST.as_secs() {
        return Err(WebhookRefusal::Age);
    }
    Ok(payload.event())
}

impl Payload {
    fn event(self) -> WebhookEvent {
        match self.event.as_str() {
            "User.SuspensionStatus.Updated" => match (self.subject(), self.data.get("isSuspended")) {
                (None, _) | (_, Some(Value::Bool(false))) => WebhookEvent::Other,
                (Some(subject), Some(Value::Bool(true))) => WebhookEvent::Suspended { subject },
                // Logto says which; if it ever does not, it can be asked.
                (Some(subject), _) => changed(subject),
            },
            "User.Deleted" => self
                .subject()
                .map_or(WebhookEvent::Other, |subject| WebhookEvent::Deleted { subject }),
            "User.Data.Updated" => self.subject().map_or(WebhookEvent::Other, changed),
            "Grant.LimitExceeded" => identifier(&self.user_id).map_or(WebhookEvent::Other, changed),
            "Organization.Membership.Updated" => self.members(),
            _ => WebhookEvent::Other,
        }
    }

    /// The user of an event about one user.
    fn subject(&self) -> Option<String> {
        match self.params.get("userId") {
            Some(named) => identifier(named),
            None => identifier(self.data.get("id")?),
        }
    }

    fn members(self) -> WebhookEvent {
        let named = self
            .added_user_ids
            .len()
            .saturating_add(self.removed_user_ids.len());
        let concerns_applications =
            !(self.added_application_ids.is_empty() && self.removed_application_ids.is_empty());
        let mut subjects: Vec<_> = self.removed_user_ids;
        subjects.extend(self.added_user_ids);
        if named == 0 && concerns_applications {
            // Machines came or went.
            WebhookEvent::Other
        } else if named == 0 || named > MOST_SUBJECTS || !subjects.iter().all(|subject| is_subject(subject)) {
            WebhookEvent::MembershipChanged
        } else {
            subjects.sort();
            subjects.dedup();
            WebhookEvent::Changed { subjects }
        }
    }
}

fn changed(subject: String) -> WebhookEvent {
    WebhookEvent::Changed {
        subjects: vec![subject],
    }
}

fn identifier(value: &Value) -> Option<String> {
    value.as_str().filter(|text| is_subject(text)).map(str::to_owned)
}

fn is_subject(text: &str) -> bool {
    let length = text.chars().count();
    (1..=LONGEST_SUBJECT).contains(&length) && !text.chars().any(char::is_control)
}

/// Exactly one SHA-256 in hexadecimal, either case.
fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    if text.len() != DIGITS {
        return None;
    }
    text.chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
            _ => None,
        })
        .collect()
}

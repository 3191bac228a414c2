//! Which Hugging Face organizations a user is in now.
//!
//! What Logto says of that is of the day on which the account was linked. Where it stores the user's Hugging Face token, Hugging
//! Face itself is asked, at each sign-in and each re-check, and its word takes the place of that claim. Promises that nobody
//! gets back by losing the token what Hugging Face has taken: in a session for which Hugging Face has been asked once, the old
//! claim never counts again. While it cannot be asked, its last word holds for the grace of re-checks; then the list is empty,
//! as it is at once when Hugging Face refuses the token or gives another account's. Stops access that outlives a membership.

use super::Rechecks;
use crate::clock::{UnixSeconds, monotonic};
use crate::hugging_face::{Account, AccountFailure, HuggingFace};
use crate::identity::Claims;
use crate::logto::{LogtoErrorKind, SocialTokenFailure};
use crate::policy::is_organization;
use crate::secret::SecretText;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// The target under which Logto keeps the account and its token.
const TARGET: &str = "huggingface";
/// How long Logto and Hugging Face together may take at a sign-in.
const LONGEST: Duration = Duration::from_secs(10);
/// How long Logto may take to give the token.
const TOKEN_PATIENCE: Duration = Duration::from_secs(5);
/// Beside `userId`: when Hugging Face last said so, seconds since the epoch; 0: it was to be asked and never answered.
const CHECKED_AT: &str = "orgs_checked_at";

/// Longest list that a session keeps whole, in bytes of JSON.
const LONGEST_LIST: usize = 2_048;

/// The claims that a session must keep besides the list itself.
pub const KEPT_CLAIMS: [&str; 2] = [
    "identities.huggingface.userId",
    "identities.huggingface.orgs_checked_at",
];

/// How organizations are asked for.
#[derive(Debug, Clone)]
pub struct LiveOrganizations {
    /// Who is asked.
    pub hugging_face: Arc<HuggingFace>,
    /// Whether only Hugging Face's own word counts: who has no stored token is in no organization.
    pub required: bool,
    /// The log says that tokens are not stored.
    pub told: Arc<AtomicBool>,
}

/// What was learnt.
enum Word {
    /// From Hugging Face, now.
    Said(Vec<Value>),
    /// There is a token, but Hugging Face refuses it or says another account's name: it proves nothing.
    Disproved,
    /// There is or was a token, and no answer.
    Unanswered,
    /// Logto keeps no token of this user.
    NoToken,
    /// Logto could not be asked whether it does.
    Unknown,
}

impl Word {
    /// As a metric's label.
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Said(_) => "live",
            Self::Disproved => "disproved",
            Self::Unanswered => "unanswered",
            Self::NoToken => "no_token",
            Self::Unknown => "unknown",
        }
    }
}

/// What the session knew of the same account.
struct Before {
    organizations: Value,
    checked_at: Option<UnixSeconds>,
}

impl Rechecks {
    /// The claims of a user as [`with_live_organizations`](Self::with_live_organizations) has them, with a list that fits into a
    /// session: of a long one those that rules ask for, unless more is read of it.
    pub async fn with_organizations(
        &self,
        claims: Map<String, Value>,
        access_token: &SecretText,
        before: Option<&Claims>,
    ) -> Map<String, Value> {
        self.with_organizations_by(monotonic() + LONGEST, claims, access_token, before)
            .await
    }

    /// The same, and not beyond `until`.
    pub(super) async fn with_organizations_by(
        &self,
        until: Instant,
        claims: Map<String, Value>,
        access_token: &SecretText,
        before: Option<&Claims>,
    ) -> Map<String, Value> {
        let mut claims = self
            .with_live_organizations(claims, access_token, before, until)
            .await;
        if let Some(asked_for) = &self.organizations_asked_for
            && let Some(list) = account_mut(&mut claims)
                .and_then(|account| account.get_mut("details")?.get_mut("rawData")?.get_mut("orgs"))
            && list.to_string().len() > LONGEST_LIST
            && let Some(held) = list.as_array_mut()
        {
            held.retain(|held| asked_for.iter().any(|wanted| is_organization(held, wanted)));
        }
        claims
    }

    /// The claims of a user with the organizations of their Hugging Face account as they are now, where some route asks for
    /// those. `access_token` is the user's opaque one, `before` are the claims of the session that is confirmed. Takes 10 s at
    /// most and ends by `until`, and does nothing for users without such an account.
    async fn with_live_organizations(
        &self,
        mut claims: Map<String, Value>,
        access_token: &SecretText,
        before: Option<&Claims>,
        until: Instant,
    ) -> Map<String, Value> {
        let Some(live) = &self.organizations else {
            return claims;
        };
        let Some(account) = account_mut(&mut claims) else {
            return claims;
        };
        let Some(id) = account.get("userId").and_then(Value::as_str).map(str::to_owned) else {
            return claims;
        };
        let before = before.and_then(|before| known(before, &id));
        let asking = self.ask_organizations(live, access_token, &id);
        let word = timeout_at(until, asking).await.unwrap_or(Word::Unknown);
        self.metrics.hugging_face_check(word.as_str());
        let now = self.clock.now();
        let last_known = || match &before {
            Some(Before {
                organizations,
                checked_at: Some(at),
            }) if now.since(*at) < self.limits.grace => (organizations.clone(), Some(*at)),
            _ => (json!([]), Some(UnixSeconds::default())),
        };
        let was_asked = live.required || before.as_ref().is_some_and(|before| before.checked_at.is_some());
        let (organizations, checked_at) = match word {
            Word::Said(organizations) => (Value::from(organizations), Some(now)),
            Word::Disproved => (json!([]), Some(UnixSeconds::default())),
            Word::Unanswered => last_known(),
            Word::NoToken | Word::Unknown if was_asked => last_known(),
            Word::NoToken => {
                live.tell_once();
                account.remove(CHECKED_AT);
                return claims;
            }
            // Not known yet whether the claim may count.
            Word::Unknown => (before.map_or(json!([]), |before| before.organizations), None),
        };
        account.remove(CHECKED_AT);
        if let Some(at) = checked_at {
            account.insert(CHECKED_AT.to_owned(), json!(at.as_u64()));
        }
        set_organizations(account, organizations);
        claims
    }

    async fn ask_organizations(&self, live: &LiveOrganizations, access_token: &SecretText, id: &str) -> Word {
        let asked = timeout(TOKEN_PATIENCE, self.logto.social_token(access_token, TARGET)).await;
        let token = match asked {
            Ok(Ok(token)) => token,
            Ok(Err(failure)) => return without_token(&failure),
            Err(_) => return Word::Unknown,
        };
        match live.hugging_face.account(&token.access_token).await {
            Ok(Account { id: other, .. }) if other != id => {
                tracing::warn!(
                    "a stored Hugging Face token is of another account than the one that is linked"
                );
                Word::Disproved
            }
            Ok(account) => Word::Said(account.organizations),
            Err(AccountFailure::Refused) => Word::Disproved,
            Err(AccountFailure::NotTold) => {
                tracing::warn!(
                    "Hugging Face did not say which organizations a user is in: does the connector ask for the scopes openid and profile?"
                );
                Word::Unanswered
            }
            Err(AccountFailure::Away) => Word::Unanswered,
        }
    }
}

impl LiveOrganizations {
    fn tell_once(&self) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "Logto stores no Hugging Face token of a user, so hf_org goes by what it knew when the account was linked"
            );
        }
    }
}

/// What it means that Logto gives no token.
fn without_token(failure: &SocialTokenFailure) -> Word {
    match failure {
        SocialTokenFailure::AccountCenterOff
        | SocialTokenFailure::MissingScope
        | SocialTokenFailure::NotStored => Word::NoToken,
        SocialTokenFailure::Expired => Word::Unanswered,
        // A Logto without a Secret Vault.
        SocialTokenFailure::Unavailable(error)
            if matches!(error.kind(), LogtoErrorKind::Misconfigured { .. }) =>
        {
            Word::NoToken
        }
        SocialTokenFailure::Refused | SocialTokenFailure::Unavailable(_) => Word::Unknown,
    }
}

fn account_mut(claims: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    claims.get_mut("identities")?.get_mut(TARGET)?.as_object_mut()
}

/// What is known of this very account; of another one nothing.
fn known(claims: &Claims, id: &str) -> Option<Before> {
    let account = claims.members().get("identities")?.get(TARGET)?;
    if account.get("userId").and_then(Value::as_str) != Some(id) {
        return None;
    }
    let organizations = account.pointer("/details/rawData/orgs").cloned();
    Some(Before {
        organizations: organizations.unwrap_or_else(|| json!([])),
        checked_at: account
            .get(CHECKED_AT)
            .and_then(Value::as_u64)
            .map(UnixSeconds::new),
    })
}

/// Puts the list where Logto has it, whatever is there.
fn set_organizations(account: &mut Map<String, Value>, organizations: Value) {
    let mut place = account;
    for name in ["details", "rawData"] {
        let inner = place.entry(name).or_insert_with(|| json!({}));
        if !inner.is_object() {
            *inner = json!({});
        }
        let Value::Object(inner) = inner else { return };
        place = inner;
    }
    place.insert("orgs".to_owned(), organizations);
}

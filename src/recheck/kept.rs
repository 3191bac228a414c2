//! The tokens that Logto gave for sessions, while they live: what upstreams are handed.
//!
//! Promises that a token is given out for the session it was issued to and no other, only while it lives, and only while Logto
//! says of the user what it said when it issued the token; that what Logto would not give is not asked for again at once.
//! Bounded: the sessions whose tokens end first are dropped first. In memory alone: a restart asks Logto again. Refuses to know
//! who may have which token.

use crate::clock::UnixSeconds;
use crate::identity::Claims;
use crate::secret::SecretText;
use crate::session::SessionId;
use crate::store::expiring::Expiring;
use bytes::Bytes;
use http::HeaderValue;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most sessions with tokens.
const MOST_SESSIONS: usize = 10_000;
/// Most different tokens of one session.
pub(super) const MOST_OF_A_SESSION: usize = 32;
/// A token is replaced when less than this is left of its life, so that the upstream has a minute to use it.
const AHEAD: Duration = Duration::from_secs(90);
/// The life of a token of which Logto does not say how long it lives.
const UNKNOWN_LIFE: Duration = Duration::from_secs(300);
/// Longest token that could travel in a header, in bytes.
const LONGEST: usize = 16 * 1024;

/// Which token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Want {
    /// The opaque access token, for userinfo and Logto's Account API.
    Access,
    /// The ID token.
    Id,
    /// An access token for this resource, this organization, or the resource in the organization. One of them is there.
    For {
        /// An API indicator.
        resource: Option<String>,
        /// An organization's ID.
        organization: Option<String>,
    },
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Logto does not give it to this user: no member of the organization, or not asked for at the sign-in.
    NotGranted,
    /// Logto did not answer, or there is nothing left to ask it with.
    Unavailable,
}

/// A token as request headers carry it. Both forms share one buffer and are marked sensitive.
#[derive(Clone)]
pub struct Token {
    raw: HeaderValue,
    bearer: HeaderValue,
    obtained: UnixSeconds,
    expires: UnixSeconds,
}

/// What is known of a token that is wanted.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// It, when it lives.
    pub token: Option<Token>,
    /// Whether Logto was asked for it a moment ago in vain.
    pub lack: Option<Lack>,
}

impl Token {
    /// `None` when it could not travel in a header.
    pub fn new(text: &SecretText, obtained: UnixSeconds, expires: UnixSeconds) -> Option<Self> {
        const SCHEME: &str = "Bearer ";
        if text.expose().is_empty() || text.expose().len() > LONGEST {
            return None;
        }
        let bytes = Bytes::from(format!("{SCHEME}{}", text.expose()));
        let mut raw = HeaderValue::from_maybe_shared(bytes.slice(SCHEME.len()..)).ok()?;
        let mut bearer = HeaderValue::from_maybe_shared(bytes).ok()?;
        raw.set_sensitive(true);
        bearer.set_sensitive(true);
        Some(Self {
            raw,
            bearer,
            obtained,
            expires,
        })
    }

    /// The same for a life as the token endpoint tells it, seconds.
    pub fn living(text: &SecretText, obtained: UnixSeconds, expires_in: Option<u64>) -> Option<Self> {
        let life = expires_in.map_or(UNKNOWN_LIFE, Duration::from_secs);
        Self::new(text, obtained, obtained.plus(life))
    }

    /// The token alone.
    pub const fn raw(&self) -> &HeaderValue {
        &self.raw
    }

    /// As credentials of `Authorization` (RFC 6750 §2.1).
    pub const fn bearer(&self) -> &HeaderValue {
        &self.bearer
    }

    /// As text, for another call with it.
    pub fn secret(&self) -> Option<SecretText> {
        Some(SecretText::new(self.raw.to_str().ok()?.to_owned()))
    }

    /// When it ends.
    pub const fn expires(&self) -> UnixSeconds {
        self.expires
    }

    /// Whether it may still be used.
    pub fn lives(&self, now: UnixSeconds) -> bool {
        now < self.expires
    }

    /// Whether another one should be had: little is left, or half where a whole life is little.
    pub fn is_due(&self, now: UnixSeconds) -> bool {
        let life = self.expires.since(self.obtained);
        let ahead = AHEAD.min(life / 2);
        self.expires.since(now) < ahead || !self.lives(now)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token(until {})", self.expires.as_u64())
    }
}

impl Held {
    /// Whether it has to be asked for before it is used.
    pub fn is_wanting(&self, now: UnixSeconds) -> bool {
        self.lack.is_none() && self.token.as_ref().is_none_or(|token| token.is_due(now))
    }
}

/// What Logto said of the user, and when: what a token stands on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground {
    confirmed_at: UnixSeconds,
    said: u64,
}

impl Ground {
    /// Of claims as a session keeps them. What third parties say changes no token of Logto's.
    pub(super) fn new(confirmed_at: UnixSeconds, claims: &Claims) -> Self {
        let mut members = claims.members().clone();
        members.remove("identities");
        let mut hasher = DefaultHasher::new();
        Claims::new(members).to_json().hash(&mut hasher);
        Self {
            confirmed_at,
            said: hasher.finish(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    want: Want,
    ground: Option<Ground>,
    token: Option<Token>,
    lack: Option<(Lack, UnixSeconds)>,
}

/// Tokens by session.
#[derive(Debug)]
pub(super) struct KeptTokens(Mutex<Expiring<SessionId, Vec<Entry>>>);

impl Default for KeptTokens {
    fn default() -> Self {
        Self(Mutex::new(Expiring::new(MOST_SESSIONS)))
    }
}

impl KeptTokens {
    /// What is known of one.
    pub(super) fn get(&self, session: SessionId, want: &Want, now: UnixSeconds) -> Held {
        self.get_since(session, want, UnixSeconds::default(), now)
            .unwrap_or_default()
    }

    /// The same for a session that was confirmed then; `None` when what is known is from before that, so that
    /// [`Self::stand`] has to say first whether it still holds.
    pub(super) fn get_since(
        &self,
        session: SessionId,
        want: &Want,
        confirmed_at: UnixSeconds,
        now: UnixSeconds,
    ) -> Option<Held> {
        let sessions = self.lock();
        let entry = sessions
            .get(&session, now)
            .and_then(|entries| entries.iter().find(|entry| entry.want == *want));
        let Some(entry) = entry else {
            return Some(Held::default());
        };
        if entry.is_before(confirmed_at) {
            return None;
        }
        Some(Held {
            token: entry.token.clone().filter(|token| token.lives(now)),
            lack: entry.lack.filter(|(_, until)| now < *until).map(|(lack, _)| lack),
        })
    }

    /// Keeps a token in place of the one before.
    pub(super) fn keep(
        &self,
        session: SessionId,
        want: Want,
        token: Token,
        ground: Ground,
        now: UnixSeconds,
    ) {
        self.change(session, want, now, |entry| {
            entry.token = Some(token);
            entry.ground = Some(ground);
            entry.lack = None;
        });
    }

    /// Notes that Logto did not give one. What it gave before stays as long as it lives, unless the user may not have it.
    pub(super) fn lacks(
        &self,
        session: SessionId,
        want: Want,
        (lack, pause): (Lack, Duration),
        ground: Option<Ground>,
        now: UnixSeconds,
    ) {
        self.change(session, want, now, |entry| {
            entry.lack = Some((lack, now.plus(pause)));
            entry.ground = entry.ground.or(ground);
            if lack == Lack::NotGranted {
                entry.token = None;
            }
        });
    }

    /// Forgets one that was not accepted any more, unless there is another in its place by now.
    pub(super) fn forget(&self, session: SessionId, want: &Want, refused: &Token, now: UnixSeconds) {
        self.retain(session, now, |entry| {
            let is_it = entry.token.as_ref().is_some_and(|token| token.raw == refused.raw);
            entry.want != *want || !is_it
        });
    }

    /// A session was confirmed with these claims, here or by another replica: forgets what was issued on other ones before.
    /// Somebody who lost a role or left an organization is not to go on with a token of before.
    pub(super) fn stand(&self, session: SessionId, ground: Ground, now: UnixSeconds) {
        self.retain(session, now, |entry| match &mut entry.ground {
            Some(former) if former.confirmed_at > ground.confirmed_at => true,
            Some(former) if former.said == ground.said => {
                *former = ground;
                true
            }
            Some(_) => entry.want == Want::Access,
            None => true,
        });
    }

    /// Forgets all of a session.
    pub(super) fn forget_session(&self, session: SessionId) {
        self.lock().remove(&session);
    }

    fn retain(&self, session: SessionId, now: UnixSeconds, keep: impl FnMut(&mut Entry) -> bool) {
        let mut sessions = self.lock();
        let mut entries = sessions.remove(&session).unwrap_or_default();
        entries.retain_mut(keep);
        put(&mut sessions, session, entries, now);
    }

    fn change(&self, session: SessionId, want: Want, now: UnixSeconds, change: impl FnOnce(&mut Entry)) {
        let mut sessions = self.lock();
        let mut entries = sessions.remove(&session).unwrap_or_default();
        entries.retain(|entry| entry.end() > now || entry.want == want);
        let mut entry = match entries.iter().position(|entry| entry.want == want) {
            Some(place) => entries.swap_remove(place),
            None => Entry {
                want,
                ground: None,
                token: None,
                lack: None,
            },
        };
        change(&mut entry);
        if entries.len() >= MOST_OF_A_SESSION {
            let first = entries.iter().enumerate().min_by_key(|(_, entry)| entry.end());
            if let Some(first) = first.map(|(place, _)| place) {
                entries.swap_remove(first);
            }
        }
        entries.push(entry);
        put(&mut sessions, session, entries, now);
    }

    fn lock(&self) -> MutexGuard<'_, Expiring<SessionId, Vec<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(
    sessions: &mut Expiring<SessionId, Vec<Entry>>,
    session: SessionId,
    entries: Vec<Entry>,
    now: UnixSeconds,
) {
    let end = entries.iter().map(Entry::end).max();
    if let Some(end) = end.filter(|end| *end > now) {
        sessions.insert(session, entries, end, now);
    }
}

impl Entry {
    /// Whether it has to be compared with what Logto said then. What the opaque token opens tells its own.
    fn is_before(&self, confirmed_at: UnixSeconds) -> bool {
        let is_before = |ground: &Ground| ground.confirmed_at < confirmed_at;
        self.want != Want::Access && self.ground.as_ref().is_some_and(is_before)
    }

    fn end(&self) -> UnixSeconds {
        let token = self.token.as_ref().map(|token| token.expires);
        let lack = self.lack.map(|(_, until)| until);
        token.max(lack).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

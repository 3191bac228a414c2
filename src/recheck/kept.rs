//! The tokens that Logto gave for sessions, while they live: what upstreams are handed.
//!
//! Promises that a token is given out for the session it was issued to and no other, only while it lives, and that what Logto
//! would not give is not asked for again at once. Bounded: the sessions whose tokens end first are dropped first. In memory
//! alone: a restart asks Logto again. Refuses to know who may have which token.

use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use crate::session::SessionId;
use crate::store::expiring::Expiring;
use bytes::Bytes;
use http::HeaderValue;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most sessions with tokens.
const MOST_SESSIONS: usize = 10_000;
/// Most different tokens of one session.
const MOST_OF_A_SESSION: usize = 32;
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

#[derive(Debug)]
struct Entry {
    want: Want,
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
        let sessions = self.lock();
        let entry = sessions
            .get(&session, now)
            .and_then(|entries| entries.iter().find(|entry| entry.want == *want));
        let Some(entry) = entry else {
            return Held::default();
        };
        Held {
            token: entry.token.clone().filter(|token| token.lives(now)),
            lack: entry.lack.filter(|(_, until)| now < *until).map(|(lack, _)| lack),
        }
    }

    /// Keeps a token in place of the one before.
    pub(super) fn keep(&self, session: SessionId, want: Want, token: Token, now: UnixSeconds) {
        self.change(session, want, now, |entry| {
            entry.token = Some(token);
            entry.lack = None;
        });
    }

    /// Notes that Logto did not give one. What it gave before stays as long as it lives, unless the user may not have it.
    pub(super) fn lacks(
        &self,
        session: SessionId,
        want: Want,
        lack: Lack,
        pause: Duration,
        now: UnixSeconds,
    ) {
        self.change(session, want, now, |entry| {
            entry.lack = Some((lack, now.plus(pause)));
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

    /// Forgets what stands for something that the user may have lost.
    pub(super) fn forget_for_resources(&self, session: SessionId, now: UnixSeconds) {
        self.retain(session, now, |entry| !matches!(entry.want, Want::For { .. }));
    }

    /// Forgets all of a session.
    pub(super) fn forget_session(&self, session: SessionId) {
        self.lock().remove(&session);
    }

    fn retain(&self, session: SessionId, now: UnixSeconds, keep: impl FnMut(&Entry) -> bool) {
        let mut sessions = self.lock();
        let mut entries = sessions.remove(&session).unwrap_or_default();
        entries.retain(keep);
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
                token: None,
                lack: None,
            },
        };
        change(&mut entry);
        if entries.len() < MOST_OF_A_SESSION {
            entries.push(entry);
        }
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
    fn end(&self) -> UnixSeconds {
        let token = self.token.as_ref().map(|token| token.expires);
        let lack = self.lack.map(|(_, until)| until);
        token.max(lack).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn at(seconds: u64) -> UnixSeconds {
        UnixSeconds::new(1_000_000 + seconds)
    }

    /// Another one each time.
    fn id() -> SessionId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    fn token(text: &str, life: u64) -> Token {
        Token::living(&SecretText::new(text.to_owned()), at(0), Some(life)).unwrap()
    }

    fn want(organization: &str) -> Want {
        Want::For {
            resource: None,
            organization: Some(organization.to_owned()),
        }
    }

    #[test]
    fn a_token_is_given_to_its_session_while_it_lives() {
        let kept = KeptTokens::default();
        let (one, other) = (id(), id());
        kept.keep(one, Want::Access, token("abc", 600), at(0));
        let held = kept.get(one, &Want::Access, at(1));
        assert_eq!(held.token.as_ref().unwrap().raw(), "abc");
        assert_eq!(held.token.as_ref().unwrap().bearer(), "Bearer abc");
        assert!(!held.is_wanting(at(1)) && held.is_wanting(at(511)));
        assert!(kept.get(one, &Want::Id, at(1)).is_wanting(at(1)));
        assert!(kept.get(other, &Want::Access, at(1)).token.is_none());
        assert!(kept.get(one, &Want::Access, at(599)).token.is_some());
        // Also when another one of the session lives on.
        kept.keep(one, Want::Id, token("def", 900), at(0));
        assert!(kept.get(one, &Want::Access, at(600)).token.is_none());
        assert!(kept.get(one, &Want::Id, at(600)).token.is_some());
        assert!(kept.get(one, &Want::Id, at(900)).token.is_none());
        kept.forget_session(one);
        assert!(kept.get(one, &Want::Access, at(1)).token.is_none());
    }

    #[test]
    fn a_short_life_is_used_to_its_half() {
        let token = token("abc", 60);
        assert!(!token.is_due(at(29)) && token.is_due(at(31)));
    }

    #[test]
    fn a_refusal_is_remembered_for_a_while_and_an_outage_takes_nothing_away() {
        let kept = KeptTokens::default();
        let session = id();
        kept.keep(session, want("a"), token("abc", 60), at(0));
        kept.lacks(
            session,
            want("a"),
            Lack::Unavailable,
            Duration::from_secs(5),
            at(40),
        );
        let held = kept.get(session, &want("a"), at(41));
        assert!(held.token.is_some() && held.lack == Some(Lack::Unavailable) && !held.is_wanting(at(41)));
        assert!(kept.get(session, &want("a"), at(45)).is_wanting(at(45)));
        kept.lacks(
            session,
            want("a"),
            Lack::NotGranted,
            Duration::from_secs(60),
            at(45),
        );
        let held = kept.get(session, &want("a"), at(46));
        assert!(held.token.is_none() && held.lack == Some(Lack::NotGranted) && !held.is_wanting(at(46)));
        assert!(kept.get(session, &want("a"), at(105)).is_wanting(at(105)));
    }

    #[test]
    fn what_may_be_lost_with_a_role_is_forgotten_alone() {
        let kept = KeptTokens::default();
        let session = id();
        kept.keep(session, Want::Access, token("a", 600), at(0));
        kept.keep(session, want("a"), token("b", 600), at(0));
        kept.forget_for_resources(session, at(1));
        assert!(kept.get(session, &Want::Access, at(1)).token.is_some());
        assert!(kept.get(session, &want("a"), at(1)).token.is_none());
        kept.forget(session, &Want::Access, &token("former", 600), at(1));
        assert!(kept.get(session, &Want::Access, at(1)).token.is_some());
        kept.forget(session, &Want::Access, &token("a", 600), at(1));
        assert!(kept.get(session, &Want::Access, at(1)).token.is_none());
    }

    #[test]
    fn there_are_bounds() {
        let kept = KeptTokens::default();
        let session = id();
        for number in 0..100 {
            kept.keep(session, want(&number.to_string()), token("a", 600), at(0));
        }
        assert_eq!(kept.lock().get(&session, at(1)).unwrap().len(), MOST_OF_A_SESSION);
        for _ in 0..=MOST_SESSIONS {
            kept.keep(id(), Want::Id, token("a", 700), at(0));
        }
        assert_eq!(kept.lock().len(), MOST_SESSIONS);
        assert!(
            kept.get(session, &want("1"), at(1)).token.is_none(),
            "the first to end"
        );
    }

    #[test]
    fn a_token_is_never_shown_and_never_too_long() {
        assert!(!format!("{:?}", token("abc", 1)).contains("abc"));
        for text in ["", &"x".repeat(LONGEST + 1), "a\nb"] {
            assert!(Token::living(&SecretText::new(text.to_owned()), at(0), None).is_none());
        }
        assert!(token("abc", 1).raw().is_sensitive() && token("abc", 1).bearer().is_sensitive());
    }
}

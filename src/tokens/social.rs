//! Third parties' tokens, kept while they live.
//!
//! Promises one question to Logto at a time for a session and target, whoever waits, and few at once; that a token is handed out
//! while it lives though Logto be away; and that what there is no token of is asked for again only after a while. Bounded.

use crate::clock::{UnixSeconds, monotonic};
use crate::logto::{SocialToken, SocialTokenFailure};
use crate::recheck::{Outcome, Rechecks, Token, Want};
use crate::session::{SessionId, SessionView};
use crate::store::expiring::Expiring;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout_at;

/// Most tokens kept.
const MOST: usize = 10_000;
/// Questions at once.
const MOST_CALLS: usize = 32;
/// How long a request waits for one.
const PATIENCE: Duration = Duration::from_secs(10);
/// A token is asked for again after this time though it lives, since Logto may have another or none by then.
const LONGEST_KEPT: Duration = Duration::from_secs(900);
/// Pause after an answer that there is none.
const NONE_PAUSE: Duration = Duration::from_secs(60);
/// Pause after no answer.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(5);

type Key = (SessionId, Arc<str>);

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocialLack {
    /// A sign-in through the connector would bring one.
    NeedsConsent,
    /// Logto does not say, or an operator has to change something there.
    Unavailable,
}

/// What a question came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SocialHeld {
    /// An answer, or none, which is kept.
    Answered,
    /// Logto did not accept the access token.
    AccessRefused,
}

#[derive(Debug)]
struct Entry {
    token: Option<Token>,
    ask_again: UnixSeconds,
    lack: Option<SocialLack>,
}

/// Tokens by session and target. Outlives a configuration.
#[derive(Debug)]
pub struct SocialTokens {
    entries: Mutex<Expiring<Key, Entry>>,
    flights: Mutex<HashMap<Key, watch::Receiver<bool>>>,
    calls: Semaphore,
}

impl Default for SocialTokens {
    fn default() -> Self {
        Self {
            entries: Mutex::new(Expiring::new(MOST)),
            flights: Mutex::default(),
            calls: Semaphore::new(MOST_CALLS),
        }
    }
}

impl SocialTokens {
    /// The token at hand, and whether Logto is to be asked first.
    pub(super) fn get(
        &self,
        session: SessionId,
        target: &Arc<str>,
        now: UnixSeconds,
    ) -> (Option<Token>, bool) {
        let entries = lock(&self.entries);
        match entries.get(&(session, Arc::clone(target)), now) {
            None => (None, true),
            Some(entry) => {
                let token = entry.token.clone().filter(|token| token.lives(now));
                let is_lost = token.is_none() && entry.lack.is_none();
                (token, is_lost || now >= entry.ask_again)
            }
        }
    }

    /// Why there is none.
    pub(super) fn lack(&self, session: SessionId, target: &Arc<str>, now: UnixSeconds) -> Option<SocialLack> {
        lock(&self.entries)
            .get(&(session, Arc::clone(target)), now)
            .and_then(|entry| entry.lack)
    }

    /// Asks Logto for the token of a session's user, with their access token, and keeps the answer. Who comes meanwhile waits
    /// for the same one. One access token that Logto does not accept, which may have been withdrawn before its time, is
    /// replaced by another: the session may be over or another after that.
    pub(super) async fn ask(
        self: &Arc<Self>,
        rechecks: &Arc<Rechecks>,
        view: &Arc<SessionView>,
        target: &Arc<str>,
    ) {
        let key = (view.id(), Arc::clone(target));
        let now = rechecks.clock.now();
        let access = rechecks
            .token(view, &Want::Access, now)
            .token
            .filter(|token| token.lives(now));
        let mut answer = {
            let mut flights = lock(&self.flights);
            match flights.get(&key).filter(|flight| flight.has_changed().is_ok()) {
                Some(flight) => flight.clone(),
                // Somebody else's question has been answered since this one was wanted.
                None if !self.get(key.0, target, now).1 => return,
                None => {
                    let Some(access) = access else {
                        drop(flights);
                        self.lacks(key, SocialLack::Unavailable, UNAVAILABLE_PAUSE, now);
                        return;
                    };
                    let (told, answer) = watch::channel(false);
                    flights.insert(key.clone(), answer.clone());
                    let (tokens, rechecks, view) = (Arc::clone(self), Arc::clone(rechecks), Arc::clone(view));
                    let tasks = rechecks.tasks.clone();
                    drop(tasks.spawn(async move {
                        tokens.fly(&rechecks, &view, &key, &access).await;
                        lock(&tokens.flights).remove(&key);
                        // Nobody may be waiting; that is no fault.
                        let _ = told.send(true);
                    }));
                    answer
                }
            }
        };
        let deadline = monotonic() + PATIENCE;
        // Whatever came of it is kept.
        let _ = timeout_at(deadline, answer.wait_for(|done| *done)).await;
    }

    /// One question, and another one with a new access token when the first was not accepted.
    async fn fly(&self, rechecks: &Arc<Rechecks>, view: &SessionView, key: &Key, access: &Token) {
        let _turn = self.calls.acquire().await;
        if self.call(rechecks, key, access).await == SocialHeld::Answered {
            return;
        }
        rechecks.refused_token(view, &Want::Access, access);
        let now = rechecks.clock.now();
        let outcome = rechecks.confirm_tokens(view, &[Want::Access], now).await;
        let now = rechecks.clock.now();
        let another = rechecks
            .token(view, &Want::Access, now)
            .token
            .filter(|token| token.lives(now) && token.raw() != access.raw());
        match another {
            Some(another)
                if !matches!(outcome, Outcome::Ended(_))
                    && self.call(rechecks, key, &another).await == SocialHeld::Answered => {}
            _ => self.lacks(key.clone(), SocialLack::Unavailable, UNAVAILABLE_PAUSE, now),
        }
    }

    async fn call(&self, rechecks: &Rechecks, key: &Key, access: &Token) -> SocialHeld {
        let Some(secret) = access.secret() else {
            return SocialHeld::AccessRefused;
        };
        // What is left of its life is counted from before the call, so that none is handed out in the second after its end.
        let asked = rechecks.clock.now();
        let given = rechecks.logto.social_token(&secret, &key.1).await;
        let now = rechecks.clock.now();
        match given {
            Ok(given) => self.keep(key.clone(), &given, asked),
            Err(failure) => {
                tell(&failure, &key.1);
                let (lack, pause) = match &failure {
                    SocialTokenFailure::NotStored
                    | SocialTokenFailure::Expired
                    | SocialTokenFailure::MissingScope => (SocialLack::NeedsConsent, NONE_PAUSE),
                    SocialTokenFailure::AccountCenterOff => (SocialLack::Unavailable, NONE_PAUSE),
                    SocialTokenFailure::Unavailable(_) => (SocialLack::Unavailable, UNAVAILABLE_PAUSE),
                    SocialTokenFailure::Refused => return SocialHeld::AccessRefused,
                };
                self.lacks(key.clone(), lack, pause, now);
            }
        }
        SocialHeld::Answered
    }

    fn keep(&self, key: Key, given: &SocialToken, now: UnixSeconds) {
        let Some(token) = Token::living(&given.access_token, now, given.expires_in) else {
            tracing::warn!(target = %key.1, "the stored token is too long for a header");
            return self.lacks(key, SocialLack::Unavailable, NONE_PAUSE, now);
        };
        let entry = Entry {
            ask_again: token.expires().min(now.plus(LONGEST_KEPT)),
            lack: None,
            token: Some(token),
        };
        self.put(key, entry, now);
    }

    /// What was given before stays as long as it lives, unless there is none any more.
    fn lacks(&self, key: Key, lack: SocialLack, pause: Duration, now: UnixSeconds) {
        let former = lock(&self.entries).remove(&key).and_then(|entry| entry.token);
        let entry = Entry {
            token: former.filter(|token| lack == SocialLack::Unavailable && token.lives(now)),
            ask_again: now.plus(pause),
            lack: Some(lack),
        };
        self.put(key, entry, now);
    }

    fn put(&self, key: Key, entry: Entry, now: UnixSeconds) {
        let token_ends = entry.token.as_ref().map(Token::expires);
        let end = entry.ask_again.max(token_ends.unwrap_or_default());
        lock(&self.entries).insert(key, entry, end, now);
    }
}

/// Says why there is none: what an operator must change loudly, what a user can do quietly.
fn tell(failure: &SocialTokenFailure, target: &str) {
    match failure {
        SocialTokenFailure::AccountCenterOff => {
            tracing::warn!(
                target,
                "Logto's Account Center is off, so it hands out no stored token"
            );
        }
        SocialTokenFailure::Unavailable(error) => {
            tracing::warn!(%error, target, "a stored token could not be asked for");
        }
        SocialTokenFailure::MissingScope => tracing::debug!(target, "a session lacks the scope `identities`"),
        SocialTokenFailure::NotStored => tracing::debug!(target, "Logto keeps no token of a user"),
        SocialTokenFailure::Expired => tracing::debug!(target, "the stored token of a user has ended"),
        SocialTokenFailure::Refused => tracing::debug!(target, "Logto did not accept an access token"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

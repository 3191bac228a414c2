//! Each sign-in is finished once: one token call for a `state`, whoever repeats its callback.
//!
//! Stops the replay of an authorization code, which at Logto revokes the whole grant. A repeat that arrives
//! while the first is under way, or right after it (a double click, a reload), shares its outcome; a later one
//! is told that the sign-in is used up. Bounded, and only a second line: the code itself works once.

use crate::clock::UnixSeconds;
use crate::pages::Problem;
use crate::session::Session;
use crate::session::SessionId;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The outcome of a token call, shared by all who ask for it.
pub type Outcome = Result<Arc<Session>, Problem>;

/// How long after its end an outcome is still handed out.
const SHARED_FOR: Duration = Duration::from_secs(5);
/// How long a spent `state` is remembered: as long as it would be accepted.
const REMEMBERED_FOR: Duration = super::sign_in_state::LIFETIME;
const MAXIMUM_ENTRIES: usize = 100_000;

type Key = [u8; 32];

/// Callbacks under way and done.
#[derive(Debug, Default)]
pub struct Callbacks {
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    entries: HashMap<Key, Entry>,
    by_age: VecDeque<(UnixSeconds, Key)>,
}

#[derive(Debug, Clone)]
enum Entry {
    Underway(watch::Receiver<Option<Outcome>>),
    Done {
        at: UnixSeconds,
        outcome: Option<Outcome>,
    },
}

/// What a callback has to do.
#[derive(Debug)]
pub enum Turn {
    /// It is the first: redeem the code, then [`Callbacks::finish`].
    First(Ticket),
    /// Another has the same `state` under way: wait for it.
    Wait(watch::Receiver<Option<Outcome>>),
    /// Another has just finished.
    Shared(Outcome),
    /// The `state` was used some time ago.
    Spent,
}

/// The right and duty to finish a callback.
#[derive(Debug)]
pub struct Ticket {
    key: Key,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Callbacks {
    /// Asks for a turn with a `state`.
    pub fn begin(&self, sealed_state: &str, now: UnixSeconds) -> Turn {
        let key: Key = Sha256::digest(sealed_state.as_bytes()).into();
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.forget_old(now);
        match ledger.entries.get(&key).cloned() {
            Some(Entry::Underway(outcome)) => Turn::Wait(outcome),
            Some(Entry::Done {
                at,
                outcome: Some(outcome),
            }) if now.since(at) <= SHARED_FOR => Turn::Shared(outcome),
            Some(Entry::Done { .. }) => Turn::Spent,
            None => {
                let (outcome, receiver) = watch::channel(None);
                ledger.entries.insert(key, Entry::Underway(receiver));
                ledger.by_age.push_back((now, key));
                Turn::First(Ticket { key, outcome })
            }
        }
    }

    /// Hands the outcome to whoever waits. The session is kept for a moment, the fact for ten minutes.
    pub fn finish(&self, ticket: Ticket, outcome: Outcome, now: UnixSeconds) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = ledger.entries.get_mut(&ticket.key) {
            *entry = Entry::Done {
                at: now,
                outcome: Some(outcome.clone()),
            };
        }
        drop(ledger);
        // Nobody may be waiting; that is no fault.
        let _ = ticket.outcome.send(Some(outcome));
    }

    /// Hands a session out no more: its user has signed out, and the back button must not undo that.
    pub fn forget(&self, session: SessionId, now: UnixSeconds) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.stop_sharing(
            now,
            |outcome, _| matches!(outcome, Ok(shared) if shared.id() == session),
        );
    }
}

impl Ledger {
    fn forget_old(&mut self, now: UnixSeconds) {
        while let Some((begun, key)) = self.by_age.front().copied() {
            if now.since(begun) <= REMEMBERED_FOR && self.entries.len() < MAXIMUM_ENTRIES {
                break;
            }
            self.by_age.pop_front();
            self.entries.remove(&key);
        }
        // Sessions do not stay in memory longer than they are shared.
        self.stop_sharing(now, |_, at| now.since(at) > SHARED_FOR);
    }

    /// Drops outcomes of the last minute, to which all that are still shared belong.
    fn stop_sharing(&mut self, now: UnixSeconds, is_over: impl Fn(&Outcome, UnixSeconds) -> bool) {
        for (begun, key) in self.by_age.iter().rev() {
            if now.since(*begun) > SHARED_FOR.saturating_mul(12) {
                break;
            }
            if let Some(Entry::Done { at, outcome }) = self.entries.get_mut(key)
                && outcome.as_ref().is_some_and(|outcome| is_over(outcome, *at))
            {
                *outcome = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_one_first_turn() {
        let callbacks = Callbacks::default();
        let now = UnixSeconds::new(1_000);
        let Turn::First(ticket) = callbacks.begin("state", now) else {
            panic!("the first turn is free");
        };
        assert!(matches!(callbacks.begin("state", now), Turn::Wait(_)));
        callbacks.finish(ticket, Err(Problem::AccessDenied), now);
        assert!(matches!(
            callbacks.begin("state", now),
            Turn::Shared(Err(Problem::AccessDenied))
        ));
        assert!(matches!(
            callbacks.begin("state", now.plus(Duration::from_secs(6))),
            Turn::Spent
        ));
        assert!(matches!(callbacks.begin("other", now), Turn::First(_)));
        assert!(matches!(
            callbacks.begin("state", now.plus(Duration::from_secs(700))),
            Turn::First(_)
        ));
    }
}

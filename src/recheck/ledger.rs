//! Which sessions are being asked about, and what the last answers were.
//!
//! Promises one call at a time for a session, whoever asks, and that the result reaches those who come late with the cookie
//! from before it: for a minute, and when the refresh token has changed for as long as that cookie might come back, since
//! using the old token would make Logto revoke the whole grant. Promises too that Logto is asked about few sessions at a
//! time, however many are due. Bounded: the results that would be forgotten first are dropped first. Survives a reload.

use super::Outcome;
use super::kept::{KeptTokens, MOST_OF_A_SESSION, Want};
use crate::clock::{UnixSeconds, monotonic};
use crate::secret::SecretText;
use crate::session::Session;
use crate::session::session::SessionId;
use crate::store::expiring::Expiring;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

/// Most sessions with a call under way or a result that is kept.
const MOST_ENTRIES: usize = 20_000;

/// Calls at once. When everybody is to be confirmed anew, the others wait for their turn.
const MOST_CALLS: usize = 32;

/// Most calls of which it is kept what they answer.
const MOST_ANSWERS: usize = 10_000;

/// Carries the outcome of a call to all who wait for it.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) outcome: watch::Receiver<Option<Outcome>>,
    pub(super) begun: Instant,
}

/// Why no call is made for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// Logto did not answer.
    Unanswered,
    /// There was nothing to ask it with.
    NeedsSignIn,
}

/// Calls under way, their results, and the tokens they gave, by session.
#[derive(Debug)]
pub struct Ledger {
    entries: Mutex<Entries>,
    calls: Semaphore,
    /// By session: the moment of the latest call, and the latest notice that it answers.
    answers: Mutex<Expiring<SessionId, (UnixSeconds, Option<UnixSeconds>)>>,
    /// What the calls gave.
    pub(super) kept: KeptTokens,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            calls: Semaphore::new(MOST_CALLS),
            answers: Mutex::new(Expiring::new(MOST_ANSWERS)),
            kept: KeptTokens::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Entries {
    by_session: HashMap<SessionId, Entry>,
    /// Settled entries by the moment they may be forgotten.
    by_end: BTreeSet<(UnixSeconds, SessionId)>,
}

#[derive(Debug, Default)]
struct Entry {
    flight: Option<Flight>,
    latest: Option<Arc<Session>>,
    /// A refresh token that Logto issued with an answer that could not be proved yet.
    unproved_token: Option<SecretText>,
    paused: Option<Paused>,
    /// Tokens that those who wait for the flight want of the next one.
    wanted: Vec<Want>,
    /// When it may be forgotten.
    end: UnixSeconds,
}

/// No call before a moment about a session that was confirmed no later than the one asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paused {
    pub(super) pause: Pause,
    pub(super) until: UnixSeconds,
    pub(super) checked_at: UnixSeconds,
}

/// What someone who asks about a session has to do.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing: the session was confirmed after the cookie was made.
    Known(Arc<Session>),
    /// Wait for the call that is under way.
    Wait(Flight),
    /// Nothing: a call a moment ago was of no use.
    Paused(Pause),
    /// Make the call.
    Lead(Ticket),
}

/// The right and duty to make the call. Dropped unused, the next one leads.
#[derive(Debug)]
pub(super) struct Ticket {
    session: SessionId,
    /// What is known to be newer than the cookie, though not new enough.
    pub(super) newer: Option<Arc<Session>>,
    /// To be used instead of the session's refresh token.
    pub(super) unproved_token: Option<SecretText>,
    /// The tokens to get with it: those of whoever leads, and of those who waited until they could.
    pub(super) wants: Vec<Want>,
    outcome: watch::Sender<Option<Outcome>>,
    begun: Instant,
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) outcome: Outcome,
    /// What was found to be newer than the cookie, when the call confirmed nothing.
    pub(super) learnt: Option<Arc<Session>>,
    pub(super) unproved_token: Option<SecretText>,
    pub(super) paused: Option<Paused>,
    /// The result may be forgotten then.
    pub(super) end: UnixSeconds,
}

impl Ledger {
    /// Asks what to do about a session whose cookie was confirmed at `checked_at`; `is_current` tells whether one confirmed
    /// at a given moment needs no call now, and `wants` are the tokens that are wanted of it.
    pub(super) fn step(
        &self,
        session: SessionId,
        checked_at: UnixSeconds,
        now: UnixSeconds,
        is_current: impl Fn(UnixSeconds) -> bool,
        wants: &[Want],
    ) -> Step {
        let mut entries = self.lock();
        entries.forget_old(now);
        let known = entries.by_session.get(&session);
        let newer = known
            .and_then(|entry| entry.latest.as_ref())
            .filter(|latest| latest.checked_at() > checked_at);
        if let Some(latest) = newer
            && is_current(latest.checked_at())
        {
            return Step::Known(Arc::clone(latest));
        }
        if let Some(entry) = known {
            let under_way = entry.flight.as_ref().filter(|flight| is_held(flight));
            if let Some(flight) = under_way.cloned() {
                entries.want(session, wants);
                return Step::Wait(flight);
            }
            let is_paused = |paused: &Paused| paused.until > now && checked_at <= paused.checked_at;
            if let Some(paused) = entry.paused.filter(is_paused) {
                return Step::Paused(paused.pause);
            }
        }
        let newer = newer.cloned();
        let unproved_token = known.and_then(|entry| entry.unproved_token.clone());
        let mut wants = wants.to_vec();
        if !wants.is_empty() {
            let others = entries.wanted(session).into_iter();
            let others: Vec<Want> = others.filter(|want| !wants.contains(want)).collect();
            wants.extend(others);
        }
        let ticket = Ticket {
            session,
            newer,
            unproved_token,
            wants,
            outcome: watch::Sender::new(None),
            begun: monotonic(),
        };
        entries.begin(session, ticket.flight());
        Step::Lead(ticket)
    }

    /// Notes how the call ended and tells all who wait.
    pub(super) fn settle(&self, ticket: Ticket, settled: Settled) {
        let mut entries = self.lock();
        entries.settle(ticket.session, &settled);
        drop(entries);
        // Nobody may be waiting; that is no fault.
        let _ = ticket.outcome.send(Some(settled.outcome));
    }

    /// Waits until one more call may be made; it may for as long as the permit is held.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.calls.acquire().await.ok()
    }

    /// Has no call made about a session for a while.
    pub(super) fn pause(&self, session: SessionId, paused: Paused) {
        let mut entries = self.lock();
        let entry = entries.by_session.entry(session).or_default();
        entry.paused = Some(paused);
        if entry.flight.is_none() {
            let former = entry.end;
            entry.end = former.max(paused.until);
            let end = entry.end;
            entries.by_end.remove(&(former, session));
            entries.by_end.insert((end, session));
        }
    }

    /// Notes that the call which confirmed a session answers this notice and none after it, though its result counts as of a
    /// moment that lies ahead.
    pub(super) fn answered(
        &self,
        session: &Session,
        notice: Option<UnixSeconds>,
        until: UnixSeconds,
        now: UnixSeconds,
    ) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(session.id(), (session.checked_at(), notice), until, now);
    }

    /// Whether a notice was learnt after a call was begun, though the result of that counts as of a later moment.
    pub(super) fn is_unanswered(
        &self,
        session: SessionId,
        checked_at: UnixSeconds,
        notice: UnixSeconds,
        now: UnixSeconds,
    ) -> bool {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = answers.get(&session, now).filter(|(at, _)| *at == checked_at);
        answered.is_some_and(|(_, answered)| answered.is_none_or(|answered| notice > answered))
    }

    /// The last confirmed state of a session, when it is newer than a cookie's.
    pub fn newer_than(&self, session: SessionId, checked_at: UnixSeconds) -> Option<Arc<Session>> {
        let entries = self.lock();
        let latest = entries.by_session.get(&session)?.latest.as_ref()?;
        (latest.checked_at() > checked_at).then(|| Arc::clone(latest))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody still works on it: a task that was ended half-way has dropped its sender.
fn is_held(flight: &Flight) -> bool {
    flight.outcome.has_changed().is_ok()
}

impl Ticket {
    /// Where the outcome will come out.
    pub(super) fn flight(&self) -> Flight {
        Flight {
            outcome: self.outcome.subscribe(),
            begun: self.begun,
        }
    }
}

impl Entries {
    fn want(&mut self, session: SessionId, wants: &[Want]) {
        let entry = self.by_session.entry(session).or_default();
        for want in wants {
            if !entry.wanted.contains(want) && entry.wanted.len() < MOST_OF_A_SESSION {
                entry.wanted.push(want.clone());
            }
        }
    }

    fn wanted(&mut self, session: SessionId) -> Vec<Want> {
        let entry = self.by_session.get_mut(&session);
        entry.map_or_else(Vec::new, |entry| std::mem::take(&mut entry.wanted))
    }

    fn begin(&mut self, session: SessionId, flight: Flight) {
        let entry = self.by_session.entry(session).or_default();
        self.by_end.remove(&(entry.end, session));
        entry.flight = Some(flight);
    }

    fn settle(&mut self, session: SessionId, settled: &Settled) {
        let Some(entry) = self.by_session.get_mut(&session) else {
            return;
        };
        match &settled.outcome {
            Outcome::Confirmed(confirmed) => entry.latest = Some(Arc::clone(confirmed)),
            // What has ended is handed to nobody.
            Outcome::Ended(_) => entry.latest = None,
            Outcome::Kept | Outcome::Unconfirmed | Outcome::NeedsSignIn => {
                if let Some(learnt) = &settled.learnt {
                    entry.latest = Some(Arc::clone(learnt));
                }
            }
        }
        entry.flight = None;
        entry.unproved_token.clone_from(&settled.unproved_token);
        entry.paused = settled.paused;
        // What follows a rotation serves those who come with the cookie from before it, so it is kept no shorter.
        entry.end = match settled.outcome {
            Outcome::Ended(_) => settled.end,
            _ => entry.end.max(settled.end),
        };
        self.by_end.insert((entry.end, session));
    }

    fn forget_old(&mut self, now: UnixSeconds) {
        while let Some((end, session)) = self.by_end.first().copied() {
            if end > now && self.by_session.len() < MOST_ENTRIES {
                break;
            }
            self.by_end.pop_first();
            self.by_session.remove(&session);
        }
    }
}

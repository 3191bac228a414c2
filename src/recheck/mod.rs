//! Asking Logto, from time to time, whether a session still holds.
//!
//! Promises: any number of requests of one session cause one call, which runs to its end whoever stops waiting; its result is
//! kept for those who come with the cookie from before it; a rotated refresh token is stored before anything is answered;
//! while Logto is away sessions live on for the grace and few calls are made. Stops users from being signed out by a race of
//! their own requests, and sessions from outliving the access that Logto withdrew. Refuses to know requests and answers.

mod call;
mod kept;
mod ledger;
mod organizations;
mod tokens;
mod turn;

pub use kept::{Held, Lack, Token, Want};
pub use ledger::Ledger;
pub use organizations::{KEPT_CLAIMS, LiveOrganizations};
pub use tokens::Keeps;

use crate::clock::{Clock, UnixSeconds, monotonic};
use crate::identity::{ClaimPath, HeaderRules};
use crate::logto::Logto;
use crate::session::freshness::{Freshness, RecheckLimits, freshness};
use crate::session::revocation::Marks;
use crate::session::{Cause, Session, SessionCookies, SessionView};
use crate::store::Store;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use call::MOST_AHEAD;
use ledger::{Pause, Paused, Step};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout_at;

/// How long a request waits for a call when its session may be served without; the call goes on.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it waits when the session may not.
const LONG_PATIENCE: Duration = Duration::from_secs(12);
/// Calls that one request waits for at most: the one under way, and one that began after whatever made the request ask.
const MOST_CALLS: usize = 2;

/// Pause after a silent sign-in that Logto did not answer. As long as a browser is not sent on another one.
const SIGN_IN_PAUSE: Duration = Duration::from_secs(30);

/// What re-checks are made of. Made anew at a reload; the ledger moves over.
#[derive(Debug, Clone)]
pub struct Rechecks {
    /// The client of Logto.
    pub logto: Logto,
    /// Where results and endings are kept and shared.
    pub store: Store,
    /// Seals results for the store.
    pub cookies: Arc<SessionCookies>,
    /// What the upstream is told, for the values that a session carries.
    pub header_rules: Arc<HeaderRules>,
    /// The claims that a session keeps.
    pub kept_claims: Vec<ClaimPath>,
    /// Since when these are the ones. A session confirmed before may lack some.
    pub claims_since: UnixSeconds,
    /// How often, and how long without.
    pub limits: RecheckLimits,
    /// The tokens that are kept for upstreams.
    pub keeps: Keeps,
    /// Whether and how Hugging Face is asked for organizations.
    pub organizations: Option<LiveOrganizations>,
    /// The Hugging Face organizations that rules ask for; `None` where the whole list is read for something else.
    pub organizations_asked_for: Option<Vec<String>>,
    /// Calls under way and their results.
    pub ledger: Arc<Ledger>,
    /// The time.
    pub clock: Clock,
    /// Runs the calls.
    pub tasks: Tasks,
    /// Counts their outcomes.
    pub metrics: Metrics,
}

/// What became of a re-check.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// This is the session from now on, as Logto confirmed it: just now, or before it stopped answering, but in any case after
    /// the cookie was made.
    Confirmed(Arc<Session>),
    /// Logto did not say. The session is served as it is, within its grace.
    Kept,
    /// It is over.
    Ended(Cause),
    /// Logto did not say, and the grace is over. It may be confirmed when Logto is back.
    Unconfirmed,
    /// Only a sign-in can tell, for there is nothing left to ask Logto with. It may be a silent one.
    NeedsSignIn,
}

impl Outcome {
    /// The outcome as a metric's label.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Confirmed(_) => "confirmed",
            Self::Kept => "kept",
            Self::Ended(_) => "ended",
            Self::Unconfirmed => "unconfirmed",
            Self::NeedsSignIn => "needs_sign_in",
        }
    }
}

impl Rechecks {
    /// Whether a presented session has to be confirmed before it is used.
    pub fn freshness(&self, view: &SessionView, now: UnixSeconds) -> Freshness {
        self.freshness_at(&view.marks(), view.checked_at(), now)
    }

    /// Whether a session confirmed then may lack claims that are asked for now.
    pub fn may_lack_claims(&self, checked_at: UnixSeconds) -> bool {
        checked_at < self.claims_since
    }

    /// Confirms a session that may lack claims: what was known before these were asked for is no answer.
    pub async fn confirm_claims(self: &Arc<Self>, view: &SessionView, now: UnixSeconds) -> Outcome {
        let outcome = self.confirm_since(view, now, self.claims_since).await;
        self.unless_ended(view, outcome)
    }

    /// Confirms a session that is due: by one call to Logto for all who ask meanwhile, or with the result of an earlier one.
    ///
    /// The outcome of a call is that of whoever began it. For others only that counts which does not depend on how old
    /// their own cookie is, and a call that began before the change they ask about is no answer to them.
    ///
    /// Whoever asked has waited: what was revoked meanwhile counts, whatever Logto said.
    pub async fn confirm(self: &Arc<Self>, view: &SessionView, now: UnixSeconds) -> Outcome {
        let outcome = self.confirm_since(view, now, UnixSeconds::default()).await;
        self.unless_ended(view, outcome)
    }

    fn unless_ended(&self, view: &SessionView, outcome: Outcome) -> Outcome {
        let ended = self.store.revocations().ended(&view.marks());
        ended.map_or(outcome, Outcome::Ended)
    }

    async fn confirm_since(
        self: &Arc<Self>,
        view: &SessionView,
        now: UnixSeconds,
        since: UnixSeconds,
    ) -> Outcome {
        let is_current = |checked_at| {
            checked_at >= since && self.freshness_at(&view.marks(), checked_at, now) == Freshness::Current
        };
        let is_overdue = self.freshness(view, now) == Freshness::Overdue;
        let longest = monotonic() + LONG_PATIENCE;
        for _ in 0..MOST_CALLS {
            let mut flight = match self
                .ledger
                .step(view.id(), view.checked_at(), now, is_current, &[])
            {
                Step::Known(session) => {
                    self.metrics.recheck("reused");
                    return Outcome::Confirmed(session);
                }
                Step::Lead(ticket) => self.begin(ticket, view),
                Step::Wait(flight) => flight,
                Step::Paused(Pause::NeedsSignIn) => return Outcome::NeedsSignIn,
                Step::Paused(Pause::Unanswered) => break,
            };
            // Once for a call, not once for each request of a page.
            let deadline = if is_overdue {
                longest
            } else {
                flight.begun + PATIENCE
            };
            let outcome = match timeout_at(deadline, flight.outcome.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => outcome.clone(),
                // Nobody will say, or not soon.
                Ok(Err(_)) | Err(_) => None,
            };
            match outcome {
                Some(Outcome::Confirmed(session)) if !is_current(session.checked_at()) => {}
                Some(Outcome::Kept | Outcome::Unconfirmed) | None => break,
                Some(outcome) => return outcome,
            }
        }
        self.unanswered(view, now)
    }

    /// Notes that a sign-in which was to confirm a session met a Logto that did not answer: for a while the session is
    /// served as it is, within its grace.
    pub fn sign_in_unanswered(&self, session: &Session) {
        let paused = Paused {
            pause: Pause::Unanswered,
            until: self.clock.now().plus(SIGN_IN_PAUSE),
            checked_at: session.checked_at(),
        };
        self.ledger.pause(session.id(), paused);
    }

    /// The last that Logto said counts, be it newer than the cookie: a role that it has taken does not come back.
    fn unanswered(&self, view: &SessionView, now: UnixSeconds) -> Outcome {
        let newer = self.ledger.newer_than(view.id(), view.checked_at());
        let checked_at = newer
            .as_ref()
            .map_or(view.checked_at(), |newer| newer.checked_at());
        match (self.without_an_answer(&view.marks(), checked_at, now), newer) {
            (Outcome::Kept, Some(newer)) => Outcome::Confirmed(newer),
            (outcome, _) => outcome,
        }
    }

    /// What a session is worth when Logto does not say.
    fn without_an_answer(&self, marks: &Marks<'_>, checked_at: UnixSeconds, now: UnixSeconds) -> Outcome {
        match self.freshness_at(marks, checked_at, now) {
            Freshness::Overdue => Outcome::Unconfirmed,
            Freshness::Due | Freshness::Current => Outcome::Kept,
        }
    }

    fn freshness_at(&self, marks: &Marks<'_>, checked_at: UnixSeconds, now: UnixSeconds) -> Freshness {
        let asked_at = self.store.revocations().recheck_asked_at(marks);
        let marked = asked_at.is_some_and(|asked| {
            let is_near = || asked.plus(MOST_AHEAD) >= checked_at;
            asked >= checked_at || is_near() && self.ledger.is_unanswered(marks.id, checked_at, asked, now)
        });
        freshness(checked_at, marked, self.limits, now)
    }
}

//! The one call about a session: whoever leads makes it, for this process and, through the store, for all replicas.

use super::ledger::{Flight, Pause, Paused, Settled, Ticket};
use super::{Outcome, Rechecks};
use crate::clock::{UnixSeconds, monotonic};
use crate::identity::Claims;
use crate::logto::{
    CheckFailure, LogtoError, LogtoErrorKind, RefreshFailure, RefreshRequest, Refreshed, Verdict, Verified,
};
use crate::secret::SecretText;
use crate::session::freshness::Freshness;
use crate::session::session::Confirmation;
use crate::session::{Cause, Effect, Notice, Scope, Session, SessionView};
use crate::store::{Lease, Published, Turn};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long the cookie from before a re-check is answered with its result.
const RESULT_KEPT: Duration = Duration::from_secs(60);
/// Pause after a call that Logto did not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How long this replica waits for another one's call: longer than any call takes, since to ask with a refresh token that the
/// other one has spent would end the grant. One that died is replaced much sooner.
const REPLICA_PATIENCE: Duration = Duration::from_secs(60);
/// A lost answer is asked for again after these pauses, and only this soon: Logto accepts a refresh token for 3 s after it was
/// rotated, and revokes the whole grant when it comes later.
const REPEATS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
];
const REPEAT_WITHIN: Duration = Duration::from_millis(1_500);

/// How far a replica's clock may be ahead.
const MOST_AHEAD: Duration = Duration::from_secs(30);

/// Results of others that are looked at before Logto is asked. One is the rule; each further one is newer.
const MOST_RESULTS: usize = 3;

/// What Logto had to say.
struct Answer {
    outcome: Outcome,
    unproved_token: Option<SecretText>,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            unproved_token: None,
        }
    }
}

impl Rechecks {
    /// Begins the call in a task of its own, which no browser that leaves can stop.
    pub(super) fn begin(self: &Arc<Self>, ticket: Ticket, view: &SessionView) -> Flight {
        let flight = ticket.flight();
        let rechecks = Arc::clone(self);
        let presented = Arc::new(view.to_session());
        let base = ticket.newer.clone().unwrap_or_else(|| Arc::clone(&presented));
        drop(self.tasks.spawn(async move {
            let unproved_token = ticket.unproved_token.clone();
            let settled = rechecks.settle(&presented, base, unproved_token).await;
            rechecks.metrics.recheck(settled.outcome.as_str());
            rechecks.ledger.settle(ticket, settled);
        }));
        flight
    }

    async fn settle(
        &self,
        presented: &Session,
        mut base: Arc<Session>,
        mut unproved_token: Option<SecretText>,
    ) -> Settled {
        let _turn = self.ledger.turn().await;
        let known_before = base.checked_at();
        let (lease, decided) = self.turn(&mut base).await;
        let learnt = (base.checked_at() > known_before).then(|| Arc::clone(&base));
        if let Some(outcome) = decided {
            let end = match &outcome {
                Outcome::Confirmed(session) => self.result_life(presented, session),
                _ => RESULT_KEPT,
            };
            return Settled {
                end: self.clock.now().plus(end),
                outcome,
                learnt,
                unproved_token: None,
                paused: None,
            };
        }
        if learnt.is_some() {
            // Another replica has got on since.
            unproved_token = None;
        }
        let answer = self.ask(&base, unproved_token).await;
        let now = self.clock.now();
        let paused = |pause| {
            Some(Paused {
                pause,
                until: now.plus(RETRY_PAUSE),
                checked_at: base.checked_at(),
            })
        };
        let (kept_for, paused) = match &answer.outcome {
            Outcome::Confirmed(session) => {
                let keep = self.result_life(presented, session);
                self.publish(lease, &base, session, keep).await;
                (keep, self.paused_after(session, now))
            }
            Outcome::Ended(cause) => {
                self.end(&base, *cause, now).await;
                (RESULT_KEPT, None)
            }
            Outcome::NeedsSignIn => (RESULT_KEPT, paused(Pause::NeedsSignIn)),
            // A token that only this process knows is kept for as long as the browser may come back.
            _ if answer.unproved_token.is_some() => (self.cookies.limits().idle, paused(Pause::Unanswered)),
            _ => (RESULT_KEPT, paused(Pause::Unanswered)),
        };
        Settled {
            outcome: answer.outcome,
            learnt,
            unproved_token: answer.unproved_token,
            paused,
            end: now.plus(kept_for),
        }
    }

    /// A notice from so far ahead that no call answers it must not cost one for each request.
    fn paused_after(&self, confirmed: &Session, now: UnixSeconds) -> Option<Paused> {
        let asked_at = self.store.revocations().recheck_asked_at(&confirmed.marks())?;
        (asked_at >= now.plus(MOST_AHEAD)).then(|| Paused {
            pause: Pause::Unanswered,
            until: now.plus(RETRY_PAUSE),
            checked_at: confirmed.checked_at(),
        })
    }

    /// Waits for the turn to ask, unless another replica has just found out. A result that is itself due again decides
    /// nothing, but it has the refresh token in use: it becomes the base.
    async fn turn(&self, base: &mut Arc<Session>) -> (Option<Lease>, Option<Outcome>) {
        for _ in 0..MOST_RESULTS {
            let turn = self
                .store
                .begin_recheck(base.id(), base.checked_at(), REPLICA_PATIENCE)
                .await;
            // Whoever had the lease before may have found that it is over.
            if let Some(cause) = self.store.revocations().ended(&base.marks()) {
                return (None, Some(Outcome::Ended(cause)));
            }
            let published = match turn {
                Turn::Lead(lease) => return (Some(lease), None),
                Turn::Alone => return (None, None),
                Turn::Stopping => {
                    let now = self.clock.now();
                    let outcome = self.without_an_answer(&base.marks(), base.checked_at(), now);
                    return (None, Some(outcome));
                }
                Turn::Done(published) => published,
            };
            let Some(session) = self.open_published(base, &published) else {
                return (None, None);
            };
            let now = self.clock.now();
            if self.freshness_at(&session.marks(), session.checked_at(), now) == Freshness::Current {
                return (None, Some(Outcome::Confirmed(session)));
            }
            *base = session;
        }
        (None, None)
    }

    /// An old cookie whose refresh token is still the one in use can be asked about again; one whose token was rotated must
    /// meet the result for as long as it may come back; a stream that began with it comes back at each re-check.
    fn result_life(&self, presented: &Session, session: &Session) -> Duration {
        let token = |session: &Session| session.refresh_token().map(|token| token.expose().to_owned());
        if token(presented) == token(session) {
            RESULT_KEPT
        } else {
            let until_asked_again = self.limits.recheck.saturating_mul(2);
            self.cookies.limits().idle.max(until_asked_again)
        }
    }

    fn open_published(&self, base: &Session, published: &Published) -> Option<Arc<Session>> {
        let session = self
            .cookies
            .open_shared(base.id(), &published.sealed, self.clock.now())?;
        (session.checked_at() > base.checked_at()).then(|| Arc::new(session))
    }

    /// Makes the result known to other replicas and to this process after a restart.
    async fn publish(&self, lease: Option<Lease>, base: &Session, session: &Session, keep: Duration) {
        let rotated = keep > RESULT_KEPT;
        if lease.is_none() && !rotated {
            return;
        }
        let Ok(sealed) = self.cookies.seal_shared(session) else {
            tracing::error!("a session could not be sealed for the store");
            return;
        };
        let published = Published {
            checked_at: session.checked_at(),
            sealed: sealed.into_bytes(),
        };
        let kept = match lease {
            Some(lease) => {
                lease.publish(&published, keep).await;
                Ok(())
            }
            None => self.store.keep_published(base.id(), &published, keep).await,
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "the result of a re-check could not be stored; this process has it");
        }
    }

    async fn end(&self, base: &Session, cause: Cause, now: UnixSeconds) {
        tracing::info!(session = %base.id(), cause = cause.as_str(), "a session ended at its re-check");
        let notice = Notice {
            scope: Scope::Session(base.id()),
            effect: Effect::End(cause),
            at: now,
            until: base.expires_at(),
        };
        if let Err(error) = self.store.publish_notice(notice).await {
            tracing::warn!(%error, "the end of a session could not be stored; it holds in this process");
        }
    }

    async fn ask(&self, base: &Session, unproved_token: Option<SecretText>) -> Answer {
        let now = self.clock.now();
        // Taken before the call: what is learnt during it asks for another one.
        let at = self.answers_marks(base, now);
        if let Some(token) = unproved_token.as_ref().or_else(|| base.refresh_token()) {
            let mut answer = self.refresh(base, token, at, now).await;
            if let Outcome::Kept | Outcome::Unconfirmed = answer.outcome {
                answer.unproved_token = answer.unproved_token.or(unproved_token);
            }
            return answer;
        }
        match base.access_token() {
            Some((token, expires)) if expires > now => self.ask_userinfo(base, token, at, now).await.into(),
            // During an outage nobody could sign in either.
            _ if self.logto.is_away() => self
                .without_an_answer(&base.marks(), base.checked_at(), now)
                .into(),
            _ => Outcome::NeedsSignIn.into(),
        }
    }

    /// By the refresh token. Roles, organizations and names come from the new ID token.
    async fn refresh(&self, base: &Session, token: &SecretText, at: UnixSeconds, now: UnixSeconds) -> Answer {
        let begun = monotonic();
        let request = || RefreshRequest {
            refresh_token: token.clone(),
            subject: base.subject().to_owned(),
        };
        let mut result = self.logto.refresh(request()).await;
        if result.as_ref().is_err_and(is_lost_answer) {
            for pause in REPEATS {
                if !result.as_ref().is_err_and(is_unanswered) || begun.elapsed() + pause >= REPEAT_WITHIN {
                    break;
                }
                sleep(pause).await;
                result = self.logto.refresh_again(request()).await;
            }
        }
        match result {
            Ok(refreshed) => Outcome::Confirmed(Arc::new(self.refreshed(base, refreshed, at).await)).into(),
            Err(failure) => match failure.verdict {
                Verdict::Refused => Outcome::Ended(Cause::RefreshRefused).into(),
                Verdict::OtherUser => Outcome::Ended(Cause::OtherUser).into(),
                Verdict::Transient => {
                    tell(&failure.error);
                    Answer {
                        outcome: self.without_an_answer(&base.marks(), base.checked_at(), now),
                        unproved_token: failure.refresh_token,
                    }
                }
            },
        }
    }

    async fn refreshed(&self, base: &Session, refreshed: Verified<Refreshed>, at: UnixSeconds) -> Session {
        let refreshed = refreshed.into_inner();
        let claims = if refreshed.complete {
            refreshed.claims
        } else {
            // Userinfo was away: what only it tells stays as it was.
            let mut members = base.claims().members().clone();
            members.extend(refreshed.claims);
            members
        };
        let claims = self
            .with_organizations(claims, &refreshed.access_token, Some(base.claims()))
            .await;
        self.confirmed(base, Claims::new(claims), Some(refreshed.refresh_token), at)
    }

    /// By userinfo, while an access token lives and there is no refresh token.
    async fn ask_userinfo(
        &self,
        base: &Session,
        token: &SecretText,
        at: UnixSeconds,
        now: UnixSeconds,
    ) -> Outcome {
        match self.logto.check(token, base.subject()).await {
            Ok(claims) => {
                let mut members = base.claims().members().clone();
                members.extend(claims.into_inner());
                let members = self.with_organizations(members, token, Some(base.claims())).await;
                Outcome::Confirmed(Arc::new(self.confirmed(base, Claims::new(members), None, at)))
            }
            // The token may have been revoked for many reasons; the sign-in page knows which.
            Err(CheckFailure::Refused) => Outcome::NeedsSignIn,
            Err(CheckFailure::OtherUser) => Outcome::Ended(Cause::OtherUser),
            Err(CheckFailure::Transient(error)) => {
                tell(&error);
                self.without_an_answer(&base.marks(), base.checked_at(), now)
            }
        }
    }

    fn confirmed(
        &self,
        base: &Session,
        claims: Claims,
        refresh_token: Option<SecretText>,
        at: UnixSeconds,
    ) -> Session {
        base.confirmed(Confirmation {
            at,
            headers: self.header_rules.project(&claims),
            fingerprint: self.header_rules.fingerprint(),
            claims: claims.keep_only(&self.kept_claims),
            refresh_token,
            access_token: None,
        })
    }

    /// When a re-check begun at `now` counts as made: after whatever asked for it, also when that came from a replica whose
    /// clock is a little ahead, else every request until then would ask again.
    fn answers_marks(&self, base: &Session, now: UnixSeconds) -> UnixSeconds {
        let second = Duration::from_secs(1);
        let asked = self.store.revocations().recheck_asked_at(&base.marks());
        let after = asked.map_or(now, |at| at.plus(second).max(now));
        after.min(now.plus(MOST_AHEAD))
    }
}

/// Says why Logto did not answer. Of calls that were held back it was told when the first of them was: in an outage there is
/// one every few seconds for each session.
fn tell(error: &LogtoError) {
    if matches!(error.kind(), LogtoErrorKind::Away) {
        tracing::debug!(%error, "a session was not re-checked");
    } else {
        tracing::warn!(%error, "a session could not be re-checked");
    }
}

/// Whether the connection broke, so that Logto may have rotated the token without this proxy learning the new one.
const fn is_lost_answer(failure: &RefreshFailure) -> bool {
    matches!(failure.error.kind(), LogtoErrorKind::Interrupted)
}

/// Whether the new token is still to be had: Logto could not be asked, or not say.
const fn is_unanswered(failure: &RefreshFailure) -> bool {
    failure.error.is_transient() && failure.refresh_token.is_none()
}

//! The one call about a session: whoever leads makes it, for this process and, through the store, for all replicas.

use super::kept::{Ground, Want};
use super::ledger::{Flight, Pause, Paused, Settled, Ticket};
use super::{Outcome, Rechecks};
use crate::clock::{UnixSeconds, monotonic};
use crate::identity::Claims;
use crate::logto::{
    CheckFailure, LogtoError, LogtoErrorKind, RefreshFailure, RefreshRequest, Refreshed, Verdict,
};
use crate::secret::SecretText;
use crate::session::session::Confirmation;
use crate::session::{Cause, Effect, Notice, Scope, Session, SessionView};
use crate::store::LONGEST_LEASE;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the cookie from before a re-check is answered with its result.
pub(super) const RESULT_KEPT: Duration = Duration::from_secs(60);
/// Pause after a call that Logto did not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// A lost answer is asked for again after these pauses, and only this soon: Logto accepts a refresh token for 3 s after it was
/// rotated, and revokes the whole grant when it comes later.
const REPEATS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(700),
];
const REPEAT_WITHIN: Duration = Duration::from_millis(1_500);

/// When a call is over, however many answers are late in it: well before the right to use the refresh token is.
const LONGEST_CALL: Duration = Duration::from_secs(50);
const _: () = assert!(LONGEST_CALL.as_secs() + 5 <= LONGEST_LEASE.as_secs());

/// How far a replica's clock may be ahead.
pub(super) const MOST_AHEAD: Duration = Duration::from_secs(30);

/// How far a session's moment may run ahead because it was asked about several times in a second.
const MOST_DRIFT: Duration = Duration::from_secs(10);

/// How long one that is asked about so often waits for its turn at most, and how often it looks.
const MOST_PACING: Duration = Duration::from_secs(3);
const PACE: Duration = Duration::from_millis(100);

/// What Logto had to say.
struct Answer {
    outcome: Outcome,
    unproved_token: Option<SecretText>,
}

/// When Logto was asked.
pub(super) struct Asked {
    pub(super) begun: Instant,
    /// When it is to be over.
    pub(super) until: Instant,
    /// The time at its beginning.
    pub(super) now: UnixSeconds,
    /// When the session counts as confirmed if it is.
    at: UnixSeconds,
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
    /// Begins the call in a task of its own, which no browser that leaves can stop. With something wanted Logto is asked in any
    /// case.
    pub(super) fn begin(self: &Arc<Self>, mut ticket: Ticket, view: &SessionView) -> Flight {
        let flight = ticket.flight();
        let now = self.clock.now();
        // Somebody may have waited for one that has come meanwhile.
        ticket
            .wants
            .retain(|want| self.token(view, want, now).is_wanting(now));
        let rechecks = Arc::clone(self);
        let presented = Arc::new(view.to_session());
        let base = ticket.newer.clone().unwrap_or_else(|| Arc::clone(&presented));
        drop(self.tasks.spawn(async move {
            let unproved_token = ticket.unproved_token.clone();
            let wants = &ticket.wants;
            let settled = rechecks.settle(&presented, base, unproved_token, wants).await;
            rechecks.without(presented.id(), wants, rechecks.clock.now());
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
        wants: &[Want],
    ) -> Settled {
        if !wants.is_empty() {
            self.until_not_too_often(&base).await;
        }
        let _turn = self.ledger.turn().await;
        let known_before = base.checked_at();
        let (lease, decided) = self.turn(&mut base, wants).await;
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
        if !wants.is_empty() && self.is_too_often(&base) {
            return self.too_often(&base, learnt);
        }
        let begun_at = self.clock.now();
        let notice = self.store.revocations().recheck_asked_at(&base.marks());
        let answer = self.ask(&base, unproved_token, wants).await;
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
                if session.checked_at() > begun_at {
                    let until = session.checked_at().plus(self.limits.recheck);
                    self.ledger.answered(session, notice, until, now);
                }
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

    /// Whether a session was asked about so often that one more result would have a moment too far ahead.
    fn is_too_often(&self, base: &Session) -> bool {
        base.checked_at() >= self.clock.now().plus(MOST_DRIFT)
    }

    /// Waits for it, a little.
    async fn until_not_too_often(&self, base: &Session) {
        let begun = monotonic();
        while self.is_too_often(base) && begun.elapsed() < MOST_PACING {
            sleep(PACE).await;
        }
    }

    /// No call now, for a session that was asked about so often that the results would have no moment of their own.
    fn too_often(&self, base: &Session, learnt: Option<Arc<Session>>) -> Settled {
        let now = self.clock.now();
        Settled {
            outcome: self.without_an_answer(&base.marks(), base.checked_at(), now),
            learnt,
            unproved_token: None,
            paused: None,
            end: now.plus(RESULT_KEPT),
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

    async fn end(&self, base: &Session, cause: Cause, now: UnixSeconds) {
        self.ledger.kept.forget_session(base.id());
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

    async fn ask(&self, base: &Session, unproved_token: Option<SecretText>, wants: &[Want]) -> Answer {
        let (begun, now) = (monotonic(), self.clock.now());
        let asked = Asked {
            begun,
            until: begun + LONGEST_CALL,
            now,
            // Taken before the call: what is learnt during it asks for another one.
            at: self.answers_marks(base, now),
        };
        if let Some(token) = unproved_token.as_ref().or_else(|| base.refresh_token()) {
            let mut answer = self.refresh(base, token, &asked, wants).await;
            if let Outcome::Kept | Outcome::Unconfirmed = answer.outcome {
                answer.unproved_token = answer.unproved_token.or(unproved_token);
            }
            return answer;
        }
        match base.access_token() {
            Some((token, expires)) if expires > now => self.ask_userinfo(base, token, &asked).await.into(),
            // During an outage nobody could sign in either.
            _ if self.logto.is_away() => self
                .without_an_answer(&base.marks(), base.checked_at(), now)
                .into(),
            _ => Outcome::NeedsSignIn.into(),
        }
    }

    /// By the refresh token. Roles, organizations and names come from the new ID token.
    async fn refresh(&self, base: &Session, token: &SecretText, asked: &Asked, wants: &[Want]) -> Answer {
        let request = || RefreshRequest {
            refresh_token: token.clone(),
            subject: base.subject().to_owned(),
            until: asked.until,
        };
        let mut result = self.logto.refresh(request()).await;
        if result.as_ref().is_err_and(is_lost_answer) {
            for pause in REPEATS {
                if !result.as_ref().is_err_and(is_unanswered)
                    || asked.begun.elapsed() + pause >= REPEAT_WITHIN
                {
                    break;
                }
                sleep(pause).await;
                result = self.logto.refresh_again(request()).await;
            }
        }
        match result {
            Ok(refreshed) => {
                let claims = told(base, &refreshed);
                let ground = Ground::new(asked.at, &claims.keep_only(&self.kept_claims));
                let given = self.after_refresh(base.id(), &refreshed, ground, wants, asked);
                match given.await {
                    Ok(token) => {
                        let access_token = &refreshed.access_token;
                        let session = self.refreshed(base, claims, access_token, token, asked).await;
                        Outcome::Confirmed(Arc::new(session)).into()
                    }
                    Err(cause) => Outcome::Ended(cause).into(),
                }
            }
            Err(failure) => match failure.verdict {
                Verdict::Refused => Outcome::Ended(Cause::RefreshRefused).into(),
                Verdict::OtherUser => Outcome::Ended(Cause::OtherUser).into(),
                Verdict::Transient => {
                    tell(&failure.error);
                    Answer {
                        outcome: self.without_an_answer(&base.marks(), base.checked_at(), asked.now),
                        unproved_token: failure.refresh_token,
                    }
                }
            },
        }
    }

    async fn refreshed(
        &self,
        base: &Session,
        claims: Claims,
        access_token: &SecretText,
        token: SecretText,
        asked: &Asked,
    ) -> Session {
        let before = Some(base.claims());
        let claims = self
            .with_organizations_by(asked.until, claims.into_members(), access_token, before)
            .await;
        self.confirmed(base, Claims::new(claims), Some(token), asked.at)
    }

    /// By userinfo, while an access token lives and there is no refresh token.
    async fn ask_userinfo(&self, base: &Session, token: &SecretText, asked: &Asked) -> Outcome {
        match self.logto.check(token, base.subject()).await {
            Ok(claims) => {
                let mut members = base.claims().members().clone();
                members.extend(claims.into_inner());
                let members = self
                    .with_organizations_by(asked.until, members, token, Some(base.claims()))
                    .await;
                Outcome::Confirmed(Arc::new(self.confirmed(
                    base,
                    Claims::new(members),
                    None,
                    asked.at,
                )))
            }
            // The token may have been revoked for many reasons; the sign-in page knows which.
            Err(CheckFailure::Refused) => Outcome::NeedsSignIn,
            Err(CheckFailure::OtherUser) => Outcome::Ended(Cause::OtherUser),
            Err(CheckFailure::Transient(error)) => {
                tell(&error);
                self.without_an_answer(&base.marks(), base.checked_at(), asked.now)
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
    /// clock is a little ahead, else every request until then would ask again; and after the one before, for of two results
    /// the later one has the refresh token in use.
    fn answers_marks(&self, base: &Session, now: UnixSeconds) -> UnixSeconds {
        let second = Duration::from_secs(1);
        let asked = self.store.revocations().recheck_asked_at(&base.marks());
        let mut after = asked.map_or(now, |at| at.plus(second).max(now));
        if base.checked_at() < now.plus(MOST_AHEAD) {
            after = after.max(base.checked_at().plus(second));
        }
        after.min(now.plus(MOST_AHEAD))
    }
}

/// What Logto says of the user. Where userinfo was away, what only it tells stays as it was.
fn told(base: &Session, refreshed: &Refreshed) -> Claims {
    let claims = refreshed.claims.clone();
    if refreshed.complete {
        return Claims::new(claims);
    }
    let mut members = base.claims().members().clone();
    members.extend(claims);
    Claims::new(members)
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

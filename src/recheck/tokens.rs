//! Tokens for upstreams, by the same one call at a time as re-checks.
//!
//! A session that lacks one is confirmed anew: that gives the opaque access token and the ID token, and within the same call,
//! with the refresh token that it gave, those for resources and organizations. So a refresh token is in one hand, whatever it
//! is used for; the result has one moment, later than any before; and whoever may not have the session has no token either.

use super::call::Asked;
use super::kept::{Ground, Held, Lack, Token, Want};
use super::ledger::Step;
use super::{LONG_PATIENCE, Outcome, PATIENCE, Rechecks};
use crate::clock::{UnixSeconds, monotonic};
use crate::logto::{
    LogtoErrorKind, Refreshed, ResourceToken, ResourceTokenFailure, ResourceVerdict, SignedIn,
};
use crate::secret::SecretText;
use crate::session::{Cause, Session, SessionId, SessionView};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Pause after a token that Logto did not give for want of an answer.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(5);
/// Pause after one that the user may not have.
const NOT_GRANTED_PAUSE: Duration = Duration::from_secs(60);
/// Calls that one request waits for at most: one under way for something else, one that gets what all who waited for that want,
/// and one more, which was begun in between to confirm the session.
const MOST_CALLS: usize = 3;

/// Which of the tokens that every refresh gives are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keeps {
    /// The opaque access token.
    pub access: bool,
    /// The ID token.
    pub id: bool,
}

impl Rechecks {
    /// What is at hand of a token that is wanted for a session. No I/O.
    pub fn token(&self, view: &SessionView, want: &Want, now: UnixSeconds) -> Held {
        let kept = &self.ledger.kept;
        let known = kept.get_since(view.id(), want, view.checked_at(), now);
        let mut held = known.unwrap_or_else(|| {
            // Another replica has confirmed the session since.
            kept.stand(view.id(), Ground::new(view.checked_at(), &view.claims()), now);
            kept.get(view.id(), want, now)
        });
        if view.refresh_token().is_none() {
            let own = view.access_token().filter(|_| *want == Want::Access);
            let own = own.and_then(|(token, expires)| Token::new(&token, now, expires));
            held.token = own.filter(|token| token.lives(now)).or(held.token);
            // There is nothing to ask for another one with.
            held.lack = Some(Lack::Unavailable);
        }
        held
    }

    /// Forgets a token that was not accepted where it was shown, unless it has been replaced since.
    pub fn refused_token(&self, view: &SessionView, want: &Want, refused: &Token) {
        self.ledger
            .kept
            .forget(view.id(), want, refused, self.clock.now());
    }

    /// What a session has become while somebody waited for something that concerns it: over, newer than the cookie, or the same.
    pub fn latest(&self, view: &SessionView, now: UnixSeconds) -> Outcome {
        self.unless_ended(view, self.unanswered(view, now))
    }

    /// Has tokens that are wanting got for a session, by confirming it anew. What came of them is told by [`Self::token`]; what
    /// is returned counts for the session, as that of [`Self::confirm`]: it may be over, or be another from now on.
    pub async fn confirm_tokens(
        self: &Arc<Self>,
        view: &SessionView,
        wants: &[Want],
        now: UnixSeconds,
    ) -> Outcome {
        let longest = monotonic() + LONG_PATIENCE;
        for _ in 0..MOST_CALLS {
            let (mut wanting, mut is_urgent) = (Vec::new(), false);
            for want in wants {
                let held = self.token(view, want, now);
                if held.is_wanting(now) {
                    is_urgent |= held.token.is_none();
                    wanting.push(want.clone());
                }
            }
            if wanting.is_empty() {
                break;
            }
            let step = self
                .ledger
                .step(view.id(), view.checked_at(), now, |_| false, &wanting);
            let mut flight = match step {
                Step::Lead(ticket) => self.begin(ticket, view),
                Step::Wait(flight) => flight,
                Step::Known(_) | Step::Paused(_) => break,
            };
            // Those that still live will do when others are long in coming.
            let deadline = if !is_urgent {
                flight.begun + PATIENCE
            } else {
                longest
            };
            let outcome = match timeout_at(deadline, flight.outcome.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => outcome.clone(),
                Ok(Err(_)) | Err(_) => None,
            };
            match outcome {
                Some(Outcome::Confirmed(_)) => {}
                Some(outcome @ Outcome::Ended(_)) => return self.unless_ended(view, outcome),
                Some(Outcome::Kept | Outcome::Unconfirmed | Outcome::NeedsSignIn) | None => break,
            }
        }
        self.latest(view, now)
    }

    /// Keeps the tokens of a sign-in, which were asked for at `asked`.
    pub fn keep_signed_in(&self, session: &Session, signed_in: &SignedIn, asked: UnixSeconds) {
        let id_token = (&signed_in.id_token, signed_in.id_token_expires_at);
        let access_token = (&signed_in.access_token, signed_in.expires_in);
        let ground = Ground::new(session.checked_at(), session.claims());
        self.keep_issued(session.id(), access_token, Some(id_token), ground, asked);
    }

    /// What is left of a life is counted from before the call, so that none is handed out after its end.
    fn keep_issued(
        &self,
        session: SessionId,
        (access_token, expires_in): (&SecretText, Option<u64>),
        id_token: Option<(&SecretText, UnixSeconds)>,
        ground: Ground,
        asked: UnixSeconds,
    ) {
        let kept = &self.ledger.kept;
        if self.keeps.access
            && let Some(token) = Token::living(access_token, asked, expires_in)
        {
            kept.keep(session, Want::Access, token, ground, asked);
        }
        if self.keeps.id
            && let Some((id_token, expires)) = id_token
            && let Some(token) = Token::new(id_token, asked, expires)
        {
            kept.keep(session, Want::Id, token, ground, asked);
        }
    }

    /// Keeps what a refresh gave that was begun as `asked` says, and gets with it what else is wanted. Returns the refresh token to use
    /// from now on, or why the session is over.
    pub(super) async fn after_refresh(
        &self,
        session: SessionId,
        refreshed: &Refreshed,
        ground: Ground,
        wants: &[Want],
        asked: &Asked,
    ) -> Result<SecretText, Cause> {
        let kept = &self.ledger.kept;
        let id_token = refreshed.id_token.as_ref();
        self.keep_issued(
            session,
            (&refreshed.access_token, refreshed.expires_in),
            id_token.map(|(token, expires)| (token, *expires)),
            ground,
            asked.now,
        );
        kept.stand(session, ground, self.clock.now());
        let mut refresh_token = refreshed.refresh_token.clone();
        for want in wants {
            let Want::For {
                resource,
                organization,
            } = want
            else {
                continue;
            };
            // Nobody waits any more, and other replicas wait for the end of all of it.
            if asked.begun.elapsed() >= LONG_PATIENCE {
                break;
            }
            let asked_at = self.clock.now();
            let (resource, organization) = (resource.as_deref(), organization.as_deref());
            let given = self
                .resource_token(&refresh_token, resource, organization, asked.until)
                .await;
            let now = self.clock.now();
            match given {
                Ok(given) => {
                    refresh_token = given.refresh_token;
                    match Token::living(&given.access_token, asked_at, given.expires_in) {
                        Some(token) => kept.keep(session, want.clone(), token, ground, now),
                        None => tracing::warn!("Logto gave an access token that is too long for a header"),
                    }
                }
                Err(failure) => {
                    if is_over(&failure) {
                        return Err(Cause::RefreshRefused);
                    }
                    refresh_token = failure.refresh_token.unwrap_or(refresh_token);
                    tracing::warn!(error = %failure.error, "an access token for an upstream was not given");
                    let lack = match failure.verdict {
                        ResourceVerdict::Over | ResourceVerdict::NotGranted => {
                            (Lack::NotGranted, NOT_GRANTED_PAUSE)
                        }
                        ResourceVerdict::Transient => (Lack::Unavailable, UNAVAILABLE_PAUSE),
                    };
                    kept.lacks(session, want.clone(), lack, Some(ground), now);
                }
            }
        }
        Ok(refresh_token)
    }

    /// One such token. A lost answer is asked for again at once: Logto may have replaced the refresh token, which it forgives
    /// for three seconds.
    async fn resource_token(
        &self,
        refresh_token: &SecretText,
        resource: Option<&str>,
        organization: Option<&str>,
        until: Instant,
    ) -> Result<ResourceToken, ResourceTokenFailure> {
        let begun = monotonic();
        let given = self
            .logto
            .resource_token(refresh_token, resource, organization, until)
            .await;
        match given {
            Err(failure)
                if matches!(failure.error.kind(), LogtoErrorKind::Interrupted)
                    && failure.refresh_token.is_none()
                    && begun.elapsed() < Duration::from_secs(1) =>
            {
                self.logto
                    .resource_token(refresh_token, resource, organization, until)
                    .await
            }
            given => given,
        }
    }

    /// Notes that what a call was to get did not come of it.
    pub(super) fn without(&self, session: SessionId, wants: &[Want], now: UnixSeconds) {
        for want in wants {
            if self.ledger.kept.get(session, want, now).is_wanting(now) {
                let lack = (Lack::Unavailable, UNAVAILABLE_PAUSE);
                self.ledger.kept.lacks(session, want.clone(), lack, None, now);
            }
        }
    }
}

/// Whether a refusal ends the session. A moment ago the refresh token was good and the user was let use the application: to be
/// denied now is about this token alone, which a script at Logto may have done.
fn is_over(failure: &ResourceTokenFailure) -> bool {
    let LogtoErrorKind::Refused { error } = failure.error.kind() else {
        return false;
    };
    failure.verdict == ResourceVerdict::Over && error == "invalid_grant"
}

//! Whose turn it is to ask about a session, over all replicas, and what they tell each other.

use super::call::RESULT_KEPT;
use super::{Outcome, Rechecks, Want};
use crate::session::Session;
use crate::session::freshness::Freshness;
use crate::store::{LONGEST_LEASE, Lease, Published, Turn};
use std::sync::Arc;
use std::time::Duration;

/// How long this replica waits for another one's call: longer than any call takes, since to ask with a refresh token that the
/// other one has spent would end the grant. One that died is replaced much sooner.
const REPLICA_PATIENCE: Duration = LONGEST_LEASE;
/// Results of others that are looked at before Logto is asked. One is the rule; each further one is newer.
const MOST_RESULTS: usize = 3;

impl Rechecks {
    /// Waits for the turn to ask, unless another replica has just found out. A result that is itself due again decides
    /// nothing, but it has the refresh token in use: it becomes the base. So does any with something wanted, which no result of
    /// another replica brings.
    pub(super) async fn turn(
        &self,
        base: &mut Arc<Session>,
        wants: &[Want],
    ) -> (Option<Lease>, Option<Outcome>) {
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
            if wants.is_empty()
                && self.freshness_at(&session.marks(), session.checked_at(), now) == Freshness::Current
            {
                return (None, Some(Outcome::Confirmed(session)));
            }
            *base = session;
        }
        (None, None)
    }

    /// An old cookie whose refresh token is still the one in use can be asked about again; one whose token was rotated must
    /// meet the result for as long as it may come back; a stream that began with it comes back at each re-check.
    pub(super) fn result_life(&self, presented: &Session, session: &Session) -> Duration {
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
    pub(super) async fn publish(
        &self,
        lease: Option<Lease>,
        base: &Session,
        session: &Session,
        keep: Duration,
    ) {
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
}

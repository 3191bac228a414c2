//! Says that sessions are over, or are to be confirmed anew: to the store, and through it to every replica.

use super::Endpoints;
use crate::clock::Clock;
use crate::session::{Effect, Notice, OLDEST_TOKEN, Scope};
use crate::store::Store;
use crate::tasks::Tasks;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an answer waits for a notice to be kept. It is in force before that.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of a notice. In each case it is in force in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It outlives this process, as far as the store does.
    Yes,
    /// That is not known yet.
    Pending,
    /// It could not be kept.
    No,
}

/// What it takes to publish notices; goes along into tasks.
#[derive(Debug, Clone)]
pub(super) struct Notifier {
    store: Store,
    tasks: Tasks,
    clock: Clock,
}

impl Notifier {
    pub(super) fn new(endpoints: &Endpoints) -> Self {
        Self {
            store: endpoints.store.clone(),
            tasks: endpoints.tasks.clone(),
            clock: endpoints.clock.clone(),
        }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Puts a notice in force, then waits a moment for it to be kept. It is kept whether or not somebody still waits.
    /// `matters_for` is how long the sessions it concerns could live, or stay unconfirmed, at most. What ends a user's sessions
    /// ends their tokens too, and is kept for as long as one is taken.
    pub(super) async fn publish(&self, scope: Scope, effect: Effect, matters_for: Duration) -> Kept {
        let at = self.clock.now();
        let name = scope.as_str();
        match effect {
            Effect::End(cause) => tracing::info!(scope = name, cause = cause.as_str(), "sessions are ended"),
            Effect::Recheck => tracing::info!(scope = name, "sessions are to be confirmed with Logto"),
        }
        let matters_for = match (&scope, effect) {
            (Scope::Subject { .. }, Effect::End(_)) => matters_for.max(OLDEST_TOKEN),
            _ => matters_for,
        };
        let notice = Notice {
            scope,
            effect,
            at,
            until: at.plus(matters_for),
        };
        let (tell, told) = oneshot::channel();
        let store = self.store.clone();
        drop(self.tasks.spawn(async move {
            let mut kept = pin!(store.publish_notice(notice));
            // The first poll puts it in force.
            let result = match tokio::time::timeout(PATIENCE, kept.as_mut()).await {
                Ok(result) => {
                    let _ = tell.send(if result.is_ok() { Kept::Yes } else { Kept::No });
                    result
                }
                Err(_) => {
                    let _ = tell.send(Kept::Pending);
                    kept.await
                }
            };
            if let Err(error) = result {
                tracing::error!(%error, scope = name, "a revocation is in force but could not be kept");
            }
        }));
        told.await.unwrap_or(Kept::Pending)
    }
}

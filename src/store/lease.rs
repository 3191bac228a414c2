//! One re-check of a session at a time, whichever replica it is asked of.
//!
//! Who gets the lease asks Logto and publishes the sealed result; the others wait for it. A lease lasts two seconds and
//! is renewed while its holder lives, so that a replica that died is replaced before Logto stops forgiving a second use
//! of a refresh token (three seconds).

use super::local::Local;
use super::published::Published;
use crate::session::SessionId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Nobody holds a lease longer, whatever holds them up. What is done under one has to end before, and who waits for one waits
/// for as long.
pub const LONGEST_LEASE: Duration = Duration::from_secs(60);

/// How long the holder waits until its result is known to be kept. It is kept later all the same.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(500);

/// What one that wants to re-check a session has to do.
#[derive(Debug)]
pub enum Turn {
    /// Ask Logto, then [`Lease::publish`].
    Lead(Lease),
    /// Another has just asked: use its result.
    Done(Published),
    /// Ask Logto without a lease, then [`super::Store::keep_published`]: nothing is shared, the store is away, or the
    /// one that leads took too long.
    Alone,
    /// Ask nobody: the proxy is stopping, and another may just have spent the refresh token.
    Stopping,
}

/// A result on its way to the store, and whom to tell.
pub(super) struct Publication {
    pub(super) result: Published,
    pub(super) keep: Duration,
    pub(super) kept: oneshot::Sender<()>,
}

/// The right to re-check a session. Dropping it lets the next one have it.
#[must_use = "dropping a lease lets it go"]
pub struct Lease {
    pub(super) session: SessionId,
    pub(super) local: Arc<Local>,
    /// To the task that renews the lease. Closed: let it go.
    pub(super) holder: oneshot::Sender<Publication>,
    /// That task.
    pub(super) task: AbortHandle,
}

impl Lease {
    /// Hands the result to those who wait and to latecomers, for `keep`, and lets the lease go.
    pub async fn publish(self, result: &Published, keep: Duration) {
        self.local.keep_result(self.session, result, keep);
        let (kept, done) = oneshot::channel();
        let publication = Publication {
            result: result.clone(),
            keep,
            kept,
        };
        if self.holder.send(publication).is_ok() {
            // An error or no answer: the holder's task goes on with it.
            let _ = timeout(PUBLISH_PATIENCE, done).await;
        }
    }

    /// Ends the task that renews the lease, as the death of its process would.
    #[cfg(test)]
    pub(super) fn die(self) {
        self.task.abort();
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Lease({}, {})", self.session, self.task.id())
    }
}

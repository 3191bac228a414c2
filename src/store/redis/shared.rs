//! What the parts of a store in Redis share.

use super::keys::Keys;
use super::outbox::Outbox;
use super::writes::Writes;
use crate::store::condition::Condition;
use crate::store::local::Local;
use crate::tasks::Tasks;
use redis::aio::MultiplexedConnection;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the parts share.
pub(super) struct Shared {
    pub(super) keys: Keys,
    /// How long what is in the stream is kept there.
    pub(super) keep: Duration,
    pub(super) most_notices: usize,
    pub(super) local: Arc<Local>,
    pub(super) condition: Condition,
    pub(super) outbox: Outbox,
    pub(super) writes: Writes,
    pub(super) tasks: Tasks,
    pub(super) stop: CancellationToken,
    /// When the memory of the Redis began, in seconds since the epoch; zero until that is known.
    pub(super) began: AtomicU64,
    /// Reached, and caught up with.
    pub(super) connection: Mutex<Option<MultiplexedConnection>>,
}

impl Shared {
    /// The connection for commands; `None` while the Redis is away.
    pub(super) fn connection(&self) -> Option<MultiplexedConnection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_connection(&self, connection: Option<MultiplexedConnection>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

//! Notices on their way to the Redis.
//!
//! Each waits here until the Redis has acknowledged it, however long that is away. When more wait than may, the oldest
//! leaves the queue, not the set of revocations: the whole set is then compared with the stream (see [`super::follow`]).

use super::fault::Fault;
use super::keys::Keys;
use super::stream::{EntryId, NOTICE_FIELD};
use crate::session::Notice;
use redis::aio::MultiplexedConnection;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Notices that wait at most.
const MOST_WAITING: usize = 10_000;
/// Notices in one write.
const MOST_AT_ONCE: usize = 500;

/// The queue.
pub(super) struct Outbox {
    state: Mutex<State>,
    added: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// The number of the next to enter.
    next: u64,
    /// Some left before they were delivered.
    overflowed: bool,
    /// The last of ours that the Redis acknowledged.
    delivered: Option<EntryId>,
}

struct Waiting {
    number: u64,
    json: Vec<u8>,
    delivered: oneshot::Sender<()>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            added: Notify::new(),
        }
    }

    /// Queues a notice. What is returned hears of its delivery.
    pub(super) fn push(&self, notice: &Notice) -> oneshot::Receiver<()> {
        let (delivered, told) = oneshot::channel();
        // A notice has nothing that JSON cannot say; were it not so, it could not be kept at all.
        if let Ok(json) = serde_json::to_vec(notice) {
            let mut state = self.lock();
            if state.waiting.len() >= MOST_WAITING {
                state.waiting.pop_front();
                state.overflowed = true;
            }
            let number = state.next;
            state.next = number.wrapping_add(1);
            state.waiting.push_back(Waiting {
                number,
                json,
                delivered,
            });
            drop(state);
            self.added.notify_one();
        }
        told
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether some left before they were delivered, since it was last asked.
    pub(super) fn take_overflowed(&self) -> bool {
        std::mem::take(&mut self.lock().overflowed)
    }

    /// The last of ours that the Redis acknowledged.
    pub(super) fn last_delivered(&self) -> Option<EntryId> {
        self.lock().delivered
    }

    /// The stream is another one than it was delivered to.
    pub(super) fn forget_delivered(&self) {
        self.lock().delivered = None;
    }

    /// Delivers whatever waits now.
    pub(super) async fn drain(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &Keys,
        keep: Duration,
    ) -> Result<(), Fault> {
        loop {
            let (batch, last) = self.batch();
            if batch.is_empty() {
                return Ok(());
            }
            let delivered = add(connection, keys, &batch, keep).await?;
            let mut state = self.lock();
            state.delivered = state.delivered.max(delivered);
            while state
                .waiting
                .front()
                .is_some_and(|waiting| waiting.number <= last)
            {
                if let Some(sent) = state.waiting.pop_front() {
                    // Nobody may be waiting any more; that is no fault.
                    let _ = sent.delivered.send(());
                }
            }
        }
    }

    /// Delivers whatever comes, until the Redis fails.
    pub(super) async fn deliver(
        &self,
        mut connection: MultiplexedConnection,
        keys: &Keys,
        keep: Duration,
    ) -> Fault {
        loop {
            let added = self.added.notified();
            if let Err(fault) = self.drain(&mut connection, keys, keep).await {
                return fault;
            }
            added.await;
        }
    }

    fn batch(&self) -> (Vec<Vec<u8>>, u64) {
        let state = self.lock();
        let batch = state.waiting.iter().take(MOST_AT_ONCE);
        let last = batch.clone().next_back().map_or(0, |waiting| waiting.number);
        (batch.map(|waiting| waiting.json.clone()).collect(), last)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds notices to the stream. Returns the entry of the last one.
pub(super) async fn add(
    connection: &mut MultiplexedConnection,
    keys: &Keys,
    notices: &[Vec<u8>],
    keep: Duration,
) -> Result<Option<EntryId>, Fault> {
    let mut pipeline = redis::pipe();
    for json in notices {
        pipeline
            .cmd("XADD")
            .arg(&keys.notices)
            .arg("*")
            .arg(NOTICE_FIELD)
            .arg(json.as_slice());
    }
    // The last notice is then long past, and so are all before it.
    pipeline
        .cmd("EXPIRE")
        .arg(&keys.notices)
        .arg(keep.as_secs().max(1))
        .ignore();
    let ids: Vec<String> = pipeline.query_async(connection).await?;
    Ok(ids.last().and_then(|id| id.parse().ok()))
}

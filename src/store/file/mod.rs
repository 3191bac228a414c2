//! A store in a file of this process: what was ended stays ended when the process ends, however it ends.
//!
//! Promises that a notice is on the disk when its publishing returns, and that a file which cannot be read in full is an
//! error, never an empty store. The file holds no secret in the clear: results are sealed with the session keys. It is
//! nevertheless its user's alone, since it says who uses the application.

mod held;
mod open;
mod tables;
mod writer;

use self::open::{open, refused};
use self::tables::{Tables, forget_expired};
use self::writer::{Answer, Order, Writer};
use super::condition::{Condition, Health};
use super::error::{OpenError, StoreError};
use super::local::Local;
use super::published::{Published, until};
use super::records::SessionRecord;
use super::settings::Settings;
use crate::clock::UnixSeconds;
use crate::session::{Notice, SessionId};
use crate::tasks::Tasks;
use redb::Database;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Orders that wait for the thread at most.
const MOST_WAITING: usize = 10_000;
/// How long one order may take.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last commit.
const LAST_COMMIT: Duration = Duration::from_millis(900);

/// A store in a file.
pub(super) struct FileStore {
    local: Arc<Local>,
    condition: Arc<Condition>,
    /// `None` only while it is dropped.
    orders: Option<Arc<SyncSender<Order>>>,
    /// Closed when the thread has ended.
    ended: Mutex<Receiver<()>>,
    /// Notices and results that are not yet on the disk.
    pending: AtomicUsize,
    began: UnixSeconds,
    lifetime: Duration,
}

impl FileStore {
    /// Opens the file, puts what it holds in force, and starts the thread that writes it.
    pub(super) fn open(path: &Path, settings: &Settings, local: Arc<Local>) -> Result<Self, OpenError> {
        let held = open(path)?;
        let tables = Tables::of(&settings.namespace);
        let now = local.clock.now();
        let prepare = |database: &Database| {
            let mut transaction = database.begin_write()?;
            transaction.set_two_phase_commit(true);
            forget_expired(&transaction, now)?;
            let contents = tables.prepare(&transaction, now)?;
            transaction.commit()?;
            Ok(contents)
        };
        let contents = held.call(prepare).map_err(|fault| refused(path, fault))?;
        for notice in &contents.notices {
            local.revocations.apply(notice);
        }
        let mut sessions = HashMap::new();
        for record in contents.sessions {
            sessions.extend(local.note(record).into_iter().map(|forgotten| (forgotten, None)));
        }
        for (session, result, until) in contents.results {
            local.keep_result(session, &result, until.since(now));
        }
        let condition = Arc::new(Condition::present(
            "file",
            local.clock.clone(),
            local.metrics.clone(),
        ));
        let writer = Writer {
            path: path.to_owned(),
            tables,
            most_notices: settings.most_notices,
            local: Arc::clone(&local),
            condition: Arc::clone(&condition),
            held: Some(held),
            sessions,
        };
        let (orders, receiver) = mpsc::sync_channel(MOST_WAITING);
        let (ending, ended) = mpsc::channel();
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                writer.run(&receiver);
                drop::<mpsc::Sender<()>>(ending);
            })
            .map_err(|source| OpenError::Io {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            local,
            condition,
            orders: Some(Arc::new(orders)),
            ended: Mutex::new(ended),
            pending: AtomicUsize::new(0),
            began: contents.began,
            lifetime: settings.lifetime,
        })
    }

    /// Has the end of the process wait until what waits is written.
    pub(super) fn start(&self, tasks: &Tasks, stop: &CancellationToken) {
        let Some(orders) = self.orders.as_ref().map(Arc::downgrade) else {
            return;
        };
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.cancelled().await;
            let (answer, answered) = oneshot::channel();
            let asked = orders
                .upgrade()
                .is_some_and(|orders| orders.try_send(Order::Flush(answer)).is_ok());
            if asked {
                // No answer in time: a commit is whole or not there at all.
                let _ = timeout(LAST_COMMIT, answered).await;
            }
        });
    }

    /// Puts a notice on the disk.
    pub(super) async fn keep_notice(&self, notice: Notice) -> Result<(), StoreError> {
        self.write(|answer| Order::Notice(notice, answer)).await
    }

    /// Puts the result of a re-check on the disk.
    pub(super) async fn keep_result(
        &self,
        session: SessionId,
        result: &Published,
        keep: Duration,
    ) -> Result<(), StoreError> {
        let until = until(keep, self.local.clock.now());
        self.write(|answer| Order::Result(session, result.clone(), until, answer))
            .await
    }

    /// Has a session written before long, and others deleted.
    pub(super) fn note(&self, record: SessionRecord, forgotten: Vec<SessionId>) {
        let orders = forgotten.into_iter().map(Order::Forget);
        for order in orders.chain([Order::Session(record)]) {
            // Too much waits already: it is noted again when the session is next renewed.
            let _ = self.send(order);
        }
    }

    pub(super) fn health(&self) -> Health {
        self.condition.health(self.pending.load(Ordering::Relaxed))
    }

    /// When the file was begun, while sessions from before can still be alive.
    pub(super) fn knows_since(&self) -> Option<UnixSeconds> {
        (self.local.clock.now() < self.began.plus(self.lifetime)).then_some(self.began)
    }

    async fn write(&self, order: impl FnOnce(Answer) -> Order) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let _pending = Pending::of(&self.pending);
        self.send(order(answer))?;
        match timeout(WRITE_LIMIT, answered).await {
            Ok(answer) => answer.unwrap_or(Err(StoreError::Closed)),
            Err(_) => Err(StoreError::File("the disk did not answer in time".to_owned())),
        }
    }

    fn send(&self, order: Order) -> Result<(), StoreError> {
        let orders = self.orders.as_ref().ok_or(StoreError::Closed)?;
        orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }
}

/// Counts one order while it waits, also when its sender stops waiting.
struct Pending<'count>(&'count AtomicUsize);

impl<'count> Pending<'count> {
    fn of(count: &'count AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for FileStore {
    /// Waits for the last commit, so that whoever opens the file next finds it free.
    fn drop(&mut self) {
        self.orders = None;
        // Closed, or it took too long: a commit is whole or not there at all.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(LAST_COMMIT);
    }
}

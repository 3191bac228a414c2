//! What must be known about sessions besides their cookies: which have ended, what a user's sessions are, and the fresh
//! results of re-checks.
//!
//! Promises that a notice is in force in this process as soon as it is published, and that the check of a request never
//! waits for a file or a network: every process holds the whole set of revocations in memory. A file makes them outlive
//! the process; a Redis carries them to every replica, also those made while it was away. Refuses to know routes, tokens
//! and what is inside a sealed session. Stops copied cookies from living on, replays, and one refresh token being spent
//! twice.

mod condition;
mod error;
pub(crate) mod expiring;
mod file;
mod lease;
mod local;
mod published;
mod records;
mod redis;
mod replay;
mod settings;

pub use condition::Health;
pub use error::{OpenError, StoreError};
pub use lease::{LONGEST_LEASE, Lease, Turn};
pub use published::Published;
pub use records::SessionRecord;
pub use settings::{Kind, Settings};

use self::condition::Condition;
use self::file::FileStore;
use self::local::Local;
use self::redis::RedisStore;
use self::replay::Use;
use crate::clock::{Clock, UnixSeconds};
use crate::session::SessionId;
use crate::session::{Marks, Notice, Revocations};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often what has expired is taken out.
const SWEEP: Duration = Duration::from_secs(60);

/// Keeps what is known about sessions. Clones are the same store; the last one to be dropped ends its background work.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    local: Arc<Local>,
    place: Place,
    began: UnixSeconds,
    tasks: Tasks,
    started: AtomicBool,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

/// Where things are kept besides the memory.
enum Place {
    Nowhere(Condition),
    File(FileStore),
    Redis(RedisStore),
}

impl Store {
    /// Opens a store. A file is read here, and its notices are in force when this returns; a Redis is not yet contacted.
    ///
    /// # Errors
    /// [`OpenError`], with what to do about it.
    pub fn open(settings: Settings, clock: Clock, tasks: Tasks, metrics: Metrics) -> Result<Self, OpenError> {
        let local = Arc::new(Local::new(settings.most_notices, clock.clone(), metrics.clone()));
        let stop = CancellationToken::new();
        let place = match &settings.kind {
            Kind::Memory => Place::Nowhere(Condition::present("memory", clock.clone(), metrics)),
            Kind::File { path } => Place::File(FileStore::open(path, &settings, Arc::clone(&local))?),
            Kind::Redis { url, ca } => Place::Redis(RedisStore::open(
                url,
                ca,
                &settings,
                Arc::clone(&local),
                tasks.clone(),
                stop.clone(),
            )?),
        };
        Ok(Self(Arc::new(Inner {
            local,
            place,
            began: clock.now(),
            tasks,
            started: AtomicBool::new(false),
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        })))
    }

    /// Starts the work in the background. A second call does nothing.
    pub fn start(&self) {
        if self.0.started.swap(true, Ordering::Relaxed) {
            return;
        }
        let (local, stop) = (Arc::clone(&self.0.local), self.0.stop.clone());
        self.0.tasks.spawn(async move {
            let sweeps = async {
                loop {
                    sleep(SWEEP).await;
                    local.forget_expired();
                }
            };
            // Ends when the store is stopped.
            let _ = stop.run_until_cancelled(sweeps).await;
        });
        match &self.0.place {
            Place::Nowhere(_) => {}
            Place::File(file) => file.start(&self.0.tasks, &self.0.stop),
            Place::Redis(redis) => redis.start(),
        }
    }

    /// Ends the work in the background, within a second: what waits to be written is written if it can be by then.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Waits until everything that was kept before this process is in force in it: at once for memory and file, and for
    /// a Redis after its first complete reading. A Redis that is away is waited for, so set a limit.
    pub async fn caught_up(&self) {
        if let Place::Redis(redis) = &self.0.place {
            redis.caught_up().await;
        }
    }

    /// What every request is checked against.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.0.local.revocations
    }

    /// Puts a notice in force here at once, and keeps it: returns when it is on the disk, or acknowledged by the Redis,
    /// or, when that is away, queued for it.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be kept; it is in force here all the same.
    pub async fn publish_notice(&self, notice: Notice) -> Result<(), StoreError> {
        let is_new = self.0.local.apply(&notice, "here");
        match &self.0.place {
            Place::Nowhere(_) => Ok(()),
            Place::File(file) => file.keep_notice(notice).await,
            Place::Redis(redis) if is_new => redis.tell(notice).await,
            // Known, so it is kept already or waits to be.
            Place::Redis(_) => Ok(()),
        }
    }

    /// How the store is.
    pub fn health(&self) -> Health {
        match &self.0.place {
            Place::Nowhere(condition) => condition.health(0),
            Place::File(file) => file.health(),
            Place::Redis(redis) => redis.health(),
        }
    }

    /// Notes a session for the sessions page: at sign-in, renewal and re-check. Never waits; when more waits to be
    /// written than may wait, the oldest is dropped.
    pub fn note_session(&self, record: SessionRecord) {
        let record = record.cut();
        match &self.0.place {
            Place::Nowhere(_) => drop(self.0.local.note(record)),
            Place::File(file) => {
                let forgotten = self.0.local.note(record.clone());
                file.note(record, forgotten);
            }
            Place::Redis(redis) => redis.note(record),
        }
    }

    /// A user's sessions that are neither over nor ended, the last used first, at most 50.
    ///
    /// # Errors
    /// [`StoreError::Away`] when they are in a Redis that is away.
    pub async fn sessions_of(&self, subject: &str) -> Result<Vec<SessionRecord>, StoreError> {
        let mut records = match &self.0.place {
            Place::Nowhere(_) | Place::File(_) => self.0.local.records_of(subject),
            Place::Redis(redis) => redis.records_of(subject).await?,
        };
        records.retain(|record| {
            let marks = Marks {
                id: record.id,
                sid: record.sid.as_deref(),
                subject: &record.subject,
                signed_in_at: record.signed_in_at,
            };
            self.0.local.revocations.ended(&marks).is_none()
        });
        records::sort(&mut records);
        records.truncate(records::MOST_OF_A_SUBJECT);
        Ok(records)
    }

    /// Sessions that began before this may be missing from [`Self::sessions_of`]; `None` when none can be.
    pub fn knows_since(&self) -> Option<UnixSeconds> {
        match &self.0.place {
            Place::Nowhere(_) => Some(self.0.began),
            Place::File(file) => file.knows_since(),
            Place::Redis(redis) => redis.knows_since(),
        }
    }

    /// Notes that something that works once was used. True the first time within `keep`. Where replicas share a Redis
    /// the first of all of them counts; when it is away, the first in this process.
    pub async fn first_use(&self, kind: &'static str, id: &[u8], keep: Duration) -> bool {
        let used = Use::of(kind, id);
        if !self.0.local.first_use(used, keep) {
            return false;
        }
        match &self.0.place {
            Place::Nowhere(_) | Place::File(_) => true,
            Place::Redis(redis) => redis.first_use(kind, used, keep).await,
        }
    }

    /// Asks for a turn to re-check a session that was last confirmed at `newer_than`: to lead, or to use a newer result,
    /// for which it waits at most `patience`.
    pub async fn begin_recheck(
        &self,
        session: SessionId,
        newer_than: UnixSeconds,
        patience: Duration,
    ) -> Turn {
        if let Some(result) = self.0.local.result(session)
            && result.checked_at > newer_than
        {
            return Turn::Done(result);
        }
        match &self.0.place {
            Place::Nowhere(_) | Place::File(_) => Turn::Alone,
            Place::Redis(redis) => redis.begin_recheck(session, newer_than, patience).await,
        }
    }

    /// The newest result of a re-check that is still kept.
    pub async fn published(&self, session: SessionId) -> Option<Published> {
        let here = self.0.local.result(session);
        let shared = match &self.0.place {
            Place::Nowhere(_) | Place::File(_) => None,
            Place::Redis(redis) => redis.result(session).await,
        };
        here.into_iter()
            .chain(shared)
            .max_by_key(|result| result.checked_at)
    }

    /// Keeps the result of a re-check that was made without a lease: in a file so that it survives this process, in a
    /// Redis for the other replicas, as soon as it is there.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be kept; it is kept in this process all the same.
    pub async fn keep_published(
        &self,
        session: SessionId,
        result: &Published,
        keep: Duration,
    ) -> Result<(), StoreError> {
        self.0.local.keep_result(session, result, keep);
        match &self.0.place {
            Place::Nowhere(_) => Ok(()),
            Place::File(file) => file.keep_result(session, result, keep).await,
            Place::Redis(redis) => {
                redis.keep_result(session, result, keep);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Store({})", self.health().kind)
    }
}

#[cfg(test)]
mod tests;

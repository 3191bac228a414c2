//! The one thread that writes the file.
//!
//! Whatever waits when it begins a commit is in that commit: a burst of notices costs one wait for the disk. Notices and
//! results are answered when they are on the disk; records of sessions wait a little for company.

use super::held::Held;
use super::open::open;
use super::tables::{Fault, Tables, forget_expired};
use crate::clock::{UnixSeconds, monotonic};
use crate::session::{Notice, SessionId};
use crate::store::condition::Condition;
use crate::store::error::StoreError;
use crate::store::local::Local;
use crate::store::published::Published;
use crate::store::records::SessionRecord;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Orders in one commit.
const MOST_AT_ONCE: usize = 2_000;
/// How long records of sessions wait for company.
const LAZY: Duration = Duration::from_secs(1);
/// How often what has expired is deleted.
const SWEEP: Duration = Duration::from_secs(600);
/// How long to wait before the file is opened anew after it failed.
const RETRY: Duration = Duration::from_secs(1);

/// Told when the order is on the disk, or why it is not.
pub(super) type Answer = oneshot::Sender<Result<(), StoreError>>;

/// What the thread is to do.
pub(super) enum Order {
    Notice(Notice, Answer),
    Result(SessionId, Published, UnixSeconds, Answer),
    Session(SessionRecord),
    Forget(SessionId),
    /// Write what waits.
    Flush(Answer),
}

/// What the thread holds.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) tables: Tables,
    pub(super) most_notices: usize,
    pub(super) local: Arc<Local>,
    pub(super) condition: Arc<Condition>,
    /// `None` after a failure, until it can be opened again.
    pub(super) held: Option<Held>,
    /// Records that wait; `None` is one to delete.
    pub(super) sessions: HashMap<SessionId, Option<SessionRecord>>,
}

/// What must be on the disk before it is answered.
#[derive(Default)]
struct Urgent {
    notices: Vec<Notice>,
    results: Vec<(SessionId, Published, UnixSeconds)>,
    answers: Vec<Answer>,
}

impl Writer {
    /// Works until the other end of the channel is dropped.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        let mut lazy_due: Option<Instant> = None;
        let mut sweep_due = monotonic() + SWEEP;
        let mut retry_due: Option<Instant> = None;
        loop {
            let due = [Some(sweep_due), lazy_due, retry_due].into_iter().flatten().min();
            let wait = due.map_or(SWEEP, |due| due.saturating_duration_since(monotonic()));
            let urgent = match orders.recv_timeout(wait) {
                Ok(first) => self.sort(std::iter::once(first).chain(orders.try_iter().take(MOST_AT_ONCE))),
                Err(RecvTimeoutError::Timeout) => Urgent::default(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let now = monotonic();
            let sweeps = now >= sweep_due;
            let is_due = |due: Option<Instant>| due.is_some_and(|due| now >= due);
            if !urgent.answers.is_empty() || is_due(lazy_due) || is_due(retry_due) || sweeps {
                self.commit(urgent, sweeps);
                lazy_due = None;
                retry_due = self.held.is_none().then(|| monotonic() + RETRY);
            }
            if sweeps {
                sweep_due = monotonic() + SWEEP;
            }
            if !self.sessions.is_empty() && self.held.is_some() {
                lazy_due = lazy_due.or(Some(now + LAZY));
            }
        }
        self.commit(Urgent::default(), false);
    }

    fn sort(&mut self, orders: impl Iterator<Item = Order>) -> Urgent {
        let mut urgent = Urgent::default();
        for order in orders {
            match order {
                Order::Notice(notice, answer) => {
                    urgent.notices.push(notice);
                    urgent.answers.push(answer);
                }
                Order::Result(session, result, until, answer) => {
                    urgent.results.push((session, result, until));
                    urgent.answers.push(answer);
                }
                Order::Session(record) => drop(self.sessions.insert(record.id, Some(record))),
                Order::Forget(id) => drop(self.sessions.insert(id, None)),
                Order::Flush(answer) => urgent.answers.push(answer),
            }
        }
        urgent
    }

    /// Writes all that waits in one transaction, and answers. A file that failed is opened anew first; then all that is
    /// in force is written, so that nothing is missing that was refused in between.
    fn commit(&mut self, urgent: Urgent, sweeps: bool) {
        let outcome = self.try_commit(&urgent, sweeps);
        let answer = match outcome {
            Ok(()) => {
                self.sessions.clear();
                self.condition.found();
                Ok(())
            }
            Err(reason) => {
                // After an error redb wants its file opened anew.
                self.held = None;
                // They are shown on a page, and noted again: not worth the memory of an outage.
                self.sessions.clear();
                self.condition.lost(reason.clone().into());
                Err(StoreError::File(reason))
            }
        };
        for waiting in urgent.answers {
            // Nobody may be waiting any more; that is no fault.
            let _ = waiting.send(answer.clone());
        }
    }

    fn try_commit(&mut self, urgent: &Urgent, sweeps: bool) -> Result<(), String> {
        let reopens = self.held.is_none();
        let held = match self.held.take() {
            Some(held) => held,
            None => open(&self.path).map_err(|error| error.to_string())?,
        };
        let held = self.held.insert(held);
        let (tables, local, most) = (&self.tables, &self.local, self.most_notices);
        let sessions = &self.sessions;
        held.call(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_two_phase_commit(true);
            let now = local.clock.now();
            if reopens {
                tables.prepare(&transaction, now)?;
                tables.put_notices(&transaction, &local.revocations.notices())?;
            }
            tables.put_notices(&transaction, &urgent.notices)?;
            for (session, result, until) in &urgent.results {
                tables.put_result(&transaction, *session, result, *until)?;
            }
            for (id, record) in sessions {
                match record {
                    Some(record) => tables.put_session(&transaction, record)?,
                    None => tables.remove_session(&transaction, *id)?,
                }
            }
            if sweeps {
                forget_expired(&transaction, now)?;
            }
            // Notices that later ones contain, and those that the set has given up, make room.
            let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_mul(2);
            if !urgent.notices.is_empty() && tables.count_notices(&transaction)? > bound {
                tables.replace_notices(&transaction, &local.revocations.notices())?;
            }
            Ok(transaction.commit()?)
        })
        .map_err(|fault: Fault| fault.to_string())
    }
}

//! What has been revoked: the set that every request of a signed-in user is checked against.
//!
//! Promises that a session which was ended stays ended, in whatever order and however often the notices arrive, and also
//! when there are more of them than are kept: then the oldest are replaced by one moment, and everyone who signed in
//! before it signs in again. Stops copied cookies from outliving a sign-out, and floods of notices from taking memory or
//! from pushing an ending out. Refuses to know where notices come from and who else is told.
//!
//! A check takes no lock and writes nothing that workers share, and while nothing is in force it is one load. Changes are
//! made one at a time.

mod record;
mod table;

use super::id::SessionId;
use super::notice::{Cause, Notice, Scope};
use crate::clock::UnixSeconds;
use arc_swap::ArcSwap;
use record::{Ending, Record};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use table::Table;
use tokio::sync::watch;

/// What revocations judge a session by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks<'a> {
    /// Names the session.
    pub id: SessionId,
    /// Logto's own session, where it names one: claim `sid`.
    pub sid: Option<&'a str>,
    /// The user: claim `sub`.
    pub subject: &'a str,
    /// When the user signed in.
    pub signed_in_at: UnixSeconds,
}

/// The notices in force.
pub struct Revocations {
    most: usize,
    /// Is there anything to look up?
    in_force: AtomicBool,
    sessions: Table<SessionId>,
    logto_sessions: Table<Arc<str>>,
    subjects: Table<Arc<str>>,
    /// What holds for all sessions, and stands for what was dropped.
    everyone: ArcSwap<Record>,
    /// What is in the tables, in the order in which it is dropped. Who changes anything holds this.
    order: Mutex<BTreeSet<Place>>,
    dropped_any: AtomicBool,
    changes: watch::Sender<u64>,
}

/// Half of a [`Record`] in the order of dropping: marks for a re-check before endings, since losing one costs no more than
/// asking Logto; then by age; then by name, so that all replicas drop the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    ends: bool,
    at: UnixSeconds,
    name: Name,
}

/// Whom a notice names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Session(SessionId),
    LogtoSession(Arc<str>),
    Subject(Arc<str>),
}

impl Revocations {
    /// An empty set that keeps at most so many notices.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            in_force: AtomicBool::new(false),
            sessions: Table::new(most),
            logto_sessions: Table::new(most),
            subjects: Table::new(most),
            everyone: ArcSwap::default(),
            order: Mutex::default(),
            dropped_any: AtomicBool::new(false),
            changes: watch::Sender::new(0),
        }
    }

    /// Puts a notice in force; `true` when that changed anything. Applying it again does not, and the order in which
    /// notices are applied makes no difference.
    ///
    /// [`Scope::Everyone`] may end sessions too: all that were signed in no later. An exception counts for endings only.
    pub fn apply(&self, notice: &Notice) -> bool {
        let mut order = self.lock();
        self.in_force.store(true, Ordering::Release);
        let changed = match named(&notice.scope) {
            None => self.add_for_everyone(Record::of(notice)),
            Some(name) => self.add(&mut order, &name, Record::of(notice)),
        };
        drop(order);
        if changed {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
        changed
    }

    /// Is this session over, and why?
    pub fn ended(&self, marks: &Marks<'_>) -> Option<Cause> {
        if !self.in_force.load(Ordering::Relaxed) {
            return None;
        }
        let by_name = || {
            let session = self.sessions.get(&marks.id).ended;
            session.or_else(|| self.logto_sessions.get(marks.sid?).ended)
        };
        let by_time = |ending: Option<Ending>| ending.filter(|ending| ending.concerns(marks));
        by_name()
            .or_else(|| by_time(self.subjects.get(marks.subject).ended))
            .or_else(|| by_time(self.everyone.load().ended))
            .map(|ending| ending.cause)
    }

    /// Must a session that was confirmed at `checked_at` be confirmed again? So it must when a notice to that effect was
    /// learnt later, or in the same second.
    pub fn recheck_due(&self, marks: &Marks<'_>, checked_at: UnixSeconds) -> bool {
        self.recheck_asked_at(marks).is_some_and(|at| at >= checked_at)
    }

    /// The moment of the latest notice in force that this session must be confirmed again. A re-check begun afterwards
    /// answers it, even one in the same second or by a clock that is behind the notice's.
    pub fn recheck_asked_at(&self, marks: &Marks<'_>) -> Option<UnixSeconds> {
        if !self.in_force.load(Ordering::Relaxed) {
            return None;
        }
        let marks = [
            self.sessions.get(&marks.id).recheck,
            marks.sid.and_then(|sid| self.logto_sessions.get(sid).recheck),
            self.subjects.get(marks.subject).recheck,
            self.everyone.load().recheck,
        ];
        marks.into_iter().flatten().map(|mark| mark.at).max()
    }

    /// Forgets the notices of which no session can be alive. The moment that stands for dropped endings stays.
    pub fn forget_expired(&self, now: UnixSeconds) {
        let mut order = self.lock();
        let before = order.len();
        order.retain(|place| {
            let left = self.record(&place.name).without_expired(now);
            if place.ends {
                left.ended.is_some()
            } else {
                left.recheck.is_some()
            }
        });
        if order.len() < before {
            self.sessions.forget_expired(now);
            self.logto_sessions.forget_expired(now);
            self.subjects.forget_expired(now);
        }
        let everyone = **self.everyone.load();
        let left = Record {
            ended: everyone.ended,
            ..everyone.without_expired(now)
        };
        if left != everyone {
            self.everyone.store(Arc::new(left));
        }
        if order.is_empty() && left == Record::default() {
            self.in_force.store(false, Ordering::Release);
        }
    }

    /// Counts the changes that [`apply`](Self::apply) made: who must act on one waits here.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Everything in force, as notices that give the same set when applied to an empty one.
    pub fn notices(&self) -> Vec<Notice> {
        let order = self.lock();
        let mut notices = self.everyone.load().notices(|_| Scope::Everyone);
        for place in order.iter() {
            let record = self.record(&place.name).half(place.ends);
            notices.extend(record.notices(|except| place.name.scope(except)));
        }
        notices
    }

    /// How many endings and marks are kept one by one; never more than the most.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Is nothing kept one by one?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn add(&self, order: &mut BTreeSet<Place>, name: &Name, record: Record) -> bool {
        let old = self.record(name);
        let new = old.merged(record);
        if new == old {
            return false;
        }
        let before = **self.everyone.load();
        self.set(name, new);
        for place in places(name, &old) {
            order.remove(&place);
        }
        order.extend(places(name, &new));
        while order.len() > self.most {
            let Some(place) = order.pop_first() else { break };
            self.give_up(&place);
        }
        self.record(name) != old || **self.everyone.load() != before
    }

    fn add_for_everyone(&self, record: Record) -> bool {
        let old = **self.everyone.load();
        let new = old.merged(record);
        if new != old {
            self.everyone.store(Arc::new(new));
        }
        new != old
    }

    /// Drops what stands at a place. What stands for it holds before it is gone.
    fn give_up(&self, place: &Place) {
        let record = self.record(&place.name);
        self.add_for_everyone(record.half(place.ends).for_everyone());
        self.set(&place.name, record.half(!place.ends));
        if place.ends && !self.dropped_any.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                most = self.most,
                "more sessions were ended than can be remembered one by one: the oldest sessions end as well"
            );
        }
    }

    fn record(&self, name: &Name) -> Record {
        match name {
            Name::Session(id) => self.sessions.get(id),
            Name::LogtoSession(sid) => self.logto_sessions.get(&**sid),
            Name::Subject(subject) => self.subjects.get(&**subject),
        }
    }

    fn set(&self, name: &Name, record: Record) {
        match name {
            Name::Session(id) => self.sessions.set(id, record),
            Name::LogtoSession(sid) => self.logto_sessions.set(sid, record),
            Name::Subject(subject) => self.subjects.set(subject, record),
        }
    }

    /// A thread that died while it held this left at worst something in force for too long: going on is safe.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Place>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Revocations({} of {})", self.len(), self.most)
    }
}

impl Name {
    fn scope(&self, except: Option<SessionId>) -> Scope {
        match self {
            Self::Session(id) => Scope::Session(*id),
            Self::LogtoSession(sid) => Scope::LogtoSession(sid.to_string()),
            Self::Subject(subject) => Scope::Subject {
                subject: subject.to_string(),
                except,
            },
        }
    }
}

/// Whom a scope names; `None`: everyone.
fn named(scope: &Scope) -> Option<Name> {
    match scope {
        Scope::Session(id) => Some(Name::Session(*id)),
        Scope::LogtoSession(sid) => Some(Name::LogtoSession(Arc::from(sid.as_str()))),
        Scope::Subject { subject, .. } => Some(Name::Subject(Arc::from(subject.as_str()))),
        Scope::Everyone => None,
    }
}

/// The places of a record's halves.
fn places(name: &Name, record: &Record) -> impl Iterator<Item = Place> + use<> {
    let place = |ends, at| Place {
        ends,
        at,
        name: name.clone(),
    };
    let ended = record.ended.map(|ending| place(true, ending.at));
    let recheck = record.recheck.map(|mark| place(false, mark.at));
    ended.into_iter().chain(recheck)
}

#[cfg(test)]
mod tests;

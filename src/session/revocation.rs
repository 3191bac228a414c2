//! Placeholder of the set of revocations until the branches meet.
#![allow(missing_docs)]
use super::notice::{Cause, Effect, Notice, Scope};
use super::session::SessionId;
use crate::clock::UnixSeconds;
use std::sync::Mutex;
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks<'a> {
    pub id: SessionId,
    pub sid: Option<&'a str>,
    pub subject: &'a str,
    pub signed_in_at: UnixSeconds,
}

#[derive(Debug)]
pub struct Revocations {
    most: usize,
    all: Mutex<Vec<Notice>>,
    changes: watch::Sender<u64>,
}

impl Revocations {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            all: Mutex::default(),
            changes: watch::channel(0).0,
        }
    }
    pub fn apply(&self, notice: &Notice) -> bool {
        let Ok(mut all) = self.all.lock() else {
            return false;
        };
        let key = |scope: &Scope| match scope {
            Scope::Subject { subject, .. } => Scope::Subject {
                subject: subject.clone(),
                except: None,
            },
            other => other.clone(),
        };
        let same = |other: &Notice| {
            key(&other.scope) == key(&notice.scope)
                && matches!(other.effect, Effect::Recheck) == matches!(notice.effect, Effect::Recheck)
        };
        if let Some(old) = all.iter_mut().find(|old| same(old)) {
            if old.at >= notice.at && old.until >= notice.until {
                return false;
            }
            *old = notice.clone();
        } else {
            if all.len() >= self.most {
                all.remove(0);
            }
            all.push(notice.clone());
        }
        self.changes.send_modify(|count| *count += 1);
        true
    }
    pub fn ended(&self, marks: &Marks<'_>) -> Option<Cause> {
        let all = self.all.lock().ok()?;
        all.iter().find_map(|notice| {
            let Effect::End(cause) = notice.effect else {
                return None;
            };
            let concerned = match &notice.scope {
                Scope::Session(id) => *id == marks.id,
                Scope::LogtoSession(sid) => Some(sid.as_str()) == marks.sid,
                Scope::Subject { subject, except } => {
                    subject == marks.subject && *except != Some(marks.id) && marks.signed_in_at <= notice.at
                }
                Scope::Everyone => false,
            };
            concerned.then_some(cause)
        })
    }
    pub fn forget_expired(&self, now: UnixSeconds) {
        if let Ok(mut all) = self.all.lock() {
            all.retain(|notice| notice.until >= now);
        }
    }
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    pub fn notices(&self) -> Vec<Notice> {
        self.all.lock().map(|all| all.clone()).unwrap_or_default()
    }
    pub fn len(&self) -> usize {
        self.all.lock().map_or(0, |all| all.len())
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

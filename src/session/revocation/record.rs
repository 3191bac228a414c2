//! What is in force for one name, and how two notices about it become one.
//!
//! Promises that merging is a union: whatever one of the two ended, the merged record ends too, and the order of merging
//! makes no difference.

use super::super::id::SessionId;
use super::super::notice::{Cause, Effect, Notice, Scope};
use super::Marks;
use crate::clock::UnixSeconds;

/// What is in force for one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) ended: Option<Ending>,
    pub(super) recheck: Option<Mark>,
}

/// Sessions are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) at: UnixSeconds,
    pub(super) cause: Cause,
    until: UnixSeconds,
    spared: Option<Spared>,
}

/// The session that an ending leaves alone, unless an earlier ending of the same user did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spared {
    id: SessionId,
    /// It is over all the same when it was signed in by then. Always before the ending's own moment.
    unless_by: Option<UnixSeconds>,
}

/// Sessions must be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: UnixSeconds,
    until: UnixSeconds,
}

impl Record {
    pub(super) fn of(notice: &Notice) -> Self {
        let (at, until) = (notice.at, notice.until);
        let except = match &notice.scope {
            Scope::Subject { except, .. } => *except,
            Scope::Session(_) | Scope::LogtoSession(_) | Scope::Everyone => None,
        };
        match notice.effect {
            Effect::End(cause) => Self {
                ended: Some(Ending {
                    at,
                    cause,
                    until,
                    spared: except.map(|id| Spared { id, unless_by: None }),
                }),
                recheck: None,
            },
            Effect::Recheck => Self {
                ended: None,
                recheck: Some(Mark { at, until }),
            },
        }
    }

    pub(super) fn merged(self, other: Self) -> Self {
        Self {
            ended: either(self.ended, other.ended, Ending::merged),
            recheck: either(self.recheck, other.recheck, Mark::merged),
        }
    }

    /// The ending or the mark alone.
    pub(super) const fn half(self, ends: bool) -> Self {
        if ends {
            Self {
                recheck: None,
                ..self
            }
        } else {
            Self { ended: None, ..self }
        }
    }

    /// What stands for it when its name is forgotten: nobody is spared.
    pub(super) fn for_everyone(self) -> Self {
        Self {
            ended: self.ended.map(|ending| Ending {
                cause: Cause::Forgotten,
                spared: None,
                ..ending
            }),
            ..self
        }
    }

    pub(super) fn without_expired(self, now: UnixSeconds) -> Self {
        Self {
            ended: self.ended.filter(|ending| now < ending.until),
            recheck: self.recheck.filter(|mark| now < mark.until),
        }
    }

    /// Notices that make this record when merged; `scope` names it, given the session that is spared.
    pub(super) fn notices(&self, scope: impl Fn(Option<SessionId>) -> Scope) -> Vec<Notice> {
        let notice = |except, effect, at, until| Notice {
            scope: scope(except),
            effect,
            at,
            until,
        };
        let mut notices = Vec::new();
        if let Some(ending) = &self.ended {
            let effect = Effect::End(ending.cause);
            let except = ending.spared.map(|spared| spared.id);
            notices.push(notice(except, effect, ending.at, ending.until));
            if let Some(by) = ending.spared.and_then(|spared| spared.unless_by) {
                notices.push(notice(None, effect, by, ending.until));
            }
        }
        if let Some(mark) = &self.recheck {
            notices.push(notice(None, Effect::Recheck, mark.at, mark.until));
        }
        notices
    }
}

impl Ending {
    /// Of a user's sessions, or of all: is it one of those that are over? A sign-in in the very second is.
    pub(super) fn concerns(&self, marks: &Marks<'_>) -> bool {
        let spares = |spared: Spared| {
            spared.id == marks.id && spared.unless_by.is_none_or(|by| marks.signed_in_at > by)
        };
        marks.signed_in_at <= self.at && !self.spared.is_some_and(spares)
    }

    fn merged(self, other: Self) -> Self {
        let (earlier, later) = if (self.at, self.cause) <= (other.at, other.cause) {
            (self, other)
        } else {
            (other, self)
        };
        Self {
            until: self.until.max(other.until),
            spared: later.spared.and_then(|spared| spared.despite(&earlier, later.at)),
            ..later
        }
    }
}

impl Spared {
    /// What is left of it beside an earlier ending; nothing, when that leaves no moment at which it could be signed in.
    fn despite(self, earlier: &Ending, at: UnixSeconds) -> Option<Self> {
        let over_by = match earlier.spared {
            Some(spared) if spared.id == self.id => spared.unless_by,
            Some(_) | None => Some(earlier.at),
        };
        let unless_by = self.unless_by.max(over_by);
        let id = self.id;
        unless_by
            .is_none_or(|by| by < at)
            .then_some(Self { id, unless_by })
    }
}

impl Mark {
    fn merged(self, other: Self) -> Self {
        Self {
            at: self.at.max(other.at),
            until: self.until.max(other.until),
        }
    }
}

fn either<T>(one: Option<T>, other: Option<T>, merge: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(merge(one, other)),
        (one, other) => one.or(other),
    }
}

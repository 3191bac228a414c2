//! Entries of the stream of notices.

use super::fault::Fault;
use crate::session::Notice;
use redis::streams::{StreamId, StreamReadReply};
use redis::{FromRedisValue as _, Value};
use std::fmt;
use std::str::FromStr;

/// Longest notice that is read, in bytes; ours are far shorter. Whoever else may write to the Redis cannot have us keep more.
const LONGEST_NOTICE: usize = 4 * 1024;

/// The one field of an entry.
pub(super) const NOTICE_FIELD: &str = "notice";

/// Names an entry: the milliseconds of the server's clock and a number. The order of entries is the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct EntryId(u64, u64);

impl EntryId {
    /// The first there could be in a millisecond.
    pub(super) const fn at(milliseconds: u64) -> Self {
        Self(milliseconds, 0)
    }

    /// The first there could be after it.
    pub(super) const fn next(self) -> Self {
        match self.1.checked_add(1) {
            Some(number) => Self(self.0, number),
            None => Self(self.0.saturating_add(1), 0),
        }
    }
}

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (milliseconds, number) = text.split_once('-').ok_or(())?;
        match (milliseconds.parse(), number.parse()) {
            (Ok(milliseconds), Ok(number)) => Ok(Self(milliseconds, number)),
            _ => Err(()),
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.0, self.1)
    }
}

/// Entries that were read.
#[derive(Default)]
pub(super) struct Page {
    pub(super) notices: Vec<Notice>,
    /// The last entry.
    pub(super) last: Option<EntryId>,
    /// Entries that hold no notice that is known here.
    pub(super) unknown: usize,
}

impl Page {
    /// Reads the answer to `XREAD` of one stream.
    pub(super) fn read(answer: &Value) -> Result<Self, Fault> {
        if matches!(answer, Value::Nil) {
            return Ok(Self::default());
        }
        let reply = StreamReadReply::from_redis_value_ref(answer)
            .map_err(|error| Fault::from(redis::RedisError::from(error)))?;
        let mut page = Self::default();
        for entry in reply.keys.iter().flat_map(|stream| &stream.ids) {
            page.last = page.last.max(entry.id.parse().ok());
            match notice(entry) {
                Some(notice) => page.notices.push(notice),
                None => page.unknown = page.unknown.saturating_add(1),
            }
        }
        Ok(page)
    }
}

fn notice(entry: &StreamId) -> Option<Notice> {
    let json: Vec<u8> = entry.get(NOTICE_FIELD)?;
    if json.len() > LONGEST_NOTICE {
        return None;
    }
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixSeconds;
    use crate::session::{Effect, Scope};

    fn answer(notice: &Notice) -> Value {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let json = serde_json::to_vec(notice).unwrap();
        let fields = Value::Array(vec![text(NOTICE_FIELD), Value::BulkString(json)]);
        let entry = Value::Array(vec![text("5-1"), fields]);
        Value::Array(vec![Value::Array(vec![
            text("stream"),
            Value::Array(vec![entry]),
        ])])
    }

    #[test]
    fn notices_longer_than_ours_are_passed_over() {
        for (length, is_read) in [(255, true), (100_000, false)] {
            let notice = Notice {
                scope: Scope::LogtoSession("x".repeat(length)),
                effect: Effect::Recheck,
                at: UnixSeconds::new(1),
                until: UnixSeconds::new(2),
            };
            let page = Page::read(&answer(&notice)).unwrap();
            assert_eq!(page.notices.len(), usize::from(is_read), "{length}");
            assert_eq!(page.unknown, usize::from(!is_read), "{length}");
            assert_eq!(page.last, Some(EntryId(5, 1)), "{length}");
        }
    }
}

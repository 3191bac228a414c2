//! Why the Redis is away, in words that hold nothing secret.
//!
//! What a server says is not repeated: one that does not know a command quotes its arguments, the password of `AUTH`
//! among them.

use redis::RedisError;
use std::borrow::Cow;
use std::io;

/// What went wrong with the Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Fault {
    /// What to say of it.
    pub(super) reason: Cow<'static, str>,
    /// The Redis is there, but refused this command.
    pub(super) is_refusal: bool,
}

impl Fault {
    pub(super) const SLOW: Self = Self::of("no answer in time");
    pub(super) const CLOSED: Self = Self::of("the connection was closed");

    pub(super) const fn of(reason: &'static str) -> Self {
        Self {
            reason: Cow::Borrowed(reason),
            is_refusal: false,
        }
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::SLOW;
        }
        // Of several commands that were sent at once, the first that was refused.
        let refusals = error.clone().into_server_errors();
        let refused = refusals.as_deref().and_then(<[_]>::first);
        let code = refused.map(|(_, refusal)| refusal.code()).or(error.code());
        let words = match code {
            Some("WRONGPASS") => "user name or password refused (WRONGPASS)",
            Some("NOAUTH") => "a password is needed (NOAUTH)",
            Some("NOPERM") => "this user may not use a command or key that is needed (NOPERM)",
            Some("READONLY") => "it is a read-only replica (READONLY)",
            Some("OOM") => "its memory is full (OOM)",
            Some("MISCONF") => "it cannot write to its disk (MISCONF)",
            Some("LOADING") => "it is loading its data (LOADING)",
            Some("WRONGTYPE") => "a key of ours holds something else (WRONGTYPE)",
            Some("MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT") => {
                "it is part of a cluster, which is not supported"
            }
            Some("MASTERDOWN") => "it has lost its primary (MASTERDOWN)",
            Some("ERR") => "it refused a command (ERR)",
            Some(_) => "it refused a command",
            None if error.kind() == redis::ErrorKind::AuthenticationFailed => "user name or password refused",
            None if error.is_connection_dropped() => return Self::CLOSED,
            None if error.is_io_error() => "the connection failed",
            None => "its answer was not understood",
        };
        Self {
            is_refusal: code.is_some(),
            ..Self::of(words)
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self {
            reason: Cow::Owned(error.to_string()),
            is_refusal: false,
        }
    }
}

//! The names of what is kept in the Redis. All begin with the namespace, and none tells who a user is.

use crate::hex::hex;
use crate::session::SessionId;
use crate::store::replay::Use;
use sha2::{Digest, Sha256};

/// The keys of one namespace. Its braces keep them together where keys are spread over several servers.
pub(super) struct Keys {
    prefix: String,
    /// A stream: every notice.
    pub(super) notices: String,
    /// A random value that is lost when the Redis loses its memory.
    pub(super) epoch: String,
}

impl Keys {
    pub(super) fn of(namespace: &str) -> Self {
        let prefix = format!("logto-proxy:{{{namespace}}}");
        Self {
            notices: format!("{prefix}:notices"),
            epoch: format!("{prefix}:epoch"),
            prefix,
        }
    }

    /// A hash: the sessions of a user.
    pub(super) fn sessions(&self, subject: &str) -> String {
        format!("{}:sessions:{}", self.prefix, hex(&Sha256::digest(subject)))
    }

    /// Whoever holds it re-checks this session.
    pub(super) fn lease(&self, session: SessionId) -> String {
        format!("{}:lease:{session}", self.prefix)
    }

    /// The result of this session's last re-check.
    pub(super) fn result(&self, session: SessionId) -> String {
        format!("{}:result:{session}", self.prefix)
    }

    /// It is there: this was used.
    pub(super) fn used(&self, kind: &'static str, used: Use) -> String {
        format!("{}:used:{kind}:{}", self.prefix, used.to_hex())
    }
}

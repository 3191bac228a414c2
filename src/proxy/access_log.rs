//! What the access log may say: `log.access` and `log.subject`.

use crate::hex::hex;
use sha2::{Digest, Sha256};

/// What the access log says: `log.access` and `log.subject`.
#[derive(Debug, Clone, Copy)]
pub struct AccessLog {
    /// Whether there is one.
    pub enabled: bool,
    /// How users appear in it.
    pub subject: SubjectInLog,
}

/// How users appear in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectInLog {
    /// As the Logto user id.
    Plain,
    /// As the first 16 hexadecimal digits of its SHA-256.
    Hashed,
    /// Not at all.
    Off,
}

impl AccessLog {
    /// A user's ID as the log may have it.
    pub(super) fn shown(self, subject: &str) -> Option<String> {
        match self.subject {
            SubjectInLog::Plain => Some(subject.to_owned()),
            SubjectInLog::Hashed => Some(hashed(subject)),
            SubjectInLog::Off => None,
        }
    }
}

fn hashed(subject: &str) -> String {
    let digest = Sha256::digest(subject.as_bytes());
    hex(digest.get(..8).unwrap_or(&digest))
}

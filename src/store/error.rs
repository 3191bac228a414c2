//! Why a store does not open, and why something could not be kept.
//!
//! The URL of a Redis holds its password: it is in no error.

use std::io;
use std::path::PathBuf;

/// The store does not open. Ours: the configuration, the file or its directory is wrong.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory of the file is missing.
    #[error("{}: its directory does not exist; create it, or set another store.path", .0.display())]
    NoDirectory(PathBuf),
    /// The file or its directory may not be read or written by this user.
    #[error("{}: permission denied; let the user of the proxy write this file and its directory", .0.display())]
    Denied(PathBuf),
    /// Another process has the file open.
    #[error(
        "{}: in use by another process; each proxy needs a file of its own, and replicas share a Redis instead (store.kind = \"redis\")",
        .0.display()
    )]
    Locked(PathBuf),
    /// The file is something else.
    #[error("{}: not a store of logto-proxy; set another store.path, or move the file away", .0.display())]
    NotAStore(PathBuf),
    /// The file was written by a later version.
    #[error("{}: written by a later version of logto-proxy; run that version, or set another store.path", .0.display())]
    Newer(PathBuf),
    /// The file is damaged. It is never replaced by an empty one: that would revive sessions that were ended.
    #[error(
        "{path}: damaged ({reason}); restore it from a backup, or move it away and change session.keys, so that no session that was ended comes back",
        path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be opened for another reason.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The URL of the Redis is wrong.
    #[error("store.url: {0}")]
    Url(&'static str),
    /// TLS to the Redis cannot be set up.
    #[error("store.ca_file: {0}")]
    Trust(String),
}

/// Something could not be kept, or not be read. What was published is in force in this process all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be written. Transient, or the disk is full.
    #[error("the store file cannot be written: {0}")]
    File(String),
    /// More waits to be written than is allowed to wait. Transient.
    #[error("the store has too much to write")]
    Busy,
    /// The Redis cannot be reached. Transient.
    #[error("the Redis of the store cannot be reached")]
    Away,
    /// The proxy is ending.
    #[error("the store has been closed")]
    Closed,
}

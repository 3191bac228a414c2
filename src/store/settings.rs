//! Where a store keeps what it is told, as the configuration says.

use crate::secret::SecretText;
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use std::time::Duration;

/// A store as configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where.
    pub kind: Kind,
    /// Sets this application apart from others that share the Redis or once used the file: a short text without spaces
    /// or braces, such as a hash of issuer, client and public origin.
    pub namespace: String,
    /// How long the longest session lives; nothing is kept longer but the endings that concern tokens.
    pub lifetime: Duration,
    /// Notices in force at most.
    pub most_notices: usize,
}

/// Where a store keeps what it is told.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Nowhere but in this process.
    Memory,
    /// In a file of this process alone, which survives its end.
    File {
        /// The file; made when it is missing.
        path: PathBuf,
    },
    /// In a Redis or Valkey that replicas share.
    Redis {
        /// `redis://`, `rediss://` or `unix://`, with password and database.
        url: SecretText,
        /// Trust anchors besides the public ones.
        ca: Vec<CertificateDer<'static>>,
    },
}

//! Where the configuration has ended sessions kept.

use crate::config::{Config, StoreConfig};
use crate::hex::hex;
use crate::store::{Kind, Settings};
use sha2::{Digest, Sha256};

/// Ends of sessions, and calls to confirm them, that are remembered at once; each takes a few hundred bytes.
const MOST_NOTICES: usize = 100_000;

/// What the store is made of.
pub(super) fn store_settings(config: &Config) -> Settings {
    Settings {
        kind: match &config.store {
            StoreConfig::Memory => Kind::Memory,
            StoreConfig::File { path } => Kind::File { path: path.clone() },
            StoreConfig::Redis { url, ca } => Kind::Redis {
                url: url.clone(),
                ca: ca.clone(),
            },
        },
        namespace: namespace(config),
        lifetime: config.session.lifetime,
        most_notices: MOST_NOTICES,
    }
}

/// The same for all replicas of this application and for no other: what sealed sessions are bound to, hashed.
fn namespace(config: &Config) -> String {
    let mut hash = Sha256::new();
    for part in [
        config.logto.issuer.as_str(),
        config.logto.app_id.as_str(),
        config.public_url.origin(),
    ] {
        // None of them holds a NUL, so no two lists of parts give the same bytes.
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    hex(digest.get(..16).unwrap_or(&digest))
}

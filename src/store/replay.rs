//! What may be used once: identifiers of logout tokens and of other messages that are signed but could be sent again.
//!
//! Stops a replay. The memory of one process decides where no store is shared or the shared one is away.

use super::expiring::Expiring;
use crate::clock::UnixSeconds;
use crate::hex::hex;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Uses that are remembered. Only messages whose signature was good are entered.
const MOST_USES: usize = 100_000;

/// Names one use; of fixed size whatever its sender chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Use([u8; 32]);

impl Use {
    /// Of a message of this kind.
    pub(super) fn of(kind: &'static str, id: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(kind.as_bytes())
            .chain_update([0])
            .chain_update(id)
            .finalize();
        Self(digest.into())
    }

    /// In lower-case hexadecimal digits.
    pub(super) fn to_hex(self) -> String {
        hex(&self.0)
    }
}

/// The uses one process has seen.
#[derive(Debug)]
pub(super) struct Uses(Mutex<Expiring<Use, ()>>);

impl Uses {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Expiring::new(MOST_USES)))
    }

    /// Notes a use. True the first time within `keep`.
    pub(super) fn first(&self, used: Use, keep: Duration, now: UnixSeconds) -> bool {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.get(&used, now).is_some() {
            return false;
        }
        // A part of a second counts as one, or a short `keep` would remember nothing.
        let until = now.plus(keep.saturating_add(Duration::from_millis(999)));
        uses.insert(used, (), until, now);
        true
    }
}

//! The open file, and what happens to it when something is wrong.
//!
//! After a failure nothing more is written to it, not even by closing it: what can still be read of it stays as it is.

use super::open::guarded;
use super::tables::Fault;
use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the file that redb may hold in memory.
const CACHE: usize = 4 << 20;

/// An open file.
pub(super) struct Held {
    /// `None` only while it is dropped.
    database: Option<Database>,
    sealed: Arc<AtomicBool>,
}

/// A file that can be closed to writes.
#[derive(Debug)]
struct Backend {
    file: FileBackend,
    sealed: Arc<AtomicBool>,
}

impl Held {
    /// Locks the file, mends what a crash left behind, and checks every page.
    pub(super) fn open(file: File) -> Result<Self, Fault> {
        let sealed = Arc::new(AtomicBool::new(false));
        let backend = Backend {
            file: FileBackend::new(file)?,
            sealed: Arc::clone(&sealed),
        };
        let open = || {
            Ok(Builder::new()
                .set_cache_size(CACHE)
                .create_with_backend(backend)?)
        };
        let mut held = Self {
            database: Some(guarded(open)?),
            sealed,
        };
        // What cannot be mended is an error: every commit is written in two phases, so an older state is never taken for
        // the newest.
        let check = held
            .database
            .as_mut()
            .map(|database| guarded(|| Ok(database.check_integrity()?)));
        held.judge(check.transpose())?;
        Ok(held)
    }

    /// Works with it. After an error it can only be dropped.
    pub(super) fn call<T>(&self, work: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, Fault> {
        let database = self.database.as_ref().ok_or(Fault::Unreadable("closed"))?;
        self.judge(guarded(|| work(database)))
    }

    fn judge<T>(&self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        if outcome.is_err() {
            self.sealed.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let database = self.database.take();
        // On a damaged file closing may panic too.
        let _ = guarded(|| {
            drop(database);
            Ok(())
        });
    }
}

impl Backend {
    fn open_to_writes(&self) -> io::Result<()> {
        if self.sealed.load(Ordering::Relaxed) {
            return Err(io::Error::other("closed after a failure"));
        }
        Ok(())
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.file.read(offset, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.open_to_writes()?;
        self.file.set_len(len)
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.open_to_writes()?;
        self.file.sync_data(eventual)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.open_to_writes()?;
        self.file.write(offset, data)
    }
}

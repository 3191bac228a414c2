//! Opening the file: private to its user, held by one process, whole.
//!
//! A file that is damaged is reported and left alone. To begin anew instead would accept every session that was ended.

use super::held::Held;
use super::tables::Fault;
use crate::store::error::OpenError;
use redb::Error;
use std::cell::Cell;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

/// Read and written by its user alone.
const MODE: u32 = 0o600;
/// How each file of redb begins.
const MAGIC: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";

thread_local! {
    /// What panics on this thread is caught and told.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Opens the file, or makes it. Every page of it is checked.
pub(super) fn open(path: &Path) -> Result<Held, OpenError> {
    Held::open(open_file(path)?).map_err(|fault| refused(path, fault))
}

fn open_file(path: &Path) -> Result<File, OpenError> {
    let io = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => OpenError::NoDirectory(path.to_owned()),
        ErrorKind::PermissionDenied => OpenError::Denied(path.to_owned()),
        _ => OpenError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(path)
        .map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(OpenError::NotAStore(path.to_owned()));
    }
    if metadata.permissions().mode() & 0o777 & !MODE != 0 {
        file.set_permissions(Permissions::from_mode(MODE)).map_err(io)?;
    }
    if metadata.len() == 0 {
        // Without this a power failure could leave a new file without its name.
        let directory = path
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))
            .and_then(|directory| directory.sync_all())
            .map_err(io)?;
        return Ok(file);
    }
    let mut start = [0; MAGIC.len()];
    match file.read_exact(&mut start) {
        Ok(()) if start == *MAGIC => Ok(file),
        Ok(()) => Err(OpenError::NotAStore(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(OpenError::NotAStore(path.to_owned())),
        Err(error) => Err(io(error)),
    }
}

/// Turns what went wrong with the file into what to tell the operator.
pub(super) fn refused(path: &Path, fault: Fault) -> OpenError {
    let path = path.to_owned();
    let damaged = |reason: String| OpenError::Damaged {
        path: path.clone(),
        reason,
    };
    let error = match fault {
        Fault::Newer => return OpenError::Newer(path),
        Fault::Unreadable(reason) => return damaged(reason.to_owned()),
        Fault::Redb(error) => *error,
    };
    match error {
        Error::UpgradeRequired(_) => OpenError::Newer(path),
        Error::DatabaseAlreadyOpen => OpenError::Locked(path),
        Error::Io(source) if source.kind() == ErrorKind::PermissionDenied => OpenError::Denied(path),
        Error::Io(source) if !is_damage(&source) => OpenError::Io { path, source },
        error => damaged(error.to_string()),
    }
}

/// Reading past the end of a file that was cut is damage; no space or a failing disk is not.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

/// Calls redb. On a file that does not keep its own rules it may panic; that is damage like any other, and told as such
/// alone.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                usual(panic);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    outcome.unwrap_or(Err(Fault::Unreadable("its parts contradict each other")))
}

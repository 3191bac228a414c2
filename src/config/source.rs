//! Where a configuration comes from. Nothing in `config` reads a file or a variable but through here.

use super::env::Environment;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most a file that a configuration names may hold, in bytes. Certificate bundles are the largest.
const FILE_BYTES: u64 = 1024 * 1024;

/// Everything a configuration is made from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The configuration file. Relative paths in it are taken from its directory.
    pub path: PathBuf,
    /// Whether the file may be missing, as the one in the working directory may when variables say it all.
    pub file_optional: bool,
    /// The environment: the overlay, and what `{ env = "NAME" }` names.
    pub environment: Environment,
    /// What the command line sets: dotted key path and text, later ones winning.
    pub overrides: Vec<(String, String)>,
    /// How files are read.
    pub files: Files,
}

impl Source {
    /// A file that must exist, with this environment and nothing from the command line.
    pub fn new(path: impl Into<PathBuf>, environment: Environment) -> Self {
        Self {
            path: path.into(),
            environment,
            ..Self::default()
        }
    }
}

/// How files are read.
#[derive(Debug, Clone, Default)]
pub enum Files {
    /// From the file system.
    #[default]
    Disk,
    /// From these, and no others.
    Fixed(BTreeMap<PathBuf, Vec<u8>>),
}

impl Files {
    /// The whole file, refused over a mebibyte.
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self {
            Self::Fixed(files) => files
                .get(path)
                .cloned()
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
            Self::Disk => {
                let mut bytes = Vec::new();
                std::fs::File::open(path)?
                    .take(FILE_BYTES + 1)
                    .read_to_end(&mut bytes)?;
                if u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_BYTES) {
                    Ok(bytes)
                } else {
                    Err(io::ErrorKind::FileTooLarge.into())
                }
            }
        }
    }
}

/// An I/O error in words, without the number of the operating system's error.
pub(super) fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission to read it is denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::FileTooLarge => "it is larger than 1 MiB".to_owned(),
        other => other.to_string(),
    }
}

//! `logto-proxy import oauth2-proxy`: the configuration of oauth2-proxy as a `proxy.toml`.
//!
//! Whatever has no equal becomes a comment that says why. Where a translation cannot be exact it is the narrower one: nothing is
//! open that was closed. A secret is never printed; one that stands in a file that is read is put into a file of its own, where
//! that is asked for.

mod catalogue;
mod document;
mod options;
mod patterns;
mod read;
mod routes;
mod sessions;
mod translate;
mod values;

use super::output::{complain, say};
use super::{FAILED, WRONG_SETUP};
use crate::config;
use clap::{Args, Subcommand};
use options::Options;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Most that is read of a configuration, in bytes.
const INPUT_BYTES: u64 = 1 << 20;

/// What an option's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// True or false; alone on a command line it is true.
    Flag,
    /// One text, number or duration.
    Text,
    /// Several, separated by commas or given several times.
    List,
}

#[derive(Debug, Args)]
pub(super) struct ImportFlags {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Print a proxy.toml that does what this configuration of oauth2-proxy does
    #[command(name = "oauth2-proxy")]
    Oauth2Proxy(Oauth2ProxyFlags),
}

#[derive(Debug, Args)]
struct Oauth2ProxyFlags {
    /// Its file (TOML), a file of its OAUTH2_PROXY_ variables, or its command line in a file; several of them count as they do
    /// for oauth2-proxy. "-" reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write the secrets that stand there, and a new session key, into files in this directory
    #[arg(long, value_name = "DIRECTORY")]
    secrets: Option<PathBuf>,
}

/// A secret, and the name of the file that it goes into.
struct Secret {
    file: &'static str,
    value: String,
}

/// Prints the translation.
pub(super) fn run(flags: &ImportFlags) -> ExitCode {
    let From::Oauth2Proxy(flags) = &flags.from;
    let mut options = Options::default();
    for file in &flags.files {
        let place = file.display().to_string();
        let text = read_text(file, INPUT_BYTES).map_err(|error| format!("{place}: {error}"));
        if let Err(error) = text.and_then(|text| read::read(&mut options, &place, &text)) {
            complain(format_args!("error: {error}"));
            return ExitCode::from(WRONG_SETUP);
        }
    }
    if options.is_empty() {
        complain("error: there is no option of oauth2-proxy in what was read");
        return ExitCode::from(WRONG_SETUP);
    }
    match write(flags, &options) {
        Ok(text) => {
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("error: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

fn write(flags: &Oauth2ProxyFlags, options: &Options) -> Result<String, String> {
    let directory = match &flags.secrets {
        Some(directory) => Some(
            directory
                .canonicalize()
                .map_err(|error| format!("{}: {error}", directory.display()))?,
        ),
        None => None,
    };
    let (text, mut secrets) = translate::translate(options, directory.as_deref());
    if let Some(directory) = directory {
        let key = config::generate_session_key().map_err(|error| error.to_string())?;
        secrets.push(Secret {
            file: translate::SESSION_KEY,
            value: key.expose().to_owned(),
        });
        // All or none: half of them would stand in the way of the next try.
        if let Some(path) = secrets
            .iter()
            .map(|secret| directory.join(secret.file))
            .find(|path| path.symlink_metadata().is_ok())
        {
            return Err(format!(
                "{} is there already, and is not overwritten; name an empty directory with --secrets",
                path.display()
            ));
        }
        for secret in &secrets {
            let path = directory.join(secret.file);
            keep(&path, &secret.value).map_err(|error| format!("{}: {error}", path.display()))?;
            complain(format_args!("written: {}", path.display()));
        }
    }
    Ok(text)
}

/// Writes a new file that its owner alone may read. One that is there is left as it is.
fn keep(path: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(value.as_bytes())
}

fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().take(most).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.take(most).read_to_string(&mut text)?;
    }
    Ok(text)
}

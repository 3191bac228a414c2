//! `logto-proxy keygen`: a new session key, or one that signs identity assertions.

use super::FAILED;
use super::output::{complain, say};
use crate::config;
use crate::identity::AssertionKey;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct KeygenFlags {
    /// A private key for [assertion] instead: EC P-256, in PEM
    #[arg(long)]
    assertion: bool,
}

/// Prints 32 random bytes in base64, or a private key in PEM.
pub(super) fn run(flags: &KeygenFlags) -> ExitCode {
    let key = if flags.assertion {
        AssertionKey::generate().map_err(|error| error.to_string())
    } else {
        config::generate_session_key().map_err(|error| error.to_string())
    };
    match key {
        Ok(key) => {
            say(key.expose().trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("error: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

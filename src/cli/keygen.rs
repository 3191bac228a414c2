//! `logto-proxy keygen`: a new session key.

use super::FAILED;
use super::output::{complain, say};
use crate::config;
use std::process::ExitCode;

/// Prints 32 random bytes in base64.
pub(super) fn run() -> ExitCode {
    match config::generate_session_key() {
        Ok(key) => {
            say(key.expose());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!("error: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

//! `logto-proxy check`: what the configuration says.

use super::output::say;
use super::run::{load, start_failed};
use super::{ConfigFlags, FAILED};
use crate::clock::Clock;
use crate::live;
use crate::tasks::Tasks;
use std::process::ExitCode;

/// Reads and compiles the configuration without binding or calling anything, and prints what it means.
pub(super) fn run(flags: &ConfigFlags) -> ExitCode {
    let config = match load(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let runtime = match super::run::control_runtime() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(FAILED),
    };
    let tasks = Tasks::on(runtime.handle().clone());
    let compiled = match live::compile(&config, Clock::system(), &tasks) {
        Ok(compiled) => compiled,
        Err(error) => return start_failed(&error.into()),
    };
    say(format_args!("{}: the configuration is valid", flags.config.display()));
    for line in compiled.summary() {
        say(line);
    }
    ExitCode::SUCCESS
}

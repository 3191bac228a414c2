//! `logto-proxy check`: what the configuration says.

use super::output::say;
use super::run::{load, start_failed};
use super::{ConfigFlags, FAILED};
use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::live;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
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
    // A store that is in use stays alone.
    let mut rehearsal = config.clone();
    rehearsal.store = StoreConfig::Memory;
    let compiled = match live::compile(&rehearsal, Clock::system(), &tasks, &Metrics::new()) {
        Ok(compiled) => compiled,
        Err(error) => return start_failed(&error.into()),
    };
    say(format_args!(
        "{}: the configuration is valid",
        flags.config.display()
    ));
    let summary = config.summary();
    let section = |title: &str, rows: &[(String, String)]| {
        if rows.is_empty() {
            return;
        }
        say(format_args!("\n{title}"));
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            say(format_args!("  {name:width$}  {value}"));
        }
    };
    let owned = |rows: Vec<(&'static str, String)>| -> Vec<(String, String)> {
        rows.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    };
    section("Settings", &owned(summary.settings));
    section("Register in Logto", &owned(summary.register));
    let routes: Vec<_> = summary
        .routes
        .into_iter()
        .map(|row| {
            let without = match (row.access, row.unauthenticated) {
                ("public", _) => "passes, identity never sent",
                ("optional", _) => "passes",
                (_, "auto") => "a page goes to the sign-in, a script gets 401",
                (_, "redirect") => "goes to the sign-in",
                (_, other) => other,
            };
            (
                row.path,
                format!("{:13}  without a session: {without}", row.access),
            )
        })
        .collect();
    section("Routes, the most specific wins", &routes);
    section("Headers besides the default ones", &summary.headers);
    say(format_args!(
        "\nThe session cookie of a typical user takes about {} bytes.",
        compiled.expected_cookie_bytes
    ));
    for warning in summary.warnings {
        say(format_args!("warning: {warning}"));
    }
    ExitCode::SUCCESS
}

//! `logto-proxy check`: what the configuration says.

use super::output::say;
use super::run::{load, start_failed};
use super::{ConfigFlags, FAILED, treatment};
use crate::clock::Clock;
use crate::config::{Config, StoreConfig};
use crate::live::{self, Compiled};
use crate::policy::{Access, Unauthenticated};
use crate::proxy::Gate;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use std::process::ExitCode;
use tokio::runtime::Runtime;

/// Reads and compiles the configuration without binding or calling anything, and prints what it means.
pub(super) fn run(flags: &ConfigFlags) -> ExitCode {
    let config = match load(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let compiled = match rehearse(&config) {
        Ok((compiled, _)) => compiled,
        Err(code) => return code,
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
    say(format_args!("\nRoutes, the most specific wins"));
    for line in route_lines(&compiled.gate) {
        say(format_args!("  {line}"));
    }
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

/// Compiles a configuration and touches nothing: a store that is in use stays alone. The runtime is to be kept as long as what
/// was compiled.
pub(super) fn rehearse(config: &Config) -> Result<(Compiled, Runtime), ExitCode> {
    let runtime = super::run::control_runtime().map_err(|_| ExitCode::from(FAILED))?;
    let tasks = Tasks::on(runtime.handle().clone());
    let mut rehearsal = config.clone();
    rehearsal.store = StoreConfig::Memory;
    match live::compile(&rehearsal, Clock::system(), &tasks, &Metrics::new()) {
        Ok(compiled) => Ok((compiled, runtime)),
        Err(error) => Err(start_failed(&error.into())),
    }
}

/// Path, methods, host, what opens it, what somebody without a session gets, and what becomes of what passes, in columns.
fn route_lines(gate: &Gate) -> Vec<String> {
    let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.to_owned());
    let routes = &gate.routes;
    let rows: Vec<[String; 3]> = routes
        .iter()
        .map(|route| {
            [
                route.pattern.to_string(),
                or(route.methods.as_ref().map(ToString::to_string), "any method"),
                or(route.host.as_ref().map(ToString::to_string), "any host"),
            ]
        })
        .collect();
    let widths = rows.iter().fold([0; 3], |widths, row| {
        let mut cells = row.iter().map(|cell| cell.chars().count());
        widths.map(|width| cells.next().unwrap_or(0).max(width))
    });
    let lines = rows.iter().zip(routes.iter()).map(|(row, route)| {
        let [path, methods, host] = row;
        let [path_width, methods_width, host_width] = widths;
        let without = match (&route.access, route.unauthenticated) {
            (Access::Public, _) => "passes, identity never sent",
            (Access::Optional, _) => "passes",
            (_, Unauthenticated::Auto) => "a page goes to the sign-in, a script gets 401",
            (_, Unauthenticated::Redirect) => "goes to the sign-in",
            (_, Unauthenticated::Status401) => "401",
        };
        let tokens = if gate.settings.of(route).bearer {
            "bearer tokens count; "
        } else {
            ""
        };
        let phrases = treatment::phrases(gate, route);
        let treated: String = phrases.iter().map(|phrase| format!("  {phrase}")).collect();
        format!(
            "{path:path_width$}  {methods:methods_width$}  {host:host_width$}  {}  {tokens}without a session: {without}{treated}",
            route.access,
        )
    });
    lines.collect()
}

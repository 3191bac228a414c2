//! The command line.
//!
//! Exit codes: 0 for success, 1 when something failed while running (or a health check says no), 2 when the
//! command line or the configuration is wrong or an address cannot be bound; nothing is served then. `explain` also has 3 for a
//! request that needs a sign-in first, and 4 for one that is refused.

mod check;
mod dev;
mod explain;
mod follow;
mod healthcheck;
mod import;
mod keygen;
mod output;
mod process;
mod run;
mod treatment;

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Something failed while running.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong, or an address cannot be bound.
pub const WRONG_SETUP: u8 = 2;
/// The request would have to sign in first (`explain`).
pub const NEEDS_SIGN_IN: u8 = 3;
/// The request would be refused (`explain`).
pub const REFUSED: u8 = 4;

/// Signs users in through Logto in front of any app, and tells the app who they are in request headers.
#[derive(Debug, Parser)]
#[command(name = "logto-proxy", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: ConfigFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve, as proxy.toml says (the default)
    Run(ConfigFlags),
    /// Try it with a built-in stand-in for Logto and a demo app: no tenant, no network, loopback only
    Dev(dev::DevFlags),
    /// Read the configuration, say what is wrong with it or what it means
    Check(ConfigFlags),
    /// Say what would become of a request, and why
    Explain(explain::ExplainFlags),
    /// Print a new session key, or one that signs identity assertions
    Keygen(keygen::KeygenFlags),
    /// Make a proxy.toml of the configuration of another proxy
    Import(import::ImportFlags),
    /// Ask the health listener of a running proxy whether it is alive
    Healthcheck(healthcheck::HealthcheckFlags),
}

/// Which configuration to read.
#[derive(Debug, Clone, Default, Args)]
struct ConfigFlags {
    /// The configuration file
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "LOGTO_PROXY_CONFIG",
        default_value = "proxy.toml"
    )]
    config: PathBuf,
    /// Set a key, over file and environment: --set log.level=debug
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    overrides: Vec<(String, String)>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
        .ok_or_else(|| "expected KEY=VALUE".to_owned())
}

/// Runs the program.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors, but come this way.
            let code = if error.use_stderr() { WRONG_SETUP } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match cli.command {
        None => run::run(&cli.config),
        Some(Command::Run(flags)) => run::run(&flags),
        Some(Command::Dev(flags)) => dev::run(&flags),
        Some(Command::Check(flags)) => check::run(&flags),
        Some(Command::Explain(flags)) => explain::run(&flags),
        Some(Command::Keygen(flags)) => keygen::run(&flags),
        Some(Command::Import(flags)) => import::run(&flags),
        Some(Command::Healthcheck(flags)) => healthcheck::run(&flags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }
}

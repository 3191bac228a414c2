//! The `logto-proxy` program: flags in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    logto_proxy::cli::main(std::env::args_os())
}

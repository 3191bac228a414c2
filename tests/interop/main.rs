//! The proxy against real parts: npm's `oidc-provider`, Chromium, Redis, nginx, Caddy, Envoy.
//!
//! The binary is driven from outside, by its command line and its sockets, as an operator and a browser would. It needs
//! Node.js, Chromium and ChromeDriver, so it runs when `LOGTO_PROXY_INTEROP=1` is set, which `tests/run` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops where its expectation fails, and says so on its output"
)]

mod bearer;
mod browser;
mod examples;
mod front_tunnels;
mod fronts;
mod logout;
mod oidc_provider;
mod outage;
mod parts;
mod refresh;
mod replicas;
mod sessions_page;
mod silent;
mod support;
mod tokens;

use std::process::ExitCode;

use support::runner::Scenarios;

fn main() -> ExitCode {
    let mut scenarios = Scenarios::new();
    parts::add_to(&mut scenarios);
    oidc_provider::add_to(&mut scenarios);
    bearer::add_to(&mut scenarios);
    refresh::add_to(&mut scenarios);
    tokens::add_to(&mut scenarios);
    replicas::add_to(&mut scenarios);
    logout::add_to(&mut scenarios);
    outage::add_to(&mut scenarios);
    browser::add_to(&mut scenarios);
    examples::add_to(&mut scenarios);
    silent::add_to(&mut scenarios);
    sessions_page::add_to(&mut scenarios);
    fronts::add_to(&mut scenarios);
    scenarios.run()
}

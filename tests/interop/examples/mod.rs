//! The apps of `examples/`, each with its real framework and server, signed in to and out of in a browser.

mod auth_proxy;
mod guides;
mod oauth2_connector;
mod spaces;

use crate::support::runner::Scenarios;

pub fn add_to(scenarios: &mut Scenarios) {
    guides::add_to(scenarios);
    auth_proxy::add_to(scenarios);
    spaces::add_to(scenarios);
    oauth2_connector::add_to(scenarios);
}

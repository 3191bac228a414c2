//! The life of a proxied request.
//!
//! [`pipeline`] is the order of the steps: sanitise, own endpoints, authenticate, decide, forward, answer. It
//! stands there and nowhere else.

mod again;
mod assertion;
mod authenticate;
mod bearer;
mod counters;
mod cross_origin;
mod facts;
mod forward;
mod pipeline;
mod record;
mod respond;
mod route_settings;
mod tokens;

pub use counters::RouteCounters;
pub use pipeline::Gate;
pub use record::{AccessLog, SubjectInLog};
pub use route_settings::{RouteSettings, SettingsTable};

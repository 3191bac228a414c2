//! The life of a proxied request.
//!
//! [`pipeline`] is the order of the steps: sanitise, own endpoints, authenticate, decide, forward, answer. It
//! stands there and nowhere else.

mod access_log;
mod again;
mod assertion;
mod authenticate;
mod bearer;
mod challenge;
mod counters;
mod cross_origin;
mod facts;
mod forward;
mod gate;
mod next;
mod pipeline;
mod record;
mod respond;
mod route_settings;
mod standing;
mod tokens;

pub use access_log::{AccessLog, SubjectInLog};
pub use counters::RouteCounters;
pub use gate::Gate;
pub use route_settings::{RouteSettings, SettingsTable};

//! The life of a proxied request.
//!
//! [`pipeline`] is the order of the steps: sanitise, own endpoints, authenticate, decide, forward, answer. It
//! stands there and nowhere else.

mod authenticate;
mod counters;
mod forward;
mod pipeline;
mod record;
mod respond;

pub use counters::RouteCounters;
pub use pipeline::Gate;
pub use record::{AccessLog, SubjectInLog};

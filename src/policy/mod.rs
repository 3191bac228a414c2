//! Who may pass: pure decisions on a request that has been cleaned.
//!
//! Promises that a request reaches the upstream only with a [`Permit`], and that a permit comes from
//! [`decide()`] alone. Knows nothing of cookies, tokens, sockets or time. It judges the canonical path that
//! the target was parsed into once, so what is judged is what is forwarded; a target that two parties could
//! read differently never gets this far.

mod decide;
mod pattern;
mod route;

pub use decide::{Decision, Permit, decide};
pub use pattern::{PathPattern, PatternError};
pub use route::{Access, Route, RouteConflict, RouteTable, Unauthenticated};

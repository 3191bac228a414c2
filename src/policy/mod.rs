//! Who may pass: pure decisions on a request that has been cleaned.
//!
//! Promises that a request reaches the upstream only with a [`Permit`], and that a permit comes from
//! [`decide()`] alone. Knows nothing of cookies, tokens, sockets or time. It judges the canonical path that
//! the target was parsed into once, so what is judged is what is forwarded; a target that two parties could
//! read differently falls under no rule that opens anything.

mod any_case;
mod caller;
mod check;
mod condition;
mod decide;
mod host;
mod host_index;
mod letter_case;
mod methods;
mod paths;
mod pattern;
mod requirement;
mod route;
mod table;

pub use caller::{Caller, Machine, RequestFacts, User};
pub use check::{Why, is_organization};
pub use condition::{Condition, EmailProof, OrganizationProof};
pub use decide::{Decision, Permit, Reason, Refusal, decide, permit_preflight};
pub use host::{HostPattern, HostPatternError};
pub use methods::Methods;
pub use paths::TooManyCombinations;
pub use pattern::{PathPattern, PatternError};
pub use requirement::{Requirement, Unmet};
pub use route::{Access, Route, Unauthenticated};
pub use table::{Matched, RouteConflict, RouteTable};

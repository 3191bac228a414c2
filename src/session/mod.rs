//! The signed-in user's session, kept by the browser in a sealed cookie.
//!
//! Promises that a session that opens was established here, is unchanged, and is within its limits. Refuses to know
//! routes and Logto.

mod codec;
pub mod keyring;
pub mod seal;
#[allow(clippy::module_inception, reason = "named after its one subject")]
pub mod session;

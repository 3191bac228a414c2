//! The signed-in user's session, kept by the browser in a sealed cookie.
//!
//! Promises that a session that opens was established here, is unchanged, and is within its limits. Refuses to know
//! routes and Logto.

pub mod binding;
mod codec;
pub mod cookie;
pub mod freshness;
pub mod id;
pub mod keyring;
pub mod notice;
pub mod revocation;
pub mod seal;
#[allow(clippy::module_inception, reason = "named after its one subject")]
pub mod session;
pub mod settings;
pub mod size;
pub mod view;

pub use binding::{Binding, BindingCookie, BindingHash};
pub use cookie::{Presented, SessionCookies};
pub use freshness::{Freshness, RecheckLimits, freshness};
pub use id::SessionId;
pub use keyring::{KeyRing, Purpose};
pub use notice::{Cause, Effect, Notice, OLDEST_TOKEN, Scope};
pub use revocation::{Marks, Revocations};
pub use session::{Confirmation, Established, Session};
pub use settings::CookieSettings;
pub use view::SessionView;

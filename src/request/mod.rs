//! A request on its way in: raw as received, then clean.
//!
//! [`CleanRequest`] can be made by [`Sanitizer::sanitize`] alone. Once it exists, its framing is unambiguous,
//! its target is parsed, it names one host, and no field of it can pass for one that the proxy sets.

mod check;
mod clean;
mod reject;
mod sanitize;

pub use check::CheckForm;
pub use clean::CleanRequest;
pub use reject::Reject;
pub use sanitize::{AllowedHosts, MessageLimits, Sanitizer};

use crate::http::forwarded::Peer;
use hyper::body::Incoming;

/// A request as the connection handed it over, and who is at the other end of that connection.
#[derive(Debug)]
pub struct RawRequest {
    /// The message, untouched.
    pub message: ::http::Request<Incoming>,
    /// The other end of the connection.
    pub peer: Peer,
    /// Whether its header had framing fields that hyper repaired before anyone could check them; see
    /// [`FramingFields`](crate::http::framing::FramingFields).
    pub ambiguous_framing: bool,
}

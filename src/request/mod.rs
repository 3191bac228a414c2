//! A request on its way in: raw as received, then clean.
//!
//! [`CleanRequest`] can be made by [`Sanitizer::sanitize`] alone. Once it exists, its framing is unambiguous,
//! its target is parsed, it names one host, and no field of it can pass for one that the proxy sets.

mod clean;
mod reject;
mod sanitize;

pub use clean::CleanRequest;
pub use reject::Reject;
pub use sanitize::{MessageLimits, Sanitizer};

use crate::http::forwarded::Peer;
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A request as the connection handed it over, and who is at the other end of that connection.
#[derive(Debug)]
pub struct RawRequest {
    /// The message, untouched.
    pub message: ::http::Request<Incoming>,
    /// The other end of the connection.
    pub peer: Peer,
    /// The connection's place among those that may be open at once; a tunnel keeps it.
    pub place: Place,
}

/// One of the places of `limits.connections`, free again when the last clone is dropped.
pub type Place = Arc<OwnedSemaphorePermit>;

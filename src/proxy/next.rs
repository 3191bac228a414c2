//! Where a request goes once it has been judged.

use super::forward::Outbound;
use super::record::Record;
use crate::http::body::Body;
use ::http::Response;
use std::pin::Pin;

/// Where a request goes once it has been judged.
#[allow(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(super) enum Next<'a> {
    /// Nowhere: this is its answer.
    Answered(Response<Body>),
    /// To one of the proxy's own endpoints, to a sign-in, or to Logto first. Boxed, for it would take the room of many a
    /// forwarded request.
    Own(Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>),
    /// To the upstream.
    Upstream(Outbound, Record),
}

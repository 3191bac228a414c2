//! When a request may be sent a second time, and keeping what that takes.
//!
//! An app may close an unused connection in the very moment we choose it. The client must not see that, yet nothing may
//! be done twice: a second attempt needs a connection that was used before, an idempotent method (RFC 9110 §9.2.2), no
//! body, and not one byte of an answer. A timeout is never such a case: the app is at work.

use crate::http::body::Body;
use ::http::{HeaderMap, Method, Request, Uri};
use http_body::Body as _;

/// A request without a body that may be sent again.
pub(super) struct Spare {
    method: Method,
    target: Uri,
    headers: HeaderMap,
}

impl Spare {
    /// Keeps a copy of the request if it may be sent again.
    pub(super) fn of(request: &Request<Body>) -> Option<Self> {
        (is_idempotent(request.method()) && request.body().is_end_stream()).then(|| Self {
            method: request.method().clone(),
            target: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    /// The request, once more.
    pub(super) fn into_request(self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.target;
        *request.headers_mut() = self.headers;
        request
    }
}

fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}

//! The proxy's own answers: pages, JSON and redirects, all with the same protective fields.
//!
//! None may be stored by a cache, framed, sniffed, or leak its address by Referer. Redirects are 303 (302 for
//! the way to a sign-in), never 301, 307 or 308, so that no method or body is repeated elsewhere.

use super::Page;
use crate::http::body::Body;
use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;

const LOCKED_DOWN: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(LOCKED_DOWN);
}

fn answer(status: StatusCode, content_type: Option<&'static str>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    protect(response.headers_mut());
    response
}

/// A page.
pub fn page(status: StatusCode, page: Page) -> Response<Body> {
    let mut response = answer(status, Some("text/html; charset=utf-8"), Body::full(page.html));
    if let Ok(policy) = HeaderValue::try_from(page.content_security_policy) {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A JSON document.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    answer(status, Some("application/json"), Body::full(value.to_string()))
}

/// Plain text.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    answer(status, Some("text/plain; charset=utf-8"), Body::full(text))
}

/// Nothing but a status.
pub fn empty(status: StatusCode) -> Response<Body> {
    answer(status, None, Body::empty())
}

/// A redirect: `status` is 302 or 303. A location that is not a valid field value yields 500, which cannot
/// happen for values that passed a URL parser.
pub fn redirect(status: StatusCode, location: &str) -> Response<Body> {
    match HeaderValue::try_from(location) {
        Ok(location) => {
            let mut response = answer(status, None, Body::empty());
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "no valid address to redirect to\n",
        ),
    }
}

//! Answers of the development servers, each with the headers its kind must carry.

use ::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use ::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use maud::Markup;
use serde_json::Value;
use std::convert::Infallible;
use std::io;

/// The one body type of both servers.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer.
pub(super) type Reply = Response<Body>;

/// A body held in memory.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// An answer of bytes with a content type, never cached.
pub(super) fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(full(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    bytes(status, "application/json; charset=utf-8", value.to_string())
}

/// A plain-text answer.
pub(super) fn text(status: StatusCode, value: &'static str) -> Reply {
    bytes(status, "text/plain; charset=utf-8", value)
}

/// A page under the given Content-Security-Policy.
pub(super) fn html(status: StatusCode, markup: Markup, policy: &str) -> Reply {
    let Ok(policy) = HeaderValue::from_str(policy) else {
        return text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The page's policy is not a header value.\n",
        );
    };
    let mut reply = bytes(status, "text/html; charset=utf-8", markup.into_string());
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    reply
        .headers_mut()
        .insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    reply
}

/// 303 to a location (RFC 9110 §15.4.4): the next request is a GET whatever this one was.
pub(super) fn see_other(location: &str) -> Reply {
    let Ok(location) = HeaderValue::from_str(location) else {
        return text(StatusCode::BAD_REQUEST, "The location is not a header value.\n");
    };
    let mut reply = bytes(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    reply.headers_mut().insert(LOCATION, location);
    reply
        .headers_mut()
        .insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    reply
}

//! `GET jwks`: the public keys of the identity assertion (RFC 7517), for apps.
//!
//! They are no secret, and an app asks without a session. Without an assertion there is no such endpoint.

use super::Endpoints;
use crate::http::body::Body;
use crate::pages::answer;
use crate::request::CleanRequest;
use ::http::{HeaderValue, Method, Response, StatusCode, header};

/// How long an app may go without asking: a key is published for longer before it signs.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// RFC 7517 §8.5.2.
const JWK_SET: HeaderValue = HeaderValue::from_static("application/jwk-set+json");

pub(super) fn serve(endpoints: &Endpoints, request: &CleanRequest) -> Response<Body> {
    let Some(assertions) = &endpoints.assertions else {
        return answer::text(StatusCode::NOT_FOUND, "not found\n");
    };
    let mut response = answer::json(StatusCode::OK, &assertions.jwks());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JWK_SET);
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    if *request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

//! What callers of bearer tokens are answered (RFC 6750).

use crate::bearer::BearerError;
use crate::http::body::Body;
use crate::http::grpc::Grpc;
use crate::pages::answer;
use crate::policy::{Condition, Reason, Refusal};
use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// The answer to a token that lets nobody pass.
pub(super) fn refusal(error: &BearerError, is_head: bool, grpc: Option<Grpc>) -> Response<Body> {
    let code = error.code().unwrap_or("temporarily_unavailable");
    let document = json!({ "error": code, "error_description": error.description() });
    let mut response = answer::json(error.status(), &document);
    let headers = response.headers_mut();
    if let Some(challenge) = error.challenge() {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(grpc) = grpc {
        grpc.reword(&mut response, error.description());
    }
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Says that a bearer token would do, too, where a session is missing.
pub(super) fn offer(response: &mut Response<Body>) {
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = BearerError::challenge_without_token();
        response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
    }
}

/// Names the scopes that are missing. What else a rule asks for is nobody's business but the operator's.
pub(super) fn name_missing_scopes(headers: &mut HeaderMap, refusal: &Refusal<'_>) {
    if let Reason::Unmet(unmet) = &refusal.reason
        && let Condition::Scope(scopes) = unmet.condition
    {
        let scopes = scopes.clone();
        if let Some(challenge) = (BearerError::InsufficientScope { scopes }).challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
}

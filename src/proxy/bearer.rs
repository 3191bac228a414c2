//! Callers that come with a bearer token in place of a session, and what they are answered (RFC 6750).
//!
//! A token that is no good never falls back to the cookie: whoever sends one says who they want to be.

use super::authenticate::Standing;
use super::pipeline::Gate;
use super::record::Record;
use super::respond;
use crate::bearer::{BearerCaller, BearerError, Bearers, Presented, is_presented, text_of};
use crate::http::body::Body;
use crate::http::grpc::Grpc;
use crate::pages::answer;
use crate::policy::{Condition, Reason, Refusal};
use crate::request::CleanRequest;
use crate::streams::ConnectionStreams;
use crate::telemetry::metrics::Fate;
use crate::upstream::Pools;
use ::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;
use std::sync::Arc;

/// What the tokens of a request are judged with, where it has one and its route takes one. Costs other requests a look at
/// whether there is such a field, and only where some route takes tokens.
pub(super) fn asked<'g>(gate: &'g Gate, request: &CleanRequest) -> Option<&'g Bearers> {
    let bearers = gate.bearers.as_ref()?;
    let takes = || gate.settings.of(gate.matched(request).route()).bearer;
    (is_presented(request.authorization()) && takes()).then_some(bearers)
}

/// Whose token it is.
pub(super) async fn authenticate(
    gate: &Gate,
    bearers: &Bearers,
    request: &mut CleanRequest,
) -> Result<Standing, BearerError> {
    let fields: Vec<_> = request.authorization().collect();
    let caller: Arc<BearerCaller> = match bearers.authenticate(&fields).await {
        Presented::Caller(caller) => caller,
        Presented::Invalid(error) => return Err(error),
        Presented::None => return Err(BearerError::InvalidRequest),
    };
    // The app is not to act as its users elsewhere.
    let presented = caller.is_for_logto().then(|| text_of(&fields)).flatten();
    if caller.is_for_logto() {
        request.withhold_authorization();
    }
    Ok(Standing::by_token(gate, caller, presented))
}

impl Gate {
    /// Takes a caller by what the bearer token says, and decides.
    pub(super) async fn by_token(
        self: Arc<Self>,
        bearers: Bearers,
        mut clean: CleanRequest,
        mut record: Record,
        pools: Pools,
        streams: &ConnectionStreams,
    ) -> Response<Body> {
        match authenticate(&self, &bearers, &mut clean).await {
            Ok(standing) => {
                record.caller(&standing);
                self.go_on(clean, standing, record, pools, streams, false).await
            }
            Err(error) => {
                let route = self.matched(&clean).route();
                record.judged(Fate::SignIn, route, self.counters.of(route));
                tracing::debug!(reason = error.reason(), "a bearer token lets nobody pass");
                let grpc = Grpc::of(clean.method(), clean.headers());
                let mut response = answer(&error, *clean.method() == Method::HEAD, grpc);
                respond::close_if_body_unread(clean.has_body(), response.headers_mut());
                record.finish(response)
            }
        }
    }
}

/// The answer to a token that lets nobody pass.
pub(super) fn answer(error: &BearerError, is_head: bool, grpc: Option<Grpc>) -> Response<Body> {
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
pub(super) fn explain_refusal(headers: &mut HeaderMap, refusal: &Refusal<'_>) {
    if let Reason::Unmet(unmet) = &refusal.reason
        && let Condition::Scope(scopes) = unmet.condition
    {
        let scopes = scopes.clone();
        if let Some(challenge) = (BearerError::InsufficientScope { scopes }).challenge() {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
}

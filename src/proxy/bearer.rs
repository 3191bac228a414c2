//! Callers that come with a bearer token in place of a session.
//!
//! A token that is no good never falls back to the cookie: whoever sends one says who they want to be.

use super::challenge;
use super::gate::Gate;
use super::record::Record;
use super::respond;
use super::standing::Standing;
use crate::bearer::{BearerCaller, BearerError, Bearers, Presented, is_presented, text_of};
use crate::http::body::Body;
use crate::http::grpc::Grpc;
use crate::request::CleanRequest;
use crate::streams::ConnectionStreams;
use crate::telemetry::metrics::Fate;
use crate::tokens::IfWanting;
use crate::upstream::Pools;
use ::http::{Method, Response};
use std::sync::Arc;

/// What the tokens of a request are judged with, where it has one and its route takes one. Costs other requests a look at
/// whether there is such a field, and only where some route takes tokens.
pub(super) fn asked<'g>(gate: &'g Gate, request: &CleanRequest) -> Option<&'g Bearers> {
    let bearers = gate.bearers.as_ref()?;
    (is_presented(request.authorization()) && takes(gate, request)).then_some(bearers)
}

/// Whether a token counts: each rule that has to be fulfilled takes one.
pub(super) fn takes(gate: &Gate, request: &CleanRequest) -> bool {
    let matched = gate.matched(request);
    matched.asked().all(|route| gate.settings.of(route).bearer)
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
                self.go_on(clean, standing, record, pools, streams, IfWanting::Ask)
                    .await
            }
            Err(error) => {
                let route = self.matched(&clean).route();
                record.judged(Fate::SignIn, route, self.counters.of(route));
                tracing::debug!(reason = error.reason(), "a bearer token lets nobody pass");
                let grpc = Grpc::of(clean.method(), clean.headers());
                let mut response = challenge::refusal(&error, *clean.method() == Method::HEAD, grpc);
                respond::close_if_body_unread(clean.has_body(), response.headers_mut());
                record.finish(response)
            }
        }
    }
}

//! Scripts of other origins: their preflights, and what every answer of a route tells them.
//!
//! A preflight falls under the route of the request that it asks about. What a route says about origins is written into all
//! that it answers, the proxy's own refusals and failures included: a script that may not read a 401 cannot tell it from a
//! broken network. None of it lets a request pass.

use super::forward::Outbound;
use super::gate::Gate;
use super::next::Next;
use super::record::Record;
use super::respond;
use super::standing::Standing;
use crate::http::body::Body;
use crate::http::cors::{CorsGrant, CorsPolicy, Preflight};
use crate::pages::answer;
use crate::policy::{Matched, RequestFacts, permit_preflight};
use crate::request::CleanRequest;
use crate::telemetry::metrics::Fate;
use ::http::{Response, StatusCode};
use serde_json::json;
use std::sync::Arc;

/// Answers a preflight, or lets it pass, where its route says so. Any other `OPTIONS` comes back.
#[allow(clippy::result_large_err, reason = "the large one is the usual one")]
pub(super) fn preflight<'a>(
    gate: &Gate,
    clean: CleanRequest,
    mut record: Record,
) -> Result<Next<'a>, (CleanRequest, Record)> {
    let Some(preflight) = Preflight::of(clean.method(), clean.headers(), clean.has_body()) else {
        return Err((clean, record));
    };
    let matched = route_of_what_follows(gate, &clean, &preflight);
    let route = matched.route();
    if let Some(policy) = &gate.settings.of(route).cors {
        // Another proxy that only asks would take the answer, which has to be a 2xx, for leave to send the preflight on.
        if clean.check().is_some() {
            return Err((clean, record));
        }
        record.judged(Fate::Preflight, route, gate.counters.of(route));
        let response = answer_preflight(policy, &preflight);
        return Ok(Next::Answered(record.finish(response)));
    }
    let Some(permit) = permit_preflight(matched, &preflight) else {
        return Err((clean, record));
    };
    record.judged(Fate::Forwarded, route, gate.counters.of(route));
    let tokens = gate.settings.of(route).tokens.as_ref();
    let tokens = tokens.map(|rules| rules.without()).unwrap_or_default();
    Ok(
        match Outbound::new(gate, clean, &permit, Standing::nobody(), tokens) {
            Ok(outbound) => Next::Upstream(outbound, record),
            Err(reject) => Next::Answered(record.finish(respond::reject(reject))),
        },
    )
}

fn route_of_what_follows<'g>(gate: &'g Gate, clean: &CleanRequest, preflight: &Preflight<'_>) -> Matched<'g> {
    gate.routes.find(&RequestFacts {
        method: preflight.asked_method(),
        host: clean.host().host(),
        path: clean.target().judged_path(),
        address: clean.client().address,
    })
}

/// 204, or 403 that says what the policy minds; a browser goes by the fields, a person by the words.
fn answer_preflight(policy: &Arc<CorsPolicy>, preflight: &Preflight<'_>) -> Response<Body> {
    match policy.preflight(preflight) {
        Ok(fields) => {
            let mut response = answer::empty(StatusCode::NO_CONTENT);
            response.headers_mut().extend(fields);
            response
        }
        Err(forbidden) => {
            let document = json!({ "error": "cors", "error_description": forbidden.to_string() });
            let mut response = answer::json(StatusCode::FORBIDDEN, &document);
            policy.refuse(response.headers_mut());
            response
        }
    }
}

impl Gate {
    /// What the answer to a request tells scripts of other origins; `None`: nothing. Boxed, since few requests have one.
    pub(super) fn cors_of(&self, clean: &CleanRequest) -> Option<Box<CorsGrant>> {
        if !self.settings.has_cors() {
            return None;
        }
        let matched = self.matched(clean);
        let policy = self.settings.of(matched.route()).cors.as_ref()?;
        Some(Box::new(policy.grant(clean.headers())))
    }
}

impl<'a> Next<'a> {
    /// The same, with this in its answer.
    pub(super) fn told(self, cors: Box<CorsGrant>) -> Self {
        match self {
            Self::Answered(response) => Self::Answered(cors.on(response)),
            Self::Own(answer) => Self::Own(Box::pin(async move { cors.on(answer.await) })),
            Self::Upstream(outbound, record) => Self::Upstream(outbound.telling(cors), record),
        }
    }
}

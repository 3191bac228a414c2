//! The steps of a request, in order, on one screen.

use super::authenticate::{Caller, authenticate};
use super::forward;
use super::record::{AccessLog, Record};
use super::respond;
use crate::clock::Clock;
use crate::endpoints::Endpoints;
use crate::http::body::Body;
use crate::identity::HeaderRules;
use crate::policy::{Decision, RouteTable, decide};
use crate::request::{RawRequest, Sanitizer};
use crate::session::SessionCookies;
use crate::streams::Streams;
use crate::upstream::{Pool, UpstreamHost};
use ::http::Response;
use std::sync::Arc;

/// All that a request meets on its way, compiled from one configuration. A request takes it once and keeps it,
/// so a reload never changes the rules under a request.
#[derive(Debug)]
pub struct Gate {
    /// Raw to clean.
    pub sanitizer: Sanitizer,
    /// The proxy's own URLs.
    pub endpoints: Endpoints,
    /// The session cookies.
    pub cookies: Arc<SessionCookies>,
    /// Who may pass where.
    pub routes: RouteTable,
    /// What the upstream is told.
    pub header_rules: Arc<HeaderRules>,
    /// What Host the upstream sees.
    pub upstream_host: UpstreamHost,
    /// What is logged of each request.
    pub access_log: AccessLog,
    /// The time.
    pub clock: Clock,
}

impl Gate {
    /// Takes a request from raw to its answer. `pool` belongs to the worker that serves the connection.
    pub async fn pass(&self, raw: RawRequest, pool: &Pool, streams: &Streams) -> Response<Body> {
        let mut record = Record::begin(&self.access_log, &raw);
        let clean = match self.sanitizer.sanitize(raw) {
            Ok(clean) => clean,
            Err(reject) => return record.finish(respond::reject(reject)),
        };
        record.request(&clean);

        if let Some(endpoint) = self.endpoints.find(&clean) {
            record.decision("endpoint");
            let has_body = clean.has_body();
            let mut response = self.endpoints.serve(endpoint, clean).await;
            respond::close_if_body_unread(has_body, response.headers_mut());
            return record.finish(response);
        }
        if let Some(response) = self.endpoints.after_sign_out(&clean) {
            record.decision("endpoint");
            return record.finish(response);
        }

        let now = self.clock.now();
        let Caller {
            identity,
            subject,
            cookies,
        } = authenticate(&self.cookies, &self.header_rules, clean.headers(), now);
        record.subject(subject);
        let decision = decide(&self.routes, clean.canonical_path(), identity);
        let permit = match decision {
            Decision::Forward(permit) => permit,
            Decision::SignIn(unauthenticated) => {
                record.decision("sign_in");
                let mut response = respond::unauthenticated(&self.endpoints, &clean, unauthenticated).await;
                cookies.clear_invalid(&self.cookies, clean.headers(), response.headers_mut());
                return record.finish(response);
            }
        };
        record.permitted(&permit);
        let renewal = cookies.renewal(&self.cookies, &self.header_rules, clean.headers(), now);
        let mut response = forward::forward(self, clean, &permit, pool, streams).await;
        respond::apply_renewal(response.headers_mut(), renewal);
        record.finish(response)
    }
}

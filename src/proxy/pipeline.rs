//! The steps of a request, in order, on one screen.

use super::authenticate::authenticate;
use super::bearer;
use super::challenge;
use super::cross_origin;
use super::facts::facts;
use super::forward::Outbound;
use super::gate::Gate;
use super::next::Next;
use super::record::Record;
use super::respond;
use super::standing::Standing;
use super::tokens::note_absent;
use crate::endpoints::forward_auth;
use crate::http::body::Body;
use crate::identity::{Claims, ProjectedHeaders};
use crate::policy::{Decision, Reason, Refusal, Why, decide};
use crate::request::{CheckForm, CleanRequest, RawRequest, Reject};
use crate::session::SessionView;
use crate::streams::ConnectionStreams;
use crate::telemetry::metrics::Fate;
use crate::tokens::{Found, IfWanting};
use crate::upstream::Pools;
use ::http::{Method, Response};
use futures_util::future::{Either, FutureExt as _, ready};
use std::sync::Arc;

/// Why a session is confirmed with Logto before it is used.
#[derive(Debug, Clone, Copy)]
enum Doubt {
    /// It has not been for a while, or something was learnt of the user since.
    Due,
    /// It may lack claims that the rule asks for.
    Claims,
}

impl Gate {
    /// Takes a request from raw to its answer. `pools` belong to the worker that serves the connection and are made
    /// for this gate's `upstreams`; `streams` belongs to the connection.
    ///
    /// The request is judged now and waits in the future; what is only needed to judge it takes no room there.
    pub fn pass<'a>(
        self: Arc<Self>,
        raw: RawRequest,
        pools: &Pools,
        streams: &'a ConnectionStreams,
    ) -> impl Future<Output = Response<Body>> + Send + use<'a> {
        match Arc::clone(&self).judge(raw, pools, streams) {
            Next::Answered(response) => Either::Left(Either::Left(ready(response))),
            Next::Own(answer) => Either::Left(Either::Right(answer)),
            Next::Upstream(outbound, record) => {
                let answer = outbound.forward(self, pools, streams);
                Either::Right(answer.map(|response| record.finish(response)))
            }
        }
    }

    /// Sanitise, and see what is asked for.
    fn judge<'a>(
        self: Arc<Self>,
        raw: RawRequest,
        pools: &Pools,
        streams: &'a ConnectionStreams,
    ) -> Next<'a> {
        let mut record = Record::begin(&self.access_log, self.counters.rejects(), &raw);
        let clean = match self.sanitizer.sanitize(raw) {
            Ok(clean) => clean,
            Err(reject) => return Next::Answered(record.finish(respond::reject(reject))),
        };
        record.request(&clean);
        if self.refused_path(&facts(&clean)).is_some() {
            return Next::Answered(record.finish(respond::reject(Reject::AmbiguousPath)));
        }
        match clean.check() {
            None => self.serve(clean, record, pools, streams),
            Some(form) => self.check(form, clean, record, pools, streams),
        }
    }

    /// Answers another proxy, which asks whether the request may pass that it describes. That one goes through the very same
    /// steps, but for the last: it is told of, not sent.
    fn check<'a>(
        self: Arc<Self>,
        form: CheckForm,
        clean: CleanRequest,
        record: Record,
        pools: &Pools,
        streams: &'a ConnectionStreams,
    ) -> Next<'a> {
        // Its answer would say nothing of whether the request may pass.
        let path = clean.target().canonical_path();
        if path.is_ok_and(|path| self.endpoints.paths.is_own(path)) {
            return Next::Answered(record.finish(respond::reject(Reject::DescribedEndpoint)));
        }
        let rules = Arc::clone(&self.header_rules);
        match Arc::clone(&self).serve(clean, record, pools, streams) {
            Next::Answered(response) => Next::Answered(forward_auth::shape(form, &rules, response)),
            Next::Own(answer) => Next::Own(Box::pin(async move {
                forward_auth::shape(form, &rules, answer.await)
            })),
            Next::Upstream(outbound, record) => {
                let pools = pools.clone();
                Next::Own(Box::pin(async move {
                    let response = outbound.forward(self, &pools, streams).await;
                    forward_auth::shape(form, &rules, record.finish(response))
                }))
            }
        }
    }

    /// Own endpoints, preflights, then who asks.
    fn serve<'a>(
        self: Arc<Self>,
        mut clean: CleanRequest,
        mut record: Record,
        pools: &Pools,
        streams: &'a ConnectionStreams,
    ) -> Next<'a> {
        if let Some(endpoint) = self.endpoints.find(&clean) {
            record.endpoint(self.metrics.requests_of(endpoint.as_str()));
            return Next::Own(Box::pin(async move {
                let has_body = clean.has_body();
                let mut response = self.endpoints.serve(endpoint, clean).await;
                respond::close_if_body_unread(has_body, response.headers_mut());
                record.finish(response)
            }));
        }
        if let Some(response) = self.endpoints.after_sign_out(&clean) {
            record.endpoint(self.metrics.requests_of("after_sign_out"));
            return Next::Answered(record.finish(response));
        }

        if *clean.method() == Method::OPTIONS {
            (clean, record) = match cross_origin::preflight(&self, clean, record) {
                Ok(next) => return next,
                Err(ordinary) => ordinary,
            };
        }
        match self.cors_of(&clean) {
            None => self.judge_caller(clean, record, pools, streams),
            Some(cors) => self.judge_caller(clean, record, pools, streams).told(cors),
        }
    }

    /// Authenticate, decide.
    fn judge_caller<'a>(
        self: Arc<Self>,
        clean: CleanRequest,
        mut record: Record,
        pools: &Pools,
        streams: &'a ConnectionStreams,
    ) -> Next<'a> {
        if let Some(bearers) = bearer::asked(&self, &clean) {
            let (bearers, pools) = (bearers.clone(), pools.clone());
            return Next::Own(Box::pin(self.by_token(bearers, clean, record, pools, streams)));
        }
        let now = self.clock.now();
        let caller = authenticate(&self, clean.headers(), &mut record);
        match caller.due(&self, now) {
            Some(view) if self.matched(&clean).asks_who() => {
                let (view, pools) = (Arc::clone(view), pools.clone());
                Next::Own(Box::pin(self.recheck(
                    view,
                    Doubt::Due,
                    clean,
                    record,
                    pools,
                    streams,
                )))
            }
            _ => {
                let standing = caller.standing(&self, &clean, now);
                if let Some(view) = self.stale_refusal(&clean, &standing) {
                    let pools = pools.clone();
                    return Next::Own(Box::pin(self.recheck(
                        view,
                        Doubt::Claims,
                        clean,
                        record,
                        pools,
                        streams,
                    )));
                }
                self.decide(clean, standing, record, pools, streams, IfWanting::Ask)
            }
        }
    }

    /// The session of a caller who would be refused for want of a claim that nobody has asked Logto for yet: it was made, or
    /// last confirmed, before the rule was.
    fn stale_refusal(&self, clean: &CleanRequest, standing: &Standing) -> Option<Arc<SessionView>> {
        let session = standing.session.as_ref()?;
        if !self.rechecks.may_lack_claims(session.checked_at()) {
            return None;
        }
        let matched = self.matched(clean);
        matched.asked().find_map(|route| route.requirement())?;
        let claims = standing.claims();
        let caller = standing.caller(&claims, ProjectedHeaders::default());
        let (_, unmet) = matched.first_unmet(&caller)?;
        (unmet.why == Why::Absent).then(|| Arc::clone(session))
    }

    /// Confirms the session with Logto, then decides. Once a re-check interval.
    async fn recheck(
        self: Arc<Self>,
        view: Arc<SessionView>,
        doubt: Doubt,
        clean: CleanRequest,
        record: Record,
        pools: Pools,
        streams: &ConnectionStreams,
    ) -> Response<Body> {
        let now = self.clock.now();
        let outcome = match doubt {
            Doubt::Due => self.rechecks.confirm(&view, now).await,
            Doubt::Claims => self.rechecks.confirm_claims(&view, now).await,
        };
        let standing = Standing::after(outcome, &self, view, &clean, self.clock.now());
        self.go_on(clean, standing, record, pools, streams, IfWanting::Ask)
            .await
    }

    /// Decides, after a wait.
    pub(super) async fn go_on(
        self: Arc<Self>,
        clean: CleanRequest,
        standing: Standing,
        record: Record,
        pools: Pools,
        streams: &ConnectionStreams,
        if_wanting: IfWanting,
    ) -> Response<Body> {
        match Arc::clone(&self).decide(clean, standing, record, &pools, streams, if_wanting) {
            Next::Answered(response) => response,
            Next::Own(answer) => answer.await,
            Next::Upstream(outbound, record) => record.finish(outbound.forward(self, &pools, streams).await),
        }
    }

    /// `if_wanting` is about the caller's tokens that the route hands on.
    fn decide<'a>(
        self: Arc<Self>,
        clean: CleanRequest,
        mut standing: Standing,
        mut record: Record,
        pools: &Pools,
        streams: &'a ConnectionStreams,
        if_wanting: IfWanting,
    ) -> Next<'a> {
        let matched = self.matched(&clean);
        let route = matched.route();
        if standing.renewable
            && respond::redirects(&clean, route.unauthenticated)
            && self.endpoints.may_sign_in_silently(&clean)
        {
            record.judged(Fate::SignIn, route, self.counters.of(route));
            return Next::Own(Box::pin(async move {
                record.finish(self.endpoints.begin_silent_sign_in(&clean).await)
            }));
        }
        let claims = if matched.reads_claims() {
            standing.claims()
        } else {
            Claims::default()
        };
        let identity = standing.identity.take().unwrap_or_default();
        let permit = match decide(matched, standing.caller(&claims, identity)) {
            Decision::Forward(permit) => permit,
            Decision::SignIn(route) => {
                record.judged(Fate::SignIn, route, self.counters.of(route));
                let unauthenticated = route.unauthenticated;
                let takes_bearer = bearer::takes(&self, &clean);
                return Next::Own(Box::pin(async move {
                    let mut response = respond::unauthenticated(
                        &self.endpoints,
                        &clean,
                        unauthenticated,
                        standing.renewable,
                    )
                    .await;
                    if takes_bearer {
                        challenge::offer(&mut response);
                    }
                    standing.clear_refused(&self.cookies, clean.headers(), response.headers_mut());
                    record.finish(response)
                }));
            }
            Decision::Refuse(refusal) => {
                record.judged(Fate::Refused, refusal.route, self.counters.of(refusal.route));
                self.note_refusal(&clean, &standing, &refusal);
                let mut response = respond::refused(&self.endpoints, &clean, &standing, &refusal);
                respond::apply_renewal(response.headers_mut(), standing.renewal);
                return Next::Answered(record.finish(response));
            }
        };
        let tokens = match self.tokens_of(&permit, &standing, if_wanting) {
            Found::Ready(tokens) => tokens,
            Found::Ask => {
                standing.identity = permit.identity().cloned();
                let pools = pools.clone();
                return Next::Own(Box::pin(
                    self.ask_for_tokens(clean, standing, record, pools, streams),
                ));
            }
            Found::Refused(absent) => {
                record.judged(Fate::Refused, permit.route(), self.counters.of(permit.route()));
                note_absent(&clean, permit.route(), &absent);
                let mut response = respond::without_token(&self.endpoints, &clean, &absent);
                respond::apply_renewal(response.headers_mut(), standing.renewal);
                return Next::Answered(record.finish(response));
            }
        };
        record.judged(Fate::Forwarded, permit.route(), self.counters.of(permit.route()));
        match Outbound::new(&self, clean, &permit, standing, tokens) {
            Ok(outbound) => Next::Upstream(outbound, record),
            Err(reject) => Next::Answered(record.finish(respond::reject(reject))),
        }
    }

    /// Explains the decision id that the answer names. Not a part of the access log, which may be off.
    fn note_refusal(&self, clean: &CleanRequest, standing: &Standing, refusal: &Refusal<'_>) {
        let condition = match &refusal.reason {
            Reason::Unmet(unmet) => Some(unmet.condition.to_string()),
            Reason::Ambiguous(_) => None,
        };
        tracing::info!(
            target: "logto_proxy::refusal",
            decision_id = clean.request_id().to_str().ok(),
            route = %refusal.route,
            reason = %refusal.reason,
            asked_for = condition,
            client = clean.client().address.map(tracing::field::display),
            sub = standing.subject().and_then(|subject| self.access_log.shown(subject)),
            "refused"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of what `pass` makes, without making it.
    fn room_of<R>(
        _: impl FnOnce(Arc<Gate>, RawRequest, &'static Pools, &'static ConnectionStreams) -> R,
    ) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_request_in_flight_takes_little_room() {
        // Every client connection has room for one, and moving it about is paid for by every request.
        let room = room_of(|gate, raw, pools, streams| gate.pass(raw, pools, streams));
        assert!(room <= 1_024, "{room} bytes");
    }
}

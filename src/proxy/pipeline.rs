//! The steps of a request, in order, on one screen.

use super::authenticate::{Caller, authenticate};
use super::forward::Outbound;
use super::record::{AccessLog, Record};
use super::respond;
use crate::clock::Clock;
use crate::endpoints::Endpoints;
use crate::http::body::Body;
use crate::identity::HeaderRules;
use crate::policy::{Decision, RouteTable, decide};
use crate::request::{RawRequest, Sanitizer};
use crate::session::SessionCookies;
use crate::streams::ConnectionStreams;
use crate::upstream::{Pool, UpstreamHost};
use ::http::Response;
use futures_util::future::{Either, FutureExt as _, ready};
use std::pin::Pin;
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

/// Where a request goes once it has been judged.
#[allow(clippy::large_enum_variant, reason = "the large one is the usual one")]
enum Next<'a> {
    /// Nowhere: this is its answer.
    Answered(Response<Body>),
    /// To one of the proxy's own endpoints, or to a sign-in. Boxed, for it would take the room of many a forwarded request.
    Own(Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>),
    /// To the upstream.
    Upstream(Outbound),
}

impl Gate {
    /// Takes a request from raw to its answer. `pool` belongs to the worker that serves the connection, `streams` to the
    /// connection.
    ///
    /// The request is judged now and waits in the future; what is only needed to judge it takes no room there.
    pub fn pass<'a>(
        self: Arc<Self>,
        raw: RawRequest,
        pool: &'a Pool,
        streams: &'a ConnectionStreams,
    ) -> impl Future<Output = Response<Body>> + Send + use<'a> {
        let mut record = Record::begin(&self.access_log, &raw);
        let next = Arc::clone(&self).judge(raw, &mut record);
        let answer = match next {
            Next::Answered(response) => Either::Left(Either::Left(ready(response))),
            Next::Own(answer) => Either::Left(Either::Right(answer)),
            Next::Upstream(outbound) => Either::Right(outbound.forward(self, pool, streams)),
        };
        answer.map(|response| record.finish(response))
    }

    /// Sanitise, own endpoints, authenticate, decide.
    fn judge<'a>(self: Arc<Self>, raw: RawRequest, record: &mut Record) -> Next<'a> {
        let clean = match self.sanitizer.sanitize(raw) {
            Ok(clean) => clean,
            Err(reject) => return Next::Answered(respond::reject(reject)),
        };
        record.request(&clean);

        if let Some(endpoint) = self.endpoints.find(&clean) {
            record.decision("endpoint");
            return Next::Own(Box::pin(async move {
                let has_body = clean.has_body();
                let mut response = self.endpoints.serve(endpoint, clean).await;
                respond::close_if_body_unread(has_body, response.headers_mut());
                response
            }));
        }
        if let Some(response) = self.endpoints.after_sign_out(&clean) {
            record.decision("endpoint");
            return Next::Answered(response);
        }

        let now = self.clock.now();
        let Caller {
            identity,
            session,
            cookies,
        } = authenticate(&self.cookies, &self.header_rules, clean.headers(), now, record);
        let decision = decide(&self.routes, clean.canonical_path(), identity);
        let permit = match decision {
            Decision::Forward(permit) => permit,
            Decision::SignIn(unauthenticated) => {
                record.decision("sign_in");
                return Next::Own(Box::pin(async move {
                    let mut response =
                        respond::unauthenticated(&self.endpoints, &clean, unauthenticated).await;
                    cookies.clear_invalid(&self.cookies, clean.headers(), response.headers_mut());
                    response
                }));
            }
        };
        record.permitted(&permit);
        let renewal = cookies.renewal(
            session.as_deref(),
            &self.cookies,
            &self.header_rules,
            clean.headers(),
            now,
        );
        // What is let pass without regard to who asks does not end with a session either.
        let session = session.filter(|_| permit.identity().is_some());
        Next::Upstream(Outbound::new(&self, clean, &permit, session, renewal, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of what `pass` makes, without making it.
    fn room_of<R>(
        _: impl FnOnce(Arc<Gate>, RawRequest, &'static Pool, &'static ConnectionStreams) -> R,
    ) -> usize {
        size_of::<R>()
    }

    #[test]
    fn a_request_in_flight_takes_little_room() {
        // Every client connection has room for one, and moving it about is paid for by every request.
        let room = room_of(|gate, raw, pool, streams| gate.pass(raw, pool, streams));
        assert!(room <= 1_024, "{room} bytes");
    }
}

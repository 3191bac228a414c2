//! To the upstream and back.

use super::assertion;
use super::gate::Gate;
use super::respond;
use super::standing::Standing;
use crate::clock::{UnixSeconds, monotonic};
use crate::endpoints::forward_auth;
use crate::http::body::Body;
use crate::http::cors::CorsGrant;
use crate::http::hop_by_hop::remove_hop_by_hop;
use crate::identity::TokenHeaders;
use crate::policy::Permit;
use crate::request::{CleanRequest, Reject};
use crate::session::SessionView;
use crate::streams::{ConnectionStreams, Ground, InFlight, Rule, TokenGround};
use crate::upstream::{self, Pools, Treatment, UpstreamId, UpstreamRequest};
use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures_util::FutureExt as _;
use futures_util::future::{Either, ready, try_join};
use hyper::upgrade::OnUpgrade;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// A permitted request on its way, and what its answer will take.
pub(super) struct Outbound {
    request: UpstreamRequest,
    upstream: UpstreamId,
    reply: respond::FailureReply,
    /// What it depends on, and the end of that.
    ground: Option<(Ground, UnixSeconds)>,
    /// The rule by which it passes, where that asks for more than that.
    rule: Option<Rule>,
    /// Boxed, since it is there once a minute.
    renewal: Option<Box<Renewal>>,
    /// What the answer tells scripts of other origins.
    cors: Option<Box<CorsGrant>>,
    /// Another proxy sends it, and only asks.
    is_check: bool,
    /// `Authorization` is a token of the caller that the route hands on, or absent.
    owns_authorization: bool,
}

/// Session cookies sealed anew.
struct Renewal {
    lines: Vec<HeaderValue>,
    session: Arc<SessionView>,
}

impl Outbound {
    /// Joins the request with its permit, with the session or token that it passes because of, with the cookies that its
    /// answer sets, and with the caller's tokens.
    ///
    /// # Errors
    /// The request cannot be put as its route wants it.
    pub(super) fn new(
        gate: &Gate,
        clean: CleanRequest,
        permit: &Permit<'_>,
        standing: Standing,
        tokens: TokenHeaders,
    ) -> Result<Self, Reject> {
        let reply = respond::FailureReply::of(&clean, standing.token.is_some());
        let mut conditional = permit.conditional().cloned();
        let rule = conditional.next().map(|route| Rule {
            route,
            also: conditional.collect(),
            address: clean.client().address,
        });
        let is_check = clean.check().is_some();
        let settings = gate.settings.of(permit.route());
        let target = match &settings.rewrite {
            Some(rewrite) => Some(rewrite.apply(clean.target()).ok_or(Reject::TargetTooLong)?),
            None => None,
        };
        let treatment = Treatment {
            host: &settings.upstream_host,
            target,
            set_headers: &settings.set_headers,
            tokens,
        };
        let mut request = UpstreamRequest::new(clean, permit, &gate.header_rules, treatment, |name| {
            gate.cookies.is_own(name)
        });
        assertion::add(gate, permit, &standing, &mut request);
        // What is let pass without regard to who asks does not end with a session either.
        let ground = permit.identity().and_then(|_| ground(gate, &standing));
        let withheld = standing.token.as_ref().is_some_and(|token| token.is_for_logto());
        let Standing { session, renewal, .. } = standing;
        let renewal = session.filter(|_| !renewal.is_empty()).map(|session| {
            Box::new(Renewal {
                lines: renewal,
                session,
            })
        });
        Ok(Self {
            request,
            upstream: settings.upstream,
            reply,
            ground,
            rule,
            renewal,
            is_check,
            owns_authorization: withheld
                || settings
                    .tokens
                    .as_ref()
                    .is_some_and(|rules| rules.take_authorization()),
            cors: None,
        })
    }

    /// The same, whose answer has this, wherever it comes from.
    pub(super) fn telling(self, cors: Box<CorsGrant>) -> Self {
        Self {
            cors: Some(cors),
            ..self
        }
    }

    /// What another proxy is told, which sends the request itself.
    fn permitted(self, gate: &Gate) -> Response<Body> {
        let renewal = self.renewal.filter(|renewal| is_latest(gate, &renewal.session));
        let cookies = renewal.map_or_else(Vec::new, |renewal| renewal.lines);
        let (message, _) = self.request.into_message();
        forward_auth::permitted(
            &gate.header_rules,
            message.headers(),
            self.owns_authorization,
            cookies,
        )
    }

    /// Sends it, unless it is only asked about, and gives the upstream's answer, or the proxy's own when there is none, or when what it
    /// depends on ends first.
    #[allow(
        clippy::result_large_err,
        reason = "boxed, each answer would cost an allocation"
    )]
    pub(super) fn forward<'a>(
        self,
        gate: Arc<Gate>,
        pools: &Pools,
        streams: &'a ConnectionStreams,
    ) -> impl Future<Output = Response<Body>> + Send + use<'a> {
        if self.is_check {
            return Either::Left(ready(self.permitted(&gate)));
        }
        let Self {
            request,
            upstream,
            reply,
            ground,
            rule,
            renewal,
            cors,
            is_check: _,
            owns_authorization: _,
        } = self;
        let in_flight = ground.map(|(ground, until)| streams.admit(ground, until, rule));
        let (message, client_side) = request.into_message();
        let stop = in_flight.as_ref().map(|in_flight| in_flight.stop().clone());
        let stopped = poll_fn(move |context| match &stop {
            Some(stop) => stop.poll_stopped(context).map(|_| Err(None)),
            None => Poll::Pending::<Result<Infallible, _>>,
        });
        let begun = monotonic();
        let sent = pools
            .of(upstream)
            .send(message)
            .map(|sent| Err::<Infallible, _>(Some(sent)));
        // The first of them to come ends the other; the end of the session is asked for first.
        Either::Right(try_join(stopped, sent).map(move |ended| {
            let sent = match ended {
                Err(Some(sent)) => sent,
                Err(None) => {
                    let response = reply.over(&gate.endpoints);
                    return match cors {
                        Some(cors) => cors.on(response),
                        None => response,
                    };
                }
                Ok((never, _)) => match never {},
            };
            if sent.is_ok() {
                gate.metrics.upstream_answered(begun.elapsed());
            }
            let mut response = match sent {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    join_tunnel(response, client_side, streams, in_flight, reply)
                }
                Ok(mut response) => {
                    clean_answer(&gate, response.headers_mut());
                    match in_flight {
                        Some(in_flight) => response.map(|body| until_over(body, in_flight)),
                        None => response,
                    }
                }
                Err(error) => {
                    let upstream = gate.upstreams.of(upstream).address.to_string();
                    gate.metrics.upstream_failed(&upstream, error.label());
                    tracing::warn!(%error, upstream, request_id = reply.request_id(), "the upstream gave no answer");
                    reply.upstream_failed(&gate.endpoints, &error)
                }
            };
            if let Some(renewal) = renewal
                && is_latest(&gate, &renewal.session)
            {
                respond::apply_renewal(response.headers_mut(), renewal.lines);
            }
            match cors {
                Some(cors) => cors.on(response),
                None => response,
            }
        }))
    }
}

/// What a request depends on, and when that is over. A session lasts as it says itself, and no longer than sessions last now.
fn ground(gate: &Gate, standing: &Standing) -> Option<(Ground, UnixSeconds)> {
    if let Some(token) = &standing.token {
        let ground = TokenGround {
            subject: token.name().to_owned(),
            issued_at: token.issued_at,
            presented: standing.presented.clone(),
            asked_at: gate.clock.now(),
        };
        return Some((Ground::Token(Box::new(ground)), token.ends_at()));
    }
    let session = standing.session.as_ref()?;
    let lifetime = gate.cookies.limits().lifetime;
    let until = session.expires_at().min(session.signed_in_at().plus(lifetime));
    Some((Ground::Session(Arc::clone(session)), until))
}

/// Whether a cookie sealed when the request came is still the one to hand out with its answer: an answer may take long, and
/// meanwhile the user may have signed out, or another request may have brought a newer cookie.
fn is_latest(gate: &Gate, session: &SessionView) -> bool {
    let revocations = gate.endpoints.store.revocations();
    let ledger = &gate.rechecks.ledger;
    revocations.ended(&session.marks()).is_none()
        && ledger.newer_than(session.id(), session.checked_at()).is_none()
}

/// A body that comes to its end, or to that of its session.
fn until_over(body: Body, in_flight: InFlight) -> Body {
    if body.is_empty() {
        return body;
    }
    in_flight.answering();
    body.with_guard(in_flight)
}

/// Takes hop-by-hop fields out of an answer, and any attempt to set one of the proxy's cookies.
fn clean_answer(gate: &Gate, headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    let sets_ours = |value: &HeaderValue| gate.cookies.is_own(name_sent_back(value.as_bytes()));
    if headers.get_all(header::SET_COOKIE).iter().any(sets_ours) {
        let kept: Vec<HeaderValue> = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter(|value| !sets_ours(value))
            .cloned()
            .collect();
        headers.remove(header::SET_COOKIE);
        for value in kept {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// The name under which a browser sends back what a `Set-Cookie` line sets. Of a cookie without a name it sends
/// the value alone (RFC 6265bis §5.8.3), so that `=a=b` comes back as the cookie `a`.
fn name_sent_back(line: &[u8]) -> &[u8] {
    let pair = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let pair = pair.trim_ascii();
    let pair = pair.strip_prefix(b"=").unwrap_or(pair);
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    name.trim_ascii()
}

/// Answers 101 and joins both sides once the client has it. A 101 that nobody asked for never gets here: the
/// pool takes it for a bad answer.
fn join_tunnel(
    mut response: Response<Body>,
    client_side: Option<OnUpgrade>,
    streams: &ConnectionStreams,
    in_flight: Option<InFlight>,
    reply: respond::FailureReply,
) -> Response<Body> {
    let Some(client_side) = client_side else {
        return reply.bad_upgrade();
    };
    let upstream_side = hyper::upgrade::on(&mut response);
    let headers = response.headers_mut();
    remove_hop_by_hop(headers);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    streams.spawn_tunnel(in_flight, |stop| upstream::join(client_side, upstream_side, stop));
    let (parts, _) = response.into_parts();
    Response::from_parts(parts, Body::empty())
}

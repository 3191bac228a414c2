//! To the upstream and back.

use super::pipeline::Gate;
use super::respond;
use crate::clock::{UnixSeconds, monotonic};
use crate::http::body::Body;
use crate::http::hop_by_hop::remove_hop_by_hop;
use crate::policy::Permit;
use crate::request::CleanRequest;
use crate::streams::Streams;
use crate::upstream::{self, Pool, UpstreamRequest};
use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures_util::FutureExt as _;
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;
use std::time::Duration;

/// A renewed cookie is handed out only with an answer that comes this soon. After a slow one the user may have
/// signed out meanwhile, and the cookie would sign the browser in again; the next request renews it.
const RENEWAL_FRESH_FOR: Duration = Duration::from_secs(5);

/// A permitted request on its way, and what its answer will take.
pub(super) struct Outbound {
    request: UpstreamRequest,
    reply: respond::FailureReply,
    /// Boxed, since it is there once a minute.
    renewal: Option<Box<Renewal>>,
}

/// Session cookies sealed anew.
struct Renewal {
    lines: Vec<HeaderValue>,
    sealed_at: UnixSeconds,
}

impl Outbound {
    /// Joins the request with its permit. `renewal` are the session cookies, sealed now, that its answer sets.
    pub(super) fn new(
        gate: &Gate,
        clean: CleanRequest,
        permit: &Permit<'_>,
        renewal: Vec<HeaderValue>,
        now: UnixSeconds,
    ) -> Self {
        let reply = respond::FailureReply::of(&clean);
        let request = UpstreamRequest::new(clean, permit, &gate.header_rules, &gate.upstream_host, |name| {
            gate.cookies.is_own(name)
        });
        Self {
            request,
            reply,
            renewal: (!renewal.is_empty()).then(|| {
                Box::new(Renewal {
                    lines: renewal,
                    sealed_at: now,
                })
            }),
        }
    }

    /// Sends it, and gives the upstream's answer, or the proxy's own when there is none.
    pub(super) fn forward<'a>(
        self,
        gate: Arc<Gate>,
        pool: &Pool,
        streams: &'a Streams,
    ) -> impl Future<Output = Response<Body>> + Send + use<'a> {
        let Self {
            request,
            reply,
            renewal,
        } = self;
        let (message, client_side) = request.into_message();
        let begun = monotonic();
        pool.send(message).map(move |sent| {
            if sent.is_ok() {
                gate.metrics.upstream_answered(begun.elapsed());
            }
            let mut response = match sent {
                Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    join_tunnel(&gate, response, client_side, streams, reply)
                }
                Ok(mut response) => {
                    clean_answer(&gate, response.headers_mut());
                    response
                }
                Err(error) => {
                    gate.metrics.upstream_failed(error.label());
                    tracing::warn!(%error, request_id = reply.request_id(), "the upstream gave no answer");
                    reply.upstream_failed(&gate.endpoints, &error)
                }
            };
            if let Some(renewal) = renewal
                && gate.clock.now().since(renewal.sealed_at) <= RENEWAL_FRESH_FOR
            {
                respond::apply_renewal(response.headers_mut(), renewal.lines);
            }
            response
        })
    }
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
    gate: &Gate,
    mut response: Response<Body>,
    client_side: Option<OnUpgrade>,
    streams: &Streams,
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
    let open = gate.metrics.websocket_opened();
    streams.spawn_tunnel(|end| {
        upstream::join(client_side, upstream_side, end).map(move |stats| {
            drop(open);
            stats
        })
    });
    let (parts, _) = response.into_parts();
    Response::from_parts(parts, Body::empty())
}

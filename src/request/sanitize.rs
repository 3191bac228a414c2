//! Raw to clean: refuse what is ambiguous, strip what could pass for ours.
//!
//! Stops request smuggling, identity-header spoofing (also by `Connection` nominations and by spellings that a
//! CGI-like upstream folds together), path confusion, and cross-site WebSocket hijacking. It runs before
//! anything looks at the request, on every path and for every method. It never reads the body.

use super::check::{Described, behind, hands_on_too_much};
use super::clean::CleanRequest;
use super::{RawRequest, Reject};
use crate::http::forwarded::{self, Peer, PublicOrigin, TrustedProxies};
use crate::http::framing::check_framing;
use crate::http::hop_by_hop::remove_hop_by_hop;
use crate::http::host::{HostAndPort, request_host};
use crate::http::request_id::write_request_id;
use crate::http::target::{RequestTarget, TargetError};
use crate::http::upgrade::{Upgrade, UpgradeError, origin_allowed, requested_upgrade};
use crate::identity::HeaderRules;
use ::http::{HeaderMap, Method, header};
use hyper::body::Body as _;
use std::sync::Arc;

/// How large a message may be.
#[derive(Debug, Clone, Copy)]
pub struct MessageLimits {
    /// Bytes of all field lines together, names and values.
    pub header_bytes: usize,
    /// Number of field lines.
    pub headers: usize,
    /// Bytes of the request target.
    pub target_bytes: usize,
    /// Bytes of a body, whether or not it declares its length; `None` is no limit.
    pub body_bytes: Option<u64>,
}

/// Says whether a host is served.
pub type AllowedHosts = fn(&HostAndPort) -> bool;

/// Turns raw requests into clean ones.
#[derive(Debug)]
pub struct Sanitizer {
    /// Sizes beyond which a message is refused.
    pub limits: MessageLimits,
    /// Which fields are the proxy's own.
    pub header_rules: Arc<HeaderRules>,
    /// Whose forwarding fields are believed.
    pub trusted_proxies: TrustedProxies,
    /// Where browsers reach the proxy.
    pub public_origin: PublicOrigin,
    /// The path of the endpoint where trusted peers ask whether a request may pass.
    pub check_path: String,
    /// Whether an ambiguous path is left to the routes. One that nothing is certain of is refused all the same.
    pub admits_ambiguous: bool,
    /// Hosts that are served; `None` serves whatever the client names.
    pub allowed_hosts: Option<AllowedHosts>,
}

impl Sanitizer {
    /// Cleans one request, or says why it is refused.
    pub fn sanitize(&self, raw: RawRequest) -> Result<CleanRequest, Reject> {
        let RawRequest {
            mut message,
            peer,
            ambiguous_framing,
        } = raw;
        let on_upgrade = message.extensions().get::<hyper::upgrade::OnUpgrade>().is_some();
        if matches!(*message.method(), Method::CONNECT | Method::TRACE) {
            return Err(Reject::Method);
        }
        let target =
            RequestTarget::parse(message.uri(), self.limits.target_bytes).map_err(|error| match error {
                TargetError::TooLong => Reject::TargetTooLong,
                _ => Reject::Target,
            })?;
        if let Err(ambiguous) = target.judged_path()
            && (!self.admits_ambiguous || ambiguous.certain.is_none())
        {
            return Err(Reject::AmbiguousPath);
        }
        self.check_sizes(message.headers(), message.body().size_hint().exact())?;
        let host = request_host(message.version(), message.headers(), &target).map_err(|_| Reject::Host)?;
        if self.allowed_hosts.is_some_and(|allowed| !allowed(&host)) {
            return Err(Reject::MisdirectedHost);
        }
        check_framing(message.version(), message.headers()).map_err(|_| Reject::Framing)?;
        if ambiguous_framing {
            return Err(Reject::Framing);
        }
        check_expectation(message.headers())?;
        let described = self.described(&message, &peer, &target, &host)?;
        let upgrade = self.check_upgrade(&message, described.as_ref())?;
        let on_upgrade = (on_upgrade && described.is_none() && !matches!(upgrade, Upgrade::None))
            .then(|| hyper::upgrade::on(&mut message));

        let (parts, body) = message.into_parts();
        let check = described.as_ref().map(|described| described.form);
        let (method, target, host) = match described {
            None => (parts.method, target, host),
            Some(described) => (described.method, described.target, described.host),
        };
        let mut headers = parts.headers;
        remove_hop_by_hop(&mut headers);
        headers.remove(header::EXPECT);
        let authorization = match headers.get_all(header::AUTHORIZATION) {
            fields
                if self
                    .header_rules
                    .is_owned(header::AUTHORIZATION.as_str().as_bytes()) =>
            {
                fields.iter().cloned().collect()
            }
            _ => Vec::new(),
        };
        self.header_rules.strip(&mut headers);
        let client = forwarded::client(&headers, peer, &self.trusted_proxies);
        forwarded::write_forwarded(&mut headers, peer, &client, &host, &self.public_origin);
        let request_id = write_request_id(&mut headers, client.trusted_peer);
        Ok(CleanRequest {
            method,
            target,
            host,
            client,
            headers,
            authorization,
            body,
            body_limit: self.limits.body_bytes.unwrap_or(u64::MAX),
            upgrade,
            on_upgrade,
            request_id,
            check,
        })
    }

    /// The request that a message asks about, if it is one that asks.
    fn described<B>(
        &self,
        message: &::http::Request<B>,
        peer: &Peer,
        target: &RequestTarget,
        host: &HostAndPort,
    ) -> Result<Option<Described>, Reject> {
        let Some(rest) = behind(target, &self.check_path) else {
            return Ok(None);
        };
        if !self.trusted_proxies.trusts(peer) {
            return Err(Reject::CheckPeer);
        }
        let (method, headers) = (message.method(), message.headers());
        let described = Described::read(method, host, headers, target, rest?, self.limits.target_bytes)?;
        if self
            .allowed_hosts
            .is_some_and(|allowed| !allowed(&described.host))
        {
            return Err(Reject::MisdirectedHost);
        }
        if hands_on_too_much(headers, |name| self.header_rules.is_owned(name)) {
            return Err(Reject::Described);
        }
        Ok(Some(described))
    }

    fn check_sizes(&self, headers: &HeaderMap, body_bytes: Option<u64>) -> Result<(), Reject> {
        // Four bytes a line for the colon, the space and the line end.
        let bytes: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len().saturating_add(value.len()).saturating_add(4))
            .sum();
        if headers.len() > self.limits.headers || bytes > self.limits.header_bytes {
            return Err(Reject::HeaderTooLarge);
        }
        match (self.limits.body_bytes, body_bytes) {
            (Some(limit), Some(declared)) if declared > limit => Err(Reject::BodyTooLarge),
            _ => Ok(()),
        }
    }

    fn check_upgrade<B>(
        &self,
        message: &::http::Request<B>,
        described: Option<&Described>,
    ) -> Result<Upgrade, Reject> {
        if let Some(described) = described {
            return match described.is_handshake(message.headers()) {
                false => Ok(Upgrade::None),
                true if described.origin_allowed(message.headers(), &self.public_origin) => {
                    Ok(Upgrade::WebSocket)
                }
                true => Err(Reject::UpgradeOrigin),
            };
        }
        let upgrade =
            requested_upgrade(message.method(), message.version(), message.headers()).map_err(|error| {
                match error {
                    UpgradeError::Version => Reject::UpgradeVersion,
                    _ => Reject::Upgrade,
                }
            })?;
        if !matches!(upgrade, Upgrade::None)
            && !origin_allowed(message.headers(), self.public_origin.as_str())
        {
            return Err(Reject::UpgradeOrigin);
        }
        Ok(upgrade)
    }
}

fn check_expectation(headers: &HeaderMap) -> Result<(), Reject> {
    let met = headers
        .get_all(header::EXPECT)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if met { Ok(()) } else { Err(Reject::Expectation) }
}

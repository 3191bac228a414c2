//! The clean request: what policy may judge and the upstream may be sent.

use super::CheckForm;
use crate::http::body::Body;
use crate::http::forwarded::Client;
use crate::http::host::HostAndPort;
use crate::http::target::RequestTarget;
use crate::http::upgrade::Upgrade;
use ::http::{HeaderMap, HeaderValue, Method, header};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;

/// A sanitised request. Its fields can be set inside `request` only.
#[derive(Debug)]
pub struct CleanRequest {
    pub(super) method: Method,
    pub(super) target: RequestTarget,
    pub(super) host: HostAndPort,
    pub(super) client: Client,
    pub(super) headers: HeaderMap,
    /// The client's own, when the proxy sets this field towards the upstream.
    pub(super) authorization: Vec<HeaderValue>,
    pub(super) body: Incoming,
    pub(super) body_limit: u64,
    pub(super) upgrade: Upgrade,
    pub(super) on_upgrade: Option<OnUpgrade>,
    pub(super) request_id: HeaderValue,
    pub(super) check: Option<CheckForm>,
}

/// A clean request taken apart, for whoever turns it into the next thing.
#[derive(Debug)]
pub struct CleanParts {
    /// The method, never CONNECT or TRACE.
    pub method: Method,
    /// The target, to be sent on byte for byte.
    pub target: RequestTarget,
    /// The one host that the client named.
    pub host: HostAndPort,
    /// Fields without hop-by-hop ones and without any that the proxy owns; forwarding fields are written.
    pub headers: HeaderMap,
    /// The body, not read yet: nobody has answered `100 Continue`. It fails beyond `limits.body_bytes`.
    pub body: Body,
    /// Whether the client asked for a WebSocket.
    pub upgrade: Upgrade,
    /// The client's side of that WebSocket, once the answer 101 is sent.
    pub on_upgrade: Option<OnUpgrade>,
}

impl CleanRequest {
    /// The method, never CONNECT or TRACE.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The request target. Its path is ambiguous only where some route takes such paths; whether this one's does is for policy
    /// to say.
    pub const fn target(&self) -> &RequestTarget {
        &self.target
    }

    /// The one host that the client named.
    pub const fn host(&self) -> &HostAndPort {
        &self.host
    }

    /// Who sent it, as far as trusted proxies tell.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The remaining fields, the client's cookies among them.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The `Authorization` fields that the client sent, whether or not they go on.
    pub fn authorization(&self) -> impl Iterator<Item = &HeaderValue> {
        let going_on = self.headers.get_all(header::AUTHORIZATION);
        self.authorization.iter().chain(going_on)
    }

    /// Keeps them from the upstream.
    pub fn withhold_authorization(&mut self) {
        self.headers.remove(header::AUTHORIZATION);
    }

    /// Whether a WebSocket is asked for.
    pub const fn upgrade(&self) -> &Upgrade {
        &self.upgrade
    }

    /// The id that names this request in logs, answers and towards the upstream.
    pub const fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// When another proxy only asks whether this request may pass, and will forward it itself: how it asks. Everything else
    /// here is then about the request that it describes, but for the body.
    pub const fn check(&self) -> Option<CheckForm> {
        self.check
    }

    /// Whether there is a body that nobody has read yet.
    pub fn has_body(&self) -> bool {
        !self.body.is_end_stream()
    }

    /// Takes it apart.
    pub fn into_parts(self) -> CleanParts {
        CleanParts {
            method: self.method,
            target: self.target,
            host: self.host,
            headers: self.headers,
            body: Body::streamed(self.body).with_limit(self.body_limit),
            upgrade: self.upgrade,
            on_upgrade: self.on_upgrade,
        }
    }
}

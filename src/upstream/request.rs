//! The request to the upstream: made from a clean request and a permit, and from nothing else.
//!
//! Here, and only here, the proxy's own words about the user are added, after everything that could pass for
//! them was stripped. The target goes on byte for byte as it was judged, or as its route
//! rewrites it.

use crate::http::body::Body;
use crate::http::cookies;
use crate::http::folding::{fold, folded_equals};
use crate::http::method_override::is_method_override;
use crate::http::upgrade::Upgrade;
use crate::identity::{HeaderRules, TokenHeaders};
use crate::policy::Permit;
use crate::request::CleanRequest;
use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version, header};
use hyper::upgrade::OnUpgrade;

/// What `Host` the upstream sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UpstreamHost {
    /// The one that the client named. The default.
    #[default]
    Keep,
    /// Always this one.
    Replace(HeaderValue),
}

/// What an upstream is shown otherwise than the client sent it.
#[derive(Debug)]
pub struct Treatment<'a> {
    /// The Host.
    pub host: &'a UpstreamHost,
    /// Another target; `None`: byte for byte the one that was judged.
    pub target: Option<PathAndQuery>,
    /// Header fields, in the place of any that could pass for them.
    pub set_headers: &'a [(HeaderName, HeaderValue)],
    /// The caller's tokens.
    pub tokens: TokenHeaders,
}

/// A request that may be sent to the upstream.
#[derive(Debug)]
pub struct UpstreamRequest {
    message: Request<Body>,
    tunnel: Option<OnUpgrade>,
}

impl UpstreamRequest {
    /// Joins a clean request with the permit for it. `is_own_cookie` names the proxy's cookies, which the
    /// upstream never sees.
    pub fn new(
        clean: CleanRequest,
        permit: &Permit<'_>,
        rules: &HeaderRules,
        treatment: Treatment<'_>,
        is_own_cookie: impl Fn(&[u8]) -> bool,
    ) -> Self {
        let mut parts = clean.into_parts();
        cookies::remove_own(&mut parts.headers, is_own_cookie);
        if permit.depends_on_method() {
            remove_method_overrides(&mut parts.headers);
        }
        rules.apply_host(parts.host.as_header_value(), &mut parts.headers);
        if let Some(identity) = permit.identity() {
            identity.apply(rules, &mut parts.headers);
        }
        set(&mut parts.headers, treatment.set_headers);
        treatment.tokens.apply(&mut parts.headers);
        if let UpstreamHost::Replace(host) = treatment.host {
            parts.headers.insert(header::HOST, host.clone());
        }
        let websocket = !matches!(parts.upgrade, Upgrade::None);
        if websocket {
            ask_for_websocket(&mut parts.headers);
        }
        let body = if websocket { Body::empty() } else { parts.body };
        let mut message = Request::new(body);
        *message.method_mut() = parts.method;
        *message.version_mut() = Version::HTTP_11;
        let target = treatment.target;
        *message.uri_mut() = Uri::from(target.unwrap_or_else(|| parts.target.path_and_query().clone()));
        *message.headers_mut() = parts.headers;
        Self {
            message,
            tunnel: if websocket { parts.on_upgrade } else { None },
        }
    }

    /// Adds the signed assertion of who is calling, under a name that was stripped with all that the proxy owns.
    pub fn assert(&mut self, name: HeaderName, assertion: HeaderValue) {
        self.message.headers_mut().insert(name, assertion);
    }

    /// The message to write, and the client's side of the tunnel if one was asked for.
    pub fn into_message(self) -> (Request<Body>, Option<OnUpgrade>) {
        (self.message, self.tunnel)
    }
}

fn set(headers: &mut HeaderMap, fields: &[(HeaderName, HeaderValue)]) {
    for (name, value) in fields {
        let folded = fold(name.as_str().as_bytes());
        let is_it = |sent: &&HeaderName| folded_equals(sent.as_str().as_bytes(), &folded);
        let alike: Vec<HeaderName> = headers.keys().filter(is_it).cloned().collect();
        for sent in alike {
            headers.remove(sent);
        }
        headers.insert(name.clone(), value.clone());
    }
}

/// Some frameworks take a method from these fields; what was judged was the one in the request line.
fn remove_method_overrides(headers: &mut HeaderMap) {
    let overrides: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_method_override(name))
        .cloned()
        .collect();
    for name in overrides {
        headers.remove(name);
    }
}

/// The handshake fields are hop-by-hop, so they were removed with the rest and are written anew.
fn ask_for_websocket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

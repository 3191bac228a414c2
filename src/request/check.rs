//! Forward-auth: a request that another proxy describes, and asks about before it forwards it itself.
//!
//! The description takes the place of the message, so that it is cleaned and judged by the very steps of a request that came
//! here. Stops a client from describing its own request: it is believed of trusted peers alone, in one form at a time, each
//! part of it exactly once. Stops two readings of it: what the peer would have to read as the proxy does is refused where
//! it is doubtful. Stops what is taken out of requests that are forwarded here, where the peer would hand it on because it
//! does not know it. Refuses to know policy.

use super::Reject;
use crate::http::folding::fold_byte;
use crate::http::forwarded::PublicOrigin;
use crate::http::host::HostAndPort;
use crate::http::target::RequestTarget;
use crate::http::upgrade::names_other_protocol;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

static X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
static X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
static X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
static HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// How a peer describes a request, which tells what it makes of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckForm {
    /// `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri` (Traefik, Caddy). Any 2xx lets the request pass; every other
    /// answer goes to the client as it is.
    Forwarded,
    /// `X-Original-URL` and `X-Original-Method` (nginx). Any 2xx lets the request pass; 401 and 403 are known, and neither
    /// body nor fields reach the client unless the peer is told so; everything else is an error of the peer's.
    Original,
    /// The request's own method and host, and its target behind the endpoint's path (Envoy). 200 lets the request pass;
    /// every other answer goes to the client.
    Target,
}

/// A request as described.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) form: CheckForm,
    pub(super) method: Method,
    pub(super) target: RequestTarget,
    pub(super) host: HostAndPort,
}

/// What comes behind the endpoint's path in a target; `None` when the target is not the endpoint's.
pub(super) fn behind<'a>(target: &'a RequestTarget, endpoint: &str) -> Option<Result<&'a str, Reject>> {
    let rest = target.canonical_path().ok()?.strip_prefix(endpoint)?;
    // No peer writes the endpoint's own path with escapes, so what is behind it can be taken as it came.
    (rest.is_empty() || rest.starts_with('/')).then(|| {
        target
            .raw_path()
            .strip_prefix(endpoint)
            .ok_or(Reject::CheckDescription)
    })
}

impl Described {
    /// Reads the description out of a message that asks the endpoint at `endpoint`: `rest` comes behind it.
    pub(super) fn read(
        method: &Method,
        host: &HostAndPort,
        headers: &HeaderMap,
        target: &RequestTarget,
        rest: &str,
        target_bytes: usize,
    ) -> Result<Self, Reject> {
        let has = |name: &HeaderName| headers.contains_key(name);
        let forwarded = has(&X_FORWARDED_URI) || has(&X_FORWARDED_METHOD);
        let original = has(&X_ORIGINAL_URL) || has(&X_ORIGINAL_METHOD);
        match (rest.is_empty(), forwarded, original) {
            (true, true, false) => Self::from_forwarded(headers, target_bytes),
            (true, false, true) => Self::from_original(headers, target_bytes),
            (false, false, false) => {
                let described = match target.query() {
                    Some(query) => parse_target(&format!("{rest}?{query}"), target_bytes)?,
                    None => parse_target(rest, target_bytes)?,
                };
                Ok(Self {
                    form: CheckForm::Target,
                    method: method.clone(),
                    target: described,
                    host: host.clone(),
                })
            }
            // Of two descriptions one may be the client's.
            _ => Err(Reject::CheckDescription),
        }
    }

    fn from_forwarded(headers: &HeaderMap, target_bytes: usize) -> Result<Self, Reject> {
        let scheme = headers.get_all(&X_FORWARDED_PROTO).iter().count();
        if scheme > 1 {
            return Err(Reject::CheckDescription);
        }
        let host = only(headers, &X_FORWARDED_HOST)?;
        Ok(Self {
            form: CheckForm::Forwarded,
            method: parse_method(only(headers, &X_FORWARDED_METHOD)?)?,
            target: parse_target(text(only(headers, &X_FORWARDED_URI)?)?, target_bytes)?,
            host: HostAndPort::from_value(host).map_err(|_| Reject::Host)?,
        })
    }

    /// What the client may be at fault for gets 403 in this form: of other answers nginx makes a 500.
    fn from_original(headers: &HeaderMap, target_bytes: usize) -> Result<Self, Reject> {
        let method = only(headers, &X_ORIGINAL_METHOD)?;
        let url = text(only(headers, &X_ORIGINAL_URL)?).map_err(|_| Reject::Described)?;
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme))
            .ok_or(Reject::CheckDescription)?;
        // The first slash ends the host: what a client might put there before it makes no host.
        let slash = rest.find('/').ok_or(Reject::Described)?;
        let (host, target) = rest.split_at(slash);
        Ok(Self {
            form: CheckForm::Original,
            method: parse_method(method).map_err(|_| Reject::Described)?,
            target: parse_target(target, target_bytes).map_err(|_| Reject::Described)?,
            host: host.parse().map_err(|_| Reject::Described)?,
        })
    }

    /// Whether the client asks for a WebSocket. Peers take out what a handshake says hop by hop; the key stays.
    pub(super) fn is_handshake(&self, headers: &HeaderMap) -> bool {
        self.method == Method::GET
            && (headers.contains_key(header::SEC_WEBSOCKET_KEY) || headers.contains_key(header::UPGRADE))
    }

    /// Whether a handshake comes from a page of this site, or of the host that it is for.
    pub(super) fn origin_allowed(&self, headers: &HeaderMap, public: &PublicOrigin) -> bool {
        let mut lines = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = lines.next() else { return true };
        if lines.next().is_some() {
            return false;
        }
        let text = origin.to_str().unwrap_or_default();
        text.eq_ignore_ascii_case(public.as_str())
            || (!public.has_host(&self.host) && {
                let host = text
                    .strip_prefix(public.scheme())
                    .and_then(|rest| rest.strip_prefix("://"))
                    .and_then(|host| host.parse::<HostAndPort>().ok());
                host.is_some_and(|host| host.host() == self.host.host())
            })
    }
}

/// Whether there is something that the peer hands on to the app unless it is told to take it out, which nobody can tell it in
/// general: a name that only reads like an owned one, since peers take headers out by name, or an upgrade to another protocol
/// than WebSocket, behind which the peer would ask about nothing more. `Upgrade` itself is left out of the question by many
/// peers; `HTTP2-Settings`, without which no server takes `h2c` (RFC 7540 §3.2.1), is not.
pub(super) fn hands_on_too_much(headers: &HeaderMap, is_owned: impl Fn(&[u8]) -> bool) -> bool {
    let only_reads_like = |name: &HeaderName| {
        let name = name.as_str().as_bytes();
        name.iter().any(|byte| fold_byte(*byte) != *byte) && is_owned(name)
    };
    names_other_protocol(headers)
        || headers.contains_key(&HTTP2_SETTINGS)
        || headers.keys().any(only_reads_like)
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a HeaderValue, Reject> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line),
        _ => Err(Reject::CheckDescription),
    }
}

fn text(value: &HeaderValue) -> Result<&str, Reject> {
    value.to_str().map_err(|_| Reject::AmbiguousPath)
}

/// As the request line has it: capitals count. What the proxy does not serve itself is not judged for others either.
fn parse_method(value: &HeaderValue) -> Result<Method, Reject> {
    let method = Method::from_bytes(value.as_bytes()).map_err(|_| Reject::CheckDescription)?;
    if matches!(method, Method::CONNECT | Method::TRACE) {
        return Err(Reject::Method);
    }
    Ok(method)
}

fn parse_target(text: &str, target_bytes: usize) -> Result<RequestTarget, Reject> {
    // The parser of URIs drops a fragment; the peer may send it on.
    if !text.starts_with('/') || text.contains('#') {
        return Err(Reject::AmbiguousPath);
    }
    let uri: Uri = text.parse().map_err(|_| Reject::AmbiguousPath)?;
    let target = RequestTarget::parse(&uri, target_bytes).map_err(|_| Reject::Target)?;
    match target.canonical_path() {
        Ok(_) if target.path_and_query().as_str() == text => Ok(target),
        _ => Err(Reject::AmbiguousPath),
    }
}

//! What becomes of the requests of a route otherwise than usual, in words.
//!
//! Values of headers are never among them: they may be credentials.

use crate::config::value::duration::display;
use crate::endpoints::SignInDefaults;
use crate::policy::Route;
use crate::proxy::Gate;
use crate::upstream::{UpstreamHost, UpstreamId};
use ::http::{HeaderName, HeaderValue};

/// What a route does with what passes, and with who must sign in; one phrase each, for a line of a table.
pub(super) fn phrases(gate: &Gate, route: &Route) -> Vec<String> {
    let settings = gate.settings.of(route);
    let mut phrases = Vec::new();
    if route.passes_ambiguous {
        phrases.push("ambiguous paths pass".to_owned());
    }
    let upstream = gate.upstreams.of(settings.upstream);
    let usual = gate.upstreams.of(UpstreamId::default());
    if upstream.address != usual.address {
        phrases.push(format!("to {}", upstream.address));
    }
    if let Some(rewrite) = &settings.rewrite {
        phrases.push(format!("as {}", rewrite.shown(&route.pattern.to_string())));
    }
    if let UpstreamHost::Replace(host) = &settings.upstream_host {
        phrases.push(format!("Host {}", host.to_str().unwrap_or_default()));
    }
    if upstream.response_header_timeout != usual.response_header_timeout {
        let timeout = display(upstream.response_header_timeout);
        phrases.push(format!("answered within {timeout}"));
    }
    if !settings.set_headers.is_empty() {
        phrases.push(format!("sets {}", names(&settings.set_headers)));
    }
    let tokens = settings.tokens.iter().flat_map(|tokens| tokens.rules());
    phrases.extend(tokens.map(|token| format!("with {token}")));
    phrases.extend(cors(gate, route).map(|cors| format!("cors: {cors}")));
    phrases.extend(sign_in(gate, route).map(|sign_in| format!("sign-in with {sign_in}")));
    phrases
}

/// The names of header fields.
pub(super) fn names(fields: &[(HeaderName, HeaderValue)]) -> String {
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}

/// What is said to scripts of other origins.
pub(super) fn cors(gate: &Gate, route: &Route) -> Option<String> {
    match &gate.settings.of(route).cors {
        Some(policy) => Some(policy.to_string()),
        None => route
            .passes_preflights
            .then(|| "preflights pass to the app".to_owned()),
    }
}

/// What a sign-in for the route asks Logto for, where it has its own.
pub(super) fn sign_in(gate: &Gate, route: &Route) -> Option<String> {
    let SignInDefaults {
        prompt, parameters, ..
    } = gate.endpoints.sign_ins.own(route)?;
    let prompt = prompt.iter().map(|prompt| format!("prompt={prompt}"));
    let parameters = parameters.iter().map(|(name, value)| format!("{name}={value}"));
    let said: Vec<String> = parameters.chain(prompt).collect();
    Some(if said.is_empty() {
        "no parameters".to_owned()
    } else {
        said.join(", ")
    })
}

//! `logto-proxy explain`: what would become of a request, and why.
//!
//! Judges by the very parts that requests meet. Nothing is called, bound or opened: whether a session was ended is in the store
//! of the running proxy, and not looked at here. Tokens are never printed.

mod person;

use super::check::rehearse;
use super::output::{complain, say};
use super::run::load;
use super::{ConfigFlags, NEEDS_SIGN_IN, REFUSED, WRONG_SETUP, treatment};
use crate::config::value::duration::display;
use crate::endpoints::Endpoint;
use crate::http::RequestTarget;
use crate::http::host::HostAndPort;
use crate::identity::{HeaderRules, ProjectedHeaders};
use crate::policy::{Caller, Condition, Decision, Reason, RequestFacts, Requirement, decide};
use crate::proxy::Gate;
use ::http::uri::Authority;
use ::http::{HeaderMap, Method, Uri};
use clap::Args;
use person::{Person, person};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Room for a target that the real sanitiser would let in under any configuration.
const TARGET_BYTES: usize = 1 << 20;
/// Most that is read of a file or of standard input, in bytes.
const INPUT_BYTES: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct ExplainFlags {
    #[command(flatten)]
    config: ConfigFlags,
    /// The user, as claims in a JSON file; or, where they name a `client_id`, an access token by its claims; "-" reads standard
    /// input. Without this and --cookie nobody is signed in
    #[arg(long = "as", value_name = "CLAIMS.JSON", conflicts_with = "cookie")]
    claims: Option<PathBuf>,
    /// The user, as a session cookie: the value of a Cookie field, or of the one cookie; "-" reads standard input
    #[arg(long, value_name = "VALUE", hide_env_values = true)]
    cookie: Option<String>,
    /// The method, unless it stands before the path
    #[arg(long, short = 'X', value_name = "METHOD")]
    method: Option<String>,
    /// The host that the request names; the one of public_url if not given
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The address it comes from
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// The path, percent-encoded as in a request; a method may stand before it
    #[arg(value_name = "[METHOD] PATH", num_args = 1..=2, required = true)]
    request: Vec<String>,
}

/// What ends the command before there is a verdict.
struct Stop(ExitCode);

fn wrong(message: impl fmt::Display) -> Stop {
    complain(format_args!("error: {message}"));
    Stop(ExitCode::from(WRONG_SETUP))
}

/// Judges one request and prints how.
pub(super) fn run(flags: &ExplainFlags) -> ExitCode {
    let config = match load(&flags.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    // Kept to the end, for the gate's tasks belong to it.
    let (compiled, _runtime) = match rehearse(&config) {
        Ok(compiled) => compiled,
        Err(code) => return code,
    };
    explain(flags, &compiled.gate, config.public_url.host()).unwrap_or_else(|Stop(code)| code)
}

fn explain(flags: &ExplainFlags, gate: &Gate, public_host: &str) -> Result<ExitCode, Stop> {
    let (method, path) = match flags.request.as_slice() {
        [method, path] => (Some(method.as_str()), path.as_str()),
        [path] => (flags.method.as_deref(), path.as_str()),
        _ => return Err(wrong("expected a path")),
    };
    let method = method.unwrap_or("GET");
    let verb = Method::from_bytes(method.as_bytes())
        .map_err(|_| wrong(format_args!("{} is no method", shown(method))))?;
    if !path.starts_with('/') && !path.contains("://") {
        return Err(wrong("expected a path that begins with `/`"));
    }
    let uri: Uri = path
        .parse()
        .map_err(|_| wrong("this is no path that a request can have"))?;
    let target = RequestTarget::parse(&uri, TARGET_BYTES).map_err(wrong)?;
    let of_target = target.authority().map(Authority::as_str);
    let host: HostAndPort = flags
        .host
        .as_deref()
        .or(of_target)
        .unwrap_or(public_host)
        .parse()
        .map_err(|error| wrong(format_args!("the host: {error}")))?;
    if of_target.is_some_and(|named| !named.eq_ignore_ascii_case(host.as_str())) {
        return Err(wrong("the path names another host than --host"));
    }
    let person = person(flags, gate)?;
    row(
        "request",
        format_args!("{method} {}{}", host.host(), target.raw_path()),
    );
    row(
        "caller",
        match &person {
            Some(person) => format!("{} {} ({})", person.kind(), shown(&person.subject), person.source),
            None => "nobody is signed in".to_owned(),
        },
    );
    if matches!(verb, Method::CONNECT | Method::TRACE) {
        row("verdict", "refused with 405, whoever asks");
        return Ok(ExitCode::from(REFUSED));
    }
    let facts = RequestFacts {
        method,
        host: host.host(),
        path: target.judged_path(),
        address: flags.ip,
    };
    if let Some(why) = gate.refused_path(&facts) {
        row("verdict", "refused with 400: no route is about such a path");
        row("because", why);
        return Ok(ExitCode::from(REFUSED));
    }
    if let Ok(canonical) = facts.path
        && gate.endpoints.paths.is_own(canonical)
    {
        // Whatever is not found there is where other proxies ask.
        let endpoint = gate.endpoints.paths.find(canonical);
        let name = endpoint.map_or("auth", Endpoint::as_str);
        row("verdict", format_args!("answered by the proxy itself ({name})"));
        return Ok(ExitCode::SUCCESS);
    }
    let is_token = person.as_ref().is_some_and(|person| person.token.is_some());
    Ok(judge(gate, &facts, &target, person, is_token))
}

fn judge(
    gate: &Gate,
    facts: &RequestFacts<'_>,
    target: &RequestTarget,
    person: Option<Person>,
    is_token: bool,
) -> ExitCode {
    let matched = gate.routes.find(facts);
    let route = matched.route();
    if let Err(ambiguous) = facts.path {
        row("path", format_args!("{}: sent on as it came", ambiguous.why));
    }
    row("route", route);
    row("opens for", &route.access);
    for other in matched.asked().skip(1) {
        row("", format_args!("and {}, by {other}", other.access));
    }
    if let Some(cors) = treatment::cors(gate, route) {
        row("cors", cors);
    }
    let takes_tokens = matched.asked().all(|route| gate.settings.of(route).bearer);
    let person = person.filter(|person| person.token.is_none() || takes_tokens);
    if takes_tokens {
        row("", "a bearer token counts here");
    } else if is_token {
        row("", "no bearer token counts here: it is the app's own affair");
    }
    let caller = |identity| {
        person
            .as_ref()
            .map_or(Caller::Nobody, |person| person.caller(identity))
    };
    let identity = person
        .as_ref()
        .map(|person| person.identity.clone())
        .unwrap_or_default();
    let requirements = matched.asked().filter_map(|route| route.requirement());
    for condition in requirements.flat_map(Requirement::conditions) {
        row(
            "",
            condition_line(condition, &caller(ProjectedHeaders::default()), facts.address),
        );
    }
    match decide(matched, caller(identity)) {
        Decision::Forward(permit) => {
            row("verdict", "passes");
            let settings = gate.settings.of(permit.route());
            let upstream = gate.upstreams.of(settings.upstream);
            let timeout = display(upstream.response_header_timeout);
            row(
                "upstream",
                format_args!("{}, answered within {timeout}", upstream.address),
            );
            if let Some(rewrite) = &settings.rewrite {
                let arrives = rewrite.apply(target);
                let path = arrives.as_ref().map_or("none", |path| path.path());
                row("", format_args!("asked for {path}"));
            }
            if !settings.set_headers.is_empty() {
                row(
                    "",
                    format_args!("with {}", treatment::names(&settings.set_headers)),
                );
            }
            match permit.identity() {
                Some(identity) => {
                    print_headers(identity, &gate.header_rules);
                    if let Some(name) = gate.header_rules.assertion_header() {
                        let audience = &settings.audience;
                        row("", format_args!("{name}: (signed for {audience})"));
                    }
                }
                None => row("headers", "none: the app is told nothing about who it is"),
            }
            let tokens = settings.tokens.iter().flat_map(|tokens| tokens.rules());
            let is_session = permit.identity().is_some() && !is_token;
            for token in tokens.filter(|_| is_session) {
                row("token", token);
            }
            ExitCode::SUCCESS
        }
        Decision::SignIn(_) => {
            row(
                "verdict",
                "needs a sign-in: 401, or the redirect for a person's browser",
            );
            if let Some(sign_in) = treatment::sign_in(gate, route) {
                row("sign-in", sign_in);
            }
            ExitCode::from(NEEDS_SIGN_IN)
        }
        Decision::Refuse(refusal) => {
            row("verdict", "refused with 403");
            row("because", &refusal.reason);
            if let Reason::Unmet(unmet) = &refusal.reason {
                row("asked for", unmet.condition);
            }
            ExitCode::from(REFUSED)
        }
    }
}

fn condition_line(condition: &Condition, caller: &Caller<'_>, address: Option<IpAddr>) -> String {
    match condition.check(caller, address) {
        Ok(()) => format!("holds   {condition}"),
        Err(why) => format!("fails   {condition}: {why}"),
    }
}

/// The header fields that would be added. A constant may be a credential.
fn print_headers(identity: &ProjectedHeaders, rules: &HeaderRules) {
    let mut headers = HeaderMap::new();
    identity.apply(rules, &mut headers);
    for (index, (name, value)) in headers.iter().enumerate() {
        let shown = match value.to_str() {
            Ok(_) if value.is_sensitive() => "(a constant, not shown)".to_owned(),
            Ok(text) => text.to_owned(),
            Err(_) => shown(&String::from_utf8_lossy(value.as_bytes())),
        };
        row(
            if index == 0 { "headers" } else { "" },
            format_args!("{name}: {shown}"),
        );
    }
    if headers.is_empty() {
        row("headers", "none");
    }
}

fn row(name: &str, value: impl fmt::Display) {
    say(format_args!("{name:<10} {value}"));
}

/// Without what could disturb a terminal.
fn shown(text: &str) -> String {
    let plain = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(plain).collect()
}

//! `logto-proxy explain`: what would become of a request, and why.
//!
//! Judges by the very parts that requests meet. Nothing is called, bound or opened: whether a session was ended is in the store
//! of the running proxy, and not looked at here. Tokens are never printed.

use super::check::rehearse;
use super::output::{complain, say};
use super::run::load;
use super::{ConfigFlags, FAILED, NEEDS_SIGN_IN, REFUSED, WRONG_SETUP};
use crate::clock::Clock;
use crate::http::RequestTarget;
use crate::http::host::HostAndPort;
use crate::identity::{Claims, HeaderRules, ProjectedHeaders};
use crate::policy::{Caller, Condition, Decision, Machine, Reason, RequestFacts, Requirement, User, decide};
use crate::proxy::Gate;
use crate::session::Presented;
use ::http::header::COOKIE;
use ::http::{HeaderMap, HeaderValue, Uri};
use clap::Args;
use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
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

/// A caller to judge for.
struct Person {
    /// The user; of a program its application ID.
    subject: String,
    token: Option<Token>,
    claims: Claims,
    identity: ProjectedHeaders,
    /// Where this is known from.
    source: &'static str,
}

/// What an access token says.
struct Token {
    is_machine: bool,
    scopes: Vec<String>,
    organization: Option<String>,
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
    let host: HostAndPort = flags
        .host
        .as_deref()
        .unwrap_or(public_host)
        .parse()
        .map_err(|error| wrong(format_args!("--host: {error}")))?;
    let uri: Uri = path
        .parse()
        .map_err(|_| wrong("this is no path that a request can have"))?;
    let target = RequestTarget::parse(&uri, TARGET_BYTES).map_err(wrong)?;
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
        && let Some(endpoint) = gate.endpoints.paths.find(canonical)
    {
        row(
            "verdict",
            format_args!("answered by the proxy itself ({})", endpoint.as_str()),
        );
        return Ok(ExitCode::SUCCESS);
    }
    let is_token = person.as_ref().is_some_and(|person| person.token.is_some());
    Ok(judge(gate, &facts, person, is_token))
}

fn judge(gate: &Gate, facts: &RequestFacts<'_>, person: Option<Person>, is_token: bool) -> ExitCode {
    let matched = gate.routes.find(facts);
    let route = matched.route();
    if let Err(ambiguous) = facts.path {
        row("path", format_args!("{}: sent on as it came", ambiguous.why));
    }
    row("route", route);
    row("opens for", &route.access);
    let takes_tokens = gate.settings.of(route).bearer;
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
    let conditions = route.requirement().map_or(&[][..], Requirement::conditions);
    for condition in conditions {
        row(
            "",
            condition_line(condition, &caller(ProjectedHeaders::default()), facts.address),
        );
    }
    match decide(matched, caller(identity)) {
        Decision::Forward(permit) => {
            row("verdict", "passes");
            let settings = gate.settings.of(permit.route());
            row("upstream", &gate.upstreams.of(settings.upstream).address);
            match permit.identity() {
                Some(identity) => {
                    print_headers(identity, &gate.header_rules);
                    if let Some(name) = gate.header_rules.assertion_header() {
                        let audience = &gate.settings.of(permit.route()).audience;
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

impl Person {
    fn kind(&self) -> &'static str {
        match &self.token {
            Some(token) if token.is_machine => "program",
            _ => "user",
        }
    }

    fn caller(&self, identity: ProjectedHeaders) -> Caller<'_> {
        let token = self.token.as_ref();
        let organization = token.and_then(|token| token.organization.as_deref());
        match token {
            Some(token) if token.is_machine => Caller::Machine(Machine {
                client_id: &self.subject,
                scopes: &token.scopes,
                organization,
                identity,
            }),
            _ => Caller::User(User {
                subject: &self.subject,
                claims: &self.claims,
                scopes: token.map(|token| token.scopes.as_slice()),
                organization,
                identity,
            }),
        }
    }
}

/// What claims say that are an access token's: they name the application, which no user's do.
fn token_of(claims: &Claims, subject: &str) -> Option<Token> {
    let text = |name: &str| claims.members().get(name).and_then(serde_json::Value::as_str);
    let client_id = text("client_id")?;
    let of_audience = text("aud").and_then(|audience| audience.strip_prefix("urn:logto:organization:"));
    Some(Token {
        is_machine: client_id == subject,
        scopes: text("scope")
            .unwrap_or_default()
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
        organization: of_audience.or_else(|| text("organization_id")).map(str::to_owned),
    })
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

fn person(flags: &ExplainFlags, gate: &Gate) -> Result<Option<Person>, Stop> {
    if let Some(path) = &flags.claims {
        return from_claims(path, gate).map(Some);
    }
    flags
        .cookie
        .as_deref()
        .map(|cookie| from_cookie(cookie, gate))
        .transpose()
}

fn from_claims(path: &Path, gate: &Gate) -> Result<Person, Stop> {
    let place = path.display();
    let bytes = read(path).map_err(|error| wrong(format_args!("{place}: {error}")))?;
    let claims = Claims::from_json(&bytes)
        .ok_or_else(|| wrong(format_args!("{place}: expected a JSON object of claims")))?;
    let subject = claims
        .members()
        .get("sub")
        .and_then(|sub| sub.as_str())
        .unwrap_or_default();
    if subject.is_empty() {
        return Err(wrong(format_args!("{place}: the claims have no `sub`")));
    }
    let token = token_of(&claims, subject);
    let is_machine = token.as_ref().is_some_and(|token| token.is_machine);
    Ok(Person {
        subject: subject.to_owned(),
        identity: if is_machine {
            gate.header_rules.project_program(subject)
        } else {
            gate.header_rules.project(&claims)
        },
        source: if token.is_some() {
            "claims of an access token, if it is a good one"
        } else {
            "claims of a file"
        },
        token,
        // As a session or a token would have them.
        claims: claims.keep_only(&gate.rechecks.kept_claims),
    })
}

fn from_cookie(given: &str, gate: &Gate) -> Result<Person, Stop> {
    let text = if given == "-" {
        let bytes = read(Path::new("-")).map_err(wrong)?;
        String::from_utf8(bytes).map_err(|_| wrong("the cookie is not text"))?
    } else {
        given.to_owned()
    };
    let text = text.trim();
    let field = if text.contains('=') {
        text.to_owned()
    } else {
        format!("{}={text}", gate.cookies.settings().name)
    };
    let mut value =
        HeaderValue::try_from(field).map_err(|_| wrong("the cookie is not one that a request can have"))?;
    value.set_sensitive(true);
    let headers = HeaderMap::from_iter([(COOKIE, value)]);
    match gate.cookies.open(&headers, Clock::system().now()) {
        Presented::Session(view, _) => Ok(Person {
            subject: view.subject().to_owned(),
            token: None,
            claims: view.claims(),
            identity: view.headers(&gate.header_rules),
            source: "a session, unless it was ended",
        }),
        Presented::None => Err(wrong(format_args!(
            "there is no cookie {} in it",
            gate.cookies.settings().name
        ))),
        Presented::Invalid(reason) => {
            complain(format_args!(
                "error: the cookie opens no session: {}",
                reason.as_str()
            ));
            Err(Stop(ExitCode::from(FAILED)))
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(INPUT_BYTES).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?
            .take(INPUT_BYTES)
            .read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

//! Whom a request is judged for: claims in a file, or what a cookie holds.

use super::super::FAILED;
use super::super::output::complain;
use super::{ExplainFlags, INPUT_BYTES, Stop, wrong};
use crate::clock::Clock;
use crate::identity::{Claims, ProjectedHeaders};
use crate::logto::ORGANIZATION_AUDIENCE;
use crate::policy::{Caller, Machine, User};
use crate::proxy::Gate;
use crate::session::Presented;
use ::http::header::COOKIE;
use ::http::{HeaderMap, HeaderValue};
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

/// A caller to judge for.
pub(super) struct Person {
    /// The user; of a program its application ID.
    pub(super) subject: String,
    pub(super) token: Option<Token>,
    claims: Claims,
    pub(super) identity: ProjectedHeaders,
    /// Where this is known from.
    pub(super) source: &'static str,
}

/// What an access token says.
pub(super) struct Token {
    is_machine: bool,
    scopes: Vec<String>,
    organization: Option<String>,
}

impl Person {
    pub(super) fn kind(&self) -> &'static str {
        match &self.token {
            Some(token) if token.is_machine => "program",
            _ => "user",
        }
    }

    pub(super) fn caller(&self, identity: ProjectedHeaders) -> Caller<'_> {
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
    // One, or a list of them (RFC 7519 §4.1.3).
    let audiences = match claims.members().get("aud") {
        Some(serde_json::Value::Array(several)) => several.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let of_audience = audiences
        .iter()
        .find_map(|audience| audience.as_str()?.strip_prefix(ORGANIZATION_AUDIENCE));
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

/// Whom the flags name.
pub(super) fn person(flags: &ExplainFlags, gate: &Gate) -> Result<Option<Person>, Stop> {
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
                in_words(reason.as_str())
            ));
            Err(Stop(ExitCode::from(FAILED)))
        }
    }
}

/// Why a cookie opens no session, by the word that the metric has for it.
fn in_words(reason: &'static str) -> &'static str {
    match reason {
        "unknown_key" => "it was sealed with a key that session.keys does not have",
        "incomplete" => "a piece of it is missing",
        "duplicate" => "a piece of it is there twice",
        "too_long" => "it is longer than limits.cookie_bytes",
        "lifetime" => "it is older than session.lifetime",
        "idle" => "it was not used for session.idle_timeout",
        "future" => "it begins in the future: a clock is wrong",
        "content" => "another version of this program made it",
        _ => "it is damaged, or no cookie of this proxy",
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

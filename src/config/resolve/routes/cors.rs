//! `route.cors`.
//!
//! Stops: an origin that no browser ever sends, credentials for whoever asks, a list that is empty by mistake.

use super::field::field;
use super::matching::method;
use crate::config::error::{Origin, Problem, shown};
use crate::config::keys::CORS_KEYS;
use crate::config::model::{Cors, CorsTable};
use crate::config::node::{Entry, Node, Value};
use crate::config::reader::{Reader, choice_of, text_of};
use crate::config::suggest;
use crate::config::value::{PublicUrl, duration};
use crate::http::cors::{OriginError, OriginPattern};
use ::http::HeaderName;
use std::time::Duration;

const KEY: &str = "route.cors";

const LONGEST: Duration = Duration::from_secs(86_400);
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);
const DEFAULT_METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Reads `cors` of a route that is limited to `methods`, or to none in particular. `route` names it in warnings.
pub(super) fn cors(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
    route: &str,
    methods: &[String],
    public_url: Option<&PublicUrl>,
) -> Option<Cors> {
    let node = field(reader, entries, origin, KEY)?;
    if let Value::Table(entries) = &node.value {
        let table = table(reader, &node.origin, entries, methods)?;
        warn(reader, route, &table, public_url);
        return Some(Cors::Answer(Box::new(table)));
    }
    let word = choice_of(&node, &[("off", false), ("pass", true)])
        .map_err(|problem| problem.or_help("or a table: cors = { origins = [\"https://www.example.com\"] }"));
    let passes = reader.keep(node.origin, KEY, word)?;
    Some(if passes { Cors::Pass } else { Cors::Off })
}

/// What of a table is read so far.
#[derive(Default)]
struct Read {
    origins: Option<Vec<String>>,
    methods: Option<Vec<String>>,
    headers: Option<Vec<String>>,
    expose: Option<Vec<String>>,
    credentials: bool,
    max_age: Option<Duration>,
}

fn table(
    reader: &mut Reader<'_>,
    origin: &Origin,
    entries: &[Entry],
    methods: &[String],
) -> Option<CorsTable> {
    let before = reader.errors.len();
    let mut read = Read::default();
    for Entry { name, origin, node } in entries {
        let path = format!("{KEY}.{}", shown(name));
        match name.as_str() {
            "origins" => read.origins = list(reader, &path, node, web_origin),
            "methods" => read.methods = list(reader, &path, node, method),
            "headers" => read.headers = list(reader, &path, node, field_name),
            "expose" => read.expose = list(reader, &path, node, field_name),
            "credentials" => match node.value {
                Value::Boolean(credentials) => read.credentials = credentials,
                ref other => {
                    let problem = format!("expected true or false, found {}", other.describe());
                    reader.fail_at(node.origin.clone(), &path, Problem::new(problem));
                }
            },
            "max_age" => {
                let parsed = text_of(node).and_then(max_age);
                read.max_age = reader.keep(node.origin.clone(), &path, parsed);
            }
            _ => {
                let near = suggest::nearest(name, CORS_KEYS.iter().map(|(key, _)| *key));
                let problem = Problem::new("unknown key");
                let problem = problem.maybe_help(near.map(|near| format!("did you mean `{near}`?")));
                reader.fail_at(origin.clone(), &path, problem);
            }
        }
    }
    if reader.errors.len() > before {
        return None;
    }
    let Some(origins) = read.origins else {
        let problem = Problem::new("`origins` is required")
            .help("name the sites whose scripts may ask, such as \"https://www.example.com\"");
        reader.fail_at(origin.clone(), KEY, problem);
        return None;
    };
    let expose = read.expose.unwrap_or_default();
    let credentials = read.credentials;
    if let Err(problem) = check(&origins, &expose, credentials) {
        reader.fail_at(origin.clone(), KEY, problem);
        return None;
    }
    let is_any = |names: &[String]| names.iter().any(|name| name == "*");
    let headers = read.headers.unwrap_or_else(|| vec!["Content-Type".to_owned()]);
    Some(CorsTable {
        origins: if is_any(&origins) { Vec::new() } else { origins },
        methods: read.methods.unwrap_or_else(|| {
            let all = || {
                DEFAULT_METHODS
                    .iter()
                    .map(|method| (*method).to_owned())
                    .collect()
            };
            if methods.is_empty() {
                all()
            } else {
                methods.to_vec()
            }
        }),
        headers: (!is_any(&headers)).then_some(headers),
        expose,
        credentials,
        max_age: read.max_age.unwrap_or(DEFAULT_MAX_AGE),
    })
}

/// What goes together.
fn check(origins: &[String], expose: &[String], credentials: bool) -> Result<(), Problem> {
    let names = |origin: &str| origins.iter().any(|named| named == origin);
    if names("*") && origins.len() > 1 {
        return Err(Problem::new("`*` is every origin, so the others say nothing"));
    }
    if credentials && names("*") {
        return Err(
            Problem::new("with credentials `*` would let every page in the world act for the user")
                .help("list the origins, or leave `credentials` out"),
        );
    }
    if credentials && names("null") {
        return Err(Problem::new(
            "with credentials `null` would let every page in the world act for the user",
        )
        .help("any page can make a frame whose origin is `null`"));
    }
    if credentials && expose.iter().any(|name| name == "*") {
        return Err(
            Problem::new("with credentials `*` in `expose` is the name of a header").help("name them"),
        );
    }
    Ok(())
}

fn warn(reader: &mut Reader<'_>, route: &str, table: &CorsTable, public_url: Option<&PublicUrl>) {
    if !table.credentials || !public_url.is_some_and(PublicUrl::is_secure) {
        return;
    }
    let is_plain = |origin: &&String| OriginPattern::parse(origin).is_ok_and(|origin| origin.is_plain());
    if let Some(origin) = table.origins.iter().find(is_plain) {
        reader.warnings.push(format!(
            "route {route}: anybody on the user's network can be {origin}, and cors lets it act for the user"
        ));
    }
}

/// A string or a list of them: at least one, none twice.
fn list(
    reader: &mut Reader<'_>,
    path: &str,
    node: &Node,
    parse: fn(&str) -> Result<String, Problem>,
) -> Option<Vec<String>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Text(_) => std::slice::from_ref(node),
        other => {
            let problem = format!(
                "expected a string or a list of strings, found {}",
                other.describe()
            );
            reader.fail_at(node.origin.clone(), path, Problem::new(problem));
            return None;
        }
    };
    if items.is_empty() && path.ends_with("origins") {
        let problem = Problem::new("an empty list lets no script ask").help("name one, or leave `cors` out");
        reader.fail_at(node.origin.clone(), path, problem);
        return None;
    }
    let mut parsed: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        let result = text_of(item).and_then(parse);
        let value = reader.keep(item.origin.clone(), path, result)?;
        if !parsed.contains(&value) {
            parsed.push(value);
        }
    }
    Some(parsed)
}

fn web_origin(text: &str) -> Result<String, Problem> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    match OriginPattern::parse(text) {
        Ok(origin) => Ok(origin.to_string()),
        Err(error @ OriginError::Malformed) => {
            let is_host = !text.is_empty() && !text.contains([':', '/']);
            let help = is_host.then(|| format!("did you mean `https://{text}`?"));
            Err(Problem::new(error.to_string()).maybe_help(help))
        }
        Err(error) => Err(Problem::new(error.to_string())),
    }
}

fn field_name(text: &str) -> Result<String, Problem> {
    HeaderName::from_bytes(text.as_bytes())
        .map(|_| text.to_owned())
        .map_err(|_| Problem::new("expected the name of a header, or `*`"))
}

fn max_age(text: &str) -> Result<Duration, Problem> {
    let parsed = duration::parse(text)?;
    if parsed > LONGEST || parsed.subsec_nanos() != 0 {
        return Err(Problem::new("expected whole seconds, at most `24h`"));
    }
    Ok(parsed)
}

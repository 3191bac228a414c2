//! `[headers]`.
//!
//! Stops: a configured header that breaks framing or forwarding, or that undoes what the proxy itself says
//! about a request.

use super::super::error::{Origin, Problem, shown};
use super::super::model::{HeaderConfig, HeaderEncoding, HeaderSource, TokenSource};
use super::super::node::{Entry, Node, Value};
use super::super::reader::{Reader, choose, text_of};
use super::super::suggest;
use crate::identity::Preset;
use ::http::{HeaderName, HeaderValue};

const KEY: &str = "headers";

/// The headers that are sent without being configured.
pub const DEFAULT_HEADERS: [&str; 10] = [
    "X-User-Sub",
    "X-User-Name",
    "X-User-Email",
    "X-User-Username",
    "X-User-Picture",
    "X-User-Roles",
    "X-User-Orgs",
    "X-User-Org-Roles",
    "X-User-HF-Id",
    "X-User-HF-Username",
];

/// The one of programs, on routes with `bearer`.
const CLIENT_ID: &str = "X-Client-Id";

fn sent_unasked() -> impl Iterator<Item = &'static str> {
    DEFAULT_HEADERS.into_iter().chain([CLIENT_ID])
}

/// What framing, forwarding or the proxy itself depends on, with `-` for every separator.
const RESERVED: [&str; 31] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// Families that are reserved whole: browsers' own metadata and WebSocket handshakes.
const RESERVED_FAMILIES: [&str; 1] = ["sec-"];

/// Headers to send, and default ones and those of presets not to.
pub(super) fn headers(
    reader: &mut Reader<'_>,
    presets: &[Preset],
) -> Option<(Vec<HeaderConfig>, Vec<HeaderName>)> {
    let node = reader.node(KEY)?;
    let Value::Table(entries) = node.value else {
        reader.fail_at(node.origin, KEY, Problem::new("expected a section: [headers]"));
        return None;
    };
    let mut seen: Vec<(String, String, Origin)> = Vec::new();
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    let preset_names: Vec<HeaderName> = presets.iter().flat_map(|preset| preset.names()).collect();
    let is_sent =
        |name: &HeaderName| sent_unasked().any(|default| name == default) || preset_names.contains(name);
    let before = reader.errors.len();
    for entry in entries {
        let path = format!("{KEY}.{}", shown(&entry.name));
        let Some(name) = reader.keep(entry.origin.clone(), &path, header_name(&entry.name)) else {
            continue;
        };
        let folded = fold(name.as_str());
        if let Some((_, other, place)) = seen.iter().find(|(earlier, _, _)| *earlier == folded) {
            let at = match place {
                Origin::File { line, .. } => format!(" (line {line})"),
                _ => String::new(),
            };
            let problem = format!(
                "the same header as {}{at}: case and `_` for `-` make no difference",
                shown(other)
            );
            reader.fail_at(entry.origin.clone(), &path, Problem::new(problem));
            continue;
        }
        seen.push((folded, entry.name.clone(), entry.origin.clone()));
        match header_source(reader, &path, &entry.node) {
            Some(Some(source)) => added.push(HeaderConfig { name, source }),
            Some(None) if is_sent(&name) => removed.push(name),
            Some(None) => {
                let near = suggest::nearest(&entry.name, sent_unasked());
                let problem = Problem::new(
                    "this is no default header and none of a preset, so there is nothing to take away",
                );
                reader.fail_at(
                    entry.origin,
                    &path,
                    problem.maybe_help(near.map(|near| format!("did you mean `{near}`?"))),
                );
            }
            None => {}
        }
    }
    (reader.errors.len() == before).then_some((added, removed))
}

pub(super) fn fold(name: &str) -> String {
    let dash = |byte: char| {
        if byte.is_ascii_alphanumeric() {
            byte.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(dash).collect()
}

pub(super) fn header_name(text: &str) -> Result<HeaderName, Problem> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| Problem::new("not a header name"))?;
    let folded = fold(name.as_str());
    if RESERVED.contains(&folded.as_str())
        || RESERVED_FAMILIES.iter().any(|family| folded.starts_with(family))
    {
        return Err(Problem::new("forwarding itself depends on this header"));
    }
    Ok(name)
}

/// `None`: a problem was reported. `Some(None)`: the header is to be taken away.
fn header_source(reader: &mut Reader<'_>, path: &str, node: &Node) -> Option<Option<HeaderSource>> {
    let forms = "\"claim.path\", { claim = \"…\" }, { constant = \"…\" }, { token = \"access\" } or false";
    match &node.value {
        Value::Boolean(false) => Some(None),
        Value::Text(text) if text.is_empty() => Some(None),
        Value::Text(_) => {
            let claim = text_of(node)
                .and_then(claim_path)
                .map(|path| HeaderSource::Claim {
                    path,
                    encoding: HeaderEncoding::Percent,
                    join: DEFAULT_JOIN.to_owned(),
                });
            reader.keep(node.origin.clone(), path, claim).map(Some)
        }
        Value::Table(entries) => source_table(reader, path, node, entries).map(Some),
        other => {
            let problem = format!("expected {forms}, found {}", other.describe());
            reader.fail_at(node.origin.clone(), path, Problem::new(problem));
            None
        }
    }
}

/// A value that is always the same, which may be a credential.
pub(super) fn constant(reader: &mut Reader<'_>, path: &str, node: &Node) -> Option<HeaderValue> {
    let secret = reader.secret(path, node)?;
    let text = secret.expose();
    let problem = || Problem::new("expected printable ASCII");
    let value = HeaderValue::from_str(text)
        .ok()
        .filter(|_| text.is_ascii())
        .ok_or_else(problem);
    let mut value = reader.keep(node.origin.clone(), path, value)?;
    value.set_sensitive(true);
    Some(value)
}

const DEFAULT_JOIN: &str = ",";

fn source_table(reader: &mut Reader<'_>, path: &str, node: &Node, entries: &[Entry]) -> Option<HeaderSource> {
    const FIELDS: [&str; 5] = ["claim", "encoding", "join", "constant", "token"];
    let find = |name: &str| {
        entries
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| &entry.node)
    };
    if let Some(entry) = entries
        .iter()
        .find(|entry| !FIELDS.contains(&entry.name.as_str()))
    {
        let near = suggest::nearest(&entry.name, FIELDS).map(|near| format!("did you mean `{near}`?"));
        let path = format!("{path}.{}", shown(&entry.name));
        reader.fail_at(
            entry.origin.clone(),
            &path,
            Problem::new("unknown key").maybe_help(near),
        );
        return None;
    }
    match (find("claim"), find("constant"), find("token")) {
        (None, None, Some(token)) if entries.len() == 1 => {
            let source = text_of(token).and_then(token_source);
            reader
                .keep(token.origin.clone(), path, source)
                .map(HeaderSource::Token)
        }
        (Some(claim), None, None) => {
            let claim_result = text_of(claim).and_then(claim_path);
            let claim = reader.keep(claim.origin.clone(), path, claim_result);
            let encoding = find("encoding").map_or(Some(HeaderEncoding::Percent), |node| {
                let result = text_of(node).and_then(encoding);
                reader.keep(node.origin.clone(), path, result)
            });
            let join = find("join").map_or(Some(DEFAULT_JOIN.to_owned()), |node| {
                let result = text_of(node).and_then(join);
                reader.keep(node.origin.clone(), path, result)
            });
            Some(HeaderSource::Claim {
                path: claim?,
                encoding: encoding?,
                join: join?,
            })
        }
        (None, Some(constant), None) if entries.len() == 1 => {
            self::constant(reader, path, constant).map(HeaderSource::Constant)
        }
        (None, Some(_), _) | (None, None, Some(_)) => {
            let problem = Problem::new("a constant and a token take no other key");
            reader.fail_at(node.origin.clone(), path, problem);
            None
        }
        (claim, ..) => {
            let found = if claim.is_some() {
                "not both"
            } else {
                "found neither"
            };
            let problem = format!("expected `claim` or `constant` or `token`, {found}");
            reader.fail_at(node.origin.clone(), path, Problem::new(problem));
            None
        }
    }
}

pub(super) fn token_source(text: &str) -> Result<TokenSource, Problem> {
    choose(text, &[("access", TokenSource::Access), ("id", TokenSource::Id)])
}

fn encoding(text: &str) -> Result<HeaderEncoding, Problem> {
    choose(
        text,
        &[
            ("percent", HeaderEncoding::Percent),
            ("utf8", HeaderEncoding::Utf8),
            ("rfc2047", HeaderEncoding::Rfc2047),
            ("base64", HeaderEncoding::Base64),
        ],
    )
}

/// The separator is also escaped within items, which only a character that no escape contains can be.
fn join(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte == b' ' || (byte.is_ascii_punctuation() && byte != b'%');
    let blank = text.trim().is_empty() && text != " ";
    if text.len() > 4 || blank || !text.bytes().all(fits) {
        return Err(Problem::new(
            "expected a separator of 1 to 4 punctuation marks or blanks, without `%`",
        ));
    }
    Ok(text.to_owned())
}

/// Names separated by dots, `\.` being a dot within a name.
pub(super) fn claim_path(text: &str) -> Result<String, Problem> {
    let problem = || {
        Problem::new("expected a claim's path, such as `email` or `identities.huggingface.userId`")
            .help("a dot within a name is written `\\.`")
    };
    let mut is_empty = true;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '.' if is_empty => return Err(problem()),
            '.' => is_empty = true,
            '\\' => {
                if !matches!(characters.next(), Some('.' | '\\')) {
                    return Err(problem());
                }
                is_empty = false;
            }
            _ => is_empty = false,
        }
    }
    if is_empty || text.len() > 512 || text.trim() != text {
        Err(problem())
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{CLIENT_ID, DEFAULT_HEADERS};
    use crate::identity::HeaderRules;

    #[test]
    fn the_default_headers_are_those_that_are_sent() {
        let sent = HeaderRules::defaults();
        let sent: Vec<&str> = sent.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(sent, DEFAULT_HEADERS.map(str::to_ascii_lowercase));
        let of_programs = HeaderRules::programs().remove(0).name;
        assert_eq!(of_programs.as_str(), CLIENT_ID.to_ascii_lowercase());
    }
}

//! `[assertion]`.

use super::super::error::Problem;
use super::super::model::{AssertionConfig, HeaderConfig};
use super::super::node::Value;
use super::super::reader::Reader;
use super::super::value::PublicUrl;
use super::headers::{fold, header_name};
use super::{HOUR, SECOND};
use crate::identity::AssertionKey;
use crate::secret::SecretText;

const KEY: &str = "assertion.key";
const HEADER: &str = "assertion.header";
/// Longest issuer or audience, in bytes.
const LONGEST_NAME: usize = 512;

/// How requests are asserted, if they are.
pub(super) fn assertion(
    reader: &mut Reader<'_>,
    public_url: Option<&PublicUrl>,
    headers: &[HeaderConfig],
) -> Option<Option<AssertionConfig>> {
    let keys = keys(reader);
    let header = reader.text(HEADER, header_name);
    let ttl = reader.duration("assertion.ttl", SECOND * 10..=HOUR);
    let issuer = reader.optional_text("assertion.issuer", name);
    let audience = reader.optional_text("assertion.audience", name);
    let (keys, header, issuer) = (keys?, header?, issuer?);
    if keys.is_empty() {
        for key in [HEADER, "assertion.ttl", "assertion.issuer", "assertion.audience"] {
            if reader.is_given(key) {
                reader.fail(key, Problem::new("without assertion.key nothing is asserted"));
            }
        }
        return Some(None);
    }
    let folded = fold(header.as_str());
    if let Some(twin) = headers.iter().find(|other| fold(other.name.as_str()) == folded) {
        let problem = format!("[headers] sets this header too ({})", twin.name);
        reader.fail(HEADER, Problem::new(problem));
        return None;
    }
    Some(Some(AssertionConfig {
        keys,
        header,
        ttl: ttl?,
        issuer: issuer.or_else(|| public_url.map(|url| url.origin().to_owned()))?,
        audience: audience?,
    }))
}

/// What an assertion may name as issuer or audience.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    let fits = text.len() <= LONGEST_NAME && text.trim() == text && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Problem::new(
            "expected at most 512 bytes, without blanks around them",
        ))
    }
}

fn keys(reader: &mut Reader<'_>) -> Option<Vec<SecretText>> {
    let node = reader.node(KEY)?;
    let origin = node.origin.clone();
    let items = match node.value {
        Value::Text(ref text) if text.is_empty() => return Some(Vec::new()),
        Value::List(items) => items,
        _ => vec![node],
    };
    if items.is_empty() || items.len() > 2 {
        let problem = format!(
            "expected one key, or two while one is being replaced, found {}",
            items.len()
        );
        reader.fail_at(origin, KEY, Problem::new(problem));
        return None;
    }
    let total = items.len();
    let mut keys: Vec<(SecretText, String)> = Vec::new();
    for item in items {
        let Some(text) = reader.secret_of_lines(KEY, &item) else {
            continue;
        };
        let parsed = AssertionKey::parse(&text).map_err(|bad| {
            Problem::new(bad.to_string()).help("`logto-proxy keygen --assertion` prints a good one")
        });
        let Some(key) = reader.keep(item.origin.clone(), KEY, parsed) else {
            continue;
        };
        if keys.iter().any(|(_, kid)| kid == key.kid()) {
            reader.fail_at(item.origin, KEY, Problem::new("the same key is given twice"));
            continue;
        }
        keys.push((text, key.kid().to_owned()));
    }
    (keys.len() == total).then(|| keys.into_iter().map(|(text, _)| text).collect())
}

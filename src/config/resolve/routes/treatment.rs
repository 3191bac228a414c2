//! What a `[[route]]` changes in requests on their way to the upstream.

use super::field::{field, given};
use crate::config::error::{Origin, Problem, shown};
use crate::config::model::RewriteConfig;
use crate::config::node::{Entry, Value};
use crate::config::reader::{Reader, text_of};
use crate::config::resolve::headers::{constant, fold, header_name};
use crate::config::value::RoutePath;
use ::http::{HeaderName, HeaderValue};

/// `strip_prefix` and `rewrite`.
pub(super) fn rewrite(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    path: Option<&RoutePath>,
) -> Option<Option<RewriteConfig>> {
    const STRIP: &str = "route.strip_prefix";
    const REWRITE: &str = "route.rewrite";
    let (strip, put) = (given(reader, entries, STRIP), given(reader, entries, REWRITE));
    if strip.is_none() && put.is_none() {
        return Some(None);
    }
    let (base, has_rest) = match path? {
        RoutePath::Exact(path) => (path.as_str(), false),
        RoutePath::Prefix(path) => (path.as_str(), true),
    };
    let is_strip = put.is_none();
    let replaced = match strip {
        Some(node) => {
            let parsed = text_of(&node).and_then(|text| {
                let prefix = plain(text)?;
                let is_beginning = base
                    .strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                if prefix.ends_with('/') {
                    Err(Problem::new(
                        "expected a path without a final `/`, such as `/api`",
                    ))
                } else if is_beginning {
                    Ok(prefix)
                } else {
                    Err(Problem::new("the route's path does not begin with this"))
                }
            });
            reader.keep(node.origin, STRIP, parsed)?
        }
        None => base.to_owned(),
    };
    let beginning = match put {
        None => "/".to_owned(),
        Some(node) => {
            let goes_on = has_rest || replaced.len() < base.len();
            let parsed = text_of(&node).and_then(|text| {
                if replaced.split('/').any(|segment| segment == "*") {
                    return Err(Problem::new("what a `*` stood for would be lost")
                        .help("say with strip_prefix which beginning of the path this replaces"));
                }
                let path = plain(text)?;
                if goes_on && path.len() > 1 && path.ends_with('/') {
                    return Err(Problem::new(
                        "the rest of the path follows here: leave out the final `/`",
                    ));
                }
                Ok(path)
            });
            reader.keep(node.origin, REWRITE, parsed)?
        }
    };
    Some(Some(RewriteConfig {
        segments: replaced.matches('/').count(),
        beginning,
        stripped: is_strip.then_some(replaced),
    }))
}

/// A decoded path without wildcards.
fn plain(text: &str) -> Result<String, Problem> {
    match RoutePath::parse(text)? {
        RoutePath::Exact(path) if !path.contains('*') => Ok(path),
        _ => Err(Problem::new(
            "there is no `*` here: the rest of the path always follows",
        )),
    }
}

/// `set_headers`.
pub(super) fn set_headers(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    const KEY: &str = "route.set_headers";
    let node = field(reader, entries, origin, KEY)?;
    let Value::Table(entries) = node.value else {
        let problem = Problem::new("expected a table: set_headers = { \"X-Team\" = \"a\" }");
        reader.fail_at(node.origin, KEY, problem);
        return None;
    };
    let total = entries.len();
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(total);
    for entry in entries {
        let path = format!("{KEY}.{}", shown(&entry.name));
        let name = header_name(&entry.name).and_then(|name| {
            let folded = fold(name.as_str());
            let twin = headers.iter().find(|(other, _)| fold(other.as_str()) == folded);
            match twin {
                Some((other, _)) => Err(Problem::new(format!("the same header as {other}"))),
                None => Ok(name),
            }
        });
        let name = reader.keep(entry.origin.clone(), &path, name);
        let value = constant(reader, &path, &entry.node);
        headers.extend(name.zip(value));
    }
    (headers.len() == total).then_some(headers)
}

//! Which requests a `[[route]]` is for.

use super::field::field;
use crate::config::error::{Origin, Problem};
use crate::config::node::{Entry, Value};
use crate::config::reader::{Reader, text_of};
use crate::policy::HostPattern;

pub(super) fn host(text: &str) -> Result<Option<String>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = HostPattern::parse(text).map_err(|_| {
        let problem =
            Problem::new("expected a host such as `app.example.com` or `*.example.com`, without a port");
        let is_other_script = !text.is_ascii();
        problem.maybe_help(is_other_script.then(|| "write it as browsers send it: `xn--…`".to_owned()))
    });
    parsed.map(|host| Some(host.to_string()))
}

pub(super) fn methods(reader: &mut Reader<'_>, entries: &[Entry], origin: &Origin) -> Option<Vec<String>> {
    const KEY: &str = "route.methods";
    let node = field(reader, entries, origin, KEY)?;
    let is_given = entries.iter().any(|entry| entry.name == "methods");
    let items = match node.value {
        Value::Text(_) => vec![node],
        Value::List(items) if items.is_empty() && is_given => {
            let problem =
                Problem::new("an empty list covers no request").help("leave the key out for all methods");
            reader.fail_at(node.origin, KEY, problem);
            return None;
        }
        Value::List(items) => items,
        other => {
            let problem = format!(
                "expected a string or a list of strings, found {}",
                other.describe()
            );
            reader.fail_at(node.origin, KEY, Problem::new(problem));
            return None;
        }
    };
    let mut methods = Vec::new();
    for item in items {
        let parsed = text_of(&item).and_then(method);
        let method = reader.keep(item.origin, KEY, parsed)?;
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    Some(methods)
}

pub(super) fn method(text: &str) -> Result<String, Problem> {
    if matches!(text, "CONNECT" | "TRACE") {
        return Err(Problem::new("the proxy lets no such request pass"));
    }
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(Problem::new("expected a method in capitals, such as `GET`"));
    }
    Ok(text.to_owned())
}

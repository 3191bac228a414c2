//! A table in `route.access`.
//!
//! Stops: a condition that was misspelt and so is none, a list that is empty and so opens or closes everything, a claim
//! that Logto will never give.

use super::super::error::{Origin, Problem, shown};
use super::super::keys::ACCESS_KEYS;
use super::super::model::{AccessTable, ClaimCondition, ClaimValue, LogtoConfig, UserinfoMode};
use super::super::node::{Entry, Node, Value};
use super::super::reader::{Reader, text_of};
use super::super::suggest;
use super::super::value::sign_in::parse_identifier;
use super::claims::{FROM_USERINFO, known_claim, missing_scope, top_level};
use super::headers::claim_path;
use super::parse_network;

const KEY: &str = "route.access";

/// Whether this is a key of an access table, which may have been put beside `access`.
pub(super) fn is_key(name: &str) -> bool {
    ACCESS_KEYS.iter().any(|(key, _)| *key == name)
}

/// Reads the table of a route. `route` names it in warnings; without `logto` that has been found wrong already.
pub(super) fn table(
    reader: &mut Reader<'_>,
    origin: &Origin,
    entries: &[Entry],
    route: &str,
    logto: Option<&LogtoConfig>,
) -> Option<AccessTable> {
    let before = reader.errors.len();
    if entries.is_empty() {
        let problem = Problem::new("a table without a condition asks for nothing")
            .help("write access = \"authenticated\" to let everybody in who is signed in");
        reader.fail_at(origin.clone(), KEY, problem);
        return None;
    }
    let mut table = AccessTable::default();
    for Entry { name, origin, node } in entries {
        let path = format!("{KEY}.{}", shown(name));
        let mut list = |parse: fn(&str) -> Result<String, Problem>| list(reader, &path, node, parse);
        match name.as_str() {
            "any_role" => table.any_role = list(name_of_something).unwrap_or_default(),
            "all_roles" => table.all_roles = list(name_of_something).unwrap_or_default(),
            "any_organization_role" => {
                table.any_organization_role = list(name_of_something).unwrap_or_default()
            }
            "scope" => table.scope = list(scope).unwrap_or_default(),
            "sub" => table.sub = list(parse_identifier).unwrap_or_default(),
            "email" => table.email = list(email).unwrap_or_default(),
            "email_domain" => table.email_domain = list(domain).unwrap_or_default(),
            "hf_user" => table.hf_user = list(hugging_face_id).unwrap_or_default(),
            "hf_org" => table.hf_org = list(hugging_face_organization).unwrap_or_default(),
            "organization" => {
                let parsed = text_of(node).and_then(parse_identifier);
                table.organization = reader.keep(node.origin.clone(), &path, parsed);
            }
            "ip" => table.ip = networks(reader, &path, node, route),
            "claim" => table.claim = claim(reader, node),
            _ => {
                let near = suggest::nearest(name, ACCESS_KEYS.iter().map(|(key, _)| *key));
                let help = near.map_or_else(all_keys, |near| format!("did you mean `{near}`?"));
                reader.fail_at(
                    origin.clone(),
                    &path,
                    Problem::new("unknown condition").help(help),
                );
                continue;
            }
        }
        if let Some(logto) = logto {
            for claim in claims_of(name, &table, logto) {
                check_scope(reader, origin, &path, claim, logto);
            }
        }
    }
    if reader.errors.len() > before {
        return None;
    }
    warn(reader, route, &table, logto);
    Some(table)
}

fn all_keys() -> String {
    let keys: Vec<String> = ACCESS_KEYS.iter().map(|(key, _)| format!("`{key}`")).collect();
    format!("conditions are {}", keys.join(", "))
}

/// A string or a list of them: at least one, none twice.
fn list<T: PartialEq>(
    reader: &mut Reader<'_>,
    path: &str,
    node: &Node,
    mut parse: impl FnMut(&str) -> Result<T, Problem>,
) -> Option<Vec<T>> {
    let single = std::slice::from_ref(node);
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Text(_) => single,
        other => {
            let problem = format!(
                "expected a string or a list of strings, found {}",
                other.describe()
            );
            reader.fail_at(node.origin.clone(), path, Problem::new(problem));
            return None;
        }
    };
    if items.is_empty() {
        let problem =
            Problem::new("an empty list lets nobody pass").help("name at least one, or leave the key out");
        reader.fail_at(node.origin.clone(), path, problem);
        return None;
    }
    let mut parsed = Vec::with_capacity(items.len());
    for item in items {
        let result = text_of(item).and_then(&mut parse);
        let value = reader.keep(item.origin.clone(), path, result)?;
        if !parsed.contains(&value) {
            parsed.push(value);
        }
    }
    Some(parsed)
}

fn name_of_something(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.trim() != text {
        return Err(Problem::new(
            "expected a role's name, found blanks around it or nothing",
        ));
    }
    Ok(text.to_owned())
}

fn scope(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(Problem::new("expected one scope, such as `read:reports`").help("several are a list"));
    }
    Ok(text.to_owned())
}

fn email(text: &str) -> Result<String, Problem> {
    let problem = || Problem::new("expected an e-mail address, such as `someone@example.com`");
    let (local, at) = text.rsplit_once('@').ok_or_else(problem)?;
    if local.is_empty() || text.contains(char::is_whitespace) {
        return Err(problem());
    }
    if local.contains('*') {
        return Err(problem().help("there are no patterns; `email_domain` is for all addresses of a domain"));
    }
    domain(at).map_err(|_| problem())?;
    Ok(text.to_owned())
}

fn domain(text: &str) -> Result<String, Problem> {
    let problem = Problem::new("expected a domain, such as `example.com`");
    if text.contains('@') {
        return Err(problem.help("leave out the `@` and what is before it"));
    }
    if text.starts_with('*') || text.starts_with('.') {
        return Err(problem.help("domains below another one are named one by one"));
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    if text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err(problem)
    }
}

fn hugging_face_id(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() == 24 && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(
        Problem::new("expected a Hugging Face user ID: 24 hexadecimal digits, as in `X-User-HF-Id`")
            .help("a user name can be given up and taken by somebody else"),
    )
}

fn hugging_face_organization(text: &str) -> Result<String, Problem> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(Problem::new(
            "expected the ID or the name of a Hugging Face organization",
        ));
    }
    Ok(text.to_owned())
}

fn networks(reader: &mut Reader<'_>, path: &str, node: &Node, route: &str) -> Vec<ipnet::IpNet> {
    let networks = list(reader, path, node, parse_network).unwrap_or_default();
    if networks.iter().any(|network| network.prefix_len() == 0) {
        reader.warnings.push(format!(
            "route {route}: ip holds every address, so it asks for nothing"
        ));
    }
    networks
}

fn claim(reader: &mut Reader<'_>, node: &Node) -> Option<ClaimCondition> {
    const FORM: &str = "route.access.claim";
    let Value::Table(entries) = &node.value else {
        let problem = Problem::new(format!("expected a table, found {}", node.value.describe()))
            .help("claim = { path = \"custom_data.plan\", any_of = [\"pro\"] }");
        reader.fail_at(node.origin.clone(), FORM, problem);
        return None;
    };
    let before = reader.errors.len();
    for entry in entries {
        if !matches!(entry.name.as_str(), "path" | "any_of") {
            let near = suggest::nearest(&entry.name, ["path", "any_of"]);
            let problem =
                Problem::new("unknown key").maybe_help(near.map(|near| format!("did you mean `{near}`?")));
            reader.fail_at(
                entry.origin.clone(),
                &format!("{FORM}.{}", shown(&entry.name)),
                problem,
            );
        }
    }
    let find = |name: &str| {
        entries
            .iter()
            .find(|entry| entry.name == name)
            .map(|entry| &entry.node)
    };
    let mut required = |name: &str| {
        let found = find(name);
        if found.is_none() {
            let problem = Problem::new(format!("`{name}` is required"));
            reader.fail_at(node.origin.clone(), FORM, problem);
        }
        found
    };
    let (path, any_of) = (required("path"), required("any_of"));
    let path = path.and_then(|node| {
        let parsed = text_of(node).and_then(claim_path).and_then(known_claim);
        reader.keep(node.origin.clone(), &format!("{FORM}.path"), parsed)
    });
    let any_of = any_of.and_then(|node| values(reader, node));
    let condition = ClaimCondition {
        path: path?,
        any_of: any_of?,
    };
    (reader.errors.len() == before).then_some(condition)
}

fn values(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<ClaimValue>> {
    const PATH: &str = "route.access.claim.any_of";
    let single = std::slice::from_ref(node);
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => single,
    };
    if items.is_empty() {
        let problem = Problem::new("an empty list lets nobody pass");
        reader.fail_at(node.origin.clone(), PATH, problem);
        return None;
    }
    let values = items.iter().map(|item| {
        let value = match &item.value {
            Value::Text(text) => Ok(ClaimValue::Text(text.to_string())),
            Value::Integer(Some(integer)) => Ok(ClaimValue::Integer(*integer)),
            Value::Boolean(boolean) => Ok(ClaimValue::Boolean(*boolean)),
            other => {
                let problem = format!(
                    "expected a string, an integer, true or false, found {}",
                    other.describe()
                );
                Err(Problem::new(problem))
            }
        };
        reader.keep(item.origin.clone(), PATH, value)
    });
    values.collect()
}

/// The claims that a condition reads.
fn claims_of<'t>(key: &str, table: &'t AccessTable, logto: &LogtoConfig) -> Vec<&'t str> {
    match key {
        "any_role" | "all_roles" => vec!["roles"],
        "organization" => vec!["organizations"],
        "any_organization_role" => vec!["organization_roles"],
        "email" | "email_domain" if logto.asks_identities() => vec!["email", "identities"],
        "email" | "email_domain" => vec!["email"],
        "hf_user" | "hf_org" => vec!["identities"],
        "claim" => table.claim.iter().map(|claim| top_level(&claim.path)).collect(),
        _ => Vec::new(),
    }
}

/// Without the scope nobody would ever pass.
fn check_scope(reader: &mut Reader<'_>, origin: &Origin, path: &str, claim: &str, logto: &LogtoConfig) {
    if let Some(scope) = missing_scope(claim, logto) {
        let problem = Problem::new(format!(
            "this reads the claim `{claim}`, which `logto.scopes` does not ask for"
        ))
        .help(format!("add \"{scope}\" to logto.scopes"));
        reader.fail_at(origin.clone(), path, problem);
    }
    if logto.userinfo == UserinfoMode::Never && FROM_USERINFO.contains(&claim) {
        reader.warnings.push(format!(
            "{path}: the claim {claim} is in ID tokens only where the tenant says so, and logto.userinfo is \"never\""
        ));
    }
}

/// What a rule leans on that is weaker than it looks.
fn warn(reader: &mut Reader<'_>, route: &str, table: &AccessTable, logto: Option<&LogtoConfig>) {
    let checked = logto.is_some_and(LogtoConfig::asks_identities);
    if !table.email.is_empty() || !table.email_domain.is_empty() {
        let what = if checked {
            "Hugging Face accounts are asked about, but Logto calls addresses verified that other social connectors have \
             not; prefer roles or organizations"
        } else {
            "Logto calls every address verified, also one that a social connector did not verify; prefer roles or \
             organizations, or add \"identities\" to logto.scopes to have addresses of Hugging Face accounts checked"
        };
        reader
            .warnings
            .push(format!("route {route}: it goes by e-mail address. {what}"));
    }
}

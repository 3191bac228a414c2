//! `[[route]]`.

use super::super::error::{ConfigError, Origin, Problem};
use super::super::file;
use super::super::keys::{Preset, ROUTE_KEYS};
use super::super::model::{Access, EndpointPaths, LogtoConfig, RouteConfig, Unauthenticated};
use super::super::node::{Entry, Node, Value};
use super::super::reader::{Reader, choose, text_of};
use super::super::value::{PublicUrl, RoutePath};
use super::access;
use crate::policy::HostPattern;

/// What routes are checked against.
pub(super) struct Around<'a> {
    pub(super) endpoints: Option<&'a EndpointPaths>,
    pub(super) logto: Option<&'a LogtoConfig>,
    pub(super) public_url: Option<&'a PublicUrl>,
    pub(super) cookie_domain: Option<&'a str>,
}

pub(super) fn routes(reader: &mut Reader<'_>, around: &Around<'_>) -> Option<Vec<RouteConfig>> {
    let node = reader.node("route")?;
    let problem = |found: &Value| {
        Problem::new(format!("expected [[route]], found {}", found.describe()))
            .help("write [[route]] with two brackets, once for each route")
    };
    let Value::List(items) = node.value else {
        reader.fail_at(node.origin, "route", problem(&node.value));
        return None;
    };
    let total = items.len();
    let mut routes: Vec<(RouteConfig, Origin)> = Vec::with_capacity(total);
    for item in items {
        let Value::Table(entries) = item.value else {
            reader.fail_at(item.origin, "route", problem(&item.value));
            continue;
        };
        let Some((route, origin)) = route(reader, &entries, &item.origin, around) else {
            continue;
        };
        let overlap = routes
            .iter()
            .find_map(|(other, origin)| Some((other.overlap(&route)?, origin)));
        if let Some((what, other)) = overlap {
            let other = match other {
                Origin::File { line, .. } => format!("the one of line {line}"),
                _ => "another one".to_owned(),
            };
            let problem = format!("this route covers {what}, as does {other}");
            reader.fail_at(origin, "route.path", Problem::new(problem));
            continue;
        }
        let endpoint = around.endpoints.and_then(|endpoints| {
            let all = endpoints.all();
            all.iter()
                .find(|(_, path)| route.path == RoutePath::Exact(path.clone()))
                .map(|(key, _)| *key)
        });
        if let Some(endpoint) = endpoint {
            let problem =
                format!("the proxy itself answers here ({endpoint}), so this route would never count");
            reader.fail_at(origin, "route.path", Problem::new(problem));
            continue;
        }
        warn(reader, &route, around);
        routes.push((route, origin));
    }
    (routes.len() == total).then(|| routes.into_iter().map(|(route, _)| route).collect())
}

fn warn(reader: &mut Reader<'_>, route: &RouteConfig, around: &Around<'_>) {
    let is_open = matches!(route.access, Access::Public | Access::Optional);
    if is_open && route.unauthenticated != Unauthenticated::Auto {
        reader.warnings.push(format!(
            "route {route}: unauthenticated has no effect, since access lets everyone pass"
        ));
    }
    let (Some(host), Some(public_url)) = (&route.host, around.public_url) else {
        return;
    };
    if is_open {
        reader.warnings.push(format!(
            "route {route}: which host a request names is the client's choice, so these paths are open to everybody, \
             whatever the app has for them under other names"
        ));
    } else if !has_sessions(host, public_url.host(), around.cookie_domain) {
        reader.warnings.push(format!(
            "route {route}: browsers have no session there, since the host is not that of public_url and \
             session.cookie_domain does not hold it"
        ));
    }
}

/// Whether a host, or one that a pattern covers, is sent the session cookie.
fn has_sessions(host: &str, public: &str, cookie_domain: Option<&str>) -> bool {
    let below = |host: &str, name: &str| {
        host.strip_suffix(name)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    match (host.strip_prefix("*."), cookie_domain) {
        (Some(name), Some(domain)) => below(name, domain) || below(domain, name),
        (Some(name), None) => below(public, name),
        (None, Some(domain)) => below(host, domain),
        (None, None) => host == public,
    }
}

impl RouteConfig {
    /// What two routes cover both, where no order decides between them.
    fn overlap(&self, other: &Self) -> Option<String> {
        if self.path != other.path || self.host != other.host {
            return None;
        }
        let covers = |methods: &[String], method: &str| {
            let is = |name: &str| methods.iter().any(|covered| covered == name);
            is(method) || (method == "HEAD" && is("GET"))
        };
        let place = format!("{}{}", self.host.as_deref().unwrap_or_default(), self.path);
        if self.methods.is_empty() && other.methods.is_empty() {
            return Some(place);
        }
        let shared = self.methods.iter().find(|method| covers(&other.methods, method));
        let shared = shared.or_else(|| other.methods.iter().find(|method| covers(&self.methods, method)));
        shared.map(|method| format!("{method} {place}"))
    }
}

/// One route and where its path stands.
fn route(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
    around: &Around<'_>,
) -> Option<(RouteConfig, Origin)> {
    let mut known = true;
    for entry in entries {
        if !ROUTE_KEYS.iter().any(|key| key.name() == entry.name) {
            reader.errors.push(unknown(entry, entries));
            known = false;
        }
    }
    let path = text(reader, entries, origin, "route.path", RoutePath::parse);
    let host = text(reader, entries, origin, "route.host", host);
    let methods = methods(reader, entries, origin);
    let name = path
        .as_ref()
        .map_or_else(String::new, |(path, _)| path.to_string());
    let access = access(reader, entries, origin, &name, around.logto);
    let unauthenticated = text(reader, entries, origin, "route.unauthenticated", |text| {
        choose(
            text,
            &[
                ("auto", Unauthenticated::Auto),
                ("redirect", Unauthenticated::Redirect),
                ("401", Unauthenticated::Refuse),
            ],
        )
    });
    let (path, path_origin) = path?;
    let route = RouteConfig {
        path,
        host: host?.0,
        methods: methods?,
        access: access?,
        unauthenticated: unauthenticated?.0,
    };
    known.then_some((route, path_origin))
}

fn unknown(entry: &Entry, entries: &[Entry]) -> ConfigError {
    if !access::is_key(&entry.name) {
        return file::unknown_key("route", &entry.name, entry.origin.clone());
    }
    let is_open = |entry: &Entry| {
        let open = matches!(text_of(&entry.node), Ok("public" | "optional"));
        entry.name == "access" && open
    };
    let problem = if entries.iter().any(is_open) {
        Problem::new("a route that lets everyone pass cannot ask for anything")
    } else {
        Problem::new("a condition stands inside `access`")
    };
    let help = format!("write access = {{ {} = … }}", entry.name);
    ConfigError::new(
        entry.origin.clone(),
        format!("route.{}", entry.name),
        problem.help(help),
    )
}

fn host(text: &str) -> Result<Option<String>, Problem> {
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

fn methods(reader: &mut Reader<'_>, entries: &[Entry], origin: &Origin) -> Option<Vec<String>> {
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

fn method(text: &str) -> Result<String, Problem> {
    if matches!(text, "CONNECT" | "TRACE") {
        return Err(Problem::new("the proxy lets no such request pass"));
    }
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(Problem::new("expected a method in capitals, such as `GET`"));
    }
    Ok(text.to_owned())
}

fn access(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
    route: &str,
    logto: Option<&LogtoConfig>,
) -> Option<Access> {
    const KEY: &str = "route.access";
    let node = field(reader, entries, origin, KEY)?;
    if let Value::Table(entries) = &node.value {
        let table = access::table(reader, &node.origin, entries, route, logto)?;
        return Some(Access::Table(Box::new(table)));
    }
    let word = text_of(&node).and_then(|text| {
        let words = [("public", 0), ("optional", 1), ("authenticated", 2)];
        choose(text, &words)
            .map_err(|problem| problem.or_help("or a table: access = { any_role = [\"admin\"] }"))
    });
    Some(match reader.keep(node.origin, KEY, word)? {
        0 => Access::Public,
        1 => Access::Optional,
        _ => Access::Authenticated,
    })
}

/// The value that a route gives a key, or its preset.
fn field(reader: &mut Reader<'_>, entries: &[Entry], route: &Origin, key: &'static str) -> Option<Node> {
    reader.asked.insert(key);
    let definition = ROUTE_KEYS.iter().find(|definition| definition.path == key)?;
    let given = entries
        .iter()
        .find(|entry| entry.name == definition.name())
        .map(|entry| entry.node.clone());
    match (given, definition.preset) {
        (Some(node), _) => Some(node),
        (None, Preset::Value(text)) => file::read_value(text, route),
        (None, _) => {
            reader.fail_at(
                route.clone(),
                key,
                Problem::new("required").help(definition.meaning),
            );
            None
        }
    }
}

fn text<T>(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    route: &Origin,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<T, Problem>,
) -> Option<(T, Origin)> {
    let node = field(reader, entries, route, key)?;
    let parsed = text_of(&node).and_then(parse);
    reader
        .keep(node.origin.clone(), key, parsed)
        .map(|value| (value, node.origin))
}

//! `[[route]]`.

mod ambiguous;
mod callers;
mod cors;
pub(super) mod field;
mod looser;
mod matching;
mod sign_in;
mod tokens;
mod treatment;
mod upstream;

use super::{access, assertion, hugging_face, upstream_tls};
use crate::config::error::{ConfigError, Origin, Problem};
use crate::config::file;
use crate::config::keys::ROUTE_KEYS;
use crate::config::model::{
    Access, Cors, EndpointPaths, HuggingFaceConfig, LogtoConfig, RouteConfig, SignInConfig, Unauthenticated,
    UpstreamTlsConfig,
};
use crate::config::node::{Entry, Value};
use crate::config::reader::{Reader, choice_of, choose, text_of};
use crate::config::value::{ListenAddress, PublicUrl, RoutePath, UpstreamAddress, UpstreamHost};
pub(super) use callers::warn_without_bearer;
use cors::cors;
use field::{field, flag, text};
use matching::{host, methods};

/// What routes are checked against.
pub(super) struct Around<'a> {
    pub(super) endpoints: Option<&'a EndpointPaths>,
    pub(super) logto: Option<&'a LogtoConfig>,
    pub(super) sign_in: Option<&'a SignInConfig>,
    pub(super) hugging_face: Option<&'a HuggingFaceConfig>,
    pub(super) public_url: Option<&'a PublicUrl>,
    pub(super) has_assertion: bool,
    pub(super) cookie_domain: Option<&'a str>,
    pub(super) listen: &'a [ListenAddress],
    pub(super) upstream: Option<&'a UpstreamAddress>,
    pub(super) upstream_host: Option<&'a UpstreamHost>,
    pub(super) upstream_tls: Option<&'a UpstreamTlsConfig>,
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
    if routes.len() != total {
        return None;
    }
    let routes: Vec<RouteConfig> = routes.into_iter().map(|(route, _)| route).collect();
    reader.warnings.extend(looser::warnings(&routes, around.upstream));
    Some(routes)
}

fn warn(reader: &mut Reader<'_>, route: &RouteConfig, around: &Around<'_>) {
    let is_open = matches!(route.access, Access::Public | Access::Optional);
    if is_open && route.unauthenticated != Unauthenticated::Auto {
        reader.warnings.push(format!(
            "route {route}: unauthenticated has no effect, since access lets everyone pass"
        ));
    }
    if route.audience.is_some() && !around.has_assertion {
        reader.warnings.push(format!(
            "route {route}: audience has no effect, since there is no assertion.key"
        ));
    }
    if let RoutePath::Exact(path) = &route.path
        && !is_open
        && path.len() > 1
        && path.ends_with('/')
    {
        reader.warnings.push(format!(
            "route {route}: it is for this path alone; write {path}* for everything below it"
        ));
    }
    callers::warn(reader, route);
    tokens::warn(reader, route, around.logto);
    hugging_face::warn(reader, route, around.hugging_face);
    if route.access == Access::Public && route.cors == Cors::Pass {
        reader.warnings.push(format!(
            "route {route}: cors = \"pass\" has no effect, since access lets every request pass"
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
    let audience = text(reader, entries, origin, "route.audience", assertion::name);
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
    let tokens = tokens::tokens(reader, entries, origin);
    let social_token = tokens::social_token(reader, entries, origin);
    let bearer = flag(reader, entries, origin, "route.bearer");
    let upstream = upstream::upstream(reader, entries, origin, around);
    let upstream_tls = upstream_tls::of_route(
        reader,
        entries,
        origin,
        around.upstream_tls,
        around.upstream,
        upstream.as_ref().map(|(address, _)| address),
    );
    let timeout = upstream::timeout(reader, entries);
    let rewrite = treatment::rewrite(reader, entries, path.as_ref().map(|(path, _)| path));
    let set_headers = treatment::set_headers(reader, entries, origin);
    let limited_to = methods.as_deref().unwrap_or_default();
    let cors = cors(reader, entries, origin, &name, limited_to, around.public_url);
    let passes_ambiguous = ambiguous::path(
        reader,
        entries,
        origin,
        path.as_ref().map(|(path, _)| path),
        access.as_ref(),
    );
    let sign_in = sign_in::sign_in(reader, entries, origin, around.sign_in);
    let (path, path_origin) = path?;
    let (upstream, upstream_host) = upstream?;
    let route = RouteConfig {
        path,
        host: host?.0,
        methods: methods?,
        access: access?,
        audience: Some(audience?.0).filter(|audience| !audience.is_empty()),
        unauthenticated: unauthenticated?.0,
        tokens: tokens?,
        social_token: social_token?,
        bearer: bearer?,
        upstream,
        upstream_host,
        upstream_tls: upstream_tls?,
        timeout: timeout?,
        rewrite: rewrite?,
        set_headers: set_headers?,
        cors: cors?,
        passes_ambiguous: passes_ambiguous?,
        sign_in: sign_in?,
    };
    tokens::check(reader, entries, &route, around)?;
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
    let words = [("public", 0), ("optional", 1), ("authenticated", 2)];
    let word = choice_of(&node, &words)
        .map_err(|problem| problem.or_help("or a table: access = { any_role = [\"admin\"] }"));
    Some(match reader.keep(node.origin, KEY, word)? {
        0 => Access::Public,
        1 => Access::Optional,
        _ => Access::Authenticated,
    })
}

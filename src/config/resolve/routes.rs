//! `[routes]` and `[[route]]`.

use super::super::error::{ConfigError, Origin, Problem};
use super::super::file;
use super::super::keys::{Preset, ROUTE_KEYS};
use super::super::model::{Access, EndpointPaths, RouteConfig, Unauthenticated};
use super::super::node::{Entry, Node, Value};
use super::super::reader::{Reader, choose, text_of};
use super::super::value::RoutePath;
use super::super::value::path::{parse_endpoint, parse_local};

pub(super) fn endpoints(reader: &mut Reader<'_>) -> Option<EndpointPaths> {
    let prefix = reader.text("routes.prefix", |text| {
        parse_endpoint(text).map_err(|problem| {
            if text == "/" {
                problem.help("set the path of each endpoint instead")
            } else {
                problem
            }
        })
    });
    let under = prefix.clone().unwrap_or_default();
    let mut endpoint = |key: &'static str, name: &str| {
        let path = reader.optional_text(key, parse_endpoint);
        path.map(|path| path.unwrap_or_else(|| format!("{under}/{name}")))
    };
    let sign_in = endpoint("routes.sign_in", "sign-in");
    let sign_up = endpoint("routes.sign_up", "sign-up");
    let callback = endpoint("routes.callback", "callback");
    let sign_out = endpoint("routes.sign_out", "sign-out");
    let user = endpoint("routes.user", "user");
    let back_channel_logout = endpoint("routes.back_channel_logout", "back-channel-logout");
    let webhook = endpoint("routes.webhook", "webhook");
    let sessions = endpoint("routes.sessions", "sessions");
    let after_sign_out = reader.text("routes.after_sign_out", parse_local);
    let paths = EndpointPaths {
        prefix: prefix?,
        sign_in: sign_in?,
        sign_up: sign_up?,
        callback: callback?,
        sign_out: sign_out?,
        user: user?,
        back_channel_logout: back_channel_logout?,
        webhook: webhook?,
        sessions: sessions?,
        after_sign_out: after_sign_out?,
    };
    let all = paths.all();
    for (index, (key, path)) in all.iter().enumerate() {
        if let Some((other, _)) = all.iter().take(index).find(|(_, earlier)| earlier == path) {
            let (key, other) = if reader.is_given(key) {
                (key, other)
            } else {
                (other, key)
            };
            let problem = Problem::new(format!("{path} is the path of two endpoints"));
            reader.fail(key, problem.help(format!("the other is that of {other}")));
        }
    }
    // Someone signed out and sent to the sign-in would be signed in again without a question.
    let end = paths.after_sign_out.split('?').next().unwrap_or_default();
    if all.iter().any(|(_, path)| path == end) {
        reader.fail(
            "routes.after_sign_out",
            Problem::new("a sign-out cannot end at one of the proxy's own endpoints"),
        );
    }
    Some(paths)
}

impl EndpointPaths {
    /// Each endpoint's key and path. The key of the page of sessions stands for two.
    fn all(&self) -> [(&'static str, String); 9] {
        [
            ("routes.sign_in", self.sign_in.clone()),
            ("routes.sign_up", self.sign_up.clone()),
            ("routes.callback", self.callback.clone()),
            ("routes.sign_out", self.sign_out.clone()),
            ("routes.user", self.user.clone()),
            ("routes.back_channel_logout", self.back_channel_logout.clone()),
            ("routes.webhook", self.webhook.clone()),
            ("routes.sessions", self.sessions.clone()),
            ("routes.sessions", self.sessions_revoke()),
        ]
    }
}

pub(super) fn routes(reader: &mut Reader<'_>, endpoints: Option<&EndpointPaths>) -> Option<Vec<RouteConfig>> {
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
        let Some((route, origin)) = route(reader, &entries, &item.origin) else {
            continue;
        };
        if let Some(other) = routes
            .iter()
            .find(|(other, _)| other.path == route.path)
            .map(|(_, origin)| origin)
        {
            let other = match other {
                Origin::File { line, .. } => format!("the one of line {line}"),
                _ => "another one".to_owned(),
            };
            let path = format!("this route covers {}, as does {other}", route.path);
            reader.fail_at(origin, "route.path", Problem::new(path));
            continue;
        }
        let endpoint = endpoints.and_then(|endpoints| {
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
        if route.access != Access::Authenticated && route.unauthenticated != Unauthenticated::Auto {
            reader.warnings.push(format!(
                "route {}: unauthenticated has no effect, since access lets everyone pass",
                route.path
            ));
        }
        routes.push((route, origin));
    }
    (routes.len() == total).then(|| routes.into_iter().map(|(route, _)| route).collect())
}

/// One route and where its path stands.
fn route(reader: &mut Reader<'_>, entries: &[Entry], origin: &Origin) -> Option<(RouteConfig, Origin)> {
    let mut known = true;
    for entry in entries {
        if !ROUTE_KEYS.iter().any(|key| key.name() == entry.name) {
            reader.errors.push(unknown(entry));
            known = false;
        }
    }
    let path = field(reader, entries, origin, "route.path", RoutePath::parse);
    let access = field(reader, entries, origin, "route.access", |text| {
        choose(
            text,
            &[
                ("public", Access::Public),
                ("optional", Access::Optional),
                ("authenticated", Access::Authenticated),
            ],
        )
    });
    let unauthenticated = field(reader, entries, origin, "route.unauthenticated", |text| {
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
        access: access?.0,
        unauthenticated: unauthenticated?.0,
    };
    known.then_some((route, path_origin))
}

fn unknown(entry: &Entry) -> ConfigError {
    file::unknown_key("route", &entry.name, entry.origin.clone())
}

fn field<T>(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    route: &Origin,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<T, Problem>,
) -> Option<(T, Origin)> {
    reader.asked.insert(key);
    let definition = ROUTE_KEYS.iter().find(|definition| definition.path == key)?;
    let given = entries
        .iter()
        .find(|entry| entry.name == definition.name())
        .map(|entry| entry.node.clone());
    let node: Option<Node> = match (given, definition.preset) {
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
    };
    let node = node?;
    let parsed = text_of(&node).and_then(parse);
    reader
        .keep(node.origin.clone(), key, parsed)
        .map(|value| (value, node.origin))
}

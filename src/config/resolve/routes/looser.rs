//! Warns of a strict route whose app can be asked for the same by way of a looser one.
//!
//! Nothing here is an error: an app may tell such requests apart. Most do not, and whoever writes a strict route does not
//! expect that another path, method or host leads around it.

use crate::config::model::{Access, RewriteConfig, RouteConfig};
use crate::config::value::UpstreamAddress;
use crate::http::Rewrite;
use crate::policy::{HostPattern, Methods, PathPattern, RequestFacts, Route, RouteTable};

/// What no route names.
const ANY: &str = "any";
const NO_HOST: &str = "any.invalid";

/// The warnings for all routes together. `upstream` is the one of what falls under none.
pub(super) fn warnings(routes: &[RouteConfig], upstream: Option<&UpstreamAddress>) -> Vec<String> {
    let compiled: Option<Vec<Route>> = routes.iter().map(compile).collect();
    let Some(table) = compiled.and_then(|routes| RouteTable::new(routes).ok()) else {
        return Vec::new();
    };
    let all = All {
        routes,
        table,
        upstream,
    };
    routes
        .iter()
        .flat_map(|route| {
            [
                all.by_slash(route),
                all.by_method(route),
                all.by_host(route),
                all.by_rewrite(route),
            ]
        })
        .flatten()
        .collect()
}

fn compile(route: &RouteConfig) -> Option<Route> {
    Some(Route {
        pattern: PathPattern::parse(&route.path.to_string()).ok()?,
        host: route.host.as_deref().map(HostPattern::parse).transpose().ok()?,
        methods: Methods::new(route.methods.iter().map(String::as_str)),
        ..Route::default()
    })
}

/// How much a route asks for. What two tables ask for cannot be compared.
fn asks(access: &Access) -> u8 {
    match access {
        Access::Public => 0,
        Access::Optional => 1,
        Access::Authenticated => 2,
        Access::Table(_) => 3,
    }
}

struct All<'a> {
    routes: &'a [RouteConfig],
    table: RouteTable,
    upstream: Option<&'a UpstreamAddress>,
}

/// What a request falls under: a route, or none.
#[derive(Clone, Copy)]
struct Found<'a>(Option<&'a RouteConfig>);

impl Found<'_> {
    fn asks(self) -> u8 {
        self.0
            .map_or(asks(&Access::Authenticated), |route| asks(&route.access))
    }

    fn shown(self) -> String {
        self.0.map_or_else(|| "/*".to_owned(), ToString::to_string)
    }
}

impl<'a> All<'a> {
    fn find(&self, method: &str, host: &str, path: &str) -> Found<'a> {
        let matched = self.table.find(&RequestFacts {
            method,
            host,
            path: Ok(path),
            address: None,
        });
        // The table gives place 0 to what falls under none.
        let index = matched.route().place.checked_sub(1);
        Found(index.and_then(|index| self.routes.get(index)))
    }

    fn upstream_of(&self, found: Found<'a>) -> Option<&'a UpstreamAddress> {
        found.0.map_or(self.upstream, |route| Some(&route.upstream))
    }

    /// The same path with a final slash, which many apps take for one. Of one that is written with it more is said elsewhere.
    fn by_slash(&self, route: &RouteConfig) -> Option<String> {
        let path = example_path(route);
        if ends_in_rest(route) || path.ends_with('/') {
            return None;
        }
        let twin = format!("{path}/");
        let found = self.find(&example_method(route), &example_host(route), &twin);
        (found.asks() < asks(&route.access)).then(|| {
            let path = &route.path;
            format!(
                "route {route}: {path}/ falls under {}, which asks for less, and many apps take both paths for one: \
                 {path}/* covers them, and all below",
                found.shown()
            )
        })
    }

    /// Methods that it does not name, invented ones among them.
    fn by_method(&self, route: &RouteConfig) -> Option<String> {
        if route.methods.is_empty() {
            return None;
        }
        let found = self.find("ANY", &example_host(route), &example_path(route));
        (found.asks() < asks(&route.access)).then(|| {
            format!(
                "route {route}: other methods, invented ones too, fall under {}, which asks for less: limit the route \
                 that opens to its methods, not the one that closes",
                found.shown()
            )
        })
    }

    /// The same at another host, which any client can name.
    fn by_host(&self, route: &RouteConfig) -> Option<String> {
        route.host.as_ref()?;
        let found = self.find(&example_method(route), NO_HOST, &example_path(route));
        let reaches = self.upstream_of(found) == Some(&route.upstream);
        (reaches && found.asks() < asks(&route.access)).then(|| {
            format!(
                "route {route}: a request that names another host falls under {}, which asks for less and goes to the \
                 same upstream",
                found.shown()
            )
        })
    }

    /// Paths that the app gets in place of those that were judged.
    fn by_rewrite(&self, route: &RouteConfig) -> Option<String> {
        let RewriteConfig {
            segments, beginning, ..
        } = route.rewrite.as_ref()?;
        let arrives = Rewrite::new(*segments, beginning)?.shown(&route.path.to_string());
        let pattern = PathPattern::parse(&arrives).ok()?;
        let is_stricter = |other: Found<'a>| {
            let reaches = self.upstream_of(other) == Some(&route.upstream);
            let as_it_came = other.0.is_none_or(|other| other.rewrite.is_none());
            reaches && as_it_came && other.asks() > asks(&route.access)
        };
        let named = self.routes.iter().map(|other| Found(Some(other)));
        let otherwise = (pattern == PathPattern::EVERYTHING)
            .then(|| self.find(&example_method(route), NO_HOST, &format!("/{ANY}")));
        let covers = |other: &Found<'a>| other.0.is_none_or(|other| pattern.covers(&example_path(other)));
        let stricter = named
            .chain(otherwise)
            .find(|other| covers(other) && is_stricter(*other))?;
        Some(format!(
            "route {route}: its upstream gets these paths as {arrives}, for which {} asks for more",
            stricter.shown()
        ))
    }
}

fn ends_in_rest(route: &RouteConfig) -> bool {
    route.path.to_string().ends_with("/*")
}

/// A path that it covers.
fn example_path(route: &RouteConfig) -> String {
    let shown = route.path.to_string();
    let segments = shown
        .split('/')
        .map(|segment| if segment == "*" { ANY } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn example_host(route: &RouteConfig) -> String {
    let host = route.host.as_deref().unwrap_or(NO_HOST);
    host.replacen('*', ANY, 1)
}

fn example_method(route: &RouteConfig) -> String {
    route.methods.first().cloned().unwrap_or_else(|| "GET".to_owned())
}

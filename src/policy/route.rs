//! The route table: which rule a request falls under.
//!
//! The most specific pattern wins, so the order of the rules in the file does not matter. A look-up costs one
//! hash per path segment, however many routes there are.

use super::pattern::PathPattern;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What opens a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone; the upstream is told nothing about who it is.
    Public,
    /// Anyone; the upstream is told who it is when there is a session.
    Optional,
    /// Whoever is signed in. The default.
    Authenticated,
}

impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Optional => "optional",
            Self::Authenticated => "authenticated",
        })
    }
}

/// What a request without a session gets on a route that needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unauthenticated {
    /// A browser's navigation is redirected to the sign-in, everything else gets 401.
    #[default]
    Auto,
    /// Always the redirect.
    Redirect,
    /// Always 401.
    Status401,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The paths it covers.
    pub pattern: PathPattern,
    /// What opens it.
    pub access: Access,
    /// What a request that may not pass for want of a session gets.
    pub unauthenticated: Unauthenticated,
    /// Its number in the table, which the table gives it; at most that of the rules, so that it can index an array.
    pub place: usize,
}

impl Default for Route {
    /// Everything not named in the configuration: signed-in users only.
    fn default() -> Self {
        Self {
            pattern: PathPattern::Below(String::new()),
            access: Access::Authenticated,
            unauthenticated: Unauthenticated::Auto,
            place: 0,
        }
    }
}

/// Two rules cover exactly the same paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two routes have the path \"{pattern}\"")]
pub struct RouteConflict {
    /// The pattern that both have.
    pub pattern: PathPattern,
}

/// All rules, ready for look-up.
#[derive(Debug, Clone)]
pub struct RouteTable {
    exact: HashMap<String, Arc<Route>>,
    below: HashMap<String, Arc<Route>>,
    otherwise: Arc<Route>,
}

impl RouteTable {
    /// Compiles rules; two with the same pattern are a conflict, for no order may decide between them.
    pub fn new(routes: Vec<Route>) -> Result<Self, RouteConflict> {
        let mut table = Self {
            exact: HashMap::new(),
            below: HashMap::new(),
            otherwise: Arc::new(Route::default()),
        };
        // The rule for everything else has place 0, until one of the configured takes it over.
        for (index, mut route) in routes.into_iter().enumerate() {
            route.place = index.saturating_add(1);
            let pattern = route.pattern.clone();
            let (map, key) = match &pattern {
                PathPattern::Exact(path) => (&mut table.exact, path.clone()),
                PathPattern::Below(base) => (&mut table.below, base.clone()),
            };
            if map.insert(key, Arc::new(route)).is_some() {
                return Err(RouteConflict { pattern });
            }
        }
        if let Some(everything) = table.below.remove("") {
            table.otherwise = everything;
        }
        Ok(table)
    }

    /// Whether it matters on this path who asks.
    pub fn asks_who(&self, canonical_path: &str) -> bool {
        self.find(canonical_path).access != Access::Public
    }

    /// The rule for a canonical path. An exact path beats any prefix, a longer prefix a shorter one.
    pub fn find(&self, canonical_path: &str) -> &Arc<Route> {
        if let Some(route) = self.exact.get(canonical_path) {
            return route;
        }
        if self.below.is_empty() {
            return &self.otherwise;
        }
        let mut candidate = canonical_path;
        loop {
            if let Some(route) = self.below.get(candidate) {
                return route;
            }
            match candidate.rsplit_once('/') {
                Some((shorter, _)) if !shorter.is_empty() => candidate = shorter,
                _ => return &self.otherwise,
            }
        }
    }

    /// Every rule, most specific first, the fallback last.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        let mut exact: Vec<_> = self.exact.values().collect();
        exact.sort_by_key(|route| route.pattern.to_string());
        let mut below: Vec<_> = self.below.values().collect();
        below.sort_by_key(|route| {
            (
                std::cmp::Reverse(route.pattern.to_string().len()),
                route.pattern.to_string(),
            )
        });
        exact
            .into_iter()
            .chain(below)
            .chain(std::iter::once(&self.otherwise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, access: Access) -> Route {
        Route {
            pattern: PathPattern::parse(path).unwrap(),
            access,
            ..Route::default()
        }
    }

    #[test]
    fn the_most_specific_wins_whatever_the_order() {
        let rules = [
            route("/open/*", Access::Public),
            route("/open/closed/*", Access::Authenticated),
            route("/open/closed/door", Access::Optional),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let table = RouteTable::new(order.iter().map(|index| rules[*index].clone()).collect()).unwrap();
            for (path, access) in [
                ("/", Access::Authenticated),
                ("/opened", Access::Authenticated),
                ("/open", Access::Public),
                ("/open/", Access::Public),
                ("/open/x", Access::Public),
                ("/open/closed", Access::Authenticated),
                ("/open/closed/x/y", Access::Authenticated),
                ("/open/closed/door", Access::Optional),
                ("/open/closed/door/knob", Access::Authenticated),
            ] {
                assert_eq!(table.find(path).access, access, "{path} in order {order:?}");
            }
        }
    }

    #[test]
    fn every_rule_has_a_place_of_its_own() {
        for paths in [["/a", "/a/*", "/b"], ["/*", "/a/*", "/b"]] {
            let routes = paths.iter().map(|path| route(path, Access::Public)).collect();
            let table = RouteTable::new(routes).unwrap();
            let places: std::collections::BTreeSet<usize> = table.iter().map(|route| route.place).collect();
            assert_eq!(places.len(), table.iter().count());
            assert!(places.iter().all(|place| *place <= paths.len()));
        }
    }

    #[test]
    fn the_same_path_twice_is_a_conflict() {
        let twice = vec![
            route("/a/*", Access::Public),
            route("/a/*", Access::Authenticated),
        ];
        assert!(RouteTable::new(twice).is_err());
        let different = vec![route("/a/*", Access::Public), route("/a", Access::Authenticated)];
        assert!(RouteTable::new(different).is_ok());
    }
}

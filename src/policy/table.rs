//! The route table: which rule a request falls under.
//!
//! The most specific rule wins, so the order of the rules in the file does not matter. The host goes first: a request to a host
//! that rules name is judged by those, then by those of the names it is below, then by those for any host. Among the rules of
//! one host the path decides, as [`PathPattern`](super::PathPattern) orders them. Of two rules for one path the one that is
//! limited to the request's method wins; a rule that is limited to others is passed over, and the next most specific is taken.
//! Where none is left, only signed-in users pass.
//!
//! A path that has no canonical form falls under no rule, with one exception: a rule that says so takes it when it would win in
//! every reading. What is known is the beginning that all readings share. So the rule must cover all at and below that, and no
//! rule that covers any of it may be more specific.

use super::caller::RequestFacts;
use super::host::{HostPattern, normal, parents};
use super::paths::{PathIndex, TooManyCombinations};
use super::route::{Access, Route};
use crate::http::target::{Ambiguity, AmbiguousPath};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// All rules, ready for look-up.
#[derive(Debug, Clone)]
pub struct RouteTable {
    by_host: HashMap<String, PathIndex>,
    below_host: HashMap<String, PathIndex>,
    any_host: PathIndex,
    otherwise: Arc<Route>,
    passes_ambiguous: bool,
    /// Every rule, most specific first; the one for everything else last, where it can be reached.
    sorted: Vec<Arc<Route>>,
}

/// Why rules make no table.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RouteConflict {
    /// Two rules cover the same requests, and no order may decide between them.
    #[error("the routes \"{0}\" and \"{1}\" cover the same requests")]
    Same(Box<Route>, Box<Route>),
    /// They combine in too many ways.
    #[error(transparent)]
    Combinations(#[from] TooManyCombinations),
}

/// A request and the rule it falls under. [`decide`](super::decide()) takes it, so that a request is always judged by its own.
#[derive(Debug, Clone, Copy)]
pub struct Matched<'routes> {
    pub(super) route: &'routes Arc<Route>,
    pub(super) ambiguity: Option<Ambiguity>,
    /// Whether the rule takes an ambiguous path as it came.
    pub(super) is_raw: bool,
    pub(super) address: Option<IpAddr>,
    pub(super) depends_on_method: bool,
}

impl RouteTable {
    /// Compiles rules.
    ///
    /// # Errors
    /// Two rules that cover the same requests, whatever the order. Rules of one host and path may differ by methods; then they
    /// have none in common.
    pub fn new(routes: Vec<Route>) -> Result<Self, RouteConflict> {
        let mut groups: HashMap<Option<HostPattern>, Vec<Arc<Route>>> = HashMap::new();
        let mut sorted = Vec::new();
        // The rule for everything else has place 0.
        for (index, mut route) in routes.into_iter().enumerate() {
            route.place = index.saturating_add(1);
            let route = Arc::new(route);
            groups
                .entry(route.host.clone())
                .or_default()
                .push(Arc::clone(&route));
            sorted.push(route);
        }
        sorted.sort_by(|left, right| left.by_specificity(right));
        for group in groups.values() {
            refuse_overlaps(group)?;
        }
        let otherwise = Arc::new(Route::default());
        if !sorted.iter().any(|route| route.is_for_everything()) {
            sorted.push(Arc::clone(&otherwise));
        }
        let mut table = Self {
            by_host: HashMap::new(),
            below_host: HashMap::new(),
            any_host: PathIndex::new(groups.remove(&None).unwrap_or_default())?,
            otherwise,
            passes_ambiguous: sorted.iter().any(|route| route.passes_ambiguous),
            sorted,
        };
        for (host, group) in groups {
            let index = PathIndex::new(group)?;
            match host {
                Some(HostPattern::Exact(host)) => table.by_host.insert(host, index),
                Some(HostPattern::Below(name)) => table.below_host.insert(name, index),
                None => None,
            };
        }
        Ok(table)
    }

    /// The rule for a request. An ambiguous path falls under none but the one for everything else, unless a rule takes it.
    pub fn find(&self, facts: &RequestFacts<'_>) -> Matched<'_> {
        let mut matched = Matched {
            route: &self.otherwise,
            ambiguity: None,
            is_raw: false,
            address: facts.address,
            depends_on_method: false,
        };
        let path = match facts.path {
            Ok(path) => path,
            Err(ambiguous) => {
                matched.ambiguity = Some(ambiguous.why);
                self.find_ambiguous(facts, &ambiguous, &mut matched);
                return matched;
            }
        };
        let depends = &mut matched.depends_on_method;
        let found = if self.by_host.is_empty() && self.below_host.is_empty() {
            take(&self.any_host, path, facts.method, depends)
        } else {
            let host = normal(facts.host);
            let names = parents(&host).filter(|_| !self.below_host.is_empty());
            let below = names.filter_map(|name| self.below_host.get(name));
            let indexes = self
                .by_host
                .get(&*host)
                .into_iter()
                .chain(below)
                .chain([&self.any_host]);
            indexes
                .into_iter()
                .find_map(|index| take(index, path, facts.method, depends))
        };
        if let Some(route) = found {
            matched.route = route;
        }
        matched
    }

    /// Looks for the rule that an ambiguous path falls under whoever reads it, and that takes it.
    fn find_ambiguous<'routes>(
        &'routes self,
        facts: &RequestFacts<'_>,
        ambiguous: &AmbiguousPath<'_>,
        matched: &mut Matched<'routes>,
    ) {
        let Some(certain) = ambiguous.certain.filter(|_| self.passes_ambiguous) else {
            return;
        };
        let beginning = certain.beginning();
        let host = normal(facts.host);
        let possible = self.sorted.iter().filter(|route| {
            let fits_host = route.host.as_ref().is_none_or(|pattern| pattern.covers(&host));
            fits_host && route.pattern.covers_some_below(beginning)
        });
        let mut winner = None;
        for route in possible {
            matched.depends_on_method |= route.methods.is_some();
            let methods = route.methods.as_ref();
            if methods.is_none_or(|methods| methods.covers(facts.method)) {
                winner = winner.or(Some(route));
            }
        }
        if let Some(route) = winner.filter(|route| route.takes_ambiguous(beginning)) {
            matched.route = route;
            matched.is_raw = true;
        }
    }

    /// Whether any rule takes ambiguous paths.
    pub const fn passes_ambiguous(&self) -> bool {
        self.passes_ambiguous
    }

    /// Every rule, most specific first. The last one takes all that no other does.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.sorted.iter()
    }
}

impl Route {
    fn is_for_everything(&self) -> bool {
        self.host.is_none() && self.methods.is_none() && self.pattern == super::PathPattern::EVERYTHING
    }
}

impl<'routes> Matched<'routes> {
    /// The rule.
    pub const fn route(&self) -> &'routes Arc<Route> {
        self.route
    }

    /// Why the path is refused, whoever asks: it is ambiguous, and no rule takes it.
    pub const fn refused_path(&self) -> Option<Ambiguity> {
        if self.is_raw { None } else { self.ambiguity }
    }

    /// Whether it matters who asks.
    pub fn asks_who(&self) -> bool {
        self.ambiguity.is_some() || self.route.access != Access::Public
    }

    /// Whether claims of the caller are looked at. Reading them costs something.
    pub fn reads_claims(&self) -> bool {
        self.route
            .requirement()
            .is_some_and(super::Requirement::reads_claims)
    }
}

/// The route of one host's for a path and a method.
fn take<'t>(
    index: &'t PathIndex,
    path: &str,
    method: &str,
    depends_on_method: &mut bool,
) -> Option<&'t Arc<Route>> {
    let candidates = index.find(path)?;
    *depends_on_method |= candidates.depend_on_method();
    candidates.find(method)
}

/// Routes of one host.
fn refuse_overlaps(routes: &[Arc<Route>]) -> Result<(), RouteConflict> {
    let mut of_pattern: HashMap<_, Vec<&Arc<Route>>> = HashMap::new();
    for route in routes {
        let others = of_pattern.entry(&route.pattern).or_default();
        let twin = others
            .iter()
            .find(|other| match (&other.methods, &route.methods) {
                (Some(some), Some(others)) => some.shared_with(others).is_some(),
                (None, None) => true,
                _ => false,
            });
        if let Some(twin) = twin {
            let (twin, route) = (Route::clone(twin), Route::clone(route));
            return Err(RouteConflict::Same(Box::new(twin), Box::new(route)));
        }
        others.push(route);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

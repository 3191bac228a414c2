//! The route table: which rule a request falls under.
//!
//! The most specific rule wins, so the order of the rules in the file does not matter. The host goes first: a request to a host
//! that rules name is judged by those, then by those of the names it is below, then by those for any host. Among the rules of
//! one host the path decides, as [`PathPattern`](super::PathPattern) orders them. Of two rules for one path the one that is
//! limited to the request's method wins; a rule that is limited to others is passed over, and the next most specific is taken.
//! Where none is left, only signed-in users pass.
//!
//! A rule that opens is to the letter; one that closes holds for paths in other letter case too, since an app may take them for
//! the same, or a part of the app. So a request has to fulfil the rule that it falls under to the letter, and besides every
//! rule that closes and that is closer to it without regard to case.
//!
//! A path that has no canonical form falls under no rule, with one exception: a rule that says so takes it when it would win in
//! every reading. What is known is the beginning that all readings share. So the rule must cover all at and below that, and no
//! rule that covers any of it may be more specific.

use super::any_case::AnyCase;
use super::caller::{Caller, RequestFacts};
use super::host::normal;
use super::host_index::HostIndex;
use super::letter_case::folded;
use super::paths::{Keep, TooManyCombinations};
use super::requirement::Unmet;
use super::route::{Access, Route};
use crate::http::target::{Ambiguity, AmbiguousPath};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// All rules, ready for look-up.
#[derive(Debug, Clone)]
pub struct RouteTable {
    to_the_letter: HostIndex,
    /// Without regard to letter case; `None` when no rule that closes has letters.
    in_any_case: Option<AnyCase>,
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
#[derive(Debug, Clone)]
pub struct Matched<'routes> {
    pub(super) route: &'routes Arc<Route>,
    /// Others that must be fulfilled as well, since the path may be meant for them in another letter case.
    pub(super) also: Vec<&'routes Arc<Route>>,
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
        let mut sorted = Vec::new();
        // The rule for everything else has place 0.
        for (index, mut route) in routes.into_iter().enumerate() {
            route.place = index.saturating_add(1);
            sorted.push(Arc::new(route));
        }
        sorted.sort_by(|left, right| left.by_specificity(right));
        refuse_overlaps(&sorted)?;
        let to_the_letter = HostIndex::new(sorted.iter().cloned(), Keep::Winners)?;
        let in_any_case = AnyCase::new(&sorted)?;
        let otherwise = Arc::new(Route::default());
        if !sorted.iter().any(|route| route.is_for_everything()) {
            sorted.push(Arc::clone(&otherwise));
        }
        Ok(Self {
            to_the_letter,
            in_any_case,
            otherwise,
            passes_ambiguous: sorted.iter().any(|route| route.passes_ambiguous),
            sorted,
        })
    }

    /// The rule for a request. An ambiguous path falls under none but the one for everything else, unless a rule takes it.
    pub fn find(&self, facts: &RequestFacts<'_>) -> Matched<'_> {
        let mut matched = Matched {
            route: &self.otherwise,
            also: Vec::new(),
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
        if let Some(route) = self.to_the_letter.find(facts.host, path, facts.method, depends) {
            matched.route = route;
        }
        if let Some(any_case) = &self.in_any_case {
            let asked = any_case.asked(matched.route, facts, path, depends);
            (matched.route, matched.also) = (asked.first, asked.also);
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
        let beginning_in_any_case = folded(beginning);
        let host = normal(facts.host);
        let mut winner = None;
        for (order, route) in self.sorted.iter().enumerate() {
            let in_any_case = self.in_any_case.as_ref();
            let in_any_case = in_any_case.and_then(|any_case| any_case.pattern_of(route));
            let to_the_letter = route.pattern.covers_some_below(beginning);
            let (is_possible, order) = match in_any_case {
                Some((pattern, rank)) => (pattern.covers_some_below(&beginning_in_any_case), rank),
                None => (to_the_letter, order),
            };
            if !is_possible || route.host.as_ref().is_some_and(|pattern| !pattern.covers(&host)) {
                continue;
            }
            matched.depends_on_method |= route.methods.is_some();
            if !route.takes(facts.method) {
                continue;
            }
            // Of those that differ in letter case alone it is the one to the letter.
            let order = (order, !to_the_letter);
            if winner.is_none_or(|(closest, _)| order < closest) {
                winner = Some((order, route));
            }
        }
        let winner = winner.map(|(_, route)| route);
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

    /// The rules that it has to fulfil, the one it falls under first.
    pub fn asked(&self) -> impl Iterator<Item = &'routes Arc<Route>> {
        std::iter::once(self.route).chain(self.also.iter().copied())
    }

    /// Whether claims of the caller are looked at. Reading them costs something.
    pub fn reads_claims(&self) -> bool {
        let mut requirements = self.asked().filter_map(|route| route.requirement());
        requirements.any(super::Requirement::reads_claims)
    }

    /// The first condition that does not hold, and the rule that has it; `None` when all do.
    pub fn first_unmet(&self, caller: &Caller<'_>) -> Option<(&'routes Arc<Route>, Unmet<'routes>)> {
        self.asked().find_map(|route| {
            let unmet = route.requirement()?.first_unmet(caller, self.address)?;
            Some((route, unmet))
        })
    }
}

fn refuse_overlaps(routes: &[Arc<Route>]) -> Result<(), RouteConflict> {
    let mut of_pattern: HashMap<_, Vec<&Arc<Route>>> = HashMap::new();
    for route in routes {
        let others = of_pattern.entry((&route.host, &route.pattern)).or_default();
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

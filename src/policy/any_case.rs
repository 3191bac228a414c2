//! What a request falls under for whoever does not mind letter case.

use super::caller::RequestFacts;
use super::host_index::HostIndex;
use super::letter_case::folded;
use super::paths::{Keep, TooManyCombinations};
use super::pattern::PathPattern;
use super::route::{Access, Route};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// All rules without regard to letter case.
#[derive(Debug, Clone)]
pub(super) struct AnyCase {
    index: HostIndex,
    /// By place.
    written: HashMap<usize, Written>,
    /// Whether a rule that closes is written with capitals: then a path without any may be meant for it.
    has_capitals: bool,
}

/// A rule as it is written, and what it is without regard to case.
#[derive(Debug, Clone)]
struct Written {
    route: Arc<Route>,
    pattern: PathPattern,
    /// The closer of two rules has the smaller one; rules of one host and pattern have the same.
    rank: usize,
}

/// The rules that a caller has to fulfil.
#[derive(Debug)]
pub(super) struct Asked<'routes> {
    /// The one that counts for everything else, too.
    pub(super) first: &'routes Arc<Route>,
    /// The others.
    pub(super) also: Vec<&'routes Arc<Route>>,
}

impl AnyCase {
    /// Compiles rules; `None` when letter case makes no difference to those that close.
    pub(super) fn new(routes: &[Arc<Route>]) -> Result<Option<Self>, TooManyCombinations> {
        let closing = || routes.iter().filter(|route| strictness(&route.access) > OPEN);
        if !closing().any(|route| route.pattern.has_letters()) {
            return Ok(None);
        }
        let mut in_any_case: Vec<(&Arc<Route>, Route)> = routes
            .iter()
            .map(|route| {
                let pattern = route.pattern.folded();
                let folded = Route {
                    pattern,
                    ..Route::clone(route)
                };
                (route, folded)
            })
            .collect();
        in_any_case.sort_by(|(_, left), (_, right)| {
            let by_strictness = strictness(&right.access).cmp(&strictness(&left.access));
            left.by_specificity(right).then(by_strictness)
        });
        let mut written = HashMap::new();
        let are_twins = |(_, left): &(_, Route), (_, right): &(_, Route)| {
            left.host == right.host && left.pattern == right.pattern
        };
        for (rank, twins) in in_any_case.chunk_by(are_twins).enumerate() {
            for (route, folded) in twins {
                let (route, pattern) = (Arc::clone(route), folded.pattern.clone());
                written.insert(folded.place, Written { route, pattern, rank });
            }
        }
        let in_any_case = in_any_case.into_iter().map(|(_, folded)| Arc::new(folded));
        Ok(Some(Self {
            index: HostIndex::new(in_any_case, Keep::All)?,
            written,
            has_capitals: closing().any(|route| route.pattern != route.pattern.folded()),
        }))
    }

    /// What a request has to fulfil: `found`, the rule to the letter, and those that close and are closer without regard to
    /// case. `depends_on_method` as in [`HostIndex::find`].
    pub(super) fn asked<'routes>(
        &'routes self,
        found: &'routes Arc<Route>,
        facts: &RequestFacts<'_>,
        path: &str,
        depends_on_method: &mut bool,
    ) -> Asked<'routes> {
        let mut asked = Asked {
            first: found,
            also: Vec::new(),
        };
        let path = folded(path);
        if matches!(path, Cow::Borrowed(_)) && !self.has_capitals {
            return asked;
        }
        let mut closing = self.closer(found, facts, &path, depends_on_method);
        closing.retain(|route| strictness(&route.access) > OPEN);
        // Of the strictest the closest one.
        let strictest = closing.iter().rev().max_by_key(|route| strictness(&route.access));
        if let Some(route) = strictest.filter(|route| asks_otherwise(route, found)) {
            asked.first = route;
        }
        let others = [found].into_iter().chain(closing);
        asked.also = others
            .filter(|route| route.place != asked.first.place && strictness(&route.access) > OPEN)
            .collect();
        asked
    }

    /// The rules that are closer than `found` without regard to case, as they are written, the closest first. One that no
    /// spelling of the path would be judged by, for its host or method, is left out.
    fn closer<'routes>(
        &'routes self,
        found: &Route,
        facts: &RequestFacts<'_>,
        path: &str,
        depends_on_method: &mut bool,
    ) -> Vec<&'routes Arc<Route>> {
        let limit = self.written.get(&found.place).map_or(usize::MAX, |own| own.rank);
        let mut closer: Vec<&Arc<Route>> = Vec::new();
        self.index.first(facts.host, path, |candidates| {
            for candidate in candidates.iter() {
                let written = self.written.get(&candidate.place)?;
                if written.rank >= limit {
                    return Some(());
                }
                *depends_on_method |= candidate.methods.is_some();
                let is_same = |route: &&Arc<Route>| route.pattern == written.route.pattern;
                if candidate.takes(facts.method) && !closer.iter().any(is_same) {
                    closer.push(&written.route);
                }
            }
            None
        });
        closer
    }

    /// The pattern of a rule without regard to case, and how close it is: of two rules the closer one has the smaller number.
    pub(super) fn pattern_of(&self, route: &Route) -> Option<(&PathPattern, usize)> {
        let written = self.written.get(&route.place)?;
        Some((&written.pattern, written.rank))
    }
}

/// That of a rule that lets everybody pass, or tells the app who it is at most.
const OPEN: u8 = 1;

fn strictness(access: &Access) -> u8 {
    match access {
        Access::Public => 0,
        Access::Optional => OPEN,
        Access::Authenticated => 2,
        Access::Required(_) => 3,
    }
}

/// Whether a rule asks for more than another one, or for something else.
fn asks_otherwise(route: &Route, other: &Route) -> bool {
    match (&route.access, &other.access) {
        (Access::Required(asked), Access::Required(other)) => asked != other,
        (asked, other) => strictness(asked) > strictness(other),
    }
}

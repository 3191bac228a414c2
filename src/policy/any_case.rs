//! What a request falls under for whoever does not mind letter case.

use super::caller::RequestFacts;
use super::host_index::HostIndex;
use super::letter_case::folded;
use super::paths::TooManyCombinations;
use super::pattern::PathPattern;
use super::route::{Access, Route};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// All rules without regard to letter case.
#[derive(Debug, Clone)]
pub(super) struct AnyCase {
    index: HostIndex,
    /// By place: the rule as it is written, and its pattern without regard to case.
    written: HashMap<usize, (Arc<Route>, PathPattern)>,
    /// Whether a rule that closes is written with capitals: then a path without any may be meant for it.
    has_capitals: bool,
}

impl AnyCase {
    /// Compiles rules; `None` when letter case makes no difference to those that close.
    pub(super) fn new(routes: &[Arc<Route>]) -> Result<Option<Self>, TooManyCombinations> {
        let closing = || routes.iter().filter(|route| strictness(&route.access) > OPEN);
        if !closing().any(|route| route.pattern.has_letters()) {
            return Ok(None);
        }
        let mut strictest_first: Vec<_> = routes.iter().collect();
        strictest_first.sort_by_key(|route| Reverse(strictness(&route.access)));
        let in_any_case = strictest_first.into_iter().map(|route| {
            Arc::new(Route {
                pattern: route.pattern.folded(),
                ..Route::clone(route)
            })
        });
        Ok(Some(Self {
            index: HostIndex::new(in_any_case)?,
            written: routes
                .iter()
                .map(|route| (route.place, (Arc::clone(route), route.pattern.folded())))
                .collect(),
            has_capitals: closing().any(|route| route.pattern != route.pattern.folded()),
        }))
    }

    /// The rule that closes more than `found`, the one to the letter. `depends_on_method` as in [`HostIndex::find`].
    pub(super) fn stricter(
        &self,
        found: &Route,
        facts: &RequestFacts<'_>,
        path: &str,
        depends_on_method: &mut bool,
    ) -> Option<&Arc<Route>> {
        let path = folded(path);
        if matches!(path, Cow::Borrowed(_)) && !self.has_capitals {
            return None;
        }
        let other = self
            .index
            .find(facts.host, &path, facts.method, depends_on_method)?;
        let (other, pattern) = self.written.get(&other.place)?;
        // Whoever writes a path in two ways tells them apart.
        let is_twin = self
            .written
            .get(&found.place)
            .is_some_and(|(_, own)| own == pattern && found.host == other.host);
        let is_stricter = match (&other.access, &found.access) {
            (Access::Required(asked), Access::Required(asked_to_the_letter)) => asked != asked_to_the_letter,
            (other, found) => strictness(other) > strictness(found),
        };
        (is_stricter && !is_twin).then_some(other)
    }

    /// The pattern of a rule without regard to case.
    pub(super) fn pattern_of(&self, route: &Route) -> Option<&PathPattern> {
        self.written.get(&route.place).map(|(_, pattern)| pattern)
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

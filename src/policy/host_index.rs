//! Looking up a host, then a path and a method, among rules.

use super::host::{HostPattern, normal, parents};
use super::paths::{Candidates, Keep, PathIndex, TooManyCombinations};
use super::route::Route;
use std::collections::HashMap;
use std::sync::Arc;

/// Rules, ready for look-up.
#[derive(Debug, Clone)]
pub(super) struct HostIndex {
    by_host: HashMap<String, PathIndex>,
    below_host: HashMap<String, PathIndex>,
    any_host: PathIndex,
}

impl HostIndex {
    /// Compiles rules. Of two that cover the same requests the one that comes first goes first.
    pub(super) fn new(
        routes: impl Iterator<Item = Arc<Route>>,
        keep: Keep,
    ) -> Result<Self, TooManyCombinations> {
        let mut groups: HashMap<Option<HostPattern>, Vec<Arc<Route>>> = HashMap::new();
        for route in routes {
            groups.entry(route.host.clone()).or_default().push(route);
        }
        let mut index = Self {
            by_host: HashMap::new(),
            below_host: HashMap::new(),
            any_host: PathIndex::new(groups.remove(&None).unwrap_or_default(), keep)?,
        };
        for (host, group) in groups {
            let paths = PathIndex::new(group, keep)?;
            match host {
                Some(HostPattern::Exact(host)) => index.by_host.insert(host, paths),
                Some(HostPattern::Below(name)) => index.below_host.insert(name, paths),
                None => None,
            };
        }
        Ok(index)
    }

    /// The most specific rule. `depends_on_method` is set when another method might have found another one.
    pub(super) fn find(
        &self,
        host: &str,
        path: &str,
        method: &str,
        depends_on_method: &mut bool,
    ) -> Option<&Arc<Route>> {
        self.first(host, path, |candidates| {
            *depends_on_method |= candidates.depend_on_method();
            candidates.find(method)
        })
    }

    /// The first thing that comes of the candidates for a path, host by host from the most specific.
    pub(super) fn first<'t, R>(
        &'t self,
        host: &str,
        path: &str,
        mut take: impl FnMut(&'t Candidates) -> Option<R>,
    ) -> Option<R> {
        if self.by_host.is_empty() && self.below_host.is_empty() {
            return take(self.any_host.find(path)?);
        }
        let host = normal(host);
        let names = parents(&host).filter(|_| !self.below_host.is_empty());
        let below = names.filter_map(|name| self.below_host.get(name));
        let indexes = self
            .by_host
            .get(&*host)
            .into_iter()
            .chain(below)
            .chain([&self.any_host]);
        indexes.filter_map(|index| index.find(path)).find_map(take)
    }
}

//! Looking up a host, then a path and a method, among rules.

use super::host::{HostPattern, normal, parents};
use super::paths::{PathIndex, TooManyCombinations};
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
    /// Compiles rules. Of two that cover the same requests the one that comes first wins.
    pub(super) fn new(routes: impl Iterator<Item = Arc<Route>>) -> Result<Self, TooManyCombinations> {
        let mut groups: HashMap<Option<HostPattern>, Vec<Arc<Route>>> = HashMap::new();
        for route in routes {
            groups.entry(route.host.clone()).or_default().push(route);
        }
        let mut index = Self {
            by_host: HashMap::new(),
            below_host: HashMap::new(),
            any_host: PathIndex::new(groups.remove(&None).unwrap_or_default())?,
        };
        for (host, group) in groups {
            let paths = PathIndex::new(group)?;
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
        if self.by_host.is_empty() && self.below_host.is_empty() {
            return take(&self.any_host, path, method, depends_on_method);
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
        indexes
            .into_iter()
            .find_map(|index| take(index, path, method, depends_on_method))
    }
}

/// The rule of one host's for a path and a method.
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

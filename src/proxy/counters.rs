//! The counters of every route, found once when a configuration is compiled.

use crate::policy::{Route, RouteTable};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::RequestCounter;

/// A counter for each route, and one for messages that never get to a route.
#[derive(Debug)]
pub struct RouteCounters {
    rejects: RequestCounter,
    /// By [`Route::place`].
    by_place: Box<[RequestCounter]>,
}

impl RouteCounters {
    /// The counters of these routes, by what they are for. A route that an earlier configuration had counts on.
    pub fn new(routes: &RouteTable, metrics: &Metrics) -> Self {
        let rejects = metrics.rejected_requests();
        let mut by_place = vec![rejects; routes.iter().count().saturating_add(1)];
        for route in routes.iter() {
            if let Some(counter) = by_place.get_mut(route.place) {
                *counter = metrics.requests_of(&route.to_string());
            }
        }
        Self {
            rejects,
            by_place: by_place.into_boxed_slice(),
        }
    }

    /// The counter of messages that never get to a route.
    pub(super) const fn rejects(&self) -> RequestCounter {
        self.rejects
    }

    /// The counter of a route of the table that these were made for.
    pub(super) fn of(&self, route: &Route) -> RequestCounter {
        self.by_place.get(route.place).copied().unwrap_or(self.rejects)
    }
}

//! What a route has beside its rule: how what may pass is treated.

use crate::policy::Route;
use crate::upstream::{UpstreamHost, UpstreamId};

/// The treatment of one route's requests.
#[derive(Debug, Clone, Default)]
pub struct RouteSettings {
    /// Where they go.
    pub upstream: UpstreamId,
    /// What Host is named there.
    pub upstream_host: UpstreamHost,
    /// Whom identity assertions are for.
    pub audience: String,
}

/// The treatment of every route, found by the number that the table gave it.
#[derive(Debug)]
pub struct SettingsTable {
    /// By [`Route::place`].
    by_place: Box<[RouteSettings]>,
    otherwise: RouteSettings,
}

impl SettingsTable {
    /// The settings of routes in the order in which the table was given them, and of what falls under none.
    pub fn new(otherwise: RouteSettings, routes: Vec<RouteSettings>) -> Self {
        let by_place = std::iter::once(otherwise.clone()).chain(routes).collect();
        Self { by_place, otherwise }
    }

    /// The settings of a route of the table that these were made for.
    pub fn of(&self, route: &Route) -> &RouteSettings {
        self.by_place.get(route.place).unwrap_or(&self.otherwise)
    }
}

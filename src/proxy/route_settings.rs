//! What a route has beside its rule: how what may pass is treated.

use crate::http::Rewrite;
use crate::http::cors::CorsPolicy;
use crate::policy::Route;
use crate::tokens::TokenRules;
use crate::upstream::{UpstreamHost, UpstreamId};
use ::http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// The treatment of one route's requests.
#[derive(Debug, Clone, Default)]
pub struct RouteSettings {
    /// The tokens that the upstream gets.
    pub tokens: Option<Arc<TokenRules>>,
    /// Whether callers may come with a bearer token in place of a session.
    pub bearer: bool,
    /// Where they go.
    pub upstream: UpstreamId,
    /// What Host is named there.
    pub upstream_host: UpstreamHost,
    /// Under which path they are asked for there, if under another.
    pub rewrite: Option<Rewrite>,
    /// Header fields that are always there.
    pub set_headers: Vec<(HeaderName, HeaderValue)>,
    /// What scripts of other origins may ask and read; `None`: nothing is said of them.
    pub cors: Option<Arc<CorsPolicy>>,
    /// Whom identity assertions are for.
    pub audience: String,
}

/// The treatment of every route, found by the number that the table gave it.
#[derive(Debug)]
pub struct SettingsTable {
    /// By [`Route::place`].
    by_place: Box<[RouteSettings]>,
    otherwise: RouteSettings,
    has_cors: bool,
}

impl SettingsTable {
    /// The settings of routes in the order in which the table was given them, and of what falls under none.
    pub fn new(otherwise: RouteSettings, routes: Vec<RouteSettings>) -> Self {
        let by_place: Box<[_]> = std::iter::once(otherwise.clone()).chain(routes).collect();
        Self {
            has_cors: by_place.iter().any(|settings| settings.cors.is_some()),
            by_place,
            otherwise,
        }
    }

    /// Whether any route has something to say to scripts of other origins.
    pub(super) const fn has_cors(&self) -> bool {
        self.has_cors
    }

    /// The settings of a route of the table that these were made for.
    pub fn of(&self, route: &Route) -> &RouteSettings {
        self.by_place.get(route.place).unwrap_or(&self.otherwise)
    }
}

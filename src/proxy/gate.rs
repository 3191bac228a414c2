//! What requests meet: everything that was compiled from one configuration.

use super::access_log::AccessLog;
use super::counters::RouteCounters;
use super::route_settings::SettingsTable;
use crate::bearer::Bearers;
use crate::clock::Clock;
use crate::endpoints::Endpoints;
use crate::identity::HeaderRules;
use crate::policy::RouteTable;
use crate::recheck::Rechecks;
use crate::request::Sanitizer;
use crate::session::SessionCookies;
use crate::telemetry::Metrics;
use crate::tokens::Tokens;
use crate::upstream::Upstreams;
use std::sync::Arc;

/// All that a request meets on its way, compiled from one configuration. A request takes it once and keeps it,
/// so a reload never changes the rules under a request.
#[derive(Debug)]
pub struct Gate {
    /// Raw to clean.
    pub sanitizer: Sanitizer,
    /// The proxy's own URLs.
    pub endpoints: Endpoints,
    /// The session cookies.
    pub cookies: Arc<SessionCookies>,
    /// Whose bearer tokens are whose; `None` where no route takes any.
    pub bearers: Option<Bearers>,
    /// Asking Logto whether sessions still hold.
    pub rechecks: Arc<Rechecks>,
    /// Who may pass where.
    pub routes: RouteTable,
    /// How what may pass is treated, by route.
    pub settings: SettingsTable,
    /// The callers' tokens, for upstreams that get them.
    pub tokens: Tokens,
    /// What the upstream is told.
    pub header_rules: Arc<HeaderRules>,
    /// How upstreams are reached. A worker whose pools were made for others makes new ones.
    pub upstreams: Arc<Upstreams>,
    /// What is logged of each request.
    pub access_log: AccessLog,
    /// Where requests are counted, by route.
    pub counters: RouteCounters,
    /// Everything else that is counted.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
}

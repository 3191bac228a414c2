//! What outlasts a configuration: made when the proxy starts, and moved from gate to gate by every reload.
//!
//! All of it is listed here, so that nothing that must survive is made anew by accident: a sign-in under way, a limit
//! that was used up, what is known of Logto, open connections, counts.

use super::error::CompileError;
use super::organizations::live_organizations;
use super::parts::{bearer_settings, kept_claims, logto_settings};
use super::routes::claims_of_conditions;
use super::store::store_settings;
use super::upstreams::upstreams;
use crate::bearer::{self, Bearers};
use crate::clock::{Clock, UnixSeconds};
use crate::config::Config;
use crate::endpoints::{Callbacks, SignInLimiter};
use crate::identity::ClaimPath;
use crate::identity::headers::HeaderRules;
use crate::logto::{self, Logto};
use crate::proxy::Gate;
use crate::recheck::{Ledger, LiveOrganizations};
use crate::request::AllowedHosts;
use crate::store::Store;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::tokens::SocialTokens;
use crate::upstream::{UpstreamId, Upstreams};
use std::sync::Arc;

/// The lasting parts of a gate.
pub(super) struct Lasting {
    pub(super) logto: Logto,
    pub(super) upstreams: Arc<Upstreams>,
    /// Where each route's requests go.
    pub(super) route_upstreams: Vec<UpstreamId>,
    pub(super) limiter: SignInLimiter,
    pub(super) callbacks: Arc<Callbacks>,
    pub(super) store: Store,
    pub(super) ledger: Arc<Ledger>,
    pub(super) social: Arc<SocialTokens>,
    /// What is known of bearer tokens; `None` where no route takes any.
    pub(super) bearers: Option<Bearers>,
    pub(super) organizations: Option<LiveOrganizations>,
    /// What sessions keep, and since when.
    pub(super) kept_claims: Vec<ClaimPath>,
    pub(super) claims_since: UnixSeconds,
    pub(super) allowed_hosts: Option<AllowedHosts>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
}

impl Lasting {
    /// Those of the first gate.
    pub(super) fn new(
        config: &Config,
        rules: &HeaderRules,
        clock: Clock,
        tasks: &Tasks,
        metrics: &Metrics,
    ) -> Result<Self, CompileError> {
        let logto = Logto::new(
            logto_settings(config, rules)?,
            clock.clone(),
            tasks.clone(),
            metrics.clone(),
        )?;
        let store = Store::open(
            store_settings(config),
            clock.clone(),
            tasks.clone(),
            metrics.clone(),
        )?;
        let kept_claims = kept_claims(rules, claims_of_conditions(config)?)?;
        let parts = bearer::Parts {
            logto: logto.clone(),
            revocations: Arc::clone(store.revocations()),
            clock: clock.clone(),
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        };
        let (upstreams, route_upstreams) = upstreams(config)?;
        Ok(Self {
            bearers: bearer_settings(config, &kept_claims).map(|settings| Bearers::new(settings, parts)),
            logto,
            store,
            ledger: Arc::default(),
            social: Arc::default(),
            organizations: live_organizations(config, None)?,
            kept_claims,
            claims_since: clock.now(),
            upstreams: Arc::new(upstreams),
            route_upstreams,
            limiter: SignInLimiter::new(config.limits.sign_ins_per_minute),
            callbacks: Arc::default(),
            allowed_hosts: None,
            clock,
            tasks: tasks.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Those of the gate before, changed where the configuration changed. `gate` was made from `previous`.
    pub(super) fn after(
        config: &Config,
        rules: &HeaderRules,
        previous: &Config,
        gate: &Gate,
    ) -> Result<Self, CompileError> {
        let endpoints = &gate.endpoints;
        let (upstreams, route_upstreams) = upstreams(config)?;
        let kept_claims = kept_claims(rules, claims_of_conditions(config)?)?;
        let (logto, is_kept) = logto_after(config, rules, previous, gate)?;
        let known = gate.bearers.as_ref().filter(|_| is_kept);
        Ok(Self {
            bearers: bearer_settings(config, &kept_claims).map(|settings| {
                let parts = bearer::Parts {
                    logto: logto.clone(),
                    revocations: Arc::clone(endpoints.store.revocations()),
                    clock: gate.clock.clone(),
                    tasks: endpoints.tasks.clone(),
                    metrics: gate.metrics.clone(),
                };
                match known.filter(|known| *known.settings() == settings) {
                    Some(known) => known.clone(),
                    None => Bearers::new(settings, parts),
                }
            }),
            logto,
            // Workers know their pools by these very allocations.
            upstreams: upstreams.after(&gate.upstreams),
            route_upstreams,
            limiter: endpoints.limiter.with_limit(config.limits.sign_ins_per_minute),
            callbacks: Arc::clone(&endpoints.callbacks),
            store: endpoints.store.clone(),
            ledger: Arc::clone(&gate.rechecks.ledger),
            social: Arc::clone(&gate.tokens.social),
            organizations: live_organizations(config, gate.rechecks.organizations.as_ref())?,
            claims_since: if kept_claims
                .iter()
                .all(|path| gate.rechecks.kept_claims.contains(path))
            {
                gate.rechecks.claims_since
            } else {
                gate.clock.now()
            },
            kept_claims,
            allowed_hosts: gate.sanitizer.allowed_hosts,
            clock: gate.clock.clone(),
            tasks: endpoints.tasks.clone(),
            metrics: gate.metrics.clone(),
        })
    }
}

/// The client of Logto: the same when nothing about it changed. A new one at the same Logto knows from the start what
/// the old one learnt; the old one ends with the last request that holds its gate. Says whether it is the same.
fn logto_after(
    config: &Config,
    rules: &HeaderRules,
    previous: &Config,
    gate: &Gate,
) -> Result<(Logto, bool), CompileError> {
    let old = logto_settings(previous, &gate.header_rules)?;
    let new = logto_settings(config, rules)?;
    let known = &gate.endpoints.logto;
    if old == new {
        return Ok((known.clone(), true));
    }
    let is_same_logto = is_same_logto(&old, &new);
    let logto = Logto::new(
        new,
        gate.clock.clone(),
        gate.endpoints.tasks.clone(),
        gate.metrics.clone(),
    )?;
    if is_same_logto {
        logto.learn_from(known);
    }
    Ok((logto, false))
}

/// Whether what one client learnt of Logto holds for the other: asked at the same place, and trusted for the same
/// certificates.
fn is_same_logto(old: &logto::Settings, new: &logto::Settings) -> bool {
    old.endpoint == new.endpoint
        && old.internal_endpoint == new.internal_endpoint
        && old.extra_roots == new.extra_roots
}

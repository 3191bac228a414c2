//! From a [`Config`] to what requests meet. This module and `parts` are the only ones that know both.

use super::error::CompileError;
use super::lasting::Lasting;
use super::organizations::organizations_asked_for;
use super::parts::{
    assertions, cookie_settings, endpoint_paths, header_rules, keyring, sign_ins, worker_settings,
};
use super::routes::{routes, settings};
use super::serving::{ListenAddress, Serving};
use super::tokens::keeps;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::endpoints::Endpoints;
use crate::http::forwarded::{PublicOrigin, TrustedProxies};
use crate::identity::headers::HeaderRules;
use crate::logto::webhook::WebhookKey;
use crate::pages::PageSettings;
use crate::proxy::{AccessLog, Gate, RouteCounters, SubjectInLog};
use crate::recheck::Rechecks;
use crate::request::{MessageLimits, Sanitizer};
use crate::session::binding::BindingCookie;
use crate::session::cookie::SessionCookies;
use crate::session::freshness::RecheckLimits;
use crate::session::session::Limits;
use crate::session::size::expected_cookie_bytes;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::tokens::Tokens;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// What a configuration compiles to.
#[derive(Debug)]
pub struct Compiled {
    /// What requests meet.
    pub gate: Gate,
    /// How connections are treated and how it all ends.
    pub serving: Serving,
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// Where health is served.
    pub admin: Option<ListenAddress>,
    /// Whether nobody chose that address: it may then be taken.
    pub admin_is_default: bool,
    /// Number of workers.
    pub workers: NonZeroUsize,
    /// Connections at once.
    pub connections: usize,
    /// Bytes of cookie that a typical user's session takes.
    pub expected_cookie_bytes: usize,
    /// What it was compiled from.
    pub config: Config,
}

/// Compiles a first configuration and opens its store. Nothing is bound or called.
pub fn compile(
    config: &Config,
    clock: Clock,
    tasks: &Tasks,
    metrics: &Metrics,
) -> Result<Compiled, CompileError> {
    let header_rules = Arc::new(header_rules(config)?);
    let lasting = Lasting::new(config, &header_rules, clock, tasks, metrics)?;
    assemble(config, header_rules, lasting)
}

/// Compiles the configuration that follows `previous`, from which `gate` was made. What outlasts a configuration
/// moves over from that gate, which goes on working.
pub(super) fn compile_again(
    config: &Config,
    previous: &Config,
    gate: &Gate,
) -> Result<Compiled, CompileError> {
    let header_rules = Arc::new(header_rules(config)?);
    let lasting = Lasting::after(config, &header_rules, previous, gate)?;
    assemble(config, header_rules, lasting)
}

fn assemble(
    config: &Config,
    header_rules: Arc<HeaderRules>,
    lasting: Lasting,
) -> Result<Compiled, CompileError> {
    let public_origin = PublicOrigin::parse(config.public_url.origin()).ok_or(CompileError::PublicUrl)?;
    let keyring = Arc::new(keyring(config)?);
    let cookie_settings = cookie_settings(config);
    let binding_cookie = BindingCookie::new(&cookie_settings)?;
    let limits = Limits {
        idle: config.session.idle_timeout,
        lifetime: config.session.lifetime,
    };
    let cookies = Arc::new(SessionCookies::new(
        cookie_settings,
        Arc::clone(&keyring),
        limits,
    )?);
    let kept_claims = lasting.kept_claims;
    let expected_cookie_bytes = expected_cookie_bytes(
        &config.session.cookie_name,
        &header_rules,
        &kept_claims,
        config.logto.asks_identities(),
    );
    let rechecks = Arc::new(Rechecks {
        logto: lasting.logto.clone(),
        store: lasting.store.clone(),
        cookies: Arc::clone(&cookies),
        header_rules: Arc::clone(&header_rules),
        kept_claims: kept_claims.clone(),
        claims_since: lasting.claims_since,
        limits: RecheckLimits {
            recheck: config.session.recheck,
            grace: config.session.recheck_grace,
        },
        keeps: keeps(config, &header_rules),
        organizations: lasting.organizations,
        organizations_asked_for: organizations_asked_for(config, &header_rules)?,
        ledger: lasting.ledger,
        clock: lasting.clock.clone(),
        tasks: lasting.tasks.clone(),
        metrics: lasting.metrics.clone(),
    });
    let routes = routes(config)?;
    let endpoints = Endpoints {
        paths: endpoint_paths(config),
        public_origin: public_origin.clone(),
        after_sign_out: config.endpoints.after_sign_out.clone(),
        logto: lasting.logto,
        keyring,
        cookies: Arc::clone(&cookies),
        binding_cookie,
        header_rules: Arc::clone(&header_rules),
        kept_claims,
        sign_ins: sign_ins(config, &routes),
        pages: PageSettings {
            title: config.pages.title.clone(),
            support_url: config.pages.support_url.as_ref().map(ToString::to_string),
        },
        limiter: lasting.limiter,
        callbacks: lasting.callbacks,
        store: lasting.store,
        assertions: assertions(config)?,
        webhook_key: config.webhook_signing_key.clone().map(WebhookKey::new),
        rechecks: Arc::clone(&rechecks),
        metrics: lasting.metrics.clone(),
        clock: lasting.clock.clone(),
        tasks: lasting.tasks,
    };
    let gate = Gate {
        sanitizer: Sanitizer {
            limits: MessageLimits {
                header_bytes: config.limits.header_bytes,
                headers: config.limits.headers,
                target_bytes: config.limits.target_bytes,
                body_bytes: config.limits.body_bytes.map(u64::from),
            },
            header_rules: Arc::clone(&header_rules),
            trusted_proxies: TrustedProxies::new(config.trusted_proxies.clone(), config.trust_unix_peers),
            public_origin,
            check_path: config.endpoints.auth.clone(),
            admits_ambiguous: routes.passes_ambiguous(),
            allowed_hosts: lasting.allowed_hosts,
        },
        endpoints,
        cookies,
        tokens: Tokens {
            rechecks: Arc::clone(&rechecks),
            social: lasting.social,
        },
        bearers: lasting.bearers,
        rechecks,
        counters: RouteCounters::new(&routes, &lasting.metrics),
        routes,
        settings: settings(config, &header_rules, lasting.route_upstreams)?,
        header_rules,
        upstreams: lasting.upstreams,
        access_log: AccessLog {
            enabled: config.log.access,
            subject: match config.log.subject {
                config::SubjectLog::Plain => SubjectInLog::Plain,
                config::SubjectLog::Hash => SubjectInLog::Hashed,
                config::SubjectLog::Off => SubjectInLog::Off,
            },
        },
        metrics: lasting.metrics,
        clock: lasting.clock,
    };
    Ok(Compiled {
        gate,
        serving: Serving {
            connections: worker_settings(config),
            shutdown_delay: config.shutdown.delay,
            shutdown_timeout: config.shutdown.timeout,
        },
        listen: config.listen.iter().map(listen_address).collect(),
        admin: admin_address(config),
        admin_is_default: config.admin_is_default,
        workers: config.workers,
        connections: config.limits.connections.get(),
        expected_cookie_bytes,
        config: config.clone(),
    })
}

/// Where the health listener is, if there is one.
pub fn admin_address(config: &Config) -> Option<ListenAddress> {
    config.admin.as_ref().map(listen_address)
}

fn listen_address(address: &config::ListenAddress) -> ListenAddress {
    match address {
        config::ListenAddress::Tcp(socket) => ListenAddress::Tcp(*socket),
        config::ListenAddress::Unix(path) => ListenAddress::Unix(path.clone()),
    }
}

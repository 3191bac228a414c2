//! From a [`Config`] to what requests meet. The only place that knows both.

use super::error::CompileError;
use super::lasting::Lasting;
use super::serving::{ListenAddress, Serving, WorkerSettings};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::endpoints::{EndpointPaths, Endpoints, SignInDefaults};
use crate::http::forwarded::{PublicOrigin, TrustedProxies};
use crate::identity::claims::ClaimPath;
use crate::identity::headers::{Encoding, HeaderRule, HeaderRules, Source};
use crate::logto::webhook::WebhookKey;
use crate::logto::{self, RefreshMode, Userinfo};
use crate::pages::PageSettings;
use crate::policy::{Access, PathPattern, Route, RouteTable, Unauthenticated};
use crate::proxy::{AccessLog, Gate, RouteCounters, SubjectInLog};
use crate::recheck::Rechecks;
use crate::request::{MessageLimits, Sanitizer};
use crate::session::binding::BindingCookie;
use crate::session::cookie::SessionCookies;
use crate::session::freshness::RecheckLimits;
use crate::session::keyring::{KeyContext, KeyRing, SessionKey};
use crate::session::session::Limits;
use crate::session::settings::{CookieSettings, SameSite};
use crate::session::size::expected_cookie_bytes;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::upstream::{self, UpstreamHost};
use rustls::pki_types::ServerName;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Claims that `user` shows besides those that headers need (Logto: default ID token claims).
const USER_CLAIMS: &[&str] = &["name", "username", "picture", "email", "roles", "organizations"];

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

/// Compiles a first configuration. Nothing is bound, read or called.
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
    let kept_claims = kept_claims(&header_rules)?;
    let expected_cookie_bytes = expected_cookie_bytes(
        &config.session.cookie_name,
        &header_rules,
        &kept_claims,
        asks_identities(config),
    );
    let rechecks = Arc::new(Rechecks {
        logto: lasting.logto.clone(),
        store: lasting.store.clone(),
        cookies: Arc::clone(&cookies),
        header_rules: Arc::clone(&header_rules),
        kept_claims: kept_claims.clone(),
        limits: RecheckLimits {
            recheck: config.session.recheck,
            grace: config.session.recheck_grace,
        },
        ledger: lasting.ledger,
        clock: lasting.clock.clone(),
        tasks: lasting.tasks.clone(),
        metrics: lasting.metrics.clone(),
    });
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
        sign_in: sign_in_defaults(config),
        pages: PageSettings {
            title: config.pages.title.clone(),
            support_url: config.pages.support_url.as_ref().map(ToString::to_string),
        },
        limiter: lasting.limiter,
        callbacks: lasting.callbacks,
        store: lasting.store,
        webhook_key: config.webhook_signing_key.clone().map(WebhookKey::new),
        recheck: config.session.recheck,
        metrics: lasting.metrics.clone(),
        clock: lasting.clock.clone(),
        tasks: lasting.tasks,
    };
    let routes = routes(config)?;
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
            allowed_hosts: lasting.allowed_hosts,
        },
        endpoints,
        cookies,
        rechecks,
        counters: RouteCounters::new(&routes, &lasting.metrics),
        routes,
        header_rules,
        upstream: lasting.upstream,
        upstream_host: upstream_host(config),
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

/// Without the scope Logto gives no identities, and asking userinfo for them would be in vain.
fn asks_identities(config: &Config) -> bool {
    config.logto.scopes.iter().any(|scope| scope == "identities")
}

/// The default headers, less those taken out, plus or overlaid by those configured.
fn header_rules(config: &Config) -> Result<HeaderRules, CompileError> {
    let mut rules = HeaderRules::standard();
    if asks_identities(config) {
        rules.extend(HeaderRules::hugging_face());
    }
    rules.retain(|rule| {
        let replaced = config.headers.iter().any(|header| header.name == rule.name);
        !replaced && !config.removed_headers.contains(&rule.name)
    });
    for header in &config.headers {
        let source = match &header.source {
            config::HeaderSource::Constant(value) => Source::Constant(value.clone()),
            config::HeaderSource::Claim { path, encoding, join } => Source::Claim {
                path: path.parse()?,
                encoding: match encoding {
                    config::HeaderEncoding::Percent => Encoding::Percent,
                    config::HeaderEncoding::Utf8 => Encoding::Utf8,
                    config::HeaderEncoding::Rfc2047 => Encoding::Rfc2047,
                    config::HeaderEncoding::Base64 => Encoding::Base64,
                },
                join: join.clone(),
            },
        };
        rules.push(HeaderRule {
            name: header.name.clone(),
            source,
        });
    }
    Ok(HeaderRules::new(rules)?)
}

fn keyring(config: &Config) -> Result<KeyRing, CompileError> {
    let keys = config
        .session
        .keys
        .iter()
        .map(SessionKey::parse)
        .collect::<Result<Vec<_>, _>>()?;
    let context = KeyContext {
        issuer: config.logto.issuer.clone(),
        client_id: config.logto.app_id.clone(),
        public_origin: config.public_url.origin().to_owned(),
    };
    Ok(KeyRing::new(keys, &context)?)
}

fn cookie_settings(config: &Config) -> CookieSettings {
    CookieSettings {
        name: config.session.cookie_name.clone(),
        secure: config.session.secure,
        same_site: match config.session.same_site {
            config::SameSite::Lax => SameSite::Lax,
            config::SameSite::None => SameSite::None,
        },
        domain: config.session.cookie_domain.clone(),
        cookie_bytes: config.limits.cookie_bytes,
    }
}

fn kept_claims(rules: &HeaderRules) -> Result<Vec<ClaimPath>, CompileError> {
    let mut kept = rules.needed_claims();
    for name in USER_CLAIMS {
        let path: ClaimPath = name.parse()?;
        if !kept.contains(&path) {
            kept.push(path);
        }
    }
    Ok(kept)
}

fn endpoint_paths(config: &Config) -> EndpointPaths {
    let endpoints = &config.endpoints;
    EndpointPaths {
        sign_in: endpoints.sign_in.clone(),
        sign_up: endpoints.sign_up.clone(),
        callback: endpoints.callback.clone(),
        sign_out: endpoints.sign_out.clone(),
        user: endpoints.user.clone(),
        back_channel_logout: endpoints.back_channel_logout.clone(),
        webhook: endpoints.webhook.clone(),
        sessions: endpoints.sessions.clone(),
        sessions_revoke: endpoints.sessions_revoke(),
    }
}

pub(super) fn logto_settings(config: &Config, rules: &HeaderRules) -> logto::Settings {
    // Claims that Logto never has in an ID token unless the tenant says so; the others are there or nowhere.
    let needed: BTreeSet<String> = rules
        .needed_claims()
        .iter()
        .map(|path| path.top_level().to_owned())
        .collect();
    logto::Settings {
        endpoint: config.logto.endpoint.clone(),
        internal_endpoint: config.logto.internal_endpoint.clone(),
        app_id: config.logto.app_id.clone(),
        app_secrets: config.logto.app_secrets.clone(),
        extra_roots: config.logto.ca.clone(),
        redirect_uri: config.redirect_uri(),
        scopes: config.logto.scopes.clone(),
        userinfo: match config.logto.userinfo {
            config::UserinfoMode::WhenNeeded => Userinfo::WhenNeeded(needed.into_iter().collect()),
            config::UserinfoMode::Always => Userinfo::Always,
            config::UserinfoMode::Never => Userinfo::Never,
        },
        refresh: match config.logto.refresh {
            config::RefreshMode::Session => RefreshMode::Session,
            config::RefreshMode::Offline => RefreshMode::Offline,
            config::RefreshMode::None => RefreshMode::None,
        },
    }
}

fn sign_in_defaults(config: &Config) -> SignInDefaults {
    let sign_in = &config.sign_in;
    let mut parameters = Vec::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            parameters.push((name.to_owned(), value));
        }
    };
    set("direct_sign_in", sign_in.direct.as_ref().map(ToString::to_string));
    set(
        "first_screen",
        sign_in.first_screen.map(|screen| screen.as_str().to_owned()),
    );
    let locales = (!sign_in.ui_locales.is_empty()).then(|| sign_in.ui_locales.join(" "));
    set("ui_locales", locales);
    set("organization_id", sign_in.organization_id.clone());
    parameters.extend(sign_in.extra_params.iter().cloned());
    SignInDefaults {
        prompt: sign_in.prompt.map(|prompt| prompt.as_str().to_owned()),
        parameters,
        allowed: sign_in
            .allow_params
            .iter()
            .map(|parameter| parameter.as_str().to_owned())
            .collect(),
    }
}

fn routes(config: &Config) -> Result<RouteTable, CompileError> {
    let mut routes = Vec::new();
    for route in &config.routes {
        routes.push(Route {
            pattern: PathPattern::parse(&route.path.to_string())?,
            access: match route.access {
                config::Access::Public => Access::Public,
                config::Access::Optional => Access::Optional,
                config::Access::Authenticated => Access::Authenticated,
            },
            unauthenticated: match route.unauthenticated {
                config::Unauthenticated::Auto => Unauthenticated::Auto,
                config::Unauthenticated::Redirect => Unauthenticated::Redirect,
                config::Unauthenticated::Refuse => Unauthenticated::Status401,
            },
            ..Route::default()
        });
    }
    Ok(RouteTable::new(routes)?)
}

fn upstream_host(config: &Config) -> UpstreamHost {
    match &config.upstream_host {
        config::UpstreamHost::Keep => UpstreamHost::Keep,
        config::UpstreamHost::Rewrite(host) | config::UpstreamHost::Value(host) => {
            UpstreamHost::Replace(host.clone())
        }
    }
}

pub(super) fn upstream_settings(config: &Config) -> Result<upstream::Settings, CompileError> {
    let address = match &config.upstream {
        config::UpstreamAddress::Tcp { host, port } => upstream::Address::Tcp {
            host: host.clone(),
            port: *port,
        },
        config::UpstreamAddress::Tls { host, port } => {
            let server_name = match &config.upstream_tls.server_name {
                Some(name) => name.clone(),
                None => ServerName::try_from(host.clone()).map_err(|_| CompileError::ServerName)?,
            };
            upstream::Address::Tls {
                host: host.clone(),
                port: *port,
                server_name,
            }
        }
        config::UpstreamAddress::Unix(path) => upstream::Address::Unix(path.clone()),
    };
    let mut settings = upstream::Settings::new(address);
    settings.connect_timeout = config.limits.upstream_connect_timeout;
    settings.response_header_timeout = config.limits.upstream_response_timeout;
    settings.extra_roots.clone_from(&config.upstream_tls.ca);
    Ok(settings)
}

fn worker_settings(config: &Config) -> WorkerSettings {
    // Room for the request line beside the fields; never so little that bodies are read in crumbs.
    let header = config
        .limits
        .header_bytes
        .saturating_add(config.limits.target_bytes);
    WorkerSettings {
        maximum_headers: config.limits.headers,
        buffer_bytes: header.saturating_add(1024).max(64 * 1024),
        header_timeout: config.limits.header_timeout,
        idle_timeout: config.limits.idle_timeout,
    }
}

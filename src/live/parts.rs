//! The parts of a gate, each from its section of the configuration.

use super::error::CompileError;
use super::routes::{claims_of_conditions, names_set};
use super::serving::WorkerSettings;
use super::tokens::{consent_targets, owned_names};
use crate::bearer;
use crate::config::{self, Config};
use crate::endpoints::{EndpointPaths, SignInDefaults, SignIns};
use crate::identity::assertion::{AssertionKey, AssertionSettings, Assertions};
use crate::identity::claims::ClaimPath;
use crate::identity::headers::{Encoding, HeaderRule, HeaderRules, Source, TokenSource};
use crate::logto::{self, RefreshMode, Userinfo};
use crate::policy::RouteTable;
use crate::session::keyring::{KeyContext, KeyRing, SessionKey};
use crate::session::settings::{CookieSettings, SameSite};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Claims that `user` shows besides those that headers need (Logto: default ID token claims).
const USER_CLAIMS: &[&str] = &["name", "username", "picture", "email", "roles", "organizations"];

/// The default headers and those of presets, less those taken out, plus or overlaid by those configured.
pub(super) fn header_rules(config: &Config) -> Result<HeaderRules, CompileError> {
    let mut rules = HeaderRules::standard();
    // Without the scope Logto gives no identities, and asking userinfo for them would be in vain.
    if config.logto.asks_identities() {
        rules.extend(HeaderRules::hugging_face());
    }
    if config.takes_bearer() {
        rules.extend(HeaderRules::programs());
    }
    for preset in &config.header_presets {
        rules.extend(preset.rules());
    }
    rules.retain(|rule| {
        let replaced = config.headers.iter().any(|header| header.name == rule.name);
        !replaced && !config.removed_headers.contains(&rule.name)
    });
    for header in &config.headers {
        let source = match &header.source {
            config::HeaderSource::Constant(value) => Source::Constant(value.clone()),
            config::HeaderSource::Token(token) => Source::Token(match token {
                config::TokenSource::Access => TokenSource::Access,
                config::TokenSource::Id => TokenSource::Id,
            }),
            config::HeaderSource::Claim { path, encoding, join } => Source::Claim {
                path: path.parse()?,
                encoding: match encoding {
                    config::HeaderEncoding::Percent => Encoding::Percent,
                    config::HeaderEncoding::Utf8 => Encoding::Utf8,
                    config::HeaderEncoding::Rfc2047 => Encoding::Rfc2047,
                    config::HeaderEncoding::Base64 => Encoding::Base64,
                },
                join: join.clone(),
                prefix: "",
            },
        };
        rules.push(HeaderRule {
            name: header.name.clone(),
            source,
        });
    }
    rules.extend(config.assertion.as_ref().map(|assertion| HeaderRule {
        name: assertion.header.clone(),
        source: Source::Assertion,
    }));
    let names = names_set(config);
    Ok(HeaderRules::new(rules)?.owning(names.iter().chain(owned_names(config))))
}

/// The maker of identity assertions, where there is a key.
pub(super) fn assertions(config: &Config) -> Result<Option<Arc<Assertions>>, CompileError> {
    let Some(assertion) = &config.assertion else {
        return Ok(None);
    };
    let keys = assertion.keys.iter().map(AssertionKey::parse);
    let settings = AssertionSettings {
        keys: keys.collect::<Result<_, _>>()?,
        issuer: assertion.issuer.clone(),
        ttl: assertion.ttl,
    };
    Ok(Assertions::new(settings).map(Arc::new))
}

pub(super) fn keyring(config: &Config) -> Result<KeyRing, CompileError> {
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

pub(super) fn cookie_settings(config: &Config) -> CookieSettings {
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

/// What a session keeps: for headers, for the conditions of routes, and for `user`.
pub(super) fn kept_claims(
    rules: &HeaderRules,
    conditions: Vec<ClaimPath>,
) -> Result<Vec<ClaimPath>, CompileError> {
    let mut kept = rules.needed_claims();
    let user = USER_CLAIMS.iter().map(|name| name.parse());
    for path in conditions.into_iter().map(Ok).chain(user) {
        let path = path?;
        if !kept.contains(&path) {
            kept.push(path);
        }
    }
    Ok(kept)
}

/// Whose tokens count; `None` where no route takes any.
pub(super) fn bearer_settings(config: &Config, kept_claims: &[ClaimPath]) -> Option<bearer::Settings> {
    config.takes_bearer().then(|| bearer::Settings {
        resources: config.logto.resources.clone(),
        clients: config.logto.trusted_clients.clone(),
        kept_claims: kept_claims.to_vec(),
    })
}

pub(super) fn endpoint_paths(config: &Config) -> EndpointPaths {
    let endpoints = &config.endpoints;
    EndpointPaths {
        sign_in: endpoints.sign_in.clone(),
        sign_up: endpoints.sign_up.clone(),
        callback: endpoints.callback.clone(),
        sign_out: endpoints.sign_out.clone(),
        user: endpoints.user.clone(),
        auth: endpoints.auth.clone(),
        back_channel_logout: endpoints.back_channel_logout.clone(),
        webhook: endpoints.webhook.clone(),
        jwks: endpoints.jwks.clone(),
        sessions: endpoints.sessions.clone(),
        sessions_revoke: endpoints.sessions_revoke(),
    }
}

pub(super) fn logto_settings(config: &Config, rules: &HeaderRules) -> Result<logto::Settings, CompileError> {
    // Claims that Logto never has in an ID token unless the tenant says so; the others are there or nowhere.
    let needed: BTreeSet<String> = rules
        .needed_claims()
        .iter()
        .chain(&claims_of_conditions(config)?)
        .map(|path| path.top_level().to_owned())
        .collect();
    Ok(logto::Settings {
        endpoint: config.logto.endpoint.clone(),
        internal_endpoint: config.logto.internal_endpoint.clone(),
        app_id: config.logto.app_id.clone(),
        app_secrets: config.logto.app_secrets.clone(),
        extra_roots: config.logto.ca.clone(),
        redirect_uri: config.redirect_uri(),
        scopes: config.logto.scopes.clone(),
        sign_in_resources: config.token_resources().into_iter().map(str::to_owned).collect(),
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
    })
}

/// Those of all sign-ins, and of routes that have their own.
pub(super) fn sign_ins(config: &Config, routes: &RouteTable) -> SignIns {
    let defaults = |sign_in: &config::SignInConfig| sign_in_defaults(config, sign_in);
    let own = |route: &config::RouteConfig| route.sign_in.as_deref().map(&defaults);
    SignIns::new(
        defaults(&config.sign_in),
        routes,
        config.routes.iter().map(own).collect(),
    )
}

fn sign_in_defaults(config: &Config, sign_in: &config::SignInConfig) -> SignInDefaults {
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
        consent_targets: consent_targets(config),
        prompt: sign_in.prompt.map(|prompt| prompt.as_str().to_owned()),
        parameters,
        allowed: sign_in
            .allow_params
            .iter()
            .map(|parameter| parameter.as_str().to_owned())
            .collect(),
    }
}

pub(super) fn worker_settings(config: &Config) -> WorkerSettings {
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

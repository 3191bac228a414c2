//! The route table, from `[[route]]`.

use super::error::CompileError;
use super::tokens::token_rules;
use super::upstreams;
use crate::config::{self, AccessTable, ClaimValue, Config, RewriteConfig, RouteConfig, RoutePath};
use crate::http::Rewrite;
use crate::http::cors::{CorsError, CorsPolicy, CorsRules, OriginPattern};
use crate::http::forwarded::canonical_network;
use crate::identity::{ClaimPath, HeaderRules};
use crate::policy::{
    Access, Condition, EmailProof, HostPattern, Methods, OrganizationProof, PathPattern, Requirement, Route,
    RouteTable, Unauthenticated,
};
use crate::proxy::{RouteSettings, SettingsTable};
use crate::upstream::UpstreamId;
use ::http::{HeaderName, HeaderValue};
use serde_json::Value;
use std::sync::Arc;

pub(super) fn routes(config: &Config) -> Result<RouteTable, CompileError> {
    let mut routes = Vec::new();
    for route in &config.routes {
        routes.push(Route {
            pattern: PathPattern::parse(&route.path.to_string())?,
            host: route.host.as_deref().map(HostPattern::parse).transpose()?,
            methods: Methods::new(route.methods.iter().map(String::as_str)),
            access: match &route.access {
                config::Access::Public => Access::Public,
                config::Access::Optional => Access::Optional,
                config::Access::Authenticated => Access::Authenticated,
                config::Access::Table(table) => {
                    let requirement = Requirement::new(conditions(table, config)?);
                    Access::Required(requirement.ok_or(CompileError::NoCondition)?)
                }
            },
            unauthenticated: match route.unauthenticated {
                config::Unauthenticated::Auto => Unauthenticated::Auto,
                config::Unauthenticated::Redirect => Unauthenticated::Redirect,
                config::Unauthenticated::Refuse => Unauthenticated::Status401,
            },
            passes_preflights: route.cors == config::Cors::Pass,
            passes_ambiguous: route.passes_ambiguous,
            ..Route::default()
        });
    }
    Ok(RouteTable::new(routes)?)
}

/// How requests are treated, by route.
pub(super) fn settings(
    config: &Config,
    rules: &HeaderRules,
    upstreams: Vec<UpstreamId>,
) -> Result<SettingsTable, CompileError> {
    let otherwise = RouteSettings {
        bearer: false,
        upstream: UpstreamId::default(),
        upstream_host: upstreams::host(&config.upstream_host),
        audience: audience(config, None, None, &RoutePath::Prefix(String::new())),
        tokens: token_rules(rules, None)?.map(Arc::new),
        ..RouteSettings::default()
    };
    let routes = config.routes.iter().zip(upstreams);
    let routes = routes.map(|(route, upstream)| {
        Ok(RouteSettings {
            bearer: route.takes_bearer(),
            upstream,
            upstream_host: upstreams::host(&route.upstream_host),
            rewrite: route.rewrite.as_ref().map(rewrite).transpose()?,
            set_headers: set_headers(route, rules)?,
            cors: match &route.cors {
                config::Cors::Off | config::Cors::Pass => None,
                config::Cors::Answer(table) => Some(Arc::new(cors_policy(table)?)),
            },
            audience: audience(
                config,
                route.audience.as_ref(),
                route.host.as_deref(),
                &route.path,
            ),
            tokens: token_rules(rules, Some(route))?.map(Arc::new),
        })
    });
    let routes: Result<_, CompileError> = routes.collect();
    Ok(SettingsTable::new(otherwise, routes?))
}

fn rewrite(config: &RewriteConfig) -> Result<Rewrite, CompileError> {
    Rewrite::new(config.segments, &config.beginning).ok_or(CompileError::Rewrite)
}

fn set_headers(
    route: &RouteConfig,
    rules: &HeaderRules,
) -> Result<Vec<(HeaderName, HeaderValue)>, CompileError> {
    let mut fields = route.set_headers.clone();
    if let Some((name, _)) = fields
        .iter()
        .find(|(name, _)| rules.carries(name.as_str().as_bytes()))
    {
        return Err(CompileError::SetHeader(name.clone()));
    }
    let rewrite = route.rewrite.as_ref();
    if let Some(prefix) = rewrite.and_then(|rewrite| rewrite.stripped.as_deref()) {
        let escaped = Rewrite::new(0, prefix).ok_or(CompileError::Rewrite)?;
        let value = HeaderValue::from_str(escaped.beginning()).map_err(|_| CompileError::Rewrite)?;
        fields.push((HeaderName::from_static("x-forwarded-prefix"), value));
    }
    Ok(fields)
}

/// Names of `set_headers` that no client may send anywhere, lest it passes on one route for what is set on another. What
/// browsers and libraries send by themselves is not among them.
pub(super) fn names_set(config: &Config) -> Vec<HeaderName> {
    let is_common = |name: &HeaderName| {
        let name = name.as_str();
        let families = ["accept", "if-"];
        let common = [
            "authorization",
            "cache-control",
            "origin",
            "pragma",
            "referer",
            "user-agent",
        ];
        common.contains(&name) || families.iter().any(|family| name.starts_with(family))
    };
    let names = config.routes.iter().flat_map(|route| &route.set_headers);
    let names = names.map(|(name, _)| name.clone());
    names.filter(|name| !is_common(name)).collect()
}

fn cors_policy(table: &config::CorsTable) -> Result<CorsPolicy, CompileError> {
    let origins: Result<Vec<_>, _> = table
        .origins
        .iter()
        .map(|text| OriginPattern::parse(text))
        .collect();
    let origins = origins.map_err(CorsError::from)?;
    Ok(CorsPolicy::new(CorsRules {
        origins: (!origins.is_empty()).then_some(origins),
        methods: table.methods.clone(),
        headers: table.headers.clone(),
        expose: table.expose.clone(),
        credentials: table.credentials,
        max_age: table.max_age,
    })?)
}

/// Whom assertions on a route are for: whoever it says, else whoever the section says, else the route itself.
fn audience(config: &Config, own: Option<&String>, host: Option<&str>, path: &RoutePath) -> String {
    let assertion = config.assertion.as_ref();
    if let Some(named) = own.or_else(|| assertion.and_then(|assertion| assertion.audience.as_ref())) {
        return named.clone();
    }
    match host {
        Some(host) => {
            let scheme = if config.session.secure { "https" } else { "http" };
            format!("{scheme}://{host}{path}")
        }
        None => format!("{}{path}", config.public_url.origin()),
    }
}

/// The claims that conditions of routes read.
pub(super) fn claims_of_conditions(config: &Config) -> Result<Vec<ClaimPath>, CompileError> {
    let mut claims = super::organizations::claims(config)?;
    for route in &config.routes {
        if let config::Access::Table(table) = &route.access {
            claims.extend(
                conditions(table, config)?
                    .iter()
                    .flat_map(Condition::needed_claims),
            );
        }
    }
    Ok(claims)
}

/// Those that cost nothing to look at go first; who is refused by one of them is refused whatever the claims say.
fn conditions(table: &AccessTable, config: &Config) -> Result<Vec<Condition>, CompileError> {
    let proof = if config.logto.asks_identities() {
        EmailProof::HuggingFace
    } else {
        EmailProof::None
    };
    let organization_proof = if config.hugging_face.live_orgs == config::LiveOrgs::Required {
        OrganizationProof::Asked
    } else {
        OrganizationProof::None
    };
    let list = |texts: &Vec<String>| (!texts.is_empty()).then(|| texts.clone());
    let ip: Vec<_> = table.ip.iter().copied().map(canonical_network).collect();
    let mut conditions: Vec<Option<Condition>> = vec![
        (!ip.is_empty()).then_some(Condition::Ip(ip)),
        list(&table.scope).map(Condition::Scope),
        list(&table.sub).map(Condition::Sub),
        table.organization.clone().map(Condition::Organization),
        list(&table.any_organization_role).map(|roles| Condition::AnyOrganizationRole {
            roles,
            organization: table.organization.clone(),
        }),
        list(&table.any_role).map(Condition::AnyRole),
        list(&table.all_roles).map(Condition::AllRoles),
        list(&table.email).map(|addresses| Condition::Email(addresses, proof)),
        list(&table.email_domain).map(|domains| Condition::EmailDomain(domains, proof)),
        list(&table.hf_user).map(Condition::HfUser),
        list(&table.hf_org).map(|organizations| Condition::HfOrg(organizations, organization_proof)),
    ];
    if let Some(claim) = &table.claim {
        let values = claim.any_of.iter().map(|value| match value {
            ClaimValue::Text(text) => Value::from(text.as_str()),
            ClaimValue::Integer(integer) => Value::from(*integer),
            ClaimValue::Boolean(boolean) => Value::from(*boolean),
        });
        conditions.push(Some(Condition::Claim {
            path: claim.path.parse().map_err(CompileError::ConditionClaim)?,
            any_of: values.collect(),
        }));
    }
    Ok(conditions.into_iter().flatten().collect())
}

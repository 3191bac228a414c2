//! The route table, from `[[route]]`.

use super::error::CompileError;
use super::upstreams;
use crate::config::{self, AccessTable, ClaimValue, Config, RoutePath};
use crate::http::forwarded::canonical_network;
use crate::identity::ClaimPath;
use crate::policy::{
    Access, Condition, EmailProof, HostPattern, Methods, PathPattern, Requirement, Route, RouteTable,
    Unauthenticated,
};
use crate::proxy::{RouteSettings, SettingsTable};
use crate::upstream::UpstreamId;
use serde_json::Value;

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
            ..Route::default()
        });
    }
    Ok(RouteTable::new(routes)?)
}

/// How requests are treated, by route.
pub(super) fn settings(config: &Config, upstreams: Vec<UpstreamId>) -> SettingsTable {
    let otherwise = RouteSettings {
        upstream: UpstreamId::default(),
        upstream_host: upstreams::host(&config.upstream_host),
        audience: audience(config, None, None, &RoutePath::Prefix(String::new())),
    };
    let routes = config.routes.iter().zip(upstreams);
    let routes = routes.map(|(route, upstream)| RouteSettings {
        upstream,
        upstream_host: upstreams::host(&route.upstream_host),
        audience: audience(
            config,
            route.audience.as_ref(),
            route.host.as_deref(),
            &route.path,
        ),
    });
    SettingsTable::new(otherwise, routes.collect())
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
    let mut claims = Vec::new();
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
        list(&table.hf_org).map(Condition::HfOrg),
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

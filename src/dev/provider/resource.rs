//! API resources and organizations: what may be asked for, and which permissions come of it.
//!
//! Permissions go by roles, as Logto's do: global roles for a resource, roles in the organization within one.

use std::time::Duration;

use super::control::Control;
use super::error::OidcError;
use super::parameters::{Parameters, words};
use super::persona::Organization;
use super::state::State;

/// The resource that stands for permissions in organizations at the authorization endpoint. No token is for it.
pub const ORGANIZATIONS: &str = "urn:logto:resource:organizations";
/// What a refresh token must carry to get organization tokens.
pub(super) const ORGANIZATIONS_SCOPE: &str = "urn:logto:scope:organizations";
/// How long an organization token lives.
const ORGANIZATION_TOKEN_TTL: Duration = Duration::from_secs(3_600);

/// An API resource as registered at Logto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiResource {
    /// The API indicator: `aud` of its tokens, byte for byte.
    pub indicator: String,
    /// What can be permitted.
    pub permissions: Vec<Permission>,
    /// How long its tokens live. Logto: 1 hour.
    pub access_token_ttl: Duration,
}

impl ApiResource {
    /// A resource with these permissions and Logto's lifetime.
    pub fn new(indicator: impl Into<String>, permissions: Vec<Permission>) -> Self {
        Self {
            indicator: indicator.into(),
            permissions,
            access_token_ttl: Duration::from_secs(3_600),
        }
    }
}

/// A permission, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Its name, as it stands in `scope`.
    pub scope: String,
    /// The roles that carry it.
    pub roles: Vec<String>,
}

impl Permission {
    /// A permission that these roles carry.
    pub fn new(scope: &str, roles: &[&str]) -> Self {
        Self {
            scope: scope.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        }
    }
}

/// Whom a token is asked for: roles, and memberships.
pub(super) struct Holder<'a> {
    pub(super) roles: &'a [String],
    pub(super) organizations: &'a [Organization],
}

/// A token of a resource, of an organization, or of the resource in the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) audience: String,
    /// Only where the audience does not name it.
    pub(super) organization: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) ttl: Duration,
}

/// RFC 8707 §2: a resource that nobody registered, or that this token may not be for.
pub(super) fn invalid_target() -> OidcError {
    OidcError::new("invalid_target", "resource indicator is missing, or unknown")
}

/// What the form of a token request asks for, as far as the holder may have it; `None`: neither a resource nor an organization.
/// `asked` are the scopes that count.
pub(super) fn target(
    state: &State,
    form: &Parameters,
    holder: &Holder<'_>,
    asked: &[String],
) -> Result<Option<Target>, OidcError> {
    if form.is_repeated("resource") {
        return Err(OidcError::new(
            "invalid_target",
            "only a single resource indicator value is supported for this grant type",
        ));
    }
    let resource = form.get("resource");
    let organization = match form.get("organization_id") {
        None => None,
        Some(id) => Some(
            holder
                .organizations
                .iter()
                .find(|organization| organization.id == id)
                .ok_or_else(not_a_member)?,
        ),
    };
    let roles = organization.map_or(holder.roles, |organization| &organization.roles);
    let granted = |permissions: &[Permission]| {
        let has = |permission: &&Permission| {
            permission.roles.iter().any(|role| roles.contains(role)) && asked.contains(&permission.scope)
        };
        permissions
            .iter()
            .filter(has)
            .map(|permission| permission.scope.clone())
            .collect()
    };
    match (resource, organization) {
        (None, None) => Ok(None),
        (None, Some(organization)) => Ok(Some(Target {
            audience: format!("urn:logto:organization:{}", organization.id),
            organization: None,
            scopes: granted(&state.organization_permissions),
            ttl: ORGANIZATION_TOKEN_TTL,
        })),
        (Some(indicator), organization) => {
            let resource = state.resource(indicator).ok_or_else(invalid_target)?;
            Ok(Some(Target {
                audience: resource.indicator.clone(),
                organization: organization.map(|organization| organization.id.clone()),
                scopes: granted(&resource.permissions),
                ttl: resource.access_token_ttl,
            }))
        }
    }
}

fn not_a_member() -> OidcError {
    OidcError {
        status: ::http::StatusCode::FORBIDDEN,
        ..OidcError::new("access_denied", "user is not a member of the organization")
    }
}

/// The resources of an authorization request, and the scopes that may be asked because of them.
pub(super) fn requested(
    state: &State,
    parameters: &Parameters,
) -> Result<(Vec<String>, Vec<String>), OidcError> {
    let mut resources = Vec::new();
    let mut scopes = Vec::new();
    for indicator in parameters.all("resource") {
        let permissions = if indicator == ORGANIZATIONS {
            &state.organization_permissions
        } else {
            &state.resource(indicator).ok_or_else(invalid_target)?.permissions
        };
        scopes.extend(permissions.iter().map(|permission| permission.scope.clone()));
        resources.push(indicator.to_owned());
    }
    Ok((resources, scopes))
}

/// The scopes that a form asks for.
pub(super) fn asked_scopes(form: &Parameters) -> Vec<String> {
    form.get("scope").map(words).unwrap_or_default()
}

impl State {
    pub(super) fn resource(&self, indicator: &str) -> Option<&ApiResource> {
        self.resources
            .iter()
            .find(|resource| resource.indicator == indicator)
    }
}

impl Control {
    /// Registers an API resource, or replaces the one with the same indicator.
    pub fn register_resource(&self, resource: ApiResource) {
        let mut state = self.shared.state();
        state
            .resources
            .retain(|known| known.indicator != resource.indicator);
        state.resources.push(resource);
    }

    /// The permissions that roles in organizations carry, instead of the former ones.
    pub fn set_organization_permissions(&self, permissions: Vec<Permission>) {
        self.shared.state().organization_permissions = permissions;
    }
}

//! What a stand-in is started with: the applications it knows, its people, its lifetimes.

use crate::clock::Clock;
use crate::secret::SecretText;
use std::time::Duration;

use super::connector::Connector;
use super::persona::{Organization, Persona};
use super::resource::{ApiResource, Permission};

/// Everything decided before the provider starts.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Applications known from the start; more through [`super::Control::register`].
    pub clients: Vec<Client>,
    /// Who can sign in.
    pub personas: Vec<Persona>,
    /// API resources known from the start; more through [`super::Control::register_resource`].
    pub resources: Vec<ApiResource>,
    /// The permissions that roles in organizations carry.
    pub organization_permissions: Vec<Permission>,
    /// Whether the Account API answers. Logto: off.
    pub account_center: bool,
    /// The social connectors.
    pub connectors: Vec<Connector>,
    /// Which name of this machine the issuer and the pages use.
    pub host_name: HostName,
    /// ID tokens as Logto before 1.42 makes them: `typ` in the header, `at_hash` in the payload.
    pub legacy_id_token_shape: bool,
    /// The provider's own session; slides with every authorization request. Logto: 14 days.
    pub session_ttl: Duration,
    /// How long an ID token is valid. Logto: 1 hour.
    pub id_token_ttl: Duration,
    /// How long an opaque access token is valid. Logto: 1 hour, fixed.
    pub access_token_ttl: Duration,
    /// What time it is.
    pub clock: Clock,
}

impl Default for ProviderSettings {
    /// Logto's defaults, the built-in personas and no application.
    fn default() -> Self {
        Self {
            clients: Vec::new(),
            personas: Persona::built_in(),
            resources: Vec::new(),
            organization_permissions: Vec::new(),
            account_center: false,
            connectors: Connector::built_in(),
            host_name: HostName::Address,
            legacy_id_token_shape: false,
            session_ttl: Duration::from_secs(14 * 86_400),
            id_token_ttl: Duration::from_secs(3_600),
            access_token_ttl: Duration::from_secs(3_600),
            clock: Clock::system(),
        }
    }
}

/// How the base URL names this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostName {
    /// The address bound to: `http://127.0.0.1:PORT`.
    Address,
    /// `http://localhost:PORT`.
    Localhost,
}

/// An application as registered at Logto, of the type "Traditional web" unless it is a machine, first-party.
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`.
    pub app_id: String,
    /// Any of these authenticates the application.
    pub secrets: Vec<ClientSecret>,
    /// Compared byte for byte.
    pub redirect_uris: Vec<String>,
    /// Compared byte for byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// A refresh token without `offline_access`, bound to the provider's session. Logto: off.
    pub always_issue_refresh_token: bool,
    /// A new refresh token once 70 % of the old one's life has passed. Logto: on.
    pub rotate_refresh_token: bool,
    /// How long a refresh token is valid. Logto: 14 days.
    pub refresh_token_ttl: Duration,
    /// Where logout tokens go (OpenID Connect Back-Channel Logout 1.0 §2.2): plain http to loopback, or an origin that
    /// [`super::Control::route`] leads to loopback.
    pub backchannel_logout_uri: Option<String>,
    /// `sid` in ID tokens and logout tokens, given a URI. Logto: off.
    pub backchannel_logout_session_required: bool,
    /// Whether it may exchange personal access tokens. Logto: off.
    pub allow_token_exchange: bool,
    /// Its roles and memberships, for an application that calls for itself.
    pub machine: Option<Machine>,
}

/// What an application of the type "Machine-to-machine" has.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Names of global roles.
    pub roles: Vec<String>,
    /// Organizations that it is in.
    pub organizations: Vec<Organization>,
}

impl Client {
    /// An application with one secret, one redirect URI and Logto's defaults.
    pub fn new(app_id: impl Into<String>, secret: SecretText, redirect_uri: impl Into<String>) -> Self {
        Self {
            app_id: app_id.into(),
            secrets: vec![ClientSecret {
                text: secret,
                expired: false,
            }],
            redirect_uris: vec![redirect_uri.into()],
            post_logout_redirect_uris: Vec::new(),
            always_issue_refresh_token: false,
            rotate_refresh_token: true,
            refresh_token_ttl: Duration::from_secs(14 * 86_400),
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            allow_token_exchange: false,
            machine: None,
        }
    }

    /// A machine-to-machine application, with these global roles.
    pub fn machine(app_id: impl Into<String>, secret: SecretText, roles: &[&str]) -> Self {
        let mut client = Self::new(app_id, secret, "");
        client.redirect_uris.clear();
        client.machine = Some(Machine {
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            organizations: Vec::new(),
        });
        client
    }

    /// Whether this application's tokens name the session they belong to.
    pub(super) fn wants_session_id(&self) -> bool {
        self.backchannel_logout_uri.is_some() && self.backchannel_logout_session_required
    }
}

/// One of an application's secrets.
#[derive(Debug, Clone)]
pub struct ClientSecret {
    /// The secret itself.
    pub text: SecretText,
    /// Past its expiry: right, and yet refused with an error of its own, as Logto does.
    pub expired: bool,
}

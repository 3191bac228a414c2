//! `[[route]]`.

use super::cors::Cors;
use super::{SignInConfig, UpstreamTlsConfig};
use crate::config::value::{RoutePath, UpstreamAddress, UpstreamHost};
use ::http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use std::fmt;
use std::time::Duration;

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// The paths it covers.
    pub path: RoutePath,
    /// The host it covers: a name, an address, or `*.` and a name; lower case, without a port. `None`: any.
    pub host: Option<String>,
    /// The methods it covers, in capitals, never CONNECT or TRACE; empty: any.
    pub methods: Vec<String>,
    /// Who may pass.
    pub access: Access,
    /// Whom identity assertions are for; `None`: as `assertion.audience` says.
    pub audience: Option<String>,
    /// What someone without a session gets.
    pub unauthenticated: Unauthenticated,
    /// The tokens that the upstream gets: no two in one header, none on a public route.
    pub tokens: Vec<RouteToken>,
    /// The third party's token that it gets.
    pub social_token: Option<SocialTokenConfig>,
    /// Whether a bearer token may stand in for a session.
    pub bearer: bool,
    /// Where its requests go; the one at the top of the file unless it says otherwise.
    pub upstream: UpstreamAddress,
    /// The `Host` seen there.
    pub upstream_host: UpstreamHost,
    /// How it is trusted if it is https; the whole of it.
    pub upstream_tls: UpstreamTlsConfig,
    /// How long its upstream may take to begin an answer; `None`: as all.
    pub timeout: Option<Duration>,
    /// Under which path its upstream is asked; `None`: the same.
    pub rewrite: Option<RewriteConfig>,
    /// Headers that its upstream is always sent, no two alike; marked sensitive.
    pub set_headers: Vec<(HeaderName, HeaderValue)>,
    /// What becomes of scripts of other origins.
    pub cors: Cors,
    /// Whether its upstream is sent ambiguous paths; only without a rewrite, below a final `/*`, and where a sign-in is needed.
    pub passes_ambiguous: bool,
    /// What a sign-in for it is like, the whole of it; `None`: as everywhere.
    pub sign_in: Option<Box<SignInConfig>>,
}

impl RouteConfig {
    /// The headers that tokens go in.
    pub fn token_headers(&self) -> impl Iterator<Item = &HeaderName> {
        let social = self.social_token.as_ref().map(|token| &token.header);
        self.tokens.iter().map(|token| &token.header).chain(social)
    }
}

/// One of `route.tokens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteToken {
    /// Which.
    pub token: TokenKind,
    /// Where it goes. In `Authorization` it is a Bearer credential.
    pub header: HeaderName,
    /// What a request without it gets.
    pub when_absent: WhenAbsent,
}

/// A token of Logto's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// The opaque access token.
    Access,
    /// The ID token.
    Id,
    /// An access token for an API resource, an organization, or both; one of them is there.
    For {
        /// The API indicator.
        resource: Option<String>,
        /// The organization's ID.
        organization: Option<String>,
    },
}

/// `route.social_token`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialTokenConfig {
    /// The connector's target.
    pub target: String,
    /// Where it goes. In `Authorization` it is a Bearer credential.
    pub header: HeaderName,
    /// What a request without it gets.
    pub when_absent: WhenAbsent,
}

/// `when_absent` of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAbsent {
    /// It goes on without the header.
    Omit,
    /// It is answered 401, 403 or 503, as the reason is.
    Refuse,
}

/// `route.strip_prefix` and `route.rewrite` together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewriteConfig {
    /// How many of the path's first segments give way; all that the route's path names at most.
    pub segments: usize,
    /// To this decoded path, without a final slash where something follows, `/` for none.
    pub beginning: String,
    /// What is taken away, where nothing comes in its place.
    pub stripped: Option<String>,
}

/// `route.access`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Anyone; no identity is sent.
    Public,
    /// Anyone; identity is sent when there is one.
    Optional,
    /// Whoever is signed in.
    Authenticated,
    /// Whoever is signed in and fulfils this.
    Table(Box<AccessTable>),
}

/// The keys of an access table. What is empty or `None` was not given; something always was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessTable {
    /// One of these roles.
    pub any_role: Vec<String>,
    /// All of these roles.
    pub all_roles: Vec<String>,
    /// Member of the organization with this ID.
    pub organization: Option<String>,
    /// One of these roles in `organization`, without that in any.
    pub any_organization_role: Vec<String>,
    /// An access token with all of these scopes.
    pub scope: Vec<String>,
    /// One of these user IDs.
    pub sub: Vec<String>,
    /// One of these addresses.
    pub email: Vec<String>,
    /// An address of one of these domains.
    pub email_domain: Vec<String>,
    /// One of these Hugging Face user IDs.
    pub hf_user: Vec<String>,
    /// One of these Hugging Face organizations, by ID or name.
    pub hf_org: Vec<String>,
    /// A client address in one of these networks.
    pub ip: Vec<IpNet>,
    /// A claim with one of these values.
    pub claim: Option<ClaimCondition>,
}

/// `claim` of an access table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimCondition {
    /// Names separated by `.`; `\.` is a dot within a name. The first is one that Logto gives.
    pub path: String,
    /// At least one.
    pub any_of: Vec<ClaimValue>,
}

/// A value that a claim is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
}

/// `route.unauthenticated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// What suits the request.
    Auto,
    /// A redirect to the sign-in.
    Redirect,
    /// 401.
    Refuse,
}

impl fmt::Display for RouteConfig {
    /// `GET,POST app.example.com/admin/*`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(formatter, "{} ", self.methods.join(","))?;
        }
        write!(
            formatter,
            "{}{}",
            self.host.as_deref().unwrap_or_default(),
            self.path
        )
    }
}

//! What a configuration resolves to. Every value is checked; nothing here is parsed again later.

mod assertion;
mod cors;
mod hugging_face;
mod process;
mod routes;

pub use assertion::AssertionConfig;
pub use cors::{Cors, CorsTable};
pub use hugging_face::{HuggingFaceConfig, LiveOrgs};
pub use process::{LimitsConfig, LogConfig, LogFormat, PagesConfig, ShutdownConfig, SubjectLog};
pub use routes::{
    Access, AccessTable, ClaimCondition, ClaimValue, RewriteConfig, RouteConfig, RouteToken,
    SocialTokenConfig, TokenKind, Unauthenticated, WhenAbsent,
};

use super::value::{
    DirectSignIn, FirstScreen, ListenAddress, Prompt, PublicUrl, SignInParameter, UpstreamAddress,
    UpstreamHost,
};
use crate::identity::Preset;
use crate::secret::SecretText;
use ::http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use rustls::pki_types::{CertificateDer, ServerName};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where browsers reach the proxy.
    pub public_url: PublicUrl,
    /// Where to accept connections: at least one, no two alike.
    pub listen: Vec<ListenAddress>,
    /// Where the app is. Never one of `listen`.
    pub upstream: UpstreamAddress,
    /// The `Host` the app sees.
    pub upstream_host: UpstreamHost,
    /// How it is trusted if it is https.
    pub upstream_tls: UpstreamTlsConfig,
    /// Networks whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether those of a peer on a unix socket are.
    pub trust_unix_peers: bool,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// The Logto application.
    pub logto: LogtoConfig,
    /// What Hugging Face is asked.
    pub hugging_face: HuggingFaceConfig,
    /// What a sign-in asks Logto for.
    pub sign_in: SignInConfig,
    /// The session and its cookie.
    pub session: SessionConfig,
    /// Where it is kept which sessions have ended.
    pub store: StoreConfig,
    /// Paths of the proxy's own endpoints.
    pub endpoints: EndpointPaths,
    /// The key that Logto signs webhooks with; `None`: webhooks are not received.
    pub webhook_signing_key: Option<SecretText>,
    /// Identity headers besides the default ones and those of presets; one of their names replaces theirs.
    pub headers: Vec<HeaderConfig>,
    /// Other proxies whose headers are sent too, none twice.
    pub header_presets: Vec<Preset>,
    /// Whether and how requests carry a signed assertion.
    pub assertion: Option<AssertionConfig>,
    /// Default headers, and headers of presets, that are not to be sent. They are still removed from requests.
    pub removed_headers: Vec<HeaderName>,
    /// Routes, in the order of the file; no two that cover one request to the same path of the same host.
    pub routes: Vec<RouteConfig>,
    /// Bounds.
    pub limits: LimitsConfig,
    /// Where health and metrics are served.
    pub admin: Option<ListenAddress>,
    /// Whether nobody chose `admin`: a port in use is then no reason not to start.
    pub admin_is_default: bool,
    /// Logging.
    pub log: LogConfig,
    /// The end.
    pub shutdown: ShutdownConfig,
    /// The proxy's own pages.
    pub pages: PagesConfig,
    /// Every file this was read from (itself, secrets, certificates), sorted: what a reload watches.
    pub files: Vec<PathBuf>,
    /// What is allowed but probably not meant, a sentence each.
    pub warnings: Vec<String>,
}

/// `[upstream_tls]`, for one upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTlsConfig {
    /// Trust anchors besides the public ones.
    pub ca: Vec<CertificateDer<'static>>,
    /// The name expected in the certificate; `None`: the upstream's host.
    pub server_name: Option<ServerName<'static>>,
}

/// `[logto]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogtoConfig {
    /// Logto's endpoint; its path is `/`.
    pub endpoint: Url,
    /// The issuer: the endpoint's origin and `/oidc`, without a final slash.
    pub issuer: String,
    /// Base address of back-channel calls; its path is `/`. `None`: `endpoint`.
    pub internal_endpoint: Option<Url>,
    /// The client identifier.
    pub app_id: String,
    /// One or two client secrets, the one to try first in front.
    pub app_secrets: Vec<SecretText>,
    /// Scopes, `openid` first, none twice; never `offline_access`, which `refresh` speaks of.
    pub scopes: Vec<String>,
    /// Audiences of JWT access tokens that callers may present, none twice.
    pub resources: Vec<String>,
    /// Applications, beside `app_id`, whose opaque access tokens callers may present; none twice.
    pub trusted_clients: Vec<String>,
    /// What sessions are confirmed with.
    pub refresh: RefreshMode,
    /// When userinfo is called.
    pub userinfo: UserinfoMode,
    /// Trust anchors besides the public ones.
    pub ca: Vec<CertificateDer<'static>>,
}

/// `logto.refresh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshMode {
    /// The refresh token of the application's "Always issue refresh token", which ends with the Logto session.
    Session,
    /// One of `offline_access`, for which consent is asked: it outlives the Logto session.
    Offline,
    /// None, even where Logto gives one.
    None,
}

/// `logto.userinfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserinfoMode {
    /// When a header needs a claim that the ID token lacks.
    WhenNeeded,
    /// At every sign-in.
    Always,
    /// At none.
    Never,
}

/// `[sign_in]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInConfig {
    /// `direct_sign_in`.
    pub direct: Option<DirectSignIn>,
    /// `first_screen`.
    pub first_screen: Option<FirstScreen>,
    /// `prompt`.
    pub prompt: Option<Prompt>,
    /// `ui_locales`, best first.
    pub ui_locales: Vec<String>,
    /// `organization_id`.
    pub organization_id: Option<String>,
    /// Further parameters, none of which the proxy sets itself.
    pub extra_params: Vec<(String, String)>,
    /// What the sign-in URL may carry, none twice.
    pub allow_params: Vec<SignInParameter>,
}

/// `[session]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// One to four keys, all different, strong as text, without a final line break. The first seals.
    pub keys: Vec<SecretText>,
    /// Name of the cookie: letters, digits, `-` and `_`; its prefix fits `secure` and `cookie_domain`.
    pub cookie_name: String,
    /// `Domain` of the cookie, without a leading dot.
    pub cookie_domain: Option<String>,
    /// `SameSite` of the cookie.
    pub same_site: SameSite,
    /// Whether the cookie is `Secure`: `public_url` is https.
    pub secure: bool,
    /// A session ends when unused for this long.
    pub idle_timeout: Duration,
    /// A session ends this long after the sign-in. At least `idle_timeout`.
    pub lifetime: Duration,
    /// Time since the last confirmation after which a session is confirmed again; at least 10 s.
    pub recheck: Duration,
    /// How much longer it is served while Logto cannot be asked; may be zero, at most `lifetime`.
    pub recheck_grace: Duration,
}

/// `session.same_site`. Not `Strict`: a browser would withhold such a cookie on the way back from Logto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// `Lax`.
    Lax,
    /// `None`; only with `Secure`.
    None,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// In this process, until it ends.
    Memory,
    /// In a file of this process.
    File {
        /// The file, never one the configuration was read from. It may not exist yet.
        path: PathBuf,
    },
    /// In a Redis or Valkey server.
    Redis {
        /// `redis`, `rediss`, `unix` or `redis+unix`, in lower case, host or socket path, and a database's number if
        /// any. No fragment; no query but `db`, `user` and `pass` of a socket.
        url: SecretText,
        /// Trust anchors besides the public ones; only with `rediss`.
        ca: Vec<CertificateDer<'static>>,
    },
}

/// Paths of the proxy's own endpoints: absolute, plain ASCII, all different, none a route's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPaths {
    /// Where those without a path of their own are, without a final slash.
    pub prefix: String,
    /// Starts a sign-in.
    pub sign_in: String,
    /// Starts a registration.
    pub sign_up: String,
    /// Finishes either.
    pub callback: String,
    /// Ends a session.
    pub sign_out: String,
    /// Tells a front end who is signed in.
    pub user: String,
    /// Tells another proxy whether a request may pass. So does everything below it.
    pub auth: String,
    /// Hears from Logto that somebody signed out there.
    pub back_channel_logout: String,
    /// Hears of Logto's webhooks.
    pub webhook: String,
    /// The public keys of the identity assertion.
    pub jwks: String,
    /// Lists a user's sessions. Its `/revoke` ends them.
    pub sessions: String,
    /// Where a sign-out ends: a path of this site, with its query.
    pub after_sign_out: String,
}

/// One of `[headers]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderConfig {
    /// The header; never one that forwarding depends on.
    pub name: HeaderName,
    /// Where its value comes from.
    pub source: HeaderSource,
}

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderSource {
    /// A claim.
    Claim {
        /// Names separated by `.`; `\.` is a dot within a name. No name is empty.
        path: String,
        /// How text outside printable ASCII is written.
        encoding: HeaderEncoding,
        /// What separates the items of a list; printable ASCII, not empty.
        join: String,
    },
    /// Always this; marked sensitive, since it may be a credential.
    Constant(HeaderValue),
    /// A token that Logto gave for the session.
    Token(TokenSource),
}

/// A token that every session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    /// The opaque access token.
    Access,
    /// The ID token.
    Id,
}

/// How a header's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderEncoding {
    /// `%XX` of UTF-8 for anything outside printable ASCII, and for `%`.
    Percent,
    /// UTF-8 as it is.
    Utf8,
    /// RFC 2047 encoded words.
    Rfc2047,
    /// Base64 of UTF-8.
    Base64,
}

impl Config {
    /// The API resources that tokens are handed on for, each once.
    pub fn token_resources(&self) -> Vec<&str> {
        const ORGANIZATIONS: &str = "urn:logto:resource:organizations";
        let mut resources = Vec::new();
        for token in self.routes.iter().flat_map(|route| &route.tokens) {
            let TokenKind::For { resource, .. } = &token.token else {
                continue;
            };
            // Permissions in an organization are asked for under this name (Logto: organization tokens).
            let resource = resource.as_deref().unwrap_or(ORGANIZATIONS);
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        resources
    }
}

impl LogtoConfig {
    /// Whether Logto is asked for social identities.
    pub fn asks_identities(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "identities")
    }
}

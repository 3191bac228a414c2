//! What is wrong with a configuration whose values are each right.

use crate::http::cors::CorsError;
use crate::identity::assertion::BadAssertionKey;
use crate::identity::claims::ClaimPathError;
use crate::identity::headers::HeaderRulesError;
use crate::logto::SetupError;
use crate::policy::{HostPatternError, PatternError, RouteConflict};
use crate::session::keyring::{KeyRingError, WeakKey};
use crate::session::settings::CookieSettingsError;

/// A value that shows to be wrong only when it is put together with others.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A claim path of `[headers]`.
    #[error("[headers]: {0}")]
    Claim(#[from] ClaimPathError),
    /// The headers together.
    #[error("[headers]: {0}")]
    Headers(#[from] HeaderRulesError),
    /// A session key.
    #[error("session.keys: {0}")]
    WeakKey(#[from] WeakKey),
    /// The session keys together.
    #[error("session.keys: {0}")]
    KeyRing(#[from] KeyRingError),
    /// The cookie's name and attributes.
    #[error("[session]: {0}")]
    Cookie(#[from] CookieSettingsError),
    /// A route's path.
    #[error("[[route]] path: {0}")]
    Pattern(#[from] PatternError),
    /// A route's host.
    #[error("[[route]] host: {0}")]
    Host(#[from] HostPatternError),
    /// A claim path of an access table.
    #[error("[[route]] access.claim.path: {0}")]
    ConditionClaim(ClaimPathError),
    /// An access table that asks for nothing.
    #[error("[[route]] access: a table without a condition")]
    NoCondition,
    /// What a route puts in the place of its path's beginning.
    #[error("[[route]]: strip_prefix or rewrite is a path that can be read in more than one way")]
    Rewrite,
    /// A header that says who the user is.
    #[error("[[route]] set_headers: `{0}` is one that the proxy tells apps who the user is by")]
    SetHeader(::http::HeaderName),
    /// A header that carries something else on every route.
    #[error(
        "[[route]] tokens, social_token: `{0}` is the header of something else already: by default, by a preset or in [headers]"
    )]
    TokenHeader(::http::HeaderName),
    /// What a route tells scripts of other origins.
    #[error("[[route]] cors: {0}")]
    Cors(#[from] CorsError),
    /// The routes together.
    #[error("[[route]]: {0}")]
    Routes(#[from] RouteConflict),
    /// The settings of the Logto client.
    #[error("[logto]: {0}")]
    Logto(#[from] SetupError),
    /// The store cannot be opened.
    #[error("[store]: {0}")]
    Store(#[from] crate::store::OpenError),
    /// The public URL as an origin.
    #[error("public_url is not an origin")]
    PublicUrl,
    /// The upstream's name in its certificate.
    #[error(
        "upstream: the host cannot be a certificate's name; set server_name in [upstream_tls], or in upstream_tls of its route"
    )]
    ServerName,
    /// A key of assertions. The configuration was checked, so this cannot be.
    #[error("assertion.key: {0}")]
    AssertionKey(#[from] BadAssertionKey),
}

//! Everything that is said to Logto, and the proof of what it answers.
//!
//! Promises: nothing leaves this module as [`Verified`] that was not proved; a code is redeemed once; while Logto is away each
//! caller gets a quick answer and one task asks, at most every few seconds; nobody can make this proxy flood Logto. What Logto
//! sends here unasked, logout tokens and webhooks, and what callers present as its tokens, is proved by the same hands. It refuses to know cookies, sessions,
//! configuration files and browsers.
//!
//! A [`Logto`] can be made before there is a runtime and awaited from several: no state of it is bound to one.

mod attend;
mod authorize;
mod bearer;
mod breaker;
mod discovery;
mod end_session;
mod error;
mod http;
mod key;
mod keys;
pub mod pkce;
mod presented;
mod redeem;
mod refresh;
mod resource_token;
mod social_token;
mod strict_json;
mod tokens;
mod userinfo;
mod verify;
pub mod webhook;

#[cfg(test)]
mod tests;

pub use authorize::{AuthorizationRequest, is_identifier};
pub use discovery::Metadata;
pub use error::{Call, Fault, LogtoError, LogtoErrorKind, SetupError};
pub use redeem::RedeemRequest;
pub use refresh::{CheckFailure, RefreshFailure, RefreshRequest, Verdict};
pub use resource_token::{ResourceToken, ResourceTokenFailure, ResourceVerdict};
pub use social_token::{SocialToken, SocialTokenFailure};
pub use userinfo::Userinfo;
pub use verify::{
    ANY_ORGANIZATION, AccessToken, Exchanged, Introspection, LogoutToken, ORGANIZATION_AUDIENCE, Refreshed,
    SignedIn, Verified,
};

/// Longest token that is looked at, in bytes.
pub const LONGEST_TOKEN: usize = verify::LONGEST_TOKEN;

use crate::clock::{Clock, UnixSeconds};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use breaker::Breaker;
use discovery::{Addresses, Discovery};
use keys::Keys;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

/// How long the metadata or the key set may take. Together with the pause between attempts it bounds how late a recovery is
/// noticed.
const METADATA_TIMEOUT: Duration = Duration::from_secs(4);

/// Which refresh tokens are asked for and kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RefreshMode {
    /// Those that Logto issues by itself, where the application has "always issue refresh token" on. They end with the
    /// session at Logto.
    #[default]
    Session,
    /// `offline_access`: they outlive the session at Logto.
    Offline,
    /// None: one that comes all the same is dropped.
    None,
}

/// What a [`Logto`] is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Logto's address as browsers know it and as its tokens name it; the issuer is `<endpoint>/oidc`.
    pub endpoint: Url,
    /// Where this proxy calls Logto, when not at `endpoint`. Has no path.
    pub internal_endpoint: Option<Url>,
    /// The application's id (`client_id`).
    pub app_id: String,
    /// The application's secrets, at least one. The next is tried when Logto does not accept one.
    pub app_secrets: Vec<SecretText>,
    /// Trust anchors besides the web's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Where Logto sends browsers back to; registered with the application.
    pub redirect_uri: String,
    /// Scopes besides `openid`.
    pub scopes: Vec<String>,
    /// API resources that sign-ins ask for, so that [`Logto::resource_token`] can have tokens for them.
    pub sign_in_resources: Vec<String>,
    /// When the userinfo endpoint is asked.
    pub userinfo: Userinfo,
    /// Which refresh tokens are asked for and kept.
    pub refresh: RefreshMode,
}

/// Whether sign-ins can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// Metadata and keys are known, and Logto answered when it was last asked.
    Ready,
    /// Metadata and keys are known, but Logto is away: who is signed in stays so, nobody can sign in.
    Away {
        /// Since when calls are held back.
        since: UnixSeconds,
        /// Why, as below.
        reason: String,
    },
    /// They are not known yet.
    Unavailable {
        /// Since when.
        since: UnixSeconds,
        /// Why, for an operator: names addresses and settings, never a secret. Not for browsers; see [`LogtoError::safe_text`].
        reason: String,
    },
}

/// One Logto tenant, as one client of it. Clones share everything.
#[derive(Clone)]
pub struct Logto(Arc<Inner>);

struct Inner {
    http: http::HttpClient,
    credentials: tokens::Credentials,
    redirect_uri: String,
    scope: String,
    sign_in_resources: Vec<String>,
    userinfo: Userinfo,
    refresh: RefreshMode,
    discovery: Discovery,
    keys: Keys,
    /// Places for logout tokens that are to be judged later.
    waiting_logouts: Semaphore,
    clock: Clock,
    tasks: Tasks,
    created: UnixSeconds,
    started: AtomicBool,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl fmt::Debug for Logto {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Logto")
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

impl Logto {
    /// Checks the settings. Sends nothing and needs no runtime.
    pub fn new(settings: Settings, clock: Clock, tasks: Tasks, metrics: Metrics) -> Result<Self, SetupError> {
        if settings.app_secrets.is_empty() {
            return Err(SetupError::NoSecret);
        }
        let addresses = Addresses::new(&settings.endpoint, settings.internal_endpoint.as_ref())?;
        let stop = CancellationToken::new();
        let breaker = Arc::new(Breaker::new(clock.clone(), metrics.clone()));
        Ok(Self(Arc::new(Inner {
            http: http::HttpClient::new(&settings.extra_roots, breaker, metrics)?,
            credentials: tokens::Credentials::new(settings.app_id, settings.app_secrets),
            redirect_uri: settings.redirect_uri,
            scope: authorize::scope(&settings.scopes, settings.refresh),
            sign_in_resources: settings.sign_in_resources,
            userinfo: settings.userinfo,
            refresh: settings.refresh,
            discovery: Discovery::new(addresses),
            keys: Keys::new(),
            waiting_logouts: Semaphore::new(presented::MOST_WAITING),
            created: clock.now(),
            clock,
            tasks,
            started: AtomicBool::new(false),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })))
    }

    /// Begins to learn Logto's metadata and keys in the background, on the current runtime: at once, again after a pause of
    /// 0.25 s doubling to 5 s while that fails, and hourly; and every 4 s while calls are held back. Ends with [`Logto::stop`]
    /// or when the last clone is dropped.
    pub fn start(&self) {
        if self.0.started.swap(true, Ordering::AcqRel) {
            return;
        }
        self.0.discovery.set_attended(true);
        let breaker = Arc::clone(self.0.http.breaker());
        breaker.set_attended(true);
        let (tenant, stop) = (Arc::downgrade(&self.0), self.0.stop.clone());
        self.0.tasks.spawn(attend::attend(tenant, breaker, stop));
    }

    /// Takes over what another client knows of the same Logto, so that sign-ins need not wait for a first answer. Whether it is
    /// the same, and trusted for the same reasons, is for the caller to say.
    pub fn learn_from(&self, other: &Self) {
        self.0.discovery.learn_from(&other.0.discovery);
        self.0.keys.learn_from(&other.0.keys);
    }

    /// Ends the background task, so that [`Tasks::drained`] does not wait for it. Calls still work.
    pub fn stop(&self) {
        self.0.stop.cancel();
        self.0.discovery.set_attended(false);
        self.0.http.breaker().set_attended(false);
    }

    /// The issuer identifier that the settings imply, `<endpoint>/oidc`; known without asking Logto.
    pub fn issuer(&self) -> &str {
        self.0.discovery.issuer()
    }

    /// Whether sign-ins can work now.
    pub fn availability(&self) -> Availability {
        let inner = &self.0;
        if inner.is_ready() {
            return match inner.http.breaker().outage() {
                None => Availability::Ready,
                Some((since, error)) => Availability::Away {
                    since,
                    reason: error.to_string(),
                },
            };
        }
        let failure = inner
            .discovery
            .last_failure()
            .or_else(|| inner.keys.last_failure());
        Availability::Unavailable {
            since: inner.created,
            reason: failure.map_or_else(|| "Logto was not asked yet".to_owned(), |error| error.to_string()),
        }
    }

    /// Whether Logto did not answer lately, so that calls to it fail at once. It is asked again every few seconds.
    pub fn is_away(&self) -> bool {
        self.0.http.breaker().is_open()
    }

    /// What is known of Logto; `None` until it was reached once.
    pub fn metadata(&self) -> Option<Arc<Metadata>> {
        self.0.discovery.current()
    }

    /// What is known of Logto, or the result of asking. All who wait share one attempt, there is at most one a second, and none
    /// while the background task knows that Logto is away: then the answer is its last failure, at once.
    pub async fn metadata_or_fetch(&self) -> Result<Arc<Metadata>, LogtoError> {
        self.0.discovery.current_or_fetch(&self.0.http).await
    }

    /// Where to send a browser that is to sign in.
    pub fn authorization_url(&self, metadata: &Metadata, request: &AuthorizationRequest<'_>) -> Url {
        let client = authorize::Client {
            client_id: self.0.credentials.client_id(),
            redirect_uri: &self.0.redirect_uri,
            scope: &self.0.scope,
            resources: &self.0.sign_in_resources,
            refresh: self.0.refresh,
        };
        authorize::url(metadata, &client, request)
    }

    /// Where to send a browser whose Logto session is to end; `None` when Logto names no such endpoint. The address to come back
    /// to must be registered with the application.
    pub fn end_session_url(
        &self,
        metadata: &Metadata,
        post_logout_redirect_uri: &str,
        state: Option<&str>,
    ) -> Option<Url> {
        end_session::url(
            metadata,
            self.0.credentials.client_id(),
            post_logout_redirect_uri,
            state,
        )
    }
}

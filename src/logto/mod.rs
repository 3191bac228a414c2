//! Everything that is said to Logto, and the proof of what it answers.
//!
//! Promises: nothing leaves this module as [`Verified`] that was not proved; a code is redeemed once; while Logto is away each
//! caller gets a quick answer and one task asks, at most every few seconds; nobody can make this proxy flood Logto. It refuses
//! to know cookies, sessions, configuration files and browsers.
//!
//! A [`Logto`] can be made before there is a runtime and awaited from several: no state of it is bound to one.

mod authorize;
mod discovery;
mod end_session;
mod error;
mod http;
mod key;
mod keys;
pub mod pkce;
mod tokens;
mod userinfo;
mod verify;

#[cfg(test)]
mod tests;

pub use authorize::{AuthorizationRequest, is_identifier};
pub use discovery::Metadata;
pub use error::{Call, Fault, LogtoError, LogtoErrorKind, SetupError};
pub use userinfo::Userinfo;
pub use verify::{SignedIn, Verified};

use crate::clock::{Clock, UnixSeconds};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use discovery::{Addresses, Discovery};
use keys::{KeySet, Keys};
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;
use verify::{Expected, IdTokenFacts, Refusal};

/// How long the metadata or the key set may take. Together with [`LONGEST_PAUSE`] it bounds how late a recovery is noticed.
const METADATA_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause after the first failed attempt; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between attempts while nothing is known.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause between attempts to renew what is known.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);
/// Age at which metadata and keys are fetched anew.
const RENEWAL: Duration = Duration::from_secs(3600);

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
    /// When the userinfo endpoint is asked.
    pub userinfo: Userinfo,
}

/// Whether sign-ins can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// Metadata and keys are known. They stay known through an outage.
    Ready,
    /// They are not known yet.
    Unavailable {
        /// Since when.
        since: UnixSeconds,
        /// Why, for an operator: names addresses and settings, never a secret. Not for browsers; see [`LogtoError::safe_text`].
        reason: String,
    },
}

/// A code that came to the callback, and what its sign-in was begun with.
#[derive(Debug, Clone)]
pub struct RedeemRequest {
    /// The `code` parameter.
    pub code: SecretText,
    /// The verifier that [`pkce::make`] made.
    pub code_verifier: SecretText,
    /// The nonce of the authentication request.
    pub nonce: String,
    /// The `max_age` of the authentication request, if it had one.
    pub max_age: Option<Duration>,
}

/// One Logto tenant, as one client of it. Clones share everything.
#[derive(Clone)]
pub struct Logto(Arc<Inner>);

struct Inner {
    http: http::HttpClient,
    credentials: tokens::Credentials,
    redirect_uri: String,
    scope: String,
    userinfo: Userinfo,
    discovery: Discovery,
    keys: Keys,
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
    pub fn new(settings: Settings, clock: Clock, tasks: Tasks) -> Result<Self, SetupError> {
        if settings.app_secrets.is_empty() {
            return Err(SetupError::NoSecret);
        }
        let addresses = Addresses::new(&settings.endpoint, settings.internal_endpoint.as_ref())?;
        let stop = CancellationToken::new();
        Ok(Self(Arc::new(Inner {
            http: http::HttpClient::new(&settings.extra_roots)?,
            credentials: tokens::Credentials::new(settings.app_id, settings.app_secrets),
            redirect_uri: settings.redirect_uri,
            scope: authorize::scope(&settings.scopes),
            userinfo: settings.userinfo,
            discovery: Discovery::new(addresses),
            keys: Keys::new(keys::UNKNOWN_KEY_INTERVAL),
            created: clock.now(),
            clock,
            tasks,
            started: AtomicBool::new(false),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })))
    }

    /// Begins to learn Logto's metadata and keys in the background, on the current runtime: at once, again after a pause of
    /// 0.25 s doubling to 5 s while that fails, and hourly. Ends with [`Logto::stop`] or when the last clone is dropped.
    pub fn start(&self) {
        if self.0.started.swap(true, Ordering::AcqRel) {
            return;
        }
        self.0.discovery.set_attended(true);
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(attend(Arc::downgrade(&self.0), stop));
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
    }

    /// The issuer identifier that the settings imply, `<endpoint>/oidc`; known without asking Logto.
    pub fn issuer(&self) -> &str {
        self.0.discovery.issuer()
    }

    /// Whether sign-ins can work now.
    pub fn availability(&self) -> Availability {
        let inner = &self.0;
        if inner.discovery.current().is_some() && inner.keys.current().is_some() {
            return Availability::Ready;
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
        };
        authorize::url(metadata, &client, request)
    }

    /// Turns a code into a proved sign-in. Run it in a tracked task: dropped half-way, the code may be spent and the result lost.
    ///
    /// The code is sent once. Metadata and keys are made sure of first, so that an outage of those does not cost the code.
    pub async fn redeem(&self, request: RedeemRequest) -> Result<Verified<SignedIn>, LogtoError> {
        let inner = &self.0;
        let metadata = self.metadata_or_fetch().await?;
        let keys = inner
            .keys
            .current_or_fetch(&inner.http, &metadata.jwks_uri)
            .await?;
        let tokens = inner
            .credentials
            .redeem(
                &inner.http,
                &metadata.token_endpoint,
                &request.code,
                &request.code_verifier,
                &inner.redirect_uri,
            )
            .await?;
        let expected = Expected {
            issuer: &metadata.issuer,
            client_id: inner.credentials.client_id(),
            nonce: &request.nonce,
            access_token: &tokens.access_token,
            max_age: request.max_age,
            now: inner.clock.now(),
        };
        let id_token = inner.verify(&metadata, keys, &tokens.id_token, &expected).await?;
        let userinfo = match &metadata.userinfo_endpoint {
            Some(url) if inner.userinfo.is_needed(&id_token.claims) => {
                Some(userinfo::fetch(&inner.http, url, &tokens.access_token).await?)
            }
            _ => None,
        };
        verify::signed_in(id_token, userinfo, tokens)
    }

    /// Revokes a refresh token, and with it the user's whole grant for this client (RFC 7009). Does nothing when Logto names no
    /// revocation endpoint.
    pub async fn revoke_refresh_token(&self, refresh_token: &SecretText) -> Result<(), LogtoError> {
        let metadata = self.metadata_or_fetch().await?;
        match &metadata.revocation_endpoint {
            Some(url) => self.0.credentials.revoke(&self.0.http, url, refresh_token).await,
            None => Ok(()),
        }
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

impl Inner {
    /// Verifies with the keys known, and once more with newer ones when the token's is not among them.
    async fn verify(
        &self,
        metadata: &Metadata,
        keys: Arc<KeySet>,
        token: &SecretText,
        expected: &Expected<'_>,
    ) -> Result<Verified<IdTokenFacts>, LogtoError> {
        let unknown = || LogtoError::invalid_token(Call::Token, "kid");
        let refused = |check| LogtoError::invalid_token(Call::Token, check);
        match verify::id_token(token, &keys, expected) {
            Ok(facts) => return Ok(facts),
            Err(Refusal::Check(check)) => return Err(refused(check)),
            Err(Refusal::UnknownKey) => {}
        }
        let newer = self.keys.search(&self.http, &metadata.jwks_uri, &keys).await?;
        let newer = newer.ok_or_else(unknown)?;
        verify::id_token(token, &newer, expected).map_err(|refusal| match refusal {
            Refusal::UnknownKey => unknown(),
            Refusal::Check(check) => refused(check),
        })
    }

    /// Metadata and keys, both anew.
    async fn learn(&self) -> Result<(), LogtoError> {
        let metadata = self.discovery.renew(&self.http).await?;
        self.keys.renew(&self.http, &metadata.jwks_uri).await?;
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.discovery.current().is_some() && self.keys.current().is_some()
    }
}

/// The background task. Holds the tenant only while it asks, so that a dropped one ends it.
async fn attend(tenant: Weak<Inner>, stop: CancellationToken) {
    let mut failures: u32 = 0;
    loop {
        let Some(inner) = tenant.upgrade() else { return };
        let was_ready = inner.is_ready();
        let result = tokio::select! {
            () = stop.cancelled() => return,
            result = inner.learn() => result,
        };
        let pause = match result {
            Ok(()) => {
                if !was_ready {
                    tracing::info!(issuer = inner.discovery.issuer(), "Logto is reachable");
                }
                failures = 0;
                RENEWAL
            }
            Err(error) => {
                let pause = if inner.is_ready() {
                    RENEWAL_PAUSE
                } else {
                    pause_after(failures)
                };
                // The first of a row is news; the rest would only fill the log.
                if failures == 0 {
                    tracing::warn!(issuer = inner.discovery.issuer(), %error, "Logto could not be asked; trying again");
                } else {
                    tracing::debug!(issuer = inner.discovery.issuer(), %error, "Logto still cannot be asked");
                }
                failures = failures.saturating_add(1);
                pause
            }
        };
        drop(inner);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// 0.25 s, 0.5 s, 1 s, … 5 s.
fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_PAUSE)
}

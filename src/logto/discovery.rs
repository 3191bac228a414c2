//! Logto's provider metadata (OpenID Connect Discovery 1.0), fetched, judged, and kept.
//!
//! Promises: the issuer is `<endpoint>/oidc`, byte for byte; every address a browser is sent to lies on the issuer's origin; every
//! address this proxy calls lies on that origin or on the internal one. Logto builds the addresses from the Host and scheme of
//! the request it got, so a forgotten setting shows up here as an `http:` or internal address: it is refused with the remedy
//! instead of being handed to browsers.
//!
//! It stops metadata that points elsewhere (mix-up, RFC 9207) and a flood of fetches while Logto is away.

use super::error::{Call, LogtoError, SetupError};
use super::http::HttpClient;
use super::key::SigningKey;
use crate::clock;
use arc_swap::ArcSwapOption;
use http::StatusCode;
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, EndSessionUrl, IntrospectionUrl, IssuerUrl, ProviderMetadata, RevocationUrl,
};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Least time between two attempts that waiting requests cause.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(1);

/// What Logto says of itself, checked. Made by [`Logto`](super::Logto) alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub(super) issuer: IssuerUrl,
    pub(super) authorization_endpoint: Url,
    pub(super) end_session_endpoint: Option<Url>,
    pub(super) token_endpoint: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) revocation_endpoint: Option<Url>,
    pub(super) introspection_endpoint: Option<Url>,
    pub(super) jwks_uri: Url,
    sends_iss: bool,
}

impl Metadata {
    /// The issuer identifier, which `iss` in a callback must equal byte for byte (RFC 9207 §2.4).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Origin of the `end_session_endpoint`: where the form of a sign-out page leads in the end.
    pub fn end_session_origin(&self) -> Option<String> {
        let url = self.end_session_endpoint.as_ref()?;
        Some(url.origin().ascii_serialization())
    }

    /// True when Logto says that it always sends `iss` to the callback, so that its absence is an attack (RFC 9207 §2.4).
    pub const fn sends_iss_parameter(&self) -> bool {
        self.sends_iss
    }
}

/// The members of the metadata that OpenID Connect Discovery does not define.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Additional {
    end_session_endpoint: Option<EndSessionUrl>,
    revocation_endpoint: Option<RevocationUrl>,
    introspection_endpoint: Option<IntrospectionUrl>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl AdditionalProviderMetadata for Additional {}

type Document = ProviderMetadata<
    Additional,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    SigningKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Where Logto is: for browsers and in its tokens, and for this proxy's own calls.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    issuer: IssuerUrl,
    /// Base of back-channel calls, when not the issuer's origin.
    internal: Option<Url>,
    document: Url,
}

impl Addresses {
    pub(super) fn new(endpoint: &Url, internal: Option<&Url>) -> Result<Self, SetupError> {
        check_address("logto.endpoint", endpoint)?;
        let endpoint_text = endpoint.as_str().trim_end_matches('/');
        let issuer = IssuerUrl::new(format!("{endpoint_text}/oidc")).map_err(|_| SetupError::Address {
            setting: "logto.endpoint",
            what: "not an address",
        })?;
        if let Some(internal) = internal {
            check_address("logto.internal_endpoint", internal)?;
            if internal.path() != "/" {
                return Err(SetupError::Address {
                    setting: "logto.internal_endpoint",
                    what: "must have no path; Logto's own paths are kept",
                });
            }
        }
        let mut document = issuer.url().clone();
        document.set_path(&format!(
            "{}/.well-known/openid-configuration",
            issuer.url().path()
        ));
        if let Some(internal) = internal {
            document = moved(&document, internal);
        }
        Ok(Self {
            issuer,
            internal: internal.cloned(),
            document,
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where a path of Logto's own API is called. No metadata names it.
    fn api(&self, segments: &[&str]) -> Url {
        let issuer = self.issuer.url();
        let mut url = match &self.internal {
            Some(internal) => moved(issuer, internal),
            None => issuer.clone(),
        };
        if let Ok(mut path) = url.path_segments_mut() {
            // The issuer is `<endpoint>/oidc`.
            path.pop().extend(segments);
        }
        url
    }

    fn judge(&self, document: &Document) -> Result<Metadata, LogtoError> {
        if *document.issuer() != self.issuer {
            return Err(LogtoError::misconfigured(
                Call::Discovery,
                format!(
                    "Logto calls itself {}, but logto.endpoint makes it {}; give logto.endpoint the address Logto is configured with (its ENDPOINT, or the custom domain)",
                    shown(document.issuer()),
                    self.issuer()
                ),
            ));
        }
        let token_endpoint = document.token_endpoint().ok_or(LogtoError::bad_answer(
            Call::Discovery,
            "no token_endpoint in the metadata",
        ))?;
        let additional = document.additional_metadata();
        Ok(Metadata {
            issuer: self.issuer.clone(),
            authorization_endpoint: self
                .for_browsers("authorization_endpoint", document.authorization_endpoint().url())?,
            end_session_endpoint: additional
                .end_session_endpoint
                .as_ref()
                .map(|url| self.for_browsers("end_session_endpoint", url.url()))
                .transpose()?,
            token_endpoint: self.for_calls("token_endpoint", token_endpoint.url())?,
            userinfo_endpoint: document
                .userinfo_endpoint()
                .map(|url| self.for_calls("userinfo_endpoint", url.url()))
                .transpose()?,
            revocation_endpoint: additional
                .revocation_endpoint
                .as_ref()
                .map(|url| self.for_calls("revocation_endpoint", url.url()))
                .transpose()?,
            introspection_endpoint: additional
                .introspection_endpoint
                .as_ref()
                .map(|url| self.for_calls("introspection_endpoint", url.url()))
                .transpose()?,
            jwks_uri: self.for_calls("jwks_uri", document.jwks_uri().url())?,
            sends_iss: additional.authorization_response_iss_parameter_supported == Some(true),
        })
    }

    /// Asked at an internal address, Logto names itself by that address; only the path counts then.
    fn for_browsers(&self, name: &str, url: &Url) -> Result<Url, LogtoError> {
        match self.internal {
            Some(_) => Ok(moved(url, self.issuer.url())),
            None => self.on_issuer_origin(name, url),
        }
    }

    fn for_calls(&self, name: &str, url: &Url) -> Result<Url, LogtoError> {
        match &self.internal {
            Some(internal) => Ok(moved(url, internal)),
            None => self.on_issuer_origin(name, url),
        }
    }

    fn on_issuer_origin(&self, name: &str, url: &Url) -> Result<Url, LogtoError> {
        if url.origin() == self.issuer.url().origin() {
            return Ok(url.clone());
        }
        Err(LogtoError::misconfigured(
            Call::Discovery,
            format!(
                "Logto's {name} is {}, which is not on the origin of its issuer {}; a Logto behind a TLS-terminating proxy needs TRUST_PROXY_HEADER=1 and that proxy must pass Host and X-Forwarded-Proto on; a Logto reached by another address needs logto.internal_endpoint",
                shown(url.as_str()),
                self.issuer()
            ),
        ))
    }
}

/// The metadata, once it is known, and the bookkeeping of the attempts to learn it.
#[derive(Debug)]
pub(super) struct Discovery {
    addresses: Addresses,
    current: ArcSwapOption<Metadata>,
    /// Held while an attempt is under way, so that there is one at a time.
    flight: tokio::sync::Mutex<()>,
    last_failure: Mutex<Option<(LogtoError, Instant)>>,
    /// Somebody retries in the background, so requests need not.
    attended: AtomicBool,
}

impl Discovery {
    pub(super) fn new(addresses: Addresses) -> Self {
        Self {
            addresses,
            current: ArcSwapOption::empty(),
            flight: tokio::sync::Mutex::new(()),
            last_failure: Mutex::new(None),
            attended: AtomicBool::new(false),
        }
    }

    pub(super) fn current(&self) -> Option<Arc<Metadata>> {
        self.current.load_full()
    }

    /// Takes over what another has.
    pub(super) fn learn_from(&self, other: &Self) {
        self.current.store(other.current());
    }

    /// The issuer identifier that the settings imply.
    pub(super) fn issuer(&self) -> &str {
        self.addresses.issuer()
    }

    /// Where a path of Logto's own API is called, each segment encoded.
    pub(super) fn api(&self, segments: &[&str]) -> Url {
        self.addresses.api(segments)
    }

    pub(super) fn set_attended(&self, attended: bool) {
        self.attended.store(attended, Ordering::Relaxed);
    }

    pub(super) fn last_failure(&self) -> Option<LogtoError> {
        self.remembered().as_ref().map(|(error, _)| error.clone())
    }

    /// What is known, or the result of one attempt that all who wait share. While Logto is known to be away the answer is
    /// immediate: the last failure.
    pub(super) async fn current_or_fetch(&self, http: &HttpClient) -> Result<Arc<Metadata>, LogtoError> {
        if let Some(metadata) = self.current() {
            return Ok(metadata);
        }
        if let Some(error) = self.recent_failure() {
            return Err(error);
        }
        let _flight = self.flight.lock().await;
        if let Some(metadata) = self.current() {
            return Ok(metadata);
        }
        if let Some(error) = self.recent_failure() {
            return Err(error);
        }
        self.fetch(http).await
    }

    /// Fetches anew, known or not. A failure changes nothing that is known.
    pub(super) async fn renew(&self, http: &HttpClient) -> Result<Arc<Metadata>, LogtoError> {
        let _flight = self.flight.lock().await;
        self.fetch(http).await
    }

    fn recent_failure(&self) -> Option<LogtoError> {
        let remembered = self.remembered();
        let (error, moment) = remembered.as_ref()?;
        let fresh = clock::monotonic().saturating_duration_since(*moment) < ATTEMPT_INTERVAL;
        (fresh || self.attended.load(Ordering::Relaxed)).then(|| error.clone())
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Option<(LogtoError, Instant)>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, http: &HttpClient) -> Result<Arc<Metadata>, LogtoError> {
        match http.call(Call::Discovery, self.attempt(http)).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                self.current.store(Some(Arc::clone(&metadata)));
                *self.remembered() = None;
                Ok(metadata)
            }
            Err(error) => {
                *self.remembered() = Some((error.clone(), clock::monotonic()));
                Err(error)
            }
        }
    }

    async fn attempt(&self, http: &HttpClient) -> Result<Metadata, LogtoError> {
        let answer = http
            .get(
                Call::Discovery,
                &self.addresses.document,
                None,
                super::METADATA_TIMEOUT,
            )
            .await?;
        if answer.status != StatusCode::OK {
            return Err(LogtoError::misconfigured(
                Call::Discovery,
                format!(
                    "{} answered {}; is logto.endpoint the address of Logto?",
                    self.addresses.document,
                    answer.status.as_u16()
                ),
            ));
        }
        let document: Document = serde_json::from_slice(&answer.body)
            .map_err(|_| LogtoError::bad_answer(Call::Discovery, "not provider metadata"))?;
        self.addresses.judge(&document)
    }
}

fn check_address(setting: &'static str, url: &Url) -> Result<(), SetupError> {
    let wrong = |what| Err(SetupError::Address { setting, what });
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        wrong("must be an https:// or http:// address")
    } else if !url.username().is_empty() || url.password().is_some() {
        wrong("must not carry a user name or password")
    } else if url.query().is_some() || url.fragment().is_some() {
        wrong("must not have a query or fragment")
    } else {
        Ok(())
    }
}

/// The path and query of one address on the origin of another.
fn moved(url: &Url, origin: &Url) -> Url {
    let mut moved = origin.clone();
    moved.set_path(url.path());
    moved.set_query(url.query());
    moved
}

/// An address from outside as it may stand in a log line.
fn shown(address: &str) -> &str {
    let harmless = address.len() <= 200 && address.bytes().all(|byte| byte.is_ascii_graphic());
    if harmless {
        address
    } else {
        "(an unprintable address)"
    }
}

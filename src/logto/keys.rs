//! Logto's key set, kept up to date.
//!
//! An unknown `kid` is how a rotation shows itself, and also what a forger sends: it causes at most one fetch at a time, and one
//! per [`UNKNOWN_KEY_INTERVAL`] or, for access tokens, which anybody may send, per [`ACCESS_TOKEN_INTERVAL`]. A failed fetch
//! never takes keys away that are known.

use super::error::{Call, LogtoError};
use super::http::HttpClient;
use super::key::SigningKey;
use crate::clock;
use arc_swap::ArcSwapOption;
use http::StatusCode;
use openidconnect::JsonWebKeySet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Least time between two fetches that unknown keys cause: of tokens that Logto itself handed out, and of logout tokens, which
/// it sends once.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);

/// Least time between two fetches that access tokens cause. They come from whoever finds the endpoint, and may come again.
const ACCESS_TOKEN_INTERVAL: Duration = Duration::from_secs(60);

/// Least time between two first fetches that waiting requests cause.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(1);

/// The key set as openidconnect's verifier takes it.
pub(super) type KeySet = JsonWebKeySet<SigningKey>;

/// Logto's key set, fetched when first needed and again when a key is unknown.
#[derive(Debug)]
pub(super) struct Keys {
    current: ArcSwapOption<KeySet>,
    /// When that set was fetched.
    fetched_at: Mutex<Option<Instant>>,
    /// Held while a fetch is under way, so that there is one at a time.
    flight: tokio::sync::Mutex<()>,
    last_search: Mutex<Option<Instant>>,
    last_logout_search: Mutex<Option<Instant>>,
    last_caller_search: Mutex<Option<Instant>>,
    last_failure: Mutex<Option<(LogtoError, Instant)>>,
}

/// Whose token needs a key that is not known. Each has an interval of its own, so that none uses up another's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seeker {
    /// An ID token from the token endpoint.
    SignIn,
    /// A logout token that somebody sent here.
    Logout,
    /// An access token that somebody sent here.
    Caller,
}

/// What a search for a key came to.
pub(super) enum Search {
    /// The set as fetched for this search: what it lacks Logto does not publish.
    Fetched(Arc<KeySet>),
    /// A set that somebody else fetched since.
    Newer(Arc<KeySet>),
    /// Nothing newer is known, and it is too early to ask again.
    TooEarly,
}

impl Keys {
    /// No keys yet.
    pub(super) fn new() -> Self {
        Self {
            current: ArcSwapOption::empty(),
            fetched_at: Mutex::new(None),
            flight: tokio::sync::Mutex::new(()),
            last_search: Mutex::new(None),
            last_logout_search: Mutex::new(None),
            last_caller_search: Mutex::new(None),
            last_failure: Mutex::new(None),
        }
    }

    /// The keys known now.
    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// Takes over what another has.
    pub(super) fn learn_from(&self, other: &Self) {
        self.current.store(other.current());
        *self.fetched() = *other.fetched();
    }

    /// The keys known now, or a first fetch that all who wait share.
    pub(super) async fn current_or_fetch(
        &self,
        http: &HttpClient,
        url: &Url,
    ) -> Result<Arc<KeySet>, LogtoError> {
        if let Some(keys) = self.current() {
            return Ok(keys);
        }
        let _flight = self.flight.lock().await;
        if let Some(keys) = self.current() {
            return Ok(keys);
        }
        if let Some((error, moment)) = self.remembered().as_ref()
            && clock::monotonic().saturating_duration_since(*moment) < ATTEMPT_INTERVAL
        {
            return Err(error.clone());
        }
        self.fetch(http, url).await
    }

    /// Fetches the keys anew: at the start and once in a while, so that a key which was withdrawn goes.
    pub(super) async fn renew(&self, http: &HttpClient, url: &Url) -> Result<Arc<KeySet>, LogtoError> {
        let _flight = self.flight.lock().await;
        self.fetch(http, url).await
    }

    /// Looks for a key that `seen` lacks; `None` when no keys were known at all.
    pub(super) async fn search(
        &self,
        http: &HttpClient,
        url: &Url,
        seen: Option<&Arc<KeySet>>,
        seeker: Seeker,
    ) -> Result<Search, LogtoError> {
        let _flight = self.flight.lock().await;
        let is_newer = |keys: &Arc<KeySet>| seen.is_none_or(|seen| !Arc::ptr_eq(keys, seen));
        if let Some(newer) = self.current().filter(is_newer) {
            return Ok(Search::Newer(newer));
        }
        if !self.may_search(seeker) {
            return Ok(Search::TooEarly);
        }
        self.fetch(http, url).await.map(Search::Fetched)
    }

    /// Why the last fetch failed, if it did.
    pub(super) fn last_failure(&self) -> Option<LogtoError> {
        self.remembered().as_ref().map(|(error, _)| error.clone())
    }

    /// How old the keys are that are known.
    pub(super) fn age(&self) -> Duration {
        let fetched = *self.fetched();
        fetched.map_or(Duration::MAX, |fetched| {
            clock::monotonic().saturating_duration_since(fetched)
        })
    }

    fn fetched(&self) -> MutexGuard<'_, Option<Instant>> {
        self.fetched_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> MutexGuard<'_, Option<(LogtoError, Instant)>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it is until a search may fetch.
    pub(super) fn until_search(&self, seeker: Seeker) -> Duration {
        let (last, interval) = self.last_search_of(seeker);
        let last = *last.lock().unwrap_or_else(PoisonError::into_inner);
        last.map_or(Duration::ZERO, |last| {
            interval.saturating_sub(clock::monotonic().saturating_duration_since(last))
        })
    }

    const fn last_search_of(&self, seeker: Seeker) -> (&Mutex<Option<Instant>>, Duration) {
        match seeker {
            Seeker::SignIn => (&self.last_search, UNKNOWN_KEY_INTERVAL),
            Seeker::Logout => (&self.last_logout_search, UNKNOWN_KEY_INTERVAL),
            Seeker::Caller => (&self.last_caller_search, ACCESS_TOKEN_INTERVAL),
        }
    }

    fn may_search(&self, seeker: Seeker) -> bool {
        let (last, interval) = self.last_search_of(seeker);
        let now = clock::monotonic();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| now.saturating_duration_since(last) < interval) {
            return false;
        }
        // Counted when it begins, so that a failing or abandoned fetch is no way around the interval.
        *last = Some(now);
        true
    }

    async fn fetch(&self, http: &HttpClient, url: &Url) -> Result<Arc<KeySet>, LogtoError> {
        match http.call(Call::Keys, attempt(http, url)).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.current.store(Some(Arc::clone(&keys)));
                *self.fetched() = Some(clock::monotonic());
                *self.remembered() = None;
                Ok(keys)
            }
            Err(error) => {
                *self.remembered() = Some((error.clone(), clock::monotonic()));
                Err(error)
            }
        }
    }
}

async fn attempt(http: &HttpClient, url: &Url) -> Result<KeySet, LogtoError> {
    let answer = http.get(Call::Keys, url, None, super::METADATA_TIMEOUT).await?;
    if answer.status != StatusCode::OK {
        return Err(LogtoError::bad_answer(
            Call::Keys,
            "the key set's address does not answer 200",
        ));
    }
    let keys: KeySet = serde_json::from_slice(&answer.body)
        .map_err(|_| LogtoError::bad_answer(Call::Keys, "not a JSON Web Key Set"))?;
    if keys.keys().is_empty() {
        // An empty set would lock everybody out until the next fetch; the old one serves better.
        return Err(LogtoError::bad_answer(Call::Keys, "no usable key in the key set"));
    }
    Ok(keys)
}

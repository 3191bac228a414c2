//! Tokens that somebody sent here, logout tokens and access tokens, and the keys that they need.
//!
//! Whoever finds an endpoint may send one, so a fetch of keys must be earned by a token that is otherwise right, and even then
//! there is one every ten seconds for all logout tokens, and one a minute for all access tokens, apart from those that sign-ins
//! cause. An access token that comes too early may come again. A logout token is sent once, so it is judged later.

use super::Logto;
use super::error::{Call, LogtoError, LogtoErrorKind};
use super::keys::{KeySet, Search, Seeker};
use super::verify::{
    AccessToken, Audience, LEEWAY, LogoutToken, Refusal, ResourceServer, UnprovedAccessToken,
    UnprovedLogoutToken, Verified,
};
use crate::clock::{UnixSeconds, monotonic};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Logout tokens that wait to be judged, at most. All that wait are judged with the next set of keys.
pub(super) const MOST_WAITING: usize = 1_024;
/// The longest of them, in bytes. Logto's have below 2 KiB.
const LONGEST_WAITING: usize = 4 * 1024;
/// How long one waits: as long as Logto's are good for, with the leeway.
const LONGEST_WAIT: Duration = Duration::from_secs(180);
/// Least pause before it is judged again.
const LATER_PAUSE: Duration = Duration::from_secs(1);

impl Logto {
    /// Proves a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), all but step 7: whether its `jti` was seen before.
    ///
    /// Fails with the name of a check, or with an outage when the key it names is not known and Logto cannot be asked: then
    /// [`Self::verify_logout_token_later`] decides.
    pub async fn verify_logout_token(&self, token: &str) -> Result<Verified<LogoutToken>, LogtoError> {
        let audience = Audience {
            issuer: self.issuer(),
            client_id: self.0.credentials.client_id(),
            now: self.0.clock.now(),
        };
        let token = UnprovedLogoutToken::read(token, &audience)
            .map_err(|check| LogtoError::invalid_token(Call::LogoutToken, check))?;
        self.prove_sent(Call::LogoutToken, token.issued_at(), |keys| token.prove(keys))
            .await
    }

    /// The same, for one that could not be judged a moment ago: as soon as Logto may be asked for its keys again, and again while
    /// it does not answer. Junk that names keys of its own can only bring this about, not the loss of a token that Logto sent.
    ///
    /// Fails as an outage when too many wait already, after three minutes, and when the client is stopped.
    pub async fn verify_logout_token_later(&self, token: &str) -> Result<Verified<LogoutToken>, LogtoError> {
        let undecided = || LogtoError::new(Call::Keys, LogtoErrorKind::Away);
        let inner = &self.0;
        if token.len() > LONGEST_WAITING {
            return Err(undecided());
        }
        let _place = inner.waiting_logouts.try_acquire().map_err(|_| undecided())?;
        let came = monotonic();
        let deciding = async {
            loop {
                let pause = inner.keys.until_search(Seeker::Logout);
                sleep(pause.max(LATER_PAUSE)).await;
                // What keys lack that were fetched since it came, Logto does not publish.
                let has_later_keys = inner.keys.age() < came.elapsed();
                match self.verify_logout_token(token).await {
                    Err(error) if error.is_transient() && !has_later_keys => {}
                    Err(error) if error.is_transient() => {
                        return Err(LogtoError::invalid_token(Call::LogoutToken, "kid"));
                    }
                    decided => return decided,
                }
            }
        };
        let stopped = inner.stop.run_until_cancelled(timeout(LONGEST_WAIT, deciding));
        match stopped.await {
            Some(Ok(decided)) => decided,
            Some(Err(_)) | None => Err(undecided()),
        }
    }

    /// Proves a JWT access token for one of these resources (RFC 9068 §4). A resource is the `aud` of its tokens, to the
    /// letter; [`ANY_ORGANIZATION`](super::ANY_ORGANIZATION) stands for every organization's.
    ///
    /// Fails with the name of a check, or with an outage when the key it names is not known and Logto cannot be asked. Nothing
    /// is asked for a token that is wrong in anything but its key.
    pub async fn verify_access_token(
        &self,
        token: &str,
        resources: &[String],
    ) -> Result<Verified<AccessToken>, LogtoError> {
        let server = ResourceServer {
            issuer: self.issuer(),
            resources,
            now: self.0.clock.now(),
        };
        let token = UnprovedAccessToken::read(token, &server)
            .map_err(|check| LogtoError::invalid_token(Call::AccessToken, check))?;
        self.prove_sent(Call::AccessToken, token.issued_at(), |keys| token.prove(keys))
            .await
    }

    /// Proves with the keys known, and once more with newer ones when the token's is not among them. A token that was made after
    /// those were fetched, by `issued_at`, may be of a key that came since: when it is too early to ask, nothing is said of it.
    async fn prove_sent<T>(
        &self,
        call: Call,
        issued_at: UnixSeconds,
        prove: impl Fn(&KeySet) -> Result<T, Refusal>,
    ) -> Result<T, LogtoError> {
        let inner = &self.0;
        let seeker = match call {
            Call::LogoutToken => Seeker::Logout,
            _ => Seeker::Caller,
        };
        let refused = |check| LogtoError::invalid_token(call, check);
        let known = inner.keys.current();
        if let Some(keys) = &known {
            match prove(keys) {
                Ok(proved) => return Ok(proved),
                Err(Refusal::Check(check)) => return Err(refused(check)),
                Err(Refusal::UnknownKey) => {}
            }
        }
        let metadata = self.metadata_or_fetch().await?;
        let search = inner
            .keys
            .search(&inner.http, &metadata.jwks_uri, known.as_ref(), seeker)
            .await?;
        let keys = match search {
            Search::Fetched(keys) | Search::Newer(keys) => keys,
            Search::TooEarly
                if known.is_some()
                    && inner.clock.now().since(issued_at) > inner.keys.age().saturating_add(LEEWAY) =>
            {
                return Err(refused("kid"));
            }
            Search::TooEarly => return Err(LogtoError::new(Call::Keys, LogtoErrorKind::Away)),
        };
        prove(&keys).map_err(|refusal| match refusal {
            Refusal::UnknownKey => refused("kid"),
            Refusal::Check(check) => refused(check),
        })
    }
}

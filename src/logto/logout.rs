//! Logout tokens that were posted here, and the keys that they need.
//!
//! Whoever finds the endpoint may post, so a fetch of keys must be earned by a token that is otherwise right, and even then
//! there is one a minute, apart from those that sign-ins cause.

use super::Logto;
use super::error::{Call, LogtoError, LogtoErrorKind};
use super::keys::{Search, Seeker};
use super::verify::{Audience, LogoutToken, Refusal, UnprovedLogoutToken, Verified};

impl Logto {
    /// Proves a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), all but step 7: whether its `jti` was seen before.
    ///
    /// Fails with the name of a check, or with an outage when the key it names is not known and Logto cannot be asked.
    pub async fn verify_logout_token(&self, token: &str) -> Result<Verified<LogoutToken>, LogtoError> {
        let inner = &self.0;
        let refused = |check| LogtoError::invalid_token(Call::LogoutToken, check);
        let audience = Audience {
            issuer: self.issuer(),
            client_id: inner.credentials.client_id(),
            now: inner.clock.now(),
        };
        let token = UnprovedLogoutToken::read(token, &audience).map_err(refused)?;
        let known = inner.keys.current();
        if let Some(keys) = &known {
            match token.prove(keys) {
                Ok(proved) => return Ok(proved),
                Err(Refusal::Check(check)) => return Err(refused(check)),
                Err(Refusal::UnknownKey) => {}
            }
        }
        let metadata = self.metadata_or_fetch().await?;
        let search = inner
            .keys
            .search(
                &inner.http,
                &metadata.jwks_uri,
                known.as_ref(),
                Seeker::LogoutToken,
            )
            .await?;
        let keys = match search {
            Search::Fetched(keys) | Search::Newer(keys) => keys,
            Search::TooEarly if known.is_some() => return Err(refused("kid")),
            Search::TooEarly => return Err(LogtoError::new(Call::Keys, LogtoErrorKind::Away)),
        };
        token.prove(&keys).map_err(|refusal| match refusal {
            Refusal::UnknownKey => refused("kid"),
            Refusal::Check(check) => refused(check),
        })
    }
}

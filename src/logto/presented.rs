//! Tokens that somebody sent here, logout tokens and access tokens, and the keys that they need.
//!
//! Whoever finds an endpoint may send one, so a fetch of keys must be earned by a token that is otherwise right, and even then
//! there is one a minute for all of them, apart from those that sign-ins cause.

use super::Logto;
use super::error::{Call, LogtoError, LogtoErrorKind};
use super::keys::{KeySet, Search, Seeker};
use super::verify::{
    AccessToken, Audience, LEEWAY, LogoutToken, Refusal, ResourceServer, UnprovedAccessToken,
    UnprovedLogoutToken, Verified,
};
use crate::clock::UnixSeconds;

impl Logto {
    /// Proves a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), all but step 7: whether its `jti` was seen before.
    ///
    /// Fails with the name of a check, or with an outage when the key it names is not known and Logto cannot be asked.
    pub async fn verify_logout_token(&self, token: &str) -> Result<Verified<LogoutToken>, LogtoError> {
        let audience = Audience {
            issuer: self.issuer(),
            client_id: self.0.credentials.client_id(),
            now: self.0.clock.now(),
        };
        let token = UnprovedLogoutToken::read(token, &audience)
            .map_err(|check| LogtoError::invalid_token(Call::LogoutToken, check))?;
        self.prove_sent(Call::LogoutToken, None, |keys| token.prove(keys))
            .await
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
        self.prove_sent(Call::AccessToken, Some(token.issued_at()), |keys| {
            token.prove(keys)
        })
        .await
    }

    /// Proves with the keys known, and once more with newer ones when the token's is not among them. A token that was made after
    /// those were fetched, by `issued_at`, may be of a key that came since: when it is too early to ask, nothing is said of it.
    async fn prove_sent<T>(
        &self,
        call: Call,
        issued_at: Option<UnixSeconds>,
        prove: impl Fn(&KeySet) -> Result<T, Refusal>,
    ) -> Result<T, LogtoError> {
        let inner = &self.0;
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
            .search(&inner.http, &metadata.jwks_uri, known.as_ref(), Seeker::Sent)
            .await?;
        let keys = match search {
            Search::Fetched(keys) | Search::Newer(keys) => keys,
            Search::TooEarly
                if known.is_some()
                    && issued_at.is_none_or(|at| {
                        inner.clock.now().since(at) > inner.keys.age().saturating_add(LEEWAY)
                    }) =>
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

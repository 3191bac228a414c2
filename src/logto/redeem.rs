//! Turning a code into a proved sign-in, and the search for the key that an ID token names.

use super::error::{Call, LogtoError};
use super::keys::{KeySet, Search, Seeker};
use super::verify::{self, Expected, IdTokenFacts, NO_ID_TOKEN, Refusal, SignedIn, Verified};
use super::{Inner, Logto, Metadata, RefreshMode, userinfo};
use crate::secret::SecretText;
use std::sync::Arc;
use std::time::Duration;

/// A code that came to the callback, and what its sign-in was begun with.
#[derive(Debug, Clone)]
pub struct RedeemRequest {
    /// The `code` parameter.
    pub code: SecretText,
    /// The verifier that [`pkce::make`](super::pkce::make) made.
    pub code_verifier: SecretText,
    /// The nonce of the authentication request.
    pub nonce: String,
    /// The `max_age` of the authentication request, if it had one.
    pub max_age: Option<Duration>,
}

/// Why an ID token is not proved.
pub(super) enum Unproved {
    /// A check failed, or Logto publishes no such key.
    Refused(LogtoError),
    /// Its key is not known, and Logto's keys could not be asked for now.
    Undecided(LogtoError),
}

impl Unproved {
    fn into_error(self) -> LogtoError {
        match self {
            Self::Refused(error) | Self::Undecided(error) => error,
        }
    }
}

impl Logto {
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
        let mut tokens = inner
            .credentials
            .redeem(
                &inner.http,
                &metadata.token_endpoint,
                &request.code,
                &request.code_verifier,
                &inner.redirect_uri,
            )
            .await?;
        if inner.refresh == RefreshMode::None {
            tokens.refresh_token = None;
        }
        let id_token = tokens
            .id_token
            .take()
            .ok_or(LogtoError::bad_answer(Call::Token, NO_ID_TOKEN))?;
        let expected = Expected {
            issuer: &metadata.issuer,
            client_id: inner.credentials.client_id(),
            nonce: Some(&request.nonce),
            access_token: &tokens.access_token,
            max_age: request.max_age,
            now: inner.clock.now(),
        };
        let facts = inner
            .prove(&metadata, keys, &id_token, &expected)
            .await
            .map_err(Unproved::into_error)?;
        let userinfo = match &metadata.userinfo_endpoint {
            Some(url) if inner.userinfo.is_needed(&facts.claims) => {
                Some(userinfo::fetch(&inner.http, url, &tokens.access_token).await?)
            }
            _ => None,
        };
        verify::signed_in(facts, userinfo, id_token, tokens)
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
}

impl Inner {
    /// Verifies with the keys known, and once more with newer ones when the token's is not among them.
    pub(super) async fn prove(
        &self,
        metadata: &Metadata,
        keys: Arc<KeySet>,
        token: &SecretText,
        expected: &Expected<'_>,
    ) -> Result<Verified<IdTokenFacts>, Unproved> {
        let unknown = || LogtoError::invalid_token(Call::Token, "kid");
        let refused = |check| Unproved::Refused(LogtoError::invalid_token(Call::Token, check));
        match verify::id_token(token, &keys, expected) {
            Ok(facts) => return Ok(facts),
            Err(Refusal::Check(check)) => return Err(refused(check)),
            Err(Refusal::UnknownKey) => {}
        }
        let search = self
            .keys
            .search(&self.http, &metadata.jwks_uri, Some(&keys), Seeker::SignIn)
            .await;
        let (newer, asked_now) = match search.map_err(Unproved::Undecided)? {
            Search::Fetched(newer) => (newer, true),
            Search::Newer(newer) => (newer, false),
            Search::TooEarly => return Err(Unproved::Undecided(unknown())),
        };
        verify::id_token(token, &newer, expected).map_err(|refusal| match refusal {
            Refusal::UnknownKey if asked_now => Unproved::Refused(unknown()),
            // That set may be older than the token.
            Refusal::UnknownKey => Unproved::Undecided(unknown()),
            Refusal::Check(check) => refused(check),
        })
    }
}

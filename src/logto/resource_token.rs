//! Further tokens of a user who is signed in: for an API resource, for an organization, or a plain access token.
//!
//! A refresh token buys them (RFC 6749 §6, RFC 8707 §2.2). The promises of a refresh hold: it is sent once, and the one to use
//! next is never lost. That two refreshes of one session do not overlap is for the caller to see to: Logto revokes the grant
//! when a refresh token comes back more than 3 s after it was replaced.

use super::Logto;
use super::error::{Call, LogtoError, LogtoErrorKind};
use super::refresh::within;
use super::tokens::refresh_limit;
use crate::secret::SecretText;
use tokio::time::Instant;

/// An access token for somebody else's API.
#[derive(Debug, Clone)]
pub struct ResourceToken {
    /// A JWT where a resource or organization was asked for, else opaque. Safe in a header.
    pub access_token: SecretText,
    /// Its life, seconds, when Logto said.
    pub expires_in: Option<u64>,
    /// What it is for, one by one; may be fewer than the user has, and none.
    pub scopes: Vec<String>,
    /// The refresh token to keep: the answer's, else the one that was sent.
    pub refresh_token: SecretText,
}

/// What a token that was not given means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceVerdict {
    /// The refresh token is not good any more, or the user may not use the application: the session is over.
    Over,
    /// The session may go on, but not with this token: the user is not in the organization, or the application may not ask
    /// for the resource or was not given it at the sign-in.
    NotGranted,
    /// Nothing is known: Logto is away or slow, or the settings are wrong.
    Transient,
}

/// No token.
#[derive(Debug, Clone)]
pub struct ResourceTokenFailure {
    /// What it means.
    pub verdict: ResourceVerdict,
    /// What happened.
    pub error: LogtoError,
    /// The refresh token to use from now on, when Logto's answer carried one all the same.
    pub refresh_token: Option<SecretText>,
}

impl Logto {
    /// Uses a refresh token for an access token of this resource (an API indicator), of this organization (its id), or of the
    /// resource within the organization. With neither it is an opaque one, for userinfo and the Account API.
    ///
    /// The token is sent once; an answer is waited for up to 30 s, and not beyond `until`. Run it in a tracked task, like
    /// [`refresh`](Self::refresh).
    pub async fn resource_token(
        &self,
        refresh_token: &SecretText,
        resource: Option<&str>,
        organization: Option<&str>,
        until: Instant,
    ) -> Result<ResourceToken, ResourceTokenFailure> {
        let inner = &self.0;
        let metadata = within(until, Call::Discovery, self.metadata_or_fetch())
            .await
            .map_err(|error| ResourceTokenFailure {
                verdict: ResourceVerdict::Transient,
                error,
                refresh_token: None,
            })?;
        let mut parameters = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
        ];
        parameters.extend(resource.map(|resource| ("resource", resource)));
        parameters.extend(organization.map(|organization| ("organization_id", organization)));
        let granted = inner
            .credentials
            .grant(
                &inner.http,
                Call::ResourceToken,
                &metadata.token_endpoint,
                &parameters,
                refresh_limit(until),
                false,
            )
            .await;
        let tokens = granted.map_err(|failure| ResourceTokenFailure {
            verdict: verdict(&failure.error, organization.is_some()),
            error: failure.error,
            refresh_token: failure.refresh_token,
        })?;
        let structured = resource.is_some() || organization.is_some();
        if let Err(what) = usable(tokens.access_token.expose(), structured) {
            return Err(ResourceTokenFailure {
                verdict: ResourceVerdict::Transient,
                error: LogtoError::bad_answer(Call::ResourceToken, what),
                refresh_token: tokens.refresh_token,
            });
        }
        Ok(ResourceToken {
            access_token: tokens.access_token,
            expires_in: tokens.expires_in,
            scopes: tokens.scopes,
            refresh_token: tokens.refresh_token.unwrap_or_else(|| refresh_token.clone()),
        })
    }
}

fn verdict(error: &LogtoError, for_organization: bool) -> ResourceVerdict {
    let LogtoErrorKind::Refused { error } = error.kind() else {
        return ResourceVerdict::Transient;
    };
    match error.as_str() {
        "invalid_grant" => ResourceVerdict::Over,
        // Of somebody who is not a member Logto says the same as of somebody who may not use the application. The session's
        // next re-check tells the two apart.
        "access_denied" if for_organization => ResourceVerdict::NotGranted,
        "access_denied" => ResourceVerdict::Over,
        "invalid_target" | "invalid_scope" | "insufficient_scope" => ResourceVerdict::NotGranted,
        _ => ResourceVerdict::Transient,
    }
}

/// RFC 6750 §2.1's `b64token`. An opaque token in place of a JWT is one for something else: the resource was passed over.
fn usable(token: &str, structured: bool) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(fits) {
        return Err("the access token has characters that no access token may have");
    }
    if structured && token.split('.').count() != 3 {
        return Err("an opaque access token where one for a resource was asked for");
    }
    Ok(())
}

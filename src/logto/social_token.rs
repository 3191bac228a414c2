//! The user's token at a third party, from Logto's Secret Vault through its Account API.
//!
//! Logto keeps it where the connector stores tokens, and renews it where it was given a refresh token. Every way in which there
//! is none has a name of its own, since each asks for something else: a switch at Logto, a scope, another sign-in.

use super::Logto;
use super::error::{Call, LogtoError, LogtoErrorKind};
use super::http::{Answer, CALL_TIMEOUT};
use super::userinfo::bearer;
use crate::secret::SecretText;
use http::StatusCode;
use serde::Deserialize;

/// A third party's access token.
#[derive(Debug, Clone)]
pub struct SocialToken {
    /// The token, as the third party wrote it. Safe in a header.
    pub access_token: SecretText,
    /// What is left of its life, seconds, when it is known.
    pub expires_in: Option<u64>,
    /// What it is for, as the third party wrote it.
    pub scope: Option<String>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocialTokenFailure {
    /// Logto's Account Center is off: an operator must turn it on.
    AccountCenterOff,
    /// The access token lacks the scope `identities` (or `openid`): an operator must add it, and the user sign in again.
    MissingScope,
    /// Logto keeps no token of this user at this target: the connector does not store them, or the user did not come that way.
    NotStored,
    /// It ended, and Logto cannot renew it. A sign-in through the connector brings another one.
    Expired,
    /// Logto does not accept the access token: it ended or was revoked.
    Refused,
    /// Nothing is known: Logto is away, or its answer was unusable.
    Unavailable(LogtoError),
}

/// Words that stand for the above in a [`LogtoError`], so that calls are counted as refused.
const ACCOUNT_CENTER_OFF: &str = "account_center_off";
const MISSING_SCOPE: &str = "missing_scope";
const NOT_STORED: &str = "not_stored";
const EXPIRED: &str = "expired";
const REFUSED: &str = "invalid_token";

#[derive(Deserialize)]
struct Members {
    access_token: String,
    expires_in: Option<serde_json::Value>,
    scope: Option<String>,
}

/// Logto's own error form. The message is not read.
#[derive(Deserialize)]
struct ErrorMembers {
    code: String,
}

impl Logto {
    /// The user's token at a social connector's target, such as `huggingface`. `access_token` is the user's opaque one, with
    /// the scopes `openid` and `identities`. A GET, so it is made a second time after an outage; 10 s each.
    pub async fn social_token(
        &self,
        access_token: &SecretText,
        target: &str,
    ) -> Result<SocialToken, SocialTokenFailure> {
        let inner = &self.0;
        let url = inner
            .discovery
            .api(&["api", "my-account", "identities", target, "access-token"]);
        let authorization = bearer(access_token).map_err(SocialTokenFailure::Unavailable)?;
        let attempt = || {
            let authorization = authorization.clone();
            inner.http.call(Call::SocialToken, async {
                let answer = inner
                    .http
                    .get(Call::SocialToken, &url, Some(authorization), CALL_TIMEOUT)
                    .await?;
                read(&answer)
            })
        };
        let result = match attempt().await {
            Err(error) if error.is_transient() => attempt().await,
            result => result,
        };
        result.map_err(failure)
    }
}

fn read(answer: &Answer) -> Result<SocialToken, LogtoError> {
    let wrong = |what| LogtoError::bad_answer(Call::SocialToken, what);
    if answer.status != StatusCode::OK {
        let code = serde_json::from_slice::<ErrorMembers>(&answer.body).map(|members| members.code);
        let word = match (answer.status, code.as_deref().unwrap_or_default()) {
            (_, "account_center.not_enabled") => ACCOUNT_CENTER_OFF,
            (_, "secrets.third_party_token_set.token_not_found") => NOT_STORED,
            (_, "secrets.third_party_token_set.access_token_expired") => EXPIRED,
            (StatusCode::FORBIDDEN, _) => MISSING_SCOPE,
            (StatusCode::UNAUTHORIZED, _) => REFUSED,
            (StatusCode::NOT_FOUND, _) => {
                return Err(LogtoError::misconfigured(
                    Call::SocialToken,
                    "Logto has no Secret Vault at its Account API: it must be 1.31 or newer",
                ));
            }
            _ => return Err(wrong("neither a token nor an error that is known")),
        };
        return Err(LogtoError::refused(Call::SocialToken, word));
    }
    let members: Members = serde_json::from_slice(&answer.body).map_err(|_| wrong("not a stored token"))?;
    // It goes into a header of the request to the app.
    let fits = |byte: u8| byte.is_ascii_graphic();
    if members.access_token.is_empty() || !members.access_token.bytes().all(fits) {
        return Err(wrong("the stored token has characters that no header may have"));
    }
    Ok(SocialToken {
        access_token: SecretText::new(members.access_token),
        expires_in: members.expires_in.as_ref().and_then(serde_json::Value::as_u64),
        scope: members.scope,
    })
}

fn failure(error: LogtoError) -> SocialTokenFailure {
    let word = match error.kind() {
        LogtoErrorKind::Refused { error } => error.as_str(),
        _ => "",
    };
    match word {
        ACCOUNT_CENTER_OFF => SocialTokenFailure::AccountCenterOff,
        MISSING_SCOPE => SocialTokenFailure::MissingScope,
        NOT_STORED => SocialTokenFailure::NotStored,
        EXPIRED => SocialTokenFailure::Expired,
        REFUSED => SocialTokenFailure::Refused,
        _ => SocialTokenFailure::Unavailable(error),
    }
}

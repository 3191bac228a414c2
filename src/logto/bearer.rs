//! Tokens of callers that only Logto can judge: opaque access tokens, and personal access tokens.
//!
//! Promises that what is sent to Logto goes to its own endpoints, under this client's credentials, once, and that no answer
//! makes a caller of a token that is not alive. How often it is asked, for whom, and how long an answer counts is for the
//! callers to say: every question here is a call.

use super::error::{Call, LogtoError, LogtoErrorKind};
use super::http::CALL_TIMEOUT;
use super::tokens::{encode_form, refusal};
use super::verify::{self, Exchanged, Introspection, Verified};
use super::{Logto, userinfo};
use crate::secret::SecretText;
use http::StatusCode;

/// RFC 8693 §2.1.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Logto's name for its personal access tokens.
const PERSONAL_ACCESS_TOKEN: &str = "urn:logto:token-type:personal_access_token";

impl Logto {
    /// The application's id (`client_id`).
    pub fn client_id(&self) -> &str {
        self.0.credentials.client_id()
    }

    /// Asks what an opaque access token is worth (RFC 7662); `None` when it is not alive, or not an access token. One call.
    /// Logto answers for every application of the tenant: whether `client_id` is one to listen to is for the caller to say.
    pub async fn introspect(
        &self,
        token: &SecretText,
    ) -> Result<Option<Verified<Introspection>>, LogtoError> {
        let inner = &self.0;
        let metadata = self.metadata_or_fetch().await?;
        let Some(url) = &metadata.introspection_endpoint else {
            let what = "no introspection_endpoint in the metadata";
            return Err(LogtoError::bad_answer(Call::Discovery, what));
        };
        let parameters = [("token", token.expose()), ("token_type_hint", "access_token")];
        let form = SecretText::new(encode_form(&parameters));
        let work = async {
            let answer = inner
                .credentials
                .post(&inner.http, Call::Introspection, url, form.expose(), CALL_TIMEOUT)
                .await?;
            if answer.status != StatusCode::OK {
                return Err(refusal(Call::Introspection, &answer));
            }
            verify::introspection(&answer.body, self.issuer(), inner.clock.now())
        };
        let answer = inner.http.call(Call::Introspection, work).await;
        match answer.as_ref().map_err(LogtoError::kind) {
            // A structured token, which is not for introspection.
            Err(LogtoErrorKind::Refused { error }) if error == "unsupported_token_type" => Ok(None),
            _ => answer,
        }
    }

    /// Exchanges a personal access token for an access token of this application (RFC 8693), and asks userinfo whose it is.
    /// Two calls. Every exchange leaves a grant behind at Logto, so the access token should be used while it lives.
    ///
    /// A token that is not good is [`LogtoErrorKind::Refused`] with `invalid_grant`, a user who may not use this application
    /// `access_denied`, and an application whose "Allow token exchange" is off `unauthorized_client`.
    pub async fn exchange_personal_access_token(
        &self,
        token: &SecretText,
    ) -> Result<Verified<Exchanged>, LogtoError> {
        let inner = &self.0;
        let metadata = self.metadata_or_fetch().await?;
        let Some(userinfo_endpoint) = &metadata.userinfo_endpoint else {
            let what = "no userinfo_endpoint in the metadata";
            return Err(LogtoError::bad_answer(Call::Discovery, what));
        };
        // No refresh token comes with an exchange.
        let asked = inner.scope.split(' ').filter(|scope| *scope != "offline_access");
        let scope = asked.collect::<Vec<_>>().join(" ");
        let parameters = [
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", token.expose()),
            ("subject_token_type", PERSONAL_ACCESS_TOKEN),
            ("scope", scope.as_str()),
        ];
        let granted = inner
            .credentials
            .grant(
                &inner.http,
                Call::TokenExchange,
                &metadata.token_endpoint,
                &parameters,
                CALL_TIMEOUT,
                false,
            )
            .await;
        let tokens = granted.map_err(|failure| may_exchange(failure.error))?;
        let answer = userinfo::fetch(&inner.http, userinfo_endpoint, &tokens.access_token).await?;
        verify::exchanged(answer, tokens)
    }
}

/// An application whose "Allow token exchange" is off hears one of several codes, depending on the version.
fn may_exchange(error: LogtoError) -> LogtoError {
    match error.kind() {
        LogtoErrorKind::Refused { error: code }
            if matches!(code.as_str(), "unsupported_grant_type" | "invalid_request") =>
        {
            LogtoError::refused(Call::TokenExchange, "unauthorized_client")
        }
        _ => error,
    }
}

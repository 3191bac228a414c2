//! The token and revocation endpoints (RFC 6749 §3.2, RFC 7009).
//!
//! Promises: a code and a refresh token are sent once. A second request follows only a complete answer which says that the
//! client secret was not accepted, which Logto decides before it looks at anything else; after a lost connection or a timeout
//! there is none, since a code used twice, or a refresh token that was replaced, makes Logto revoke every token of the grant.
//! A refresh token in a successful answer is never lost, however useless the rest of that answer is.

use super::error::{Call, LogtoError};
use super::http::{Answer, CALL_TIMEOUT, HttpClient, REFRESH_TIMEOUT};
use crate::clock::monotonic;
use crate::secret::SecretText;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use http::header::HeaderValue;
use serde::Deserialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded;

/// Who this proxy is to Logto. Two secrets may be valid while one is being replaced.
#[derive(Debug)]
pub(super) struct Credentials {
    client_id: String,
    secrets: Vec<SecretText>,
    /// Index of the secret that worked last.
    preferred: AtomicUsize,
}

/// A successful answer of the token endpoint (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3). Nothing in it is verified.
pub(super) struct Tokens {
    pub(super) access_token: SecretText,
    pub(super) id_token: Option<SecretText>,
    pub(super) refresh_token: Option<SecretText>,
    /// Life of the access token, seconds.
    pub(super) expires_in: Option<u64>,
    /// What the access token is for; empty when the answer does not say.
    pub(super) scopes: Vec<String>,
}

/// A call of the token endpoint that yielded nothing usable.
pub(super) struct GrantFailure {
    pub(super) error: LogtoError,
    /// A refresh token that the answer carried all the same.
    pub(super) refresh_token: Option<SecretText>,
}

impl From<LogtoError> for GrantFailure {
    fn from(error: LogtoError) -> Self {
        Self {
            error,
            refresh_token: None,
        }
    }
}

#[derive(Deserialize)]
struct TokenMembers {
    access_token: String,
    token_type: String,
    id_token: Option<String>,
    expires_in: Option<serde_json::Value>,
    scope: Option<String>,
}

/// The one member that must not be lost.
#[derive(Deserialize)]
struct RefreshTokenMember {
    refresh_token: String,
}

/// RFC 6749 §5.2. The description is read for one purpose only and never kept.
#[derive(Deserialize)]
struct ErrorMembers {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

impl Credentials {
    pub(super) fn new(client_id: String, secrets: Vec<SecretText>) -> Self {
        Self {
            client_id,
            secrets,
            preferred: AtomicUsize::new(0),
        }
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// `client_secret_basic`, both parts form-encoded first (RFC 6749 §2.3.1).
    fn authorization(&self, secret: &SecretText) -> Result<HeaderValue, LogtoError> {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = SecretText::new(format!(
            "{}:{}",
            encoded(&self.client_id),
            encoded(secret.expose())
        ));
        let field = SecretText::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose())));
        let mut value = HeaderValue::from_str(field.expose())
            .map_err(|_| LogtoError::misconfigured(Call::Token, "logto.app_secret cannot be sent"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Sends a form as this client, with the next secret when one is not accepted; within `limit` altogether.
    pub(super) async fn post(
        &self,
        http: &HttpClient,
        call: Call,
        url: &Url,
        form: &str,
        limit: Duration,
    ) -> Result<Answer, LogtoError> {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let (before, after) = self.secrets.split_at(preferred.min(self.secrets.len()));
        let order = (preferred..).zip(after).chain((0..).zip(before));
        let until = monotonic() + limit;
        for (index, secret) in order {
            let authorization = self.authorization(secret)?;
            let left = until.saturating_duration_since(monotonic());
            let answer = http
                .post_form(call, url, authorization, form.to_owned(), left)
                .await?;
            if !secret_not_accepted(&answer) {
                self.preferred.store(index, Ordering::Relaxed);
                return Ok(answer);
            }
        }
        Err(LogtoError::misconfigured(
            call,
            "Logto does not accept the client's credentials: check logto.app_id, and whether logto.app_secret is wrong or has expired",
        ))
    }

    /// Redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub(super) async fn redeem(
        &self,
        http: &HttpClient,
        url: &Url,
        code: &SecretText,
        code_verifier: &SecretText,
        redirect_uri: &str,
    ) -> Result<Tokens, LogtoError> {
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", code_verifier.expose()),
        ];
        let granted = self
            .grant(http, Call::Token, url, &parameters, CALL_TIMEOUT, false)
            .await;
        granted.map_err(|failure| failure.error)
    }

    /// Uses a refresh token (RFC 6749 §6), not beyond `until`; `again` after an answer was lost, which is not held back.
    pub(super) async fn refresh(
        &self,
        http: &HttpClient,
        url: &Url,
        refresh_token: &SecretText,
        until: Instant,
        again: bool,
    ) -> Result<Tokens, GrantFailure> {
        let parameters = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose()),
        ];
        let limit = refresh_limit(until);
        self.grant(http, Call::Token, url, &parameters, limit, again)
            .await
    }

    /// One call of the token endpoint, whatever the grant type.
    pub(super) async fn grant(
        &self,
        http: &HttpClient,
        call: Call,
        url: &Url,
        parameters: &[(&str, &str)],
        limit: Duration,
        again: bool,
    ) -> Result<Tokens, GrantFailure> {
        let form = SecretText::new(encode_form(parameters));
        let mut kept = None;
        let work = async {
            let answer = self.post(http, call, url, form.expose(), limit).await?;
            if answer.status != StatusCode::OK {
                return Err(refusal(call, &answer));
            }
            let member = serde_json::from_slice::<RefreshTokenMember>(&answer.body).ok();
            kept = member
                .filter(|member| !member.refresh_token.is_empty())
                .map(|member| SecretText::new(member.refresh_token));
            read_tokens(call, &answer)
        };
        let tokens = if again {
            http.call_in_any_case(call, work).await
        } else {
            http.call(call, work).await
        };
        match tokens {
            Ok(tokens) => Ok(Tokens {
                refresh_token: kept,
                ..tokens
            }),
            Err(error) => Err(GrantFailure {
                error,
                refresh_token: kept,
            }),
        }
    }

    /// Revokes a refresh token, and with it the whole grant (RFC 7009 §2.1). A token that Logto does not know counts as revoked.
    pub(super) async fn revoke(
        &self,
        http: &HttpClient,
        url: &Url,
        refresh_token: &SecretText,
    ) -> Result<(), LogtoError> {
        let form = SecretText::new(encode_form(&[
            ("token", refresh_token.expose()),
            ("token_type_hint", "refresh_token"),
        ]));
        let work = async {
            let answer = self
                .post(http, Call::Revocation, url, form.expose(), CALL_TIMEOUT)
                .await?;
            match answer.status {
                StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
                _ => Err(refusal(Call::Revocation, &answer)),
            }
        };
        http.call(Call::Revocation, work).await
    }
}

/// How long the answer to a refresh token is waited for.
pub(super) fn refresh_limit(until: Instant) -> Duration {
    REFRESH_TIMEOUT.min(until.saturating_duration_since(monotonic()))
}

fn read_tokens(call: Call, answer: &Answer) -> Result<Tokens, LogtoError> {
    let members: TokenMembers = serde_json::from_slice(&answer.body)
        .map_err(|_| LogtoError::bad_answer(call, "not a token response"))?;
    if !members.token_type.eq_ignore_ascii_case("bearer") {
        return Err(LogtoError::bad_answer(call, "token_type is not Bearer"));
    }
    Ok(Tokens {
        access_token: SecretText::new(members.access_token),
        id_token: members.id_token.map(SecretText::new),
        refresh_token: None,
        expires_in: members.expires_in.as_ref().and_then(serde_json::Value::as_u64),
        scopes: members
            .scope
            .unwrap_or_default()
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
    })
}

pub(super) fn encode_form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

/// RFC 6749 §5.2 has `invalid_client` for this; Logto reports an expired secret as `invalid_request`.
fn secret_not_accepted(answer: &Answer) -> bool {
    if !matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
        return false;
    }
    let Ok(members) = serde_json::from_slice::<ErrorMembers>(&answer.body) else {
        return false;
    };
    let expired = || {
        members
            .error_description
            .is_some_and(|text| text.contains("client secret has expired"))
    };
    members.error == "invalid_client" || (members.error == "invalid_request" && expired())
}

pub(super) fn refusal(call: Call, answer: &Answer) -> LogtoError {
    if answer.status.is_redirection() {
        return LogtoError::bad_answer(call, "a redirect, which is never followed");
    }
    match serde_json::from_slice::<ErrorMembers>(&answer.body) {
        Ok(members) if answer.status.is_client_error() => LogtoError::refused(call, &members.error),
        _ => LogtoError::bad_answer(call, "neither success nor an OAuth error"),
    }
}

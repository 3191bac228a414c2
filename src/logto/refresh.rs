//! Asking Logto whether a session still holds: with its refresh token, or with an access token while that lives.
//!
//! Promises: a refresh token is sent once, and the one to use next is never lost, whatever else went wrong; what Logto takes
//! back is taken back at once; an outage, a wrong setting or a wrong clock takes nothing back; no other user's answer counts.
//! Which of these it was is said by a [`Verdict`]. `invalid_grant` (the token or grant is gone, the user suspended or
//! deleted) and `access_denied` (no longer allowed to use the application) end a session; no other refusal of the token
//! endpoint is about the user.

use super::error::{Call, LogtoError, LogtoErrorKind};
use super::redeem::Unproved;
use super::tokens::Tokens;
use super::userinfo::UnverifiedUserinfo;
use super::verify::{self, Expected, IdTokenFacts, NO_ID_TOKEN, Refreshed, Verified};
use super::{Inner, Logto, Metadata, userinfo};
use crate::secret::SecretText;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

/// A refresh token, and whose it is.
#[derive(Debug, Clone)]
pub struct RefreshRequest {
    /// The refresh token of the session.
    pub refresh_token: SecretText,
    /// The session's user. No other's answer counts.
    pub subject: String,
    /// When it is over, whatever is still to be waited for: the right to use the refresh token may end.
    pub until: Instant,
}

/// What a refresh that failed means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is over: Logto took it back, or answered with a token that cannot be its own.
    Refused,
    /// It is over: the answer was about another user.
    OtherUser,
    /// Nothing is known about it: Logto is away or slow, its keys are, or settings or clocks are wrong.
    Transient,
}

/// A refresh that confirmed nothing.
#[derive(Debug, Clone)]
pub struct RefreshFailure {
    /// What it means for the session.
    pub verdict: Verdict,
    /// What happened.
    pub error: LogtoError,
    /// The refresh token to use from now on, when Logto's answer carried one all the same.
    pub refresh_token: Option<SecretText>,
}

impl RefreshFailure {
    /// A failure before anything was sent: whatever it is, it is not about the user.
    const fn before(error: LogtoError) -> Self {
        Self {
            verdict: Verdict::Transient,
            error,
            refresh_token: None,
        }
    }
}

/// An access token that did not confirm its user.
#[derive(Debug, Clone)]
pub enum CheckFailure {
    /// Logto does not accept the access token (401, 403): revoked, expired, or the user is gone.
    Refused,
    /// The answer was about another user.
    OtherUser,
    /// Nothing is known: Logto is away, or its answer was unusable.
    Transient(LogtoError),
}

impl Logto {
    /// Uses a refresh token and proves what comes back: an ID token of the same user, verified like that of a sign-in but for
    /// the nonce, with userinfo merged in where the settings need it (OpenID Connect Core §12).
    ///
    /// The token is sent once; an answer is waited for up to 30 s, userinfo up to 20 s more, and none of it beyond `until`. Run
    /// it in a tracked task: dropped half-way, the one refresh token that is still good may be lost. Metadata and keys are made
    /// sure of first.
    pub async fn refresh(&self, request: RefreshRequest) -> Result<Verified<Refreshed>, RefreshFailure> {
        self.refresh_once(request, false).await
    }

    /// As [`Self::refresh`], for a call whose answer was lost: Logto may have replaced the token, and gives another new one
    /// to whoever repeats the call within three seconds. So it is not held back while Logto is away.
    pub async fn refresh_again(
        &self,
        request: RefreshRequest,
    ) -> Result<Verified<Refreshed>, RefreshFailure> {
        self.refresh_once(request, true).await
    }

    async fn refresh_once(
        &self,
        request: RefreshRequest,
        again: bool,
    ) -> Result<Verified<Refreshed>, RefreshFailure> {
        let inner = &self.0;
        let until = request.until;
        let made_sure = within(until, Call::Discovery, async {
            let metadata = self.metadata_or_fetch().await?;
            let keys = inner.keys.current_or_fetch(&inner.http, &metadata.jwks_uri);
            keys.await?;
            Ok(metadata)
        });
        let metadata = made_sure.await.map_err(RefreshFailure::before)?;
        let refreshed = inner
            .credentials
            .refresh(
                &inner.http,
                &metadata.token_endpoint,
                &request.refresh_token,
                until,
                again,
            )
            .await;
        let tokens = refreshed.map_err(|failure| RefreshFailure {
            verdict: verdict_of_refusal(&failure.error),
            error: failure.error,
            refresh_token: failure.refresh_token,
        })?;
        let refresh_token = tokens.refresh_token.clone();
        inner
            .confirm(&metadata, request, tokens)
            .await
            .map_err(|(verdict, error)| RefreshFailure {
                verdict,
                error,
                refresh_token,
            })
    }

    /// Asks userinfo with an access token whether a user is still who they were, and for the claims about them. A GET, so it is
    /// made a second time after an outage; 10 s each.
    pub async fn check(
        &self,
        access_token: &SecretText,
        subject: &str,
    ) -> Result<Verified<Map<String, Value>>, CheckFailure> {
        let metadata = self.metadata_or_fetch().await.map_err(CheckFailure::Transient)?;
        let asked = self.0.ask_userinfo(&metadata, access_token).await;
        let proved = asked.and_then(|answer| of_the_user(answer, subject));
        let answer = proved.map_err(|(verdict, error)| match verdict {
            Verdict::Refused => CheckFailure::Refused,
            Verdict::OtherUser => CheckFailure::OtherUser,
            Verdict::Transient => CheckFailure::Transient(error),
        })?;
        verify::userinfo(answer, subject).map_err(CheckFailure::Transient)
    }
}

type Failed = (Verdict, LogtoError);

impl Inner {
    /// From a successful answer of the token endpoint to what it proves.
    async fn confirm(
        &self,
        metadata: &Metadata,
        request: RefreshRequest,
        mut tokens: Tokens,
    ) -> Result<Verified<Refreshed>, Failed> {
        let failed = |error| (Verdict::Transient, error);
        let facts = match tokens.id_token.take() {
            Some(id_token) => {
                let proving = self.prove_refreshed(metadata, &id_token, &request, &tokens);
                let facts = within_or(request.until, Call::Keys, failed, proving).await?;
                Some((facts, id_token))
            }
            None => None,
        };
        let needs_userinfo = facts.as_ref().is_none_or(|(facts, _)| {
            metadata.userinfo_endpoint.is_some() && self.userinfo.is_needed(&facts.claims)
        });
        let asked = if needs_userinfo {
            let asking = self.ask_userinfo(metadata, &tokens.access_token);
            Some(within_or(request.until, Call::UserInfo, failed, asking).await)
        } else {
            None
        };
        let (answer, complete) = match asked {
            None => (None, true),
            Some(Ok(answer)) => (Some(of_the_user(answer, &request.subject)?), true),
            // What is signed was proved; userinfo can be asked at the next occasion.
            Some(Err((_, error))) if facts.is_some() && error.is_transient() => (None, false),
            // A token this fresh is refused only when Logto contradicts itself, or takes everything back this moment; the next
            // refresh will tell.
            Some(Err((_, error))) => return Err((Verdict::Transient, error)),
        };
        let sent = request.refresh_token;
        verify::refreshed(facts, answer, &request.subject, complete, sent, tokens)
            .map_err(|error| (Verdict::OtherUser, error))
    }

    async fn prove_refreshed(
        &self,
        metadata: &Metadata,
        id_token: &SecretText,
        request: &RefreshRequest,
        tokens: &Tokens,
    ) -> Result<Verified<IdTokenFacts>, Failed> {
        // The set in force now: the answer may have been long in coming.
        let keys = self
            .keys
            .current_or_fetch(&self.http, &metadata.jwks_uri)
            .await
            .map_err(|error| (Verdict::Transient, error))?;
        let expected = Expected {
            issuer: &metadata.issuer,
            client_id: self.credentials.client_id(),
            nonce: None,
            access_token: &tokens.access_token,
            max_age: None,
            now: self.clock.now(),
        };
        let facts =
            self.prove(metadata, keys, id_token, &expected)
                .await
                .map_err(|unproved| match unproved {
                    Unproved::Refused(error) => (verdict_of_token(&error), error),
                    Unproved::Undecided(error) => (Verdict::Transient, error),
                })?;
        if facts.subject != request.subject {
            let error = LogtoError::invalid_token(Call::Token, "sub");
            return Err((Verdict::OtherUser, error));
        }
        Ok(facts)
    }

    async fn ask_userinfo(
        &self,
        metadata: &Metadata,
        access_token: &SecretText,
    ) -> Result<UnverifiedUserinfo, Failed> {
        let Some(url) = &metadata.userinfo_endpoint else {
            let error = LogtoError::bad_answer(Call::Token, NO_ID_TOKEN);
            return Err((Verdict::Transient, error));
        };
        let asked = userinfo::fetch(&self.http, url, access_token).await;
        asked.map_err(|error| match error.kind() {
            LogtoErrorKind::Refused { .. } => (Verdict::Refused, error),
            _ => (Verdict::Transient, error),
        })
    }
}

/// What is done until then, or that Logto did not answer in time.
pub(super) async fn within<T>(
    until: Instant,
    call: Call,
    work: impl Future<Output = Result<T, LogtoError>>,
) -> Result<T, LogtoError> {
    within_or(until, call, |error| error, work).await
}

async fn within_or<T, E>(
    until: Instant,
    call: Call,
    failed: impl FnOnce(LogtoError) -> E,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match timeout_at(until, work).await {
        Ok(done) => done,
        Err(_) => Err(failed(LogtoError::new(call, LogtoErrorKind::Timeout))),
    }
}

/// Another user's answer, or one that names nobody.
fn of_the_user(answer: UnverifiedUserinfo, subject: &str) -> Result<UnverifiedUserinfo, Failed> {
    match answer.0.get("sub").and_then(Value::as_str) {
        Some(named) if named == subject => Ok(answer),
        Some(_) => Err((
            Verdict::OtherUser,
            LogtoError::invalid_token(Call::UserInfo, "sub"),
        )),
        None => Err((
            Verdict::Transient,
            LogtoError::bad_answer(Call::UserInfo, "no sub in userinfo"),
        )),
    }
}

/// What an error of the token endpoint says about the user.
fn verdict_of_refusal(error: &LogtoError) -> Verdict {
    match error.kind() {
        LogtoErrorKind::Refused { error } if matches!(error.as_str(), "invalid_grant" | "access_denied") => {
            Verdict::Refused
        }
        _ => Verdict::Transient,
    }
}

/// A token of Logto's that fails a check is a forgery, unless the check asks what time it is: then one of two clocks is wrong,
/// and signing everybody out would mend neither.
fn verdict_of_token(error: &LogtoError) -> Verdict {
    match error.kind() {
        LogtoErrorKind::InvalidToken {
            check: "exp" | "iat" | "nbf",
        } => Verdict::Transient,
        _ => Verdict::Refused,
    }
}

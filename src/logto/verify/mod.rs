//! What was proved of Logto's answers. The only maker of [`Verified`].
//!
//! An ID token is proved by its signature and claims; userinfo, which is not signed, counts only for the same `sub`, and only
//! for claims about the user. It stops another user's userinfo, and claims about a token that pose as claims about a user.
//! It does no I/O.

mod access_token;
mod id_token;
mod introspection;
mod jws;
mod logout_token;

pub use access_token::{ANY_ORGANIZATION, AccessToken, ORGANIZATION_AUDIENCE};
pub(super) use access_token::{ResourceServer, UnprovedAccessToken};
pub(super) use id_token::{Expected, IdTokenFacts, verify as id_token};
pub use introspection::Introspection;
pub(super) use introspection::introspection;
pub(super) use jws::LONGEST_TOKEN;
pub use logout_token::LogoutToken;
pub(super) use logout_token::{Audience, UnprovedLogoutToken};

use super::error::{Call, LogtoError};
use super::tokens::Tokens;
use super::userinfo::UnverifiedUserinfo;
use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use serde_json::{Map, Value};
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

/// How far Logto's clock and ours may be apart.
pub(super) const LEEWAY: Duration = Duration::from_secs(60);
/// Longest subject or session identifier, in characters (OpenID Connect Core §2).
const LONGEST_IDENTIFIER: usize = 255;
/// Claims that are about the token, not about the user. They never reach headers or sessions.
const TOKEN_CLAIMS: &[&str] = &[
    "iss", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "sid",
];
/// Claims that only the signed token may make.
const SIGNED_ONLY: &[&str] = &["sub", "acr", "amr", "auth_time"];

/// Something that was proved. Only this module can make one.
#[derive(Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Gives up the proof and keeps the value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Verified").field(&self.0).finish()
    }
}

/// Why a token was not proved.
pub(super) enum Refusal {
    /// No key of the set fits. A newer set may have it.
    UnknownKey,
    /// The named check failed.
    Check(&'static str),
}

/// What a finished sign-in yields.
#[derive(Clone)]
pub struct SignedIn {
    /// The user's id at Logto, 1 to 255 characters.
    pub subject: String,
    /// The Logto session, for back-channel logout; only where the application has "session required" on.
    pub sid: Option<String>,
    /// The claims about the user, `sub` among them: the ID token's, overlaid with those of userinfo. Claims about the token
    /// itself (`iss`, `aud`, `exp`, `nonce`, …) are not in here.
    pub claims: Map<String, Value>,
    /// Only when Logto issued one, and the settings let it be used.
    pub refresh_token: Option<SecretText>,
    /// For userinfo and Logto's Account API.
    pub access_token: SecretText,
    /// The ID token as it came.
    pub id_token: SecretText,
    /// When it expires: its `exp`.
    pub id_token_expires_at: UnixSeconds,
    /// Life of the access token, seconds, when Logto said.
    pub expires_in: Option<u64>,
}

/// Says who, never what: claims are personal, tokens secret.
impl fmt::Debug for SignedIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SignedIn")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// What a refresh yields: Logto's present word on a user it was asked about.
#[derive(Clone)]
pub struct Refreshed {
    /// The claims about the user, as in [`SignedIn::claims`].
    pub claims: Map<String, Value>,
    /// False when userinfo was needed but could not be asked: then the claims are the ID token's alone.
    pub complete: bool,
    /// The Logto session, when the ID token names it.
    pub sid: Option<String>,
    /// The one to keep: the answer's, else the one that was sent.
    pub refresh_token: SecretText,
    /// For userinfo and Logto's Account API.
    pub access_token: SecretText,
    /// Life of the access token, seconds, when Logto said.
    pub expires_in: Option<u64>,
    /// The ID token as it came, and its `exp`. An answer may have none (OpenID Connect Core §12.2).
    pub id_token: Option<(SecretText, UnixSeconds)>,
}

/// Says nothing: claims are personal, tokens secret.
impl fmt::Debug for Refreshed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Refreshed")
            .field("complete", &self.complete)
            .finish_non_exhaustive()
    }
}

/// Who a personal access token stands for.
#[derive(Clone)]
pub struct Exchanged {
    /// The user's id at Logto, 1 to 255 characters.
    pub subject: String,
    /// The claims about the user as userinfo tells them, `sub` among them.
    pub claims: Map<String, Value>,
    /// What the access token is for, one by one.
    pub scopes: Vec<String>,
    /// For userinfo, as long as it lives.
    pub access_token: SecretText,
    /// Life of the access token, seconds, when Logto said.
    pub expires_in: Option<u64>,
}

/// Says nothing: claims are personal, tokens secret.
impl fmt::Debug for Exchanged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Exchanged")
    }
}

/// Whether this can be an identifier in a token: 1 to 255 characters, no control characters.
fn is_identifier(text: &str) -> bool {
    let length = text.chars().count();
    (1..=LONGEST_IDENTIFIER).contains(&length) && !text.chars().any(char::is_control)
}

/// Joins a proved ID token with userinfo, and with the tokens that came along.
pub(super) fn signed_in(
    facts: Verified<IdTokenFacts>,
    userinfo: Option<UnverifiedUserinfo>,
    id_token: SecretText,
    tokens: Tokens,
) -> Result<Verified<SignedIn>, LogtoError> {
    let IdTokenFacts { subject, sid, claims } = facts.into_inner();
    let id_token_expires_at = expiry(&claims);
    let claims = joined(&subject, claims, userinfo)?;
    Ok(Verified(SignedIn {
        subject,
        sid,
        claims,
        refresh_token: tokens.refresh_token,
        access_token: tokens.access_token,
        id_token,
        id_token_expires_at,
        expires_in: tokens.expires_in,
    }))
}

/// `exp` of a proved ID token, which has one.
fn expiry(claims: &Map<String, Value>) -> UnixSeconds {
    let seconds = claims.get("exp").and_then(Value::as_u64);
    seconds.map_or_else(UnixSeconds::default, UnixSeconds::new)
}

/// The same for a refresh. `sent` is the refresh token that was used; beside the facts stands the ID token they are of. Without an ID token (OpenID Connect Core §12.2 allows
/// that) userinfo alone has to say who the user is.
pub(super) fn refreshed(
    facts: Option<(Verified<IdTokenFacts>, SecretText)>,
    userinfo: Option<UnverifiedUserinfo>,
    subject: &str,
    complete: bool,
    sent: SecretText,
    tokens: Tokens,
) -> Result<Verified<Refreshed>, LogtoError> {
    let (sid, claims, id_token) = match (facts, userinfo) {
        (Some((facts, id_token)), userinfo) => {
            let facts = facts.into_inner();
            if facts.subject != subject {
                return Err(LogtoError::invalid_token(Call::Token, "sub"));
            }
            let id_token = (id_token, expiry(&facts.claims));
            (
                facts.sid,
                joined(subject, facts.claims, userinfo)?,
                Some(id_token),
            )
        }
        (None, Some(userinfo)) => (None, self::userinfo(userinfo, subject)?.into_inner(), None),
        (None, None) => return Err(LogtoError::bad_answer(Call::Token, NO_ID_TOKEN)),
    };
    Ok(Verified(Refreshed {
        claims,
        complete,
        sid,
        refresh_token: tokens.refresh_token.unwrap_or(sent),
        access_token: tokens.access_token,
        expires_in: tokens.expires_in,
        id_token,
    }))
}

/// What is wrong with a token response that should have had one.
pub(super) const NO_ID_TOKEN: &str = "no ID token in the token response";

/// Userinfo alone, asked with an access token of this user's: the same `sub`, or nothing.
pub(super) fn userinfo(
    userinfo: UnverifiedUserinfo,
    subject: &str,
) -> Result<Verified<Map<String, Value>>, LogtoError> {
    let itself = Map::from_iter([("sub".to_owned(), Value::from(subject))]);
    joined(subject, itself, Some(userinfo)).map(Verified)
}

/// What a personal access token was exchanged for. Userinfo alone says whose it is: it was asked with a token that this client
/// was given for it a moment ago.
pub(super) fn exchanged(
    UnverifiedUserinfo(members): UnverifiedUserinfo,
    tokens: Tokens,
) -> Result<Verified<Exchanged>, LogtoError> {
    let subject = members
        .get("sub")
        .and_then(Value::as_str)
        .filter(|subject| is_identifier(subject))
        .map(str::to_owned)
        .ok_or(LogtoError::bad_answer(Call::UserInfo, "no sub in userinfo"))?;
    let claims = userinfo(UnverifiedUserinfo(members), &subject)?.into_inner();
    Ok(Verified(Exchanged {
        subject,
        claims,
        scopes: tokens.scopes,
        access_token: tokens.access_token,
        expires_in: tokens.expires_in,
    }))
}

/// The claims about the user: the ID token's, overlaid with those of userinfo, whose `sub` must be the same (OpenID Connect
/// Core §5.3.2).
fn joined(
    subject: &str,
    mut claims: Map<String, Value>,
    userinfo: Option<UnverifiedUserinfo>,
) -> Result<Map<String, Value>, LogtoError> {
    claims.retain(|name, _| !TOKEN_CLAIMS.contains(&name.as_str()));
    if let Some(UnverifiedUserinfo(members)) = userinfo {
        if members.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(LogtoError::invalid_token(Call::UserInfo, "sub"));
        }
        let about_the_user = members.into_iter().filter(|(name, _)| {
            !TOKEN_CLAIMS.contains(&name.as_str()) && !SIGNED_ONLY.contains(&name.as_str())
        });
        claims.extend(about_the_user);
    }
    Ok(claims)
}

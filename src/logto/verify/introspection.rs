//! Reading an introspection answer (RFC 7662 §2.2): what an opaque token is worth.
//!
//! The answer is not signed. It counts because it came over TLS to this client's own secret. It stops refresh tokens, which
//! Logto calls active too, from passing for access tokens (they have no `token_type`), and tokens bound to a key.

use super::super::error::{Call, LogtoError};
use super::super::strict_json;
use super::access_token::read_scope;
use super::jws::{identifier, time};
use super::{Verified, is_identifier};
use crate::clock::UnixSeconds;
use serde_json::{Map, Value};
use std::fmt;

/// What Logto says of a live opaque access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Introspection {
    /// The application that was given the token, 1 to 255 characters.
    pub client_id: String,
    /// The user, 1 to 255 characters; `None` for an application's own token.
    pub subject: Option<String>,
    /// What it is for, one by one.
    pub scopes: Vec<String>,
    /// The organization that it is for, where there is one.
    pub organization: Option<String>,
    /// When it was made, when Logto says.
    pub issued_at: Option<UnixSeconds>,
    /// When it ends, when Logto says.
    pub expires_at: Option<UnixSeconds>,
}

/// Says which application, never who.
impl fmt::Debug for Introspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Introspection")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Reads an answer; `None` when the token is not a live bearer access token of this issuer.
pub(in crate::logto) fn introspection(
    body: &[u8],
    issuer: &str,
    now: UnixSeconds,
) -> Result<Option<Verified<Introspection>>, LogtoError> {
    let wrong = |what| LogtoError::bad_answer(Call::Introspection, what);
    let members = strict_json::object(body).ok_or(wrong("not a JSON object"))?;
    match members.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(None),
        _ => return Err(wrong("it does not say whether the token is active")),
    }
    if !is_bearer_access_token(&members, issuer) {
        return Ok(None);
    }
    let expires_at = time(&members, "exp");
    if expires_at.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    let read = || -> Result<Introspection, &'static str> {
        Ok(Introspection {
            client_id: identifier(&members, "client_id")?.ok_or("client_id")?,
            subject: optional(&members, "sub")?,
            scopes: read_scope(members.get("scope"))?,
            organization: optional(&members, "organization_id")?,
            issued_at: time(&members, "iat"),
            expires_at,
        })
    };
    let content = read().map_err(|_| wrong("a member of the introspection is not what it must be"))?;
    Ok(Some(Verified(content)))
}

fn is_bearer_access_token(members: &Map<String, Value>, issuer: &str) -> bool {
    let kind = members.get("token_type").and_then(Value::as_str);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
        && members
            .get("iss")
            .is_none_or(|named| named.as_str() == Some(issuer))
        && members.get("cnf").is_none_or(Value::is_null)
}

fn optional(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, &'static str> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if is_identifier(text) => Ok(Some(text.clone())),
        Some(_) => Err(name),
    }
}

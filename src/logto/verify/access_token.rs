//! Proving JWT access tokens (RFC 9068 §4) that a caller presents.
//!
//! Anybody can present one, and it is worth what the rules make of it, so it must be Logto's, for one of this proxy's
//! resources, and alive. It stops ID tokens and logout tokens passed off as access tokens (`typ`), tokens for other APIs of
//! the same Logto (`aud`), and tokens bound to a key that this proxy cannot ask the caller to prove (`cnf`).

use super::super::keys::KeySet;
use super::jws::{UnprovedJws, identifier, time};
use super::{LEEWAY, Refusal, TOKEN_CLAIMS, Verified};
use crate::clock::UnixSeconds;
use serde_json::{Map, Value};
use std::fmt;

/// The type of a JWT access token (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";
/// What the audience of an organization token begins with; the organization's id follows.
pub const ORGANIZATION_AUDIENCE: &str = "urn:logto:organization:";
/// In place of an organization's audience: that of any.
pub const ANY_ORGANIZATION: &str = "urn:logto:organization:*";
/// Claims that are about the token's use; [`AccessToken`] has fields for them.
const OWN_FIELDS: &[&str] = &["client_id", "scope", "organization_id"];

/// Logto's word that its bearer may use a resource.
#[derive(Clone, PartialEq)]
pub struct AccessToken {
    /// The user, or the application itself; 1 to 255 characters.
    pub subject: String,
    /// The application that was given the token, 1 to 255 characters.
    pub client_id: String,
    /// What it is for, one by one.
    pub scopes: Vec<String>,
    /// The organization that it is for, where there is one.
    pub organization: Option<String>,
    /// The other claims, `sub` among them; none about the token itself.
    pub claims: Map<String, Value>,
    /// When it was made.
    pub issued_at: UnixSeconds,
    /// When it ends.
    pub expires_at: UnixSeconds,
}

impl AccessToken {
    /// Whether it stands for an application and not for a user: Logto names the application as the subject then.
    pub fn is_machine(&self) -> bool {
        self.subject == self.client_id
    }
}

/// Says which application, never who: claims are personal.
impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AccessToken")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Who an access token must be from and for, and when.
pub(in crate::logto) struct ResourceServer<'a> {
    pub(in crate::logto) issuer: &'a str,
    /// Audiences, to the letter; or [`ANY_ORGANIZATION`].
    pub(in crate::logto) resources: &'a [String],
    pub(in crate::logto) now: UnixSeconds,
}

/// An access token that is right in everything but perhaps its signature.
pub(in crate::logto) struct UnprovedAccessToken<'a> {
    content: AccessToken,
    jws: UnprovedJws<'a>,
}

impl<'a> UnprovedAccessToken<'a> {
    /// Checks all that needs no key. Fails with the name of the check.
    pub(in crate::logto) fn read(token: &'a str, server: &ResourceServer<'_>) -> Result<Self, &'static str> {
        let (jws, claims) = UnprovedJws::read(token, TYPE)?;
        let content = read_claims(claims, server)?;
        Ok(Self { content, jws })
    }

    /// When it says that it was made.
    pub(in crate::logto) const fn issued_at(&self) -> UnixSeconds {
        self.content.issued_at
    }

    /// The signature fits, by a key of Logto's and one of that key's algorithms.
    pub(in crate::logto) fn prove(&self, keys: &KeySet) -> Result<Verified<AccessToken>, Refusal> {
        self.jws.prove(keys)?;
        Ok(Verified(self.content.clone()))
    }
}

fn read_claims(
    mut claims: Map<String, Value>,
    server: &ResourceServer<'_>,
) -> Result<AccessToken, &'static str> {
    let latest = server.now.plus(LEEWAY);
    if claims.get("iss").and_then(Value::as_str) != Some(server.issuer) {
        return Err("iss");
    }
    let for_organization = read_audience(&claims, server.resources)?;
    let issued_at = time(&claims, "iat").filter(|at| *at <= latest).ok_or("iat")?;
    let expires_at = time(&claims, "exp").ok_or("exp")?;
    if expires_at.plus(LEEWAY) <= server.now {
        return Err("exp");
    }
    if claims.contains_key("nbf") && time(&claims, "nbf").is_none_or(|from| from > latest) {
        return Err("nbf");
    }
    let subject = identifier(&claims, "sub")?.ok_or("sub")?;
    let client_id = identifier(&claims, "client_id")?.ok_or("client_id")?;
    identifier(&claims, "jti")?;
    // RFC 7800 §3.1: the caller would have to prove that it has a key.
    if claims.contains_key("cnf") {
        return Err("cnf");
    }
    let named = identifier(&claims, "organization_id")?;
    let organization = match (for_organization, named) {
        (Some(audience), Some(named)) if audience != named => return Err("organization_id"),
        (audience, named) => audience.or(named),
    };
    let scopes = read_scope(claims.get("scope"))?;
    claims.retain(|name, _| !TOKEN_CLAIMS.contains(&name.as_str()) && !OWN_FIELDS.contains(&name.as_str()));
    Ok(AccessToken {
        subject,
        client_id,
        scopes,
        organization,
        claims,
        issued_at,
        expires_at,
    })
}

/// One of the audiences is one of the resources (RFC 9068 §4). Answers with the organization that it names, if it does.
fn read_audience(claims: &Map<String, Value>, resources: &[String]) -> Result<Option<String>, &'static str> {
    let audiences: Option<Vec<&str>> = match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
        Some(Value::String(one)) => Some(vec![one]),
        _ => None,
    };
    let organization = |audience: &str| {
        let id = audience.strip_prefix(ORGANIZATION_AUDIENCE)?;
        super::is_identifier(id).then(|| id.to_owned())
    };
    let is_ours = |audience: &str| {
        let is_named = |resource: &String| {
            if resource == ANY_ORGANIZATION {
                organization(audience).is_some()
            } else {
                resource == audience
            }
        };
        resources.iter().any(is_named)
    };
    let ours: Vec<&str> = audiences
        .ok_or("aud")?
        .into_iter()
        .filter(|one| is_ours(one))
        .collect();
    if ours.is_empty() {
        return Err("aud");
    }
    let mut organizations = ours.into_iter().filter_map(organization);
    let first = organizations.next();
    // In which of two organizations the caller acts could not be said.
    if organizations.any(|other| Some(&other) != first.as_ref()) {
        return Err("aud");
    }
    Ok(first)
}

/// The space-separated scopes (RFC 9068 §2.2.3); Logto writes an empty text for none.
pub(super) fn read_scope(scope: Option<&Value>) -> Result<Vec<String>, &'static str> {
    match scope {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if !text.chars().any(char::is_control) => Ok(text
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect()),
        Some(_) => Err("scope"),
    }
}

//! Who presents a token that is good.

use super::token::TokenKind;
use crate::clock::UnixSeconds;
use crate::identity::{ClaimPath, Claims};
use crate::logto::{AccessToken, Exchanged, Introspection, Verified};
use crate::session::revocation::Marks;
use crate::session::{OLDEST_TOKEN, SessionId};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// How much longer than it says a JWT is taken, for clocks that differ (as where it is proved).
const LEEWAY: Duration = Duration::from_secs(60);

/// A caller without a browser.
#[derive(Clone, PartialEq)]
pub struct BearerCaller {
    /// The kind of token.
    pub kind: TokenKind,
    /// The user: claim `sub`. `None` for a machine.
    pub subject: Option<String>,
    /// The application that was given the token; this proxy's own for a personal access token.
    pub client_id: String,
    /// What the token is for, one by one: permissions of the resource, or the scopes of an opaque token.
    pub scopes: Vec<String>,
    /// The organization that the token is for, where there is one.
    pub organization: Option<String>,
    /// What is known of the user, `sub` among it, cut to the claims that are kept. A machine's has no `sub`.
    pub claims: Claims,
    /// Whether it is an application itself that calls, and no user.
    pub is_machine: bool,
    /// When the token was made; for a personal access token, when Logto last exchanged it.
    pub issued_at: UnixSeconds,
    /// When the token ends. A personal access token says nothing of its end; this is that of what it was exchanged for.
    pub expires_at: UnixSeconds,
}

/// Says which application, never who: claims are personal.
impl fmt::Debug for BearerCaller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BearerCaller")
            .field("kind", &self.kind)
            .field("client_id", &self.client_id)
            .field("is_machine", &self.is_machine)
            .finish_non_exhaustive()
    }
}

impl BearerCaller {
    /// Of a JWT access token.
    pub(super) fn proved(token: Verified<AccessToken>, kept: &[ClaimPath]) -> Self {
        let is_machine = token.is_machine();
        let token = token.into_inner();
        Self {
            kind: TokenKind::Jwt,
            claims: cut(token.claims, (!is_machine).then_some(&token.subject), kept),
            subject: (!is_machine).then_some(token.subject),
            client_id: token.client_id,
            scopes: token.scopes,
            organization: token.organization,
            is_machine,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
        }
    }

    /// Of an opaque access token. `claims` are userinfo's, where it could be asked.
    pub(super) fn introspected(
        token: Introspection,
        claims: Map<String, Value>,
        kept: &[ClaimPath],
        without_end: UnixSeconds,
    ) -> Self {
        let subject = token.subject.filter(|subject| *subject != token.client_id);
        Self {
            kind: TokenKind::Opaque,
            claims: cut(claims, subject.as_ref(), kept),
            is_machine: subject.is_none(),
            subject,
            client_id: token.client_id,
            scopes: token.scopes,
            organization: token.organization,
            // One that has no date is older than whatever ended its user's sessions.
            issued_at: token.issued_at.unwrap_or_default(),
            expires_at: token.expires_at.unwrap_or(without_end),
        }
    }

    /// Of a personal access token, exchanged at a moment.
    pub(super) fn exchanged(
        token: &Exchanged,
        client_id: &str,
        kept: &[ClaimPath],
        at: UnixSeconds,
        ends: UnixSeconds,
    ) -> Self {
        Self {
            kind: TokenKind::Personal,
            claims: cut(token.claims.clone(), Some(&token.subject), kept),
            subject: Some(token.subject.clone()),
            client_id: client_id.to_owned(),
            scopes: token.scopes.clone(),
            organization: None,
            is_machine: false,
            issued_at: at,
            expires_at: ends,
        }
    }

    /// When whatever it is let do is over, streams too.
    pub fn ends_at(&self) -> UnixSeconds {
        match (self.kind, self.is_machine) {
            (TokenKind::Jwt, true) => self.expires_at.plus(LEEWAY),
            (TokenKind::Jwt, false) => self
                .expires_at
                .plus(LEEWAY)
                .min(self.issued_at.plus(OLDEST_TOKEN)),
            (TokenKind::Opaque | TokenKind::Personal, _) => self.expires_at,
        }
    }

    /// Whether an ending of its user's sessions may be forgotten by now that came after it was made. Of other kinds Logto is asked.
    pub(super) fn is_too_old(&self, now: UnixSeconds) -> bool {
        self.kind == TokenKind::Jwt && !self.is_machine && now >= self.issued_at.plus(OLDEST_TOKEN)
    }

    /// Whether it opens more than the API behind this proxy, which a JWT was made for: what else the user may do at Logto.
    pub fn is_for_logto(&self) -> bool {
        self.kind != TokenKind::Jwt
    }

    /// The user's ID; a machine's application ID.
    pub fn name(&self) -> &str {
        self.subject.as_deref().unwrap_or(&self.client_id)
    }

    /// The same with the claims of now.
    pub(super) fn renewed(&self, claims: Map<String, Value>, kept: &[ClaimPath]) -> Self {
        Self {
            claims: cut(claims, self.subject.as_ref(), kept),
            ..self.clone()
        }
    }

    /// What revocations judge it by, taking it for a session that began at a moment: of no id that a session has.
    pub(super) fn marks(&self, since: UnixSeconds) -> Marks<'_> {
        Marks {
            id: SessionId::from_bytes([0; 16]),
            sid: None,
            subject: self.name(),
            signed_in_at: since,
        }
    }
}

/// The claims that are kept, and `sub` for a user alone.
fn cut(claims: Map<String, Value>, subject: Option<&String>, kept: &[ClaimPath]) -> Claims {
    let mut members = Claims::new(claims).keep_only(kept).into_members();
    match subject {
        Some(subject) => members.insert("sub".to_owned(), Value::from(subject.as_str())),
        None => members.remove("sub"),
    };
    Claims::new(members)
}

//! A session: who signed in, when, and until when.
//!
//! Promises that a session is new at every sign-in, with an id nobody chose, and that its limits are judged by what is
//! sealed inside it, never by what a browser says. Stops session fixation and cookies that live for ever. Refuses to
//! know cookies and keys.
//!
//! [`Session`] owns its parts and is what a sign-in makes; [`SessionView`] is what a request presents: the opened
//! plaintext with the parts found but not read.

use super::codec::{self, Numbers, Parts};
pub use super::id::{NoRandomness, NotASessionId, SessionId};
use super::revocation::Marks;
pub use super::view::SessionView;
use crate::clock::UnixSeconds;
use crate::identity::claims::Claims;
use crate::identity::headers::{HeaderRules, ProjectedHeaders};
use crate::secret::SecretText;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// How far the clocks of two proxies may differ.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// What a sign-in proved, from verified tokens only.
pub struct Established {
    /// The user: claim `sub`, not empty.
    pub subject: String,
    /// Logto's own session, where it names one: claim `sid`.
    pub sid: Option<String>,
    /// The claims that something uses, nothing else.
    pub claims: Claims,
    /// When: the moment just before the tokens were asked for, not the one at which they came. What is learnt of the user
    /// meanwhile (a suspension, a logout token) then ends this session too.
    pub signed_in_at: UnixSeconds,
    /// After this it is over, whatever happens.
    pub lifetime: Duration,
    /// Logto's refresh token, where one was issued.
    pub refresh_token: Option<SecretText>,
    /// Logto's access token for userinfo and when it expires. Kept only where there is no refresh token.
    pub access_token: Option<(SecretText, UnixSeconds)>,
    /// The claims as request headers, made by the rules with this fingerprint.
    pub headers: ProjectedHeaders,
    /// [`HeaderRules::fingerprint`] of those rules.
    pub fingerprint: u64,
}

/// What a re-check found, from verified tokens or from userinfo only.
pub struct Confirmation {
    /// When Logto was asked: the moment just before the call.
    pub at: UnixSeconds,
    /// The claims that something uses, nothing else.
    pub claims: Claims,
    /// The claims as request headers, made by the rules with this fingerprint.
    pub headers: ProjectedHeaders,
    /// [`HeaderRules::fingerprint`] of those rules.
    pub fingerprint: u64,
    /// The refresh token to use from now on; `None`: there is none.
    pub refresh_token: Option<SecretText>,
    /// A new access token and when it expires; `None`: the one the session has stays. Kept only where there is no
    /// refresh token.
    pub access_token: Option<(SecretText, UnixSeconds)>,
}

/// A session with all its parts.
#[derive(Clone)]
pub struct Session {
    pub(super) numbers: Numbers,
    pub(super) subject: String,
    pub(super) sid: Option<String>,
    pub(super) claims: Claims,
    pub(super) headers: ProjectedHeaders,
    pub(super) tokens: Tokens,
}

/// Logto's tokens: one kind at most, and none of them empty.
#[derive(Clone)]
pub(super) enum Tokens {
    None,
    Refresh(SecretText),
    Access(SecretText, UnixSeconds),
}

/// How long sessions live, as configured now. A session sealed under longer limits is judged by these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Without use.
    pub idle: Duration,
    /// At all.
    pub lifetime: Duration,
}

/// Why a session that opened is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// It is older than its lifetime.
    Lifetime,
    /// It was not used for too long.
    Idle,
    /// It comes from more than a minute ahead: a clock is wrong.
    Future,
}

impl Limits {
    pub(super) fn judge(self, numbers: &Numbers, now: UnixSeconds) -> Result<(), Ended> {
        let latest = now.plus(CLOCK_SKEW);
        if numbers.renewed_at > latest || numbers.signed_in_at > latest {
            return Err(Ended::Future);
        }
        if now >= numbers.expires_at || now >= numbers.signed_in_at.plus(self.lifetime) {
            return Err(Ended::Lifetime);
        }
        if now >= numbers.renewed_at.plus(self.idle) {
            return Err(Ended::Idle);
        }
        Ok(())
    }
}

impl Tokens {
    pub(super) fn keep(
        refresh_token: Option<SecretText>,
        access_token: Option<(SecretText, UnixSeconds)>,
    ) -> Self {
        let is_there = |token: &SecretText| !token.expose().is_empty();
        if let Some(token) = refresh_token.filter(is_there) {
            return Self::Refresh(token);
        }
        match access_token {
            Some((token, expires_at)) if is_there(&token) => Self::Access(token, expires_at),
            Some(_) | None => Self::None,
        }
    }
}

impl Session {
    /// A new session for a user who just signed in. Nothing of an earlier one is taken over.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn establish(established: Established) -> Result<Self, NoRandomness> {
        Ok(Self::with_id(SessionId::random()?, established))
    }

    pub(super) fn with_id(id: SessionId, established: Established) -> Self {
        Self {
            numbers: Numbers {
                id,
                signed_in_at: established.signed_in_at,
                renewed_at: established.signed_in_at,
                expires_at: established.signed_in_at.plus(established.lifetime),
                checked_at: established.signed_in_at,
                fingerprint: established.fingerprint,
            },
            subject: established.subject,
            sid: established.sid.filter(|sid| !sid.is_empty()),
            claims: established.claims,
            headers: established.headers,
            tokens: Tokens::keep(established.refresh_token, established.access_token),
        }
    }

    /// The same session as a re-check found it: same id, user, beginning, use and end; claims, headers and tokens anew.
    #[must_use]
    pub fn confirmed(&self, confirmation: Confirmation) -> Self {
        let access_token = confirmation.access_token.or_else(|| {
            self.access_token()
                .map(|(token, expires_at)| (token.clone(), expires_at))
        });
        Self {
            numbers: Numbers {
                checked_at: confirmation.at,
                fingerprint: confirmation.fingerprint,
                ..self.numbers
            },
            subject: self.subject.clone(),
            sid: self.sid.clone(),
            claims: confirmation.claims,
            headers: confirmation.headers,
            tokens: Tokens::keep(confirmation.refresh_token, access_token),
        }
    }

    /// What revocations judge it by.
    pub fn marks(&self) -> Marks<'_> {
        Marks {
            id: self.id(),
            sid: self.sid(),
            subject: self.subject(),
            signed_in_at: self.signed_in_at(),
        }
    }

    /// The claims as request headers, as last made.
    pub const fn headers(&self) -> &ProjectedHeaders {
        &self.headers
    }

    /// Names this session.
    pub const fn id(&self) -> SessionId {
        self.numbers.id
    }

    /// The user: claim `sub`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Logto's own session, where it names one: claim `sid`.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// The claims that were kept.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// When the user signed in: just before the tokens were asked for.
    pub const fn signed_in_at(&self) -> UnixSeconds {
        self.numbers.signed_in_at
    }

    /// When it was last renewed; at first, when the user signed in.
    pub const fn renewed_at(&self) -> UnixSeconds {
        self.numbers.renewed_at
    }

    /// When it is over, whatever happens.
    pub const fn expires_at(&self) -> UnixSeconds {
        self.numbers.expires_at
    }

    /// When Logto last confirmed it; at first, when the user signed in.
    pub const fn checked_at(&self) -> UnixSeconds {
        self.numbers.checked_at
    }

    /// When it is over if it is not renewed.
    #[must_use]
    pub fn idle_expires_at(&self, idle: Duration) -> UnixSeconds {
        self.numbers.idle_expires_at(idle)
    }

    /// Logto's refresh token, where one was issued.
    pub const fn refresh_token(&self) -> Option<&SecretText> {
        match &self.tokens {
            Tokens::Refresh(token) => Some(token),
            Tokens::Access(..) | Tokens::None => None,
        }
    }

    /// Logto's access token for userinfo and when it expires. There is none where there is a refresh token.
    pub fn access_token(&self) -> Option<(&SecretText, UnixSeconds)> {
        match &self.tokens {
            Tokens::Access(token, expires_at) => Some((token, *expires_at)),
            Tokens::Refresh(_) | Tokens::None => None,
        }
    }

    /// Notes that it was in use at `now`. Never makes it live longer than its lifetime.
    pub fn renew(&mut self, now: UnixSeconds) {
        self.numbers.renewed_at = now;
    }

    /// Makes the header values anew when the rules are others than they were made by.
    pub fn project(&mut self, rules: &HeaderRules) {
        if self.numbers.fingerprint != rules.fingerprint() {
            self.headers = rules.project(&self.claims);
            self.numbers.fingerprint = rules.fingerprint();
        }
    }

    pub(super) fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        let parts = Parts {
            subject: &self.subject,
            sid: self.sid().unwrap_or_default(),
            headers: self.headers.as_bytes(),
            claims: &self.claims.to_json(),
            refresh_token: self.refresh_token().map_or("", SecretText::expose),
            access_token: self
                .access_token()
                .map(|(token, expires_at)| (token.expose(), expires_at)),
        };
        codec::write(&self.numbers, &parts)
    }

    /// Bytes of each thing that takes room, largest first.
    pub(super) fn sizes(&self) -> Vec<(String, usize)> {
        let claims = self.claims.members().iter();
        let mut sizes: Vec<(String, usize)> = claims
            .map(|(name, value)| (format!("claim {name}"), value.to_string().len()))
            .collect();
        sizes.push(("header values".to_owned(), self.headers.as_bytes().len()));
        match &self.tokens {
            Tokens::Refresh(token) => sizes.push(("refresh token".to_owned(), token.expose().len())),
            Tokens::Access(token, _) => sizes.push(("access token".to_owned(), token.expose().len())),
            Tokens::None => {}
        }
        sizes.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        sizes
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Session({})", self.numbers.id)
    }
}

impl Numbers {
    pub(super) fn idle_expires_at(&self, idle: Duration) -> UnixSeconds {
        self.renewed_at.plus(idle).min(self.expires_at)
    }
}

#[cfg(test)]
pub(super) mod tests;

//! A session: who signed in, when, and until when.
//!
//! Promises that a session is new at every sign-in, with an id nobody chose, and that its limits are judged by what is
//! sealed inside it, never by what a browser says. Stops session fixation and cookies that live for ever. Refuses to
//! know cookies and keys.
//!
//! [`Session`] owns its parts and is what a sign-in makes; [`SessionView`] is what a request presents: the opened
//! plaintext with the parts found but not read.

use super::codec::{self, Layout, Numbers, Parts};
use crate::clock::UnixSeconds;
use crate::identity::claims::Claims;
use crate::identity::headers::{HeaderRules, ProjectedHeaders};
use crate::secret::SecretText;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;
use zeroize::Zeroizing;

/// How far the clocks of two proxies may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Names one session; 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 16]);

/// A text is not a [`SessionId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session id")]
pub struct NotASessionId;

/// What a sign-in proved, from verified tokens only.
pub struct Established {
    /// The user: claim `sub`, not empty.
    pub subject: String,
    /// Logto's own session, where it names one: claim `sid`.
    pub sid: Option<String>,
    /// The claims that something uses, nothing else.
    pub claims: Claims,
    /// When.
    pub signed_in_at: UnixSeconds,
    /// After this it is over, whatever happens.
    pub lifetime: Duration,
    /// Logto's refresh token, where one was issued.
    pub refresh_token: Option<SecretText>,
    /// The claims as request headers, made by the rules with this fingerprint.
    pub headers: ProjectedHeaders,
    /// [`HeaderRules::fingerprint`] of those rules.
    pub fingerprint: u64,
}

/// No session was established, because the system gave no random bytes. Ours, not transient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

/// A session with all its parts.
pub struct Session {
    numbers: Numbers,
    subject: String,
    sid: Option<String>,
    claims: Claims,
    headers: ProjectedHeaders,
    refresh_token: Option<SecretText>,
}

/// A session as a request presents it, within its limits. Reading the numbers costs nothing; the rest is read when asked
/// for. The plaintext is wiped when dropped.
pub struct SessionView {
    plaintext: Zeroizing<Vec<u8>>,
    layout: Layout,
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

impl SessionId {
    /// Reads an id back.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The random bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for SessionId {
    type Err = NotASessionId;

    /// Reads the 32 lower-case hexadecimal digits that [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        let digits = text.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != 16 || !rest.is_empty() {
            return Err(NotASessionId);
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(NotASessionId),
        };
        let mut id = [0; 16];
        for (place, [high, low]) in id.iter_mut().zip(pairs) {
            *place = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(id))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Limits {
    fn judge(self, numbers: &Numbers, now: UnixSeconds) -> Result<(), Ended> {
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

impl Session {
    /// A new session for a user who just signed in. Nothing of an earlier one is taken over.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn establish(established: Established) -> Result<Self, NoRandomness> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| NoRandomness)?;
        Ok(Self::with_id(SessionId(id), established))
    }

    pub(super) fn with_id(id: SessionId, established: Established) -> Self {
        Self {
            numbers: Numbers {
                id,
                signed_in_at: established.signed_in_at,
                renewed_at: established.signed_in_at,
                expires_at: established.signed_in_at.plus(established.lifetime),
                fingerprint: established.fingerprint,
            },
            subject: established.subject,
            sid: established.sid.filter(|sid| !sid.is_empty()),
            claims: established.claims,
            headers: established.headers,
            refresh_token: established
                .refresh_token
                .filter(|token| !token.expose().is_empty()),
        }
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

    /// When the user signed in.
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

    /// When it is over if it is not renewed.
    #[must_use]
    pub fn idle_expires_at(&self, idle: Duration) -> UnixSeconds {
        self.numbers.idle_expires_at(idle)
    }

    /// Logto's refresh token, where one was issued.
    pub const fn refresh_token(&self) -> Option<&SecretText> {
        self.refresh_token.as_ref()
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
            refresh_token: self.refresh_token.as_ref().map_or("", SecretText::expose),
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
        if let Some(token) = &self.refresh_token {
            sizes.push(("refresh token".to_owned(), token.expose().len()));
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
    fn idle_expires_at(&self, idle: Duration) -> UnixSeconds {
        self.renewed_at.plus(idle).min(self.expires_at)
    }
}

impl SessionView {
    /// Finds the parts of a plaintext; `None` when it is no session of a version known here.
    pub(super) fn read(plaintext: Zeroizing<Vec<u8>>) -> Option<Self> {
        let layout = codec::read(&plaintext)?;
        let view = Self { plaintext, layout };
        // Checked once here, so that `subject` and `sid` cannot fail.
        std::str::from_utf8(view.bytes(&view.layout.subject)).ok()?;
        std::str::from_utf8(view.bytes(&view.layout.sid)).ok()?;
        Some(view)
    }

    pub(super) fn judge(&self, limits: Limits, now: UnixSeconds) -> Result<(), Ended> {
        limits.judge(&self.layout.numbers, now)
    }

    /// Names this session.
    pub const fn id(&self) -> SessionId {
        self.layout.numbers.id
    }

    /// The user: claim `sub`.
    pub fn subject(&self) -> &str {
        self.text(&self.layout.subject)
    }

    /// Logto's own session, where it names one: claim `sid`.
    pub fn sid(&self) -> Option<&str> {
        Some(self.text(&self.layout.sid)).filter(|sid| !sid.is_empty())
    }

    /// When the user signed in.
    pub const fn signed_in_at(&self) -> UnixSeconds {
        self.layout.numbers.signed_in_at
    }

    /// When it was last renewed.
    pub const fn renewed_at(&self) -> UnixSeconds {
        self.layout.numbers.renewed_at
    }

    /// When it is over, whatever happens.
    pub const fn expires_at(&self) -> UnixSeconds {
        self.layout.numbers.expires_at
    }

    /// When it is over if it is not renewed.
    #[must_use]
    pub fn idle_expires_at(&self, idle: Duration) -> UnixSeconds {
        self.layout.numbers.idle_expires_at(idle)
    }

    /// The user's request headers. Copied in one piece out of the plaintext when the rules are those they were made by;
    /// made anew from the kept claims when the configuration has changed since.
    pub fn headers(&self, rules: &HeaderRules) -> ProjectedHeaders {
        if self.layout.numbers.fingerprint == rules.fingerprint() {
            return self.stored_headers();
        }
        rules.project(&self.claims())
    }

    /// The claims that were kept. Reads JSON: not for every request.
    pub fn claims(&self) -> Claims {
        Claims::from_json(self.bytes(&self.layout.claims)).unwrap_or_default()
    }

    /// Logto's refresh token, where one was issued.
    pub fn refresh_token(&self) -> Option<SecretText> {
        let token = self.text(&self.layout.refresh_token);
        (!token.is_empty()).then(|| SecretText::new(token.to_owned()))
    }

    /// Everything, owned: to renew it, or to show it to its user.
    pub fn into_session(self) -> Session {
        Session {
            numbers: self.layout.numbers,
            subject: self.subject().to_owned(),
            sid: self.sid().map(str::to_owned),
            claims: self.claims(),
            headers: self.stored_headers(),
            refresh_token: self.refresh_token(),
        }
    }

    fn stored_headers(&self) -> ProjectedHeaders {
        ProjectedHeaders::from_bytes(Bytes::copy_from_slice(self.bytes(&self.layout.headers)))
    }

    fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.plaintext.get(range.clone()).unwrap_or_default()
    }

    fn text(&self, range: &Range<usize>) -> &str {
        std::str::from_utf8(self.bytes(range)).unwrap_or_default()
    }
}

impl fmt::Debug for SessionView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionView({})", self.layout.numbers.id)
    }
}

#[cfg(test)]
pub(super) mod tests;

//! A session as a request presents it.
//!
//! Promises that what is not needed is not read: one look finds the parts, and a request that is passed on copies the
//! header values out of the plaintext and no more. May be shared between threads behind an `Arc`.

use super::codec::{self, Layout};
use super::revocation::Marks;
use super::session::{Ended, Limits, Session, SessionId, Tokens};
use crate::clock::UnixSeconds;
use crate::identity::claims::Claims;
use crate::identity::headers::{HeaderRules, ProjectedHeaders};
use crate::secret::SecretText;
use bytes::Bytes;
use std::fmt;
use std::ops::Range;
use std::time::Duration;
use zeroize::Zeroizing;

/// A session as a request presents it, within its limits. Reading the numbers costs nothing; the rest is read when asked
/// for. The plaintext is wiped when dropped.
pub struct SessionView {
    plaintext: Zeroizing<Vec<u8>>,
    layout: Layout,
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

    /// A session as a request would present it that had its cookie already. `None` only for a session too large for any
    /// cookie.
    pub fn of(session: &Session) -> Option<Self> {
        Self::read(session.to_plaintext())
    }

    pub(super) fn judge(&self, limits: Limits, now: UnixSeconds) -> Result<(), Ended> {
        limits.judge(&self.layout.numbers, now)
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

    /// When the user signed in: just before the tokens were asked for.
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

    /// When Logto last confirmed it; at first, when the user signed in.
    pub const fn checked_at(&self) -> UnixSeconds {
        self.layout.numbers.checked_at
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

    /// The same as a JSON object, not read.
    pub fn claims_json(&self) -> &[u8] {
        self.bytes(&self.layout.claims)
    }

    /// Logto's refresh token, where one was issued.
    pub fn refresh_token(&self) -> Option<SecretText> {
        let token = self.text(&self.layout.refresh_token);
        (!token.is_empty()).then(|| SecretText::new(token.to_owned()))
    }

    /// Logto's access token for userinfo and when it expires. There is none where there is a refresh token.
    pub fn access_token(&self) -> Option<(SecretText, UnixSeconds)> {
        let (token, expires_at) = self.layout.access_token.as_ref()?;
        Some((SecretText::new(self.text(token).to_owned()), *expires_at))
    }

    /// Everything, owned: to renew it, to re-check it, or to show it to its user.
    pub fn to_session(&self) -> Session {
        Session {
            numbers: self.layout.numbers,
            subject: self.subject().to_owned(),
            sid: self.sid().map(str::to_owned),
            claims: self.claims(),
            headers: self.stored_headers(),
            tokens: Tokens::keep(self.refresh_token(), self.access_token()),
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

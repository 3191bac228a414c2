//! The session cookie: cut into pieces, found among others, opened and sealed.
//!
//! Promises that a request's session is either exactly what was sealed or none, and that a session which was written can
//! be read: the writer refuses what the reader would. Stops mixing, swapping and dropping pieces (they are one sealed
//! message), piece counts that cost memory, two cookies of one name, and foreign cookies that break the reading of ours:
//! everything is bytes, and what is not ours is skipped. Refuses to know who may do what.
//!
//! `name` holds one digit, the number of pieces, and the first of them; `name.1` to `name.4` hold the rest.

use super::keyring::{KeyRing, Purpose};
use super::notice::Cause;
use super::seal::{SealError, SealReason, sealed_length};
pub use super::session::{Ended, Limits, Session, SessionId, SessionView};
use super::settings::SIBLINGS;
pub use super::settings::{CookieSettings, CookieSettingsError, SameSite};
use crate::clock::UnixSeconds;
use crate::http::cookies::pairs;
use http::HeaderValue;
use http::header::HeaderMap;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Most pieces of one session.
const MOST_PIECES: usize = 5;

/// Longest value of one piece, in bytes.
const PIECE_BYTES: usize = 3_800;

/// A session is renewed at most this often.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// Reads, writes and clears session cookies.
#[derive(Debug)]
pub struct SessionCookies {
    settings: CookieSettings,
    keyring: Arc<KeyRing>,
    limits: Limits,
    piece_bytes: usize,
}

/// What a request presents.
#[derive(Debug)]
pub enum Presented {
    /// No session cookie.
    None,
    /// A session within its limits; `true` when it should be sealed anew by the newest key, at its next renewal.
    Session(SessionView, bool),
    /// Session cookies that give no session. To be answered like `None`, counted, and cleared.
    Invalid(Reason),
}

/// Why session cookies gave no session, for the metrics only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Two cookies of one name.
    Duplicate,
    /// The first piece does not begin with a number of pieces.
    Count,
    /// A piece is missing.
    Incomplete,
    /// More bytes than are read.
    TooLong,
    /// The seal did not open.
    Seal(SealReason),
    /// It opened, but holds no session of a version known here.
    Content,
    /// It opened, but is over.
    Ended(Ended),
    /// It opened and is within its limits, but was ended.
    Revoked(Cause),
}

/// A session does not fit in its cookies. The operator's to mend: keep fewer or smaller claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session needs {bytes} bytes of cookie, {most} are allowed; largest parts: {}", largest(.parts))]
pub struct TooLarge {
    /// Bytes of sealed session.
    pub bytes: usize,
    /// Most bytes allowed.
    pub most: usize,
    /// What takes the room: names with their bytes, largest first.
    pub parts: Vec<(String, usize)>,
}

/// Why a session could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It does not fit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The session's pieces among a request's cookies, by number.
#[derive(Default)]
struct Pieces<'a> {
    values: [Option<&'a [u8]>; MOST_PIECES],
    /// By piece number, 0 to 9: how often its name came.
    seen: [u8; 10],
}

impl Reason {
    /// The reason as a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Count => "count",
            Self::Incomplete => "incomplete",
            Self::TooLong => "too_long",
            Self::Seal(reason) => reason.as_str(),
            Self::Content => "content",
            Self::Ended(Ended::Lifetime) => "lifetime",
            Self::Ended(Ended::Idle) => "idle",
            Self::Ended(Ended::Future) => "future",
            Self::Revoked(_) => "revoked",
        }
    }
}

impl SessionCookies {
    /// Puts together what reading and writing take.
    ///
    /// # Errors
    /// See [`CookieSettingsError`].
    pub fn new(
        settings: CookieSettings,
        keyring: Arc<KeyRing>,
        limits: Limits,
    ) -> Result<Self, CookieSettingsError> {
        settings.check()?;
        Ok(Self {
            piece_bytes: PIECE_BYTES.min(settings.value_bytes()),
            settings,
            keyring,
            limits,
        })
    }

    /// The settings it was made with.
    pub const fn settings(&self) -> &CookieSettings {
        &self.settings
    }

    /// The limits sessions are judged by.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Is this a cookie of the proxy's own, which no upstream sees and no upstream sets?
    pub fn is_own(&self, name: &[u8]) -> bool {
        let sibling = |rest: &[u8]| SIBLINGS.iter().any(|suffix| suffix.as_bytes() == rest);
        self.piece_number(name).is_some()
            || name
                .strip_prefix(self.settings.name.as_bytes())
                .is_some_and(sibling)
    }

    /// Finds, opens and judges the session of a request.
    pub fn open(&self, headers: &HeaderMap, now: UnixSeconds) -> Presented {
        match self.try_open(headers, now) {
            Ok(Some((view, by_older_key))) => Presented::Session(view, by_older_key),
            Ok(None) => Presented::None,
            Err(reason) => Presented::Invalid(reason),
        }
    }

    /// The `Set-Cookie` lines that hand a session to the browser, and take away pieces that the request carried beyond
    /// them. The cookies end when the session would without renewal.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn seal(
        &self,
        session: &Session,
        request_headers: &HeaderMap,
    ) -> Result<Vec<HeaderValue>, WriteError> {
        let plaintext = session.to_plaintext();
        let bytes = sealed_length(plaintext.len());
        let count = self.pieces_of(bytes).ok_or_else(|| TooLarge {
            bytes,
            most: self.most_sealed_bytes(),
            parts: session.sizes(),
        })?;
        let name = self.settings.name.as_bytes();
        let sealed = self.keyring.seal(Purpose::Session, name, &plaintext)?;
        let max_age = session
            .idle_expires_at(self.limits.idle)
            .since(session.renewed_at());
        let numbered = format!("{count}{sealed}");
        let mut lines = Vec::with_capacity(count);
        let mut rest = numbered.as_str();
        for number in 0..count {
            let (piece, after) = rest.split_at_checked(self.piece_bytes).unwrap_or((rest, ""));
            rest = after;
            lines.extend(self.settings.set(&self.piece_name(number), piece, max_age));
        }
        self.expire_carried(request_headers, count, &mut lines);
        Ok(lines)
    }

    /// Seals a session for another replica, or for a store to keep. It opens under its own id only, and never as a cookie.
    ///
    /// # Errors
    /// Only when the system gives no random bytes: ours, not transient.
    pub fn seal_shared(&self, session: &Session) -> Result<String, SealError> {
        let context = session.id();
        self.keyring
            .seal(Purpose::Shared, context.as_bytes(), &session.to_plaintext())
    }

    /// Opens what [`seal_shared`](Self::seal_shared) made of the session of this id; `None` when it is anything else, or
    /// older than its lifetime. Whether it was used lately the cookie says that it is asked for with.
    pub fn open_shared(&self, id: SessionId, sealed: &[u8], now: UnixSeconds) -> Option<Session> {
        let opened = self.keyring.open(Purpose::Shared, id.as_bytes(), sealed).ok()?;
        let view = SessionView::read(opened.plaintext).filter(|view| view.id() == id)?;
        let used_or_not = Limits {
            idle: self.limits.lifetime,
            ..self.limits
        };
        view.judge(used_or_not, now).ok()?;
        Some(view.to_session())
    }

    /// The `Set-Cookie` lines that make the browser forget every session cookie the request carried.
    pub fn clear(&self, request_headers: &HeaderMap) -> Vec<HeaderValue> {
        let mut lines = Vec::new();
        self.expire_carried(request_headers, 0, &mut lines);
        lines
    }

    /// Should the session be sealed anew on this request? At most once a minute; a newer key waits for that too.
    pub fn should_renew(view: &SessionView, now: UnixSeconds) -> bool {
        now.since(view.renewed_at()) >= RENEW_AFTER
    }

    fn try_open(&self, headers: &HeaderMap, now: UnixSeconds) -> Result<Option<(SessionView, bool)>, Reason> {
        let pieces = self.pieces(headers);
        if pieces.seen == [0; 10] {
            return Ok(None);
        }
        if pieces.seen.iter().any(|times| *times > 1) {
            return Err(Reason::Duplicate);
        }
        let sealed = pieces.join(self.settings.cookie_bytes)?;
        let name = self.settings.name.as_bytes();
        let opened = self
            .keyring
            .open(Purpose::Session, name, &sealed)
            .map_err(|error| Reason::Seal(error.reason()))?;
        let view = SessionView::read(opened.plaintext).ok_or(Reason::Content)?;
        view.judge(self.limits, now).map_err(Reason::Ended)?;
        Ok(Some((view, opened.by_older_key)))
    }

    fn pieces<'a>(&self, headers: &'a HeaderMap) -> Pieces<'a> {
        let mut pieces = Pieces::default();
        for (name, value) in pairs(headers) {
            if let Some(number) = self.piece_number(name) {
                if let Some(times) = pieces.seen.get_mut(number) {
                    *times = times.saturating_add(1);
                }
                if let Some(place) = pieces.values.get_mut(number) {
                    *place = Some(value);
                }
            }
        }
        pieces
    }

    /// Number of the piece a cookie name stands for: 0 for the name itself, 1 to 9 for a digit after it. Byte for byte:
    /// a name that some other trimming or folding would make ours is not.
    fn piece_number(&self, name: &[u8]) -> Option<usize> {
        match name.strip_prefix(self.settings.name.as_bytes())? {
            [] => Some(0),
            [b'.', digit @ b'1'..=b'9'] => Some(usize::from(*digit - b'0')),
            _ => None,
        }
    }

    fn piece_name(&self, number: usize) -> Cow<'_, str> {
        match number {
            0 => Cow::Borrowed(&self.settings.name),
            _ => Cow::Owned(format!("{}.{number}", self.settings.name)),
        }
    }

    /// Expires the pieces the request carried from `first` on. Two of a name mean that one is left from before a cookie
    /// domain was configured; that one goes too, else it would stand in the way for ever.
    fn expire_carried(&self, request_headers: &HeaderMap, first: usize, lines: &mut Vec<HeaderValue>) {
        for (number, times) in self.pieces(request_headers).seen.iter().enumerate() {
            let name = self.piece_name(number);
            if *times > 0 && number >= first {
                lines.extend(self.settings.expire(&name));
            }
            if *times > 1 && self.settings.domain.is_some() {
                lines.extend(self.settings.expire_host_only(&name));
            }
        }
    }

    fn most_sealed_bytes(&self) -> usize {
        let pieces = self.piece_bytes.saturating_mul(MOST_PIECES);
        pieces.min(self.settings.cookie_bytes).saturating_sub(1)
    }

    /// How many pieces this much sealed session takes, with the digit; `None` when there is too much of it.
    fn pieces_of(&self, sealed_bytes: usize) -> Option<usize> {
        if sealed_bytes > self.most_sealed_bytes() {
            return None;
        }
        Some(sealed_bytes.saturating_add(1).div_ceil(self.piece_bytes.max(1)))
    }
}

impl<'a> Pieces<'a> {
    /// The sealed text; borrowed when it is one piece. Pieces beyond the count are left over from an earlier session.
    fn join(&self, most_bytes: usize) -> Result<Cow<'a, [u8]>, Reason> {
        let (first, others) = self.values.split_first().ok_or(Reason::Incomplete)?;
        let (digit, first) = first
            .ok_or(Reason::Incomplete)?
            .split_first()
            .ok_or(Reason::Count)?;
        let others = match *digit {
            digit @ b'1'..=b'5' => others.get(..usize::from(digit - b'1')).ok_or(Reason::Count)?,
            _ => return Err(Reason::Count),
        };
        let length = others
            .iter()
            .flatten()
            .fold(first.len(), |sum, piece| sum.saturating_add(piece.len()));
        if length >= most_bytes {
            return Err(Reason::TooLong);
        }
        if others.is_empty() {
            return Ok(Cow::Borrowed(first));
        }
        let mut sealed = Vec::with_capacity(length);
        sealed.extend_from_slice(first);
        for piece in others {
            sealed.extend_from_slice(piece.ok_or(Reason::Incomplete)?);
        }
        Ok(Cow::Owned(sealed))
    }
}

#[cfg(test)]
mod tests;

fn largest(parts: &[(String, usize)]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .take(3)
        .map(|(name, bytes)| format!("{name} ({bytes})"))
        .collect();
    parts.join(", ")
}

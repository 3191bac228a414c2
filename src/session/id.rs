//! The name of one session.
//!
//! Promises that nobody chooses it: 128 bits from the system's random source. It is no secret that opens anything, but it
//! names a person's session, so it stays out of what others see.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// No session was established, because the system gave no random bytes. Ours, not transient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

/// Names one session; 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

/// A text is not a [`SessionId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session id")]
pub struct NotASessionId;

impl SessionId {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub(super) fn random() -> Result<Self, NoRandomness> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| NoRandomness)?;
        Ok(Self(id))
    }

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

//! The keys that seal what the proxy hands to browsers.
//!
//! Promises that a value sealed for one purpose, client, issuer or public address opens for no other, and that all key
//! schedules are computed once. Stops cookies from moving between deployments that share a secret, and weak keys from
//! being used at all. Refuses to know what is sealed.
//!
//! Each key of the operator gives, by HKDF-SHA256 (RFC 5869), one XAES-256-GCM key a purpose and a public key id. A
//! sealed value names its key by that id, so exactly one key is tried: AES-GCM does not commit to its key, and trying
//! several would tell an attacker which of them opens.

use crate::secret::{SecretBytes, SecretText};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::KeyInit as _;
use zeroize::Zeroizing;

/// Fewest bytes of a key.
pub const SHORTEST_KEY: usize = 32;

/// Most keys in a ring.
pub const MOST_KEYS: usize = 4;

/// Fewest different bytes in a key; 32 random bytes have about 30.
const FEWEST_DIFFERENT_BYTES: usize = 8;

/// What stands in keys that were never meant to be used: in lower case, without separators.
const PLACEHOLDERS: [&str; 8] = [
    "changeme",
    "changethis",
    "replace",
    "placeholder",
    "password",
    "insecure",
    "yoursecret",
    "yoursessionkey",
];

/// Length of a key id, in bytes.
pub(super) const KEY_ID_BYTES: usize = 8;

pub(super) type KeyId = [u8; KEY_ID_BYTES];

/// Base64 in one alphabet, with or without padding; for keys only, which people copy from many tools.
const fn lenient(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

/// A session key as the operator supplies it.
#[derive(Debug, Clone)]
pub struct SessionKey(SecretBytes);

/// Why a text is no session key. All are the operator's to mend; none shows the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// Nothing there.
    #[error("the session key is empty")]
    Empty,
    /// Fewer than [`SHORTEST_KEY`] bytes.
    #[error("the session key holds {bytes} bytes; at least {SHORTEST_KEY} are needed")]
    TooShort {
        /// How many there are.
        bytes: usize,
    },
    /// Few different bytes: not random.
    #[error("the session key repeats the same few bytes; make a random one with `logto-proxy keygen`")]
    LowVariety,
    /// A placeholder from an example.
    #[error("the session key is a placeholder; make a random one with `logto-proxy keygen`")]
    Placeholder,
}

/// What sealed values are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyContext {
    /// Logto's issuer.
    pub issuer: String,
    /// The application's id at Logto.
    pub client_id: String,
    /// Scheme, host and port at which browsers reach the proxy.
    pub public_origin: String,
}

/// What a sealed value is for. Each has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The session cookie.
    Session,
    /// The `state` of a sign-in.
    SignIn,
    /// The `state` of a sign-out.
    SignOut,
    /// A session handed from one replica to another, or kept by a store. The value's name is the session's id.
    Shared,
    /// Tokens in forms of the proxy's own pages.
    Form,
}

/// Why a list of keys is no ring. All are the operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// The list is empty.
    #[error("at least one session key is needed")]
    NoKeys,
    /// More than [`MOST_KEYS`].
    #[error("at most {MOST_KEYS} session keys can be in use; remove the oldest")]
    TooMany,
    /// The same key twice. Counted from 1.
    #[error("session keys {first} and {second} are the same")]
    SameKey {
        /// The earlier one.
        first: usize,
        /// The later one.
        second: usize,
    },
    /// HKDF refused; it gives up to 8,160 bytes and is asked for 32.
    #[error("no keys could be derived")]
    Derivation,
}

/// One to four keys: the first seals, all open.
pub struct KeyRing {
    newest: RingKey,
    older: Vec<RingKey>,
}

/// One key with everything derived from it.
pub(super) struct RingKey {
    id: KeyId,
    session: Xaes256Gcm,
    sign_in: Xaes256Gcm,
    sign_out: Xaes256Gcm,
    shared: Xaes256Gcm,
    form: Xaes256Gcm,
}

impl SessionKey {
    /// Reads a key: at least 32 bytes in hex or Base64 (either alphabet, padded or not), or else text of at least 32
    /// bytes as it is. One line ending at the end is left out, since files have one.
    ///
    /// # Errors
    /// See [`WeakKey`].
    pub fn parse(text: &SecretText) -> Result<Self, WeakKey> {
        let text = text.expose();
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(WeakKey::Empty);
        }
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        let letters = Zeroizing::new(
            letters
                .map(|letter| letter.to_ascii_lowercase())
                .collect::<String>(),
        );
        if PLACEHOLDERS.iter().any(|word| letters.contains(word)) {
            return Err(WeakKey::Placeholder);
        }
        let key = SecretBytes::new(decoded(text).unwrap_or_else(|| text.as_bytes().to_vec()));
        let bytes = key.expose().len();
        if bytes < SHORTEST_KEY {
            return Err(WeakKey::TooShort { bytes });
        }
        // Both readings: hex of one byte and text of `ab` repeated are patterns as well.
        if different(key.expose()) < FEWEST_DIFFERENT_BYTES
            || different(text.as_bytes()) < FEWEST_DIFFERENT_BYTES
        {
            return Err(WeakKey::LowVariety);
        }
        Ok(Self(key))
    }
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::SignIn => "login",
            Self::SignOut => "logout-state",
            Self::Shared => "shared",
            Self::Form => "form",
        }
    }
}

impl KeyRing {
    /// Derives everything from the keys, the one that seals first.
    ///
    /// # Errors
    /// See [`KeyRingError`].
    pub fn new(keys: Vec<SessionKey>, context: &KeyContext) -> Result<Self, KeyRingError> {
        if keys.len() > MOST_KEYS {
            return Err(KeyRingError::TooMany);
        }
        let (newest, older) = keys.split_first().ok_or(KeyRingError::NoKeys)?;
        let ring = Self {
            newest: RingKey::derive(newest, context)?,
            older: older
                .iter()
                .map(|key| RingKey::derive(key, context))
                .collect::<Result<_, _>>()?,
        };
        let ids: Vec<KeyId> = ring.keys().map(|key| key.id).collect();
        for (index, id) in ids.iter().enumerate() {
            if let Some(earlier) = ids.iter().take(index).position(|earlier| earlier == id) {
                return Err(KeyRingError::SameKey {
                    first: earlier.saturating_add(1),
                    second: index.saturating_add(1),
                });
            }
        }
        Ok(ring)
    }

    /// The key that seals.
    pub(super) const fn newest(&self) -> &RingKey {
        &self.newest
    }

    /// The one key with this id, and whether it is an older one than seals now.
    pub(super) fn find(&self, id: &KeyId) -> Option<(&RingKey, bool)> {
        if self.newest.id == *id {
            return Some((&self.newest, false));
        }
        self.older.iter().find(|key| key.id == *id).map(|key| (key, true))
    }

    fn keys(&self) -> impl Iterator<Item = &RingKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyRing({} keys)", self.keys().count())
    }
}

impl RingKey {
    fn derive(key: &SessionKey, context: &KeyContext) -> Result<Self, KeyRingError> {
        let hkdf = Hkdf::<Sha256>::new(Some(b"logto-proxy/v1"), key.0.expose());
        let expand = |parts: &[&str], out: &mut [u8]| {
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            hkdf.expand(&length_prefixed(&parts), out)
                .map_err(|_| KeyRingError::Derivation)
        };
        let cipher = |purpose: Purpose| {
            let mut bytes = Zeroizing::new([0; 32]);
            let parts = [
                purpose.as_str(),
                &context.issuer,
                &context.client_id,
                &context.public_origin,
            ];
            expand(&parts, bytes.as_mut())?;
            Ok(Xaes256Gcm::new((&*bytes).into()))
        };
        let mut id = KeyId::default();
        expand(&["kid"], &mut id)?;
        Ok(Self {
            id,
            session: cipher(Purpose::Session)?,
            sign_in: cipher(Purpose::SignIn)?,
            sign_out: cipher(Purpose::SignOut)?,
            shared: cipher(Purpose::Shared)?,
            form: cipher(Purpose::Form)?,
        })
    }

    pub(super) const fn id(&self) -> &KeyId {
        &self.id
    }

    pub(super) const fn cipher(&self, purpose: Purpose) -> &Xaes256Gcm {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::SignIn => &self.sign_in,
            Purpose::SignOut => &self.sign_out,
            Purpose::Shared => &self.shared,
            Purpose::Form => &self.form,
        }
    }
}

/// Writes each part with its length before it, so that no two lists of parts make the same bytes.
pub(super) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len().saturating_add(8)).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// How many different bytes there are.
fn different(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in bytes {
        if let Some(flag) = seen.get_mut(usize::from(*byte)) {
            *flag = true;
        }
    }
    seen.iter().filter(|seen| **seen).count()
}

/// Key material written in hex or Base64, when that is what the text is and it is long enough.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let hex = || {
        let pairs = text.as_bytes().chunks(2);
        pairs
            .map(|pair| match pair {
                [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
                _ => None,
            })
            .collect::<Option<Vec<u8>>>()
    };
    let base64 = |alphabet| lenient(alphabet).decode(text).ok();
    // Hex first: every hex text of 64 digits is Base64 too, but nobody means that.
    [hex(), base64(&alphabet::STANDARD), base64(&alphabet::URL_SAFE)]
        .into_iter()
        .flatten()
        .find(|bytes| bytes.len() >= SHORTEST_KEY)
}

const fn hex_digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests;

//! The envelope of everything the proxy gives to a browser and wants back unread and unchanged.
//!
//! `base64url( 0x01 ‖ key id [8] ‖ nonce [24] ‖ ciphertext ‖ tag [16] )` without padding, by XAES-256-GCM
//! (<https://c2sp.org/XAES-256-GCM>), whose random 192-bit nonces may be drawn without counting. The associated data are
//! version, key id and the value's name, each with its length.
//!
//! Promises that what opens was sealed by this deployment for this purpose and name, that exactly one key is tried, and
//! that nothing of a failed opening stays in memory. Stops forging, splicing and probing: to the outside every failure is
//! the same; the [`SealReason`] is for the metrics. No compression: the length would tell what is inside.

use super::keyring::{KEY_ID_BYTES, KeyId, KeyRing, Purpose, length_prefixed};
use base64_simd::URL_SAFE_NO_PAD;
use xaes_256_gcm::aead::AeadInOut as _;
use xaes_256_gcm::aead::inout::InOutBuf;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// Sealing or opening failed. Says nothing about why to anybody outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a value sealed by this proxy")]
pub struct SealError(SealReason);

/// Why, for the metrics only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SealReason {
    /// Not strict base64url without padding.
    Encoding,
    /// Shorter than an empty envelope.
    TooShort,
    /// Another version of the envelope.
    Version,
    /// Sealed by a key that is not in the ring.
    UnknownKey,
    /// Changed, or sealed for another purpose, name, client or address.
    Tag,
    /// The system gave no random bytes, so nothing was sealed.
    Randomness,
}

/// What an envelope held.
pub struct Opened {
    /// The plaintext; wiped when dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// It was sealed by an older key than the one that seals now.
    pub by_older_key: bool,
}

impl SealError {
    /// Why, for the metrics only.
    pub const fn reason(self) -> SealReason {
        self.0
    }
}

impl SealReason {
    /// The reason as a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::TooShort => "too_short",
            Self::Version => "version",
            Self::UnknownKey => "unknown_key",
            Self::Tag => "tag",
            Self::Randomness => "randomness",
        }
    }
}

/// Length of the envelope around a plaintext of this many bytes, in characters.
pub const fn sealed_length(plaintext_bytes: usize) -> usize {
    let bytes = plaintext_bytes.saturating_add(HEAD_BYTES + TAG_BYTES);
    bytes.saturating_mul(4).div_ceil(3)
}

impl KeyRing {
    /// Seals with the newest key. `name` is what the value is called where it is kept; opening takes the same.
    ///
    /// # Errors
    /// Only when the system gives no random bytes: ours, not transient.
    pub fn seal(&self, purpose: Purpose, name: &[u8], plaintext: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError(SealReason::Randomness))?;
        let key = self.newest();
        let mut envelope = Zeroizing::new(Vec::with_capacity(
            plaintext.len().saturating_add(HEAD_BYTES + TAG_BYTES),
        ));
        envelope.push(VERSION);
        envelope.extend_from_slice(key.id());
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(plaintext);
        let body = envelope
            .get_mut(HEAD_BYTES..)
            .ok_or(SealError(SealReason::TooShort))?;
        let tag = key
            .cipher(purpose)
            .encrypt_inout_detached(
                &nonce.into(),
                &associated_data(key.id(), name),
                InOutBuf::from(body),
            )
            .map_err(|_| SealError(SealReason::Tag))?;
        envelope.extend_from_slice(&tag);
        Ok(URL_SAFE_NO_PAD.encode_to_string(&*envelope))
    }

    /// Opens what [`seal`](Self::seal) made with any key of the ring. One allocation of the plaintext's size.
    ///
    /// # Errors
    /// Anything else. The reason is for the metrics only.
    pub fn open(&self, purpose: Purpose, name: &[u8], sealed: &[u8]) -> Result<Opened, SealError> {
        let mut envelope = URL_SAFE_NO_PAD
            .decode_to_vec(sealed)
            .map(Zeroizing::new)
            .map_err(|_| SealError(SealReason::Encoding))?;
        let too_short = SealError(SealReason::TooShort);
        let (version, rest) = envelope.split_first_mut().ok_or(too_short)?;
        if *version != VERSION {
            return Err(SealError(SealReason::Version));
        }
        let (id, rest) = rest.split_first_chunk_mut::<KEY_ID_BYTES>().ok_or(too_short)?;
        let (nonce, rest) = rest.split_first_chunk_mut::<NONCE_BYTES>().ok_or(too_short)?;
        let (body, tag) = rest.split_last_chunk_mut::<TAG_BYTES>().ok_or(too_short)?;
        let (key, by_older_key) = self.find(id).ok_or(SealError(SealReason::UnknownKey))?;
        let length = body.len();
        key.cipher(purpose)
            .decrypt_inout_detached(
                &(*nonce).into(),
                &associated_data(id, name),
                InOutBuf::from(body),
                &(*tag).into(),
            )
            .map_err(|_| SealError(SealReason::Tag))?;
        // The plaintext moves to the front of its own buffer; the rest of the buffer is wiped with it.
        envelope.copy_within(HEAD_BYTES..HEAD_BYTES.saturating_add(length), 0);
        envelope.truncate(length);
        Ok(Opened {
            plaintext: envelope,
            by_older_key,
        })
    }
}

fn associated_data(id: &KeyId, name: &[u8]) -> Vec<u8> {
    length_prefixed(&[&[VERSION], id, name])
}

#[cfg(test)]
mod tests;

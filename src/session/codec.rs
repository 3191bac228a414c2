//! The plaintext of a session as bytes.
//!
//! Promises a compact layout in which finding the parts needs no parsing of what is in them: fixed numbers, then parts
//! with their length before them, secrets last. Refuses what is not exactly that, another version included:
//! such bytes are no session. Refuses to know what the parts mean.
//!
//! Layout 2: version (1 byte), id (16), signed in, renewed, ends, checked (8 each, big-endian seconds), fingerprint of the
//! header rules (8), subject, Logto's session id, header values, claims, refresh token (each: length in 7-bit groups,
//! lowest first, and bytes; empty where absent). Where there is no refresh token, there may follow when the access token
//! expires (8, big-endian seconds) and the access token (like the other parts, not empty).
//!
//! Layout 1 knew no time of checking. It is not read: its users sign in again, which costs them a redirect.

use super::session::SessionId;
use crate::clock::UnixSeconds;
use std::ops::Range;
use zeroize::Zeroizing;

const VERSION: u8 = 2;

/// Bytes before the parts of variable length.
const FIXED_BYTES: usize = 1 + 16 + 4 * 8 + 8;

/// Most bytes that the length of a part is written in.
const LONGEST_LENGTH: usize = usize::BITS.div_ceil(7) as usize;

/// What every layout begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub id: SessionId,
    pub signed_in_at: UnixSeconds,
    pub renewed_at: UnixSeconds,
    pub expires_at: UnixSeconds,
    pub checked_at: UnixSeconds,
    pub fingerprint: u64,
}

/// The parts, borrowed for writing.
pub(super) struct Parts<'a> {
    pub subject: &'a str,
    pub sid: &'a str,
    pub headers: &'a [u8],
    pub claims: &'a [u8],
    pub refresh_token: &'a str,
    /// With when it expires. Not written beside a refresh token, nor when empty.
    pub access_token: Option<(&'a str, UnixSeconds)>,
}

/// Where the parts lie in a plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub numbers: Numbers,
    pub subject: Range<usize>,
    pub sid: Range<usize>,
    pub headers: Range<usize>,
    pub claims: Range<usize>,
    pub refresh_token: Range<usize>,
    pub access_token: Option<(Range<usize>, UnixSeconds)>,
}

pub(super) fn write(numbers: &Numbers, parts: &Parts<'_>) -> Zeroizing<Vec<u8>> {
    let variable = [
        parts.subject.as_bytes(),
        parts.sid.as_bytes(),
        parts.headers,
        parts.claims,
        parts.refresh_token.as_bytes(),
    ];
    let access_token = parts
        .access_token
        .filter(|(token, _)| parts.refresh_token.is_empty() && !token.is_empty());
    // Room for everything at once: a buffer that grows leaves copies of the tokens behind.
    let variable_bytes = variable.iter().fold(0_usize, |sum, part| {
        sum.saturating_add(part.len()).saturating_add(LONGEST_LENGTH)
    });
    let access_bytes = access_token.map_or(0, |(token, _)| token.len().saturating_add(8 + LONGEST_LENGTH));
    let room = FIXED_BYTES
        .saturating_add(variable_bytes)
        .saturating_add(access_bytes);
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    out.push(VERSION);
    out.extend_from_slice(numbers.id.as_bytes());
    for moment in [
        numbers.signed_in_at,
        numbers.renewed_at,
        numbers.expires_at,
        numbers.checked_at,
    ] {
        out.extend_from_slice(&moment.as_u64().to_be_bytes());
    }
    out.extend_from_slice(&numbers.fingerprint.to_be_bytes());
    for part in variable {
        write_part(&mut out, part);
    }
    if let Some((token, expires_at)) = access_token {
        out.extend_from_slice(&expires_at.as_u64().to_be_bytes());
        write_part(&mut out, token.as_bytes());
    }
    out
}

/// Finds the parts; `None` when the bytes are not exactly a layout this version knows.
pub(super) fn read(plaintext: &[u8]) -> Option<Layout> {
    let (version, rest) = plaintext.split_first()?;
    if *version != VERSION {
        return None;
    }
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (signed_in_at, rest) = rest.split_first_chunk::<8>()?;
    let (renewed_at, rest) = rest.split_first_chunk::<8>()?;
    let (expires_at, rest) = rest.split_first_chunk::<8>()?;
    let (checked_at, rest) = rest.split_first_chunk::<8>()?;
    let (fingerprint, rest) = rest.split_first_chunk::<8>()?;
    let moment = |bytes: &[u8; 8]| UnixSeconds::new(u64::from_be_bytes(*bytes));
    let mut at = plaintext.len().checked_sub(rest.len())?;
    let mut part = || {
        let range = read_part(plaintext, at)?;
        at = range.end;
        Some(range)
    };
    let mut layout = Layout {
        numbers: Numbers {
            id: SessionId::from_bytes(*id),
            signed_in_at: moment(signed_in_at),
            renewed_at: moment(renewed_at),
            expires_at: moment(expires_at),
            checked_at: moment(checked_at),
            fingerprint: u64::from_be_bytes(*fingerprint),
        },
        subject: part()?,
        sid: part()?,
        headers: part()?,
        claims: part()?,
        refresh_token: part()?,
        access_token: None,
    };
    if at < plaintext.len() {
        layout.access_token = Some(read_access_token(plaintext, &layout.refresh_token)?);
    }
    (!layout.subject.is_empty()).then_some(layout)
}

/// What follows an empty refresh token, to the very end.
fn read_access_token(plaintext: &[u8], refresh_token: &Range<usize>) -> Option<(Range<usize>, UnixSeconds)> {
    let (expires_at, _) = plaintext.get(refresh_token.end..)?.split_first_chunk::<8>()?;
    let token = read_part(plaintext, refresh_token.end.checked_add(8)?)?;
    let right = refresh_token.is_empty() && !token.is_empty() && token.end == plaintext.len();
    right.then(|| (token, UnixSeconds::new(u64::from_be_bytes(*expires_at))))
}

fn write_part(out: &mut Vec<u8>, part: &[u8]) {
    write_length(out, part.len());
    out.extend_from_slice(part);
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        // Masked to seven bits, so it fits.
        let group = u8::try_from(length & 0x7F).unwrap_or(0x7F);
        length >>= 7;
        if length == 0 {
            out.push(group);
            return;
        }
        out.push(group | 0x80);
    }
}

/// A part at `at`. Four groups of seven bits, 256 MiB, are more than any cookie holds.
fn read_part(plaintext: &[u8], at: usize) -> Option<Range<usize>> {
    let mut length = 0_usize;
    for (index, byte) in plaintext.get(at..)?.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let start = at.checked_add(index)?.checked_add(1)?;
            let range = start..start.checked_add(length)?;
            return plaintext.get(range.clone()).map(|_| range);
        }
    }
    None
}

#[cfg(test)]
mod tests;

//! The plaintext of a session as bytes.
//!
//! Promises a compact layout in which finding the parts needs no parsing of what is in them: fixed numbers, then parts
//! with their length before them, the refresh token last. Refuses what is not exactly that, another version included:
//! such bytes are no session. Refuses to know what the parts mean.
//!
//! Layout 1: version (1 byte), id (16), signed in, renewed, ends (8 each, big-endian seconds), fingerprint of the header
//! rules (8), subject, Logto's session id, header values, claims, refresh token (each: length in 7-bit groups, lowest
//! first, and bytes; empty where absent).

use super::session::SessionId;
use crate::clock::UnixSeconds;
use std::ops::Range;
use zeroize::Zeroizing;

const VERSION: u8 = 1;

/// What every layout begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub id: SessionId,
    pub signed_in_at: UnixSeconds,
    pub renewed_at: UnixSeconds,
    pub expires_at: UnixSeconds,
    pub fingerprint: u64,
}

/// The parts, borrowed for writing.
pub(super) struct Parts<'a> {
    pub subject: &'a str,
    pub sid: &'a str,
    pub headers: &'a [u8],
    pub claims: &'a [u8],
    pub refresh_token: &'a str,
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
}

pub(super) fn write(numbers: &Numbers, parts: &Parts<'_>) -> Zeroizing<Vec<u8>> {
    let variable = [
        parts.subject.as_bytes(),
        parts.sid.as_bytes(),
        parts.headers,
        parts.claims,
        parts.refresh_token.as_bytes(),
    ];
    // Room for everything at once: a buffer that grows leaves copies of the token behind.
    let room = variable.iter().fold(64_usize, |sum, part| {
        sum.saturating_add(part.len()).saturating_add(10)
    });
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    out.push(VERSION);
    out.extend_from_slice(numbers.id.as_bytes());
    for moment in [numbers.signed_in_at, numbers.renewed_at, numbers.expires_at] {
        out.extend_from_slice(&moment.as_u64().to_be_bytes());
    }
    out.extend_from_slice(&numbers.fingerprint.to_be_bytes());
    for part in variable {
        write_length(&mut out, part.len());
        out.extend_from_slice(part);
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
    let (fingerprint, rest) = rest.split_first_chunk::<8>()?;
    let moment = |bytes: &[u8; 8]| UnixSeconds::new(u64::from_be_bytes(*bytes));
    let mut at = plaintext.len().checked_sub(rest.len())?;
    let mut part = || {
        let range = read_part(plaintext, at)?;
        at = range.end;
        Some(range)
    };
    let layout = Layout {
        numbers: Numbers {
            id: SessionId::from_bytes(*id),
            signed_in_at: moment(signed_in_at),
            renewed_at: moment(renewed_at),
            expires_at: moment(expires_at),
            fingerprint: u64::from_be_bytes(*fingerprint),
        },
        subject: part()?,
        sid: part()?,
        headers: part()?,
        claims: part()?,
        refresh_token: part()?,
    };
    (layout.refresh_token.end == plaintext.len() && !layout.subject.is_empty()).then_some(layout)
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers() -> Numbers {
        Numbers {
            id: SessionId::from_bytes([9; 16]),
            signed_in_at: UnixSeconds::new(1),
            renewed_at: UnixSeconds::new(2),
            expires_at: UnixSeconds::new(3),
            fingerprint: 4,
        }
    }

    fn parts<'a>(subject: &'a str, claims: &'a [u8], refresh_token: &'a str) -> Parts<'a> {
        Parts {
            subject,
            sid: "sid",
            headers: b"headers",
            claims,
            refresh_token,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_found(subject in ".{1,80}", claims in prop::collection::vec(any::<u8>(), 0..20_000), token in "[ -~]{0,200}") {
            let bytes = write(&numbers(), &parts(&subject, &claims, &token));
            let layout = read(&bytes).unwrap();
            prop_assert_eq!(layout.numbers, numbers());
            prop_assert_eq!(&bytes[layout.subject], subject.as_bytes());
            prop_assert_eq!(&bytes[layout.sid], b"sid");
            prop_assert_eq!(&bytes[layout.headers], b"headers");
            prop_assert_eq!(&bytes[layout.claims], &claims[..]);
            prop_assert_eq!(&bytes[layout.refresh_token], token.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[&[VERSION][..], &bytes].concat());
        }
    }

    #[test]
    fn the_token_comes_last() {
        let bytes = write(&numbers(), &parts("u1", b"{}", "token"));
        assert!(bytes.ends_with(b"token"));
    }

    #[test]
    fn writing_never_moves_the_buffer() {
        let claims = vec![7; 20_000];
        let bytes = write(&numbers(), &parts("u1", &claims, "token"));
        assert!(bytes.capacity() < bytes.len() + 200);
    }

    #[test]
    fn anything_else_is_no_session() {
        let good = write(&numbers(), &parts("u1", b"{}", "token"));
        for length in 0..good.len() {
            assert_eq!(read(&good[..length]), None, "{length}");
        }
        assert_eq!(read(&[&good[..], b"x"].concat()), None, "surplus");
        let mut version = good.clone();
        version[0] = 2;
        assert_eq!(read(&version), None, "version");
        assert_eq!(
            read(&write(&numbers(), &parts("", b"{}", ""))),
            None,
            "no subject"
        );
        let mut endless = good[..49].to_vec();
        endless.extend_from_slice(&[0xFF; 12]);
        assert_eq!(read(&endless), None, "length without an end");
    }
}

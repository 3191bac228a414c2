//! Refuses messages whose length two parties could read differently (request smuggling).
//!
//! hyper lets several odd spellings through because it can read them itself; the next party may read them
//! otherwise. Ambiguity is refused, never repaired (RFC 9112 §6.3). Afterwards the proxy drops both fields and
//! lets the sending side frame the body anew from its known length.

use ::http::Version;
use ::http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};

/// Why a request's framing is refused: the client's fault. Answer 400 and close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// `Content-Length` and `Transfer-Encoding` in one message.
    #[error("the message has both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// A `Transfer-Encoding` that is not the single coding `chunked`.
    #[error("the transfer coding is not exactly chunked")]
    TransferEncoding,
    /// A `Transfer-Encoding` in a version that does not have it: HTTP/1.0 and HTTP/2.
    #[error("this HTTP version has no transfer coding")]
    EncodingInVersion,
    /// A `Content-Length` that is repeated, a list, signed, empty, or written with needless zeros.
    #[error("the Content-Length is malformed")]
    ContentLength,
    /// A `Content-Length` beyond 2^63 - 1 bytes.
    #[error("the Content-Length is too large")]
    TooLarge,
}

/// Checks `Content-Length` and `Transfer-Encoding` of a message.
///
/// # Errors
/// Every [`FramingError`] asks for a 400 and the end of the connection.
pub fn check_framing(version: Version, headers: &HeaderMap) -> Result<(), FramingError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let coding = codings.next();
    let length = lengths.next();
    if let Some(coding) = coding {
        if length.is_some() {
            return Err(FramingError::LengthAndEncoding);
        }
        if version != Version::HTTP_11 {
            return Err(FramingError::EncodingInVersion);
        }
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(FramingError::TransferEncoding);
        }
    }
    if let Some(length) = length {
        if lengths.next().is_some() {
            return Err(FramingError::ContentLength);
        }
        check_length(length.as_bytes())?;
    }
    Ok(())
}

/// Counts the framing fields of a header while its bytes arrive.
///
/// hyper reads a header before anyone can check it, and repairs two ambiguities on the way: of equal
/// Content-Length lines it keeps one, and beside a Transfer-Encoding it drops them. [`check_framing`] cannot see
/// that any more, so the lines are counted on the socket. A header that arrives while the request before it is
/// still being served (pipelining) is not counted; hyper's repair, which also ends the connection, holds there.
#[derive(Debug, Clone, Default)]
pub struct FramingFields {
    lengths: u8,
    codings: u8,
    column: usize,
    /// Which of the two names the line may still turn out to have.
    may_be_length: bool,
    may_be_coding: bool,
    begun: bool,
    complete: bool,
}

impl FramingFields {
    /// Counting begins: the next byte is the first of a header.
    pub const fn new() -> Self {
        Self {
            lengths: 0,
            codings: 0,
            column: 0,
            may_be_length: true,
            may_be_coding: true,
            begun: false,
            complete: false,
        }
    }

    /// Looks at the next bytes of the connection; those behind the end of the header are left alone.
    pub fn read(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !self.complete {
            if !self.may_be_length && !self.may_be_coding {
                // Nothing more to learn from this line.
                match memchr::memchr(b'\n', rest) {
                    None => return,
                    Some(end) => rest = rest.get(end..).unwrap_or_default(),
                }
            }
            let Some((byte, after)) = rest.split_first() else {
                return;
            };
            self.step(*byte);
            rest = after;
        }
    }

    fn step(&mut self, byte: u8) {
        if byte == b'\n' {
            // Empty lines before a request are skipped (RFC 9112 §2.2); the one behind its fields is the end.
            self.complete = self.begun && self.column == 0;
            self.begun |= self.column > 0;
            self.column = 0;
            self.may_be_length = true;
            self.may_be_coding = true;
            return;
        }
        if byte == b'\r' && self.column == 0 {
            return;
        }
        let may_be = |name: &[u8]| match name.get(self.column) {
            Some(letter) => byte.eq_ignore_ascii_case(letter),
            None => byte == b':',
        };
        self.may_be_length = self.may_be_length && may_be(b"content-length");
        self.may_be_coding = self.may_be_coding && may_be(b"transfer-encoding");
        if byte == b':' {
            self.lengths = self.lengths.saturating_add(u8::from(self.may_be_length));
            self.codings = self.codings.saturating_add(u8::from(self.may_be_coding));
            self.may_be_length = false;
            self.may_be_coding = false;
        }
        self.column = self.column.saturating_add(1);
    }

    /// Whether the header had framing fields that contradict or repeat each other.
    pub const fn are_ambiguous(&self) -> bool {
        self.lengths > 1 || self.codings > 1 || (self.lengths > 0 && self.codings > 0)
    }
}

/// Plain decimal, `0` or without a leading zero, below 2^63: some parsers hold it in a signed number.
fn check_length(digits: &[u8]) -> Result<(), FramingError> {
    let plain = match digits {
        [] => false,
        [b'0'] => true,
        [b'0', ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    };
    if !plain {
        return Err(FramingError::ContentLength);
    }
    let value = digits.iter().try_fold(0_i64, |value, digit| {
        value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    });
    value.map(|_| ()).ok_or(FramingError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::{HeaderName, HeaderValue};

    fn check(version: Version, lines: &[(&str, &str)]) -> Result<(), FramingError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        check_framing(version, &headers)
    }

    #[test]
    fn plain_framing_passes() {
        for lines in [
            &[][..],
            &[("content-length", "0")],
            &[("content-length", "10")],
            &[("content-length", "9223372036854775807")],
            &[("transfer-encoding", "chunked")],
            &[("transfer-encoding", "Chunked")],
        ] {
            assert_eq!(check(Version::HTTP_11, lines), Ok(()), "{lines:?}");
        }
        assert_eq!(check(Version::HTTP_10, &[("content-length", "3")]), Ok(()));
        assert_eq!(check(Version::HTTP_2, &[("content-length", "3")]), Ok(()));
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        use FramingError::*;
        for (lines, expected) in [
            (
                &[("content-length", "5"), ("transfer-encoding", "chunked")][..],
                LengthAndEncoding,
            ),
            (
                &[("transfer-encoding", "identity"), ("content-length", "5")],
                LengthAndEncoding,
            ),
            (
                &[
                    ("transfer-encoding", "identity"),
                    ("transfer-encoding", "chunked"),
                ],
                TransferEncoding,
            ),
            (
                &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
                TransferEncoding,
            ),
            (&[("transfer-encoding", "gzip, chunked")], TransferEncoding),
            (&[("transfer-encoding", "chunked, chunked")], TransferEncoding),
            (&[("transfer-encoding", ",chunked")], TransferEncoding),
            (&[("transfer-encoding", "chunked,")], TransferEncoding),
            (&[("transfer-encoding", "identity")], TransferEncoding),
            (&[("transfer-encoding", "xchunked")], TransferEncoding),
            (&[("transfer-encoding", "\"chunked\"")], TransferEncoding),
            (&[("transfer-encoding", "chunked;q=1")], TransferEncoding),
            (&[("transfer-encoding", "chunked\u{a0}")], TransferEncoding),
            (&[("transfer-encoding", "")], TransferEncoding),
            (&[("content-length", "5"), ("content-length", "5")], ContentLength),
            (&[("content-length", "5"), ("content-length", "6")], ContentLength),
            (&[("content-length", "5, 5")], ContentLength),
            (&[("content-length", "+5")], ContentLength),
            (&[("content-length", "-5")], ContentLength),
            (&[("content-length", "0005")], ContentLength),
            (&[("content-length", "00")], ContentLength),
            (&[("content-length", "")], ContentLength),
            (&[("content-length", "0x5")], ContentLength),
            (&[("content-length", "5 ")], ContentLength),
            (&[("content-length", "5a")], ContentLength),
            (&[("content-length", "9223372036854775808")], TooLarge),
            (&[("content-length", "99999999999999999999999")], TooLarge),
        ] {
            assert_eq!(check(Version::HTTP_11, lines), Err(expected), "{lines:?}");
        }
        for version in [Version::HTTP_10, Version::HTTP_09, Version::HTTP_2] {
            assert_eq!(
                check(version, &[("transfer-encoding", "chunked")]),
                Err(EncodingInVersion)
            );
        }
    }

    fn ambiguous(header: &str) -> bool {
        let mut whole = FramingFields::new();
        whole.read(header.as_bytes());
        // However the bytes are cut into pieces, the count is the same.
        for size in 1..8 {
            let mut pieces = FramingFields::new();
            header
                .as_bytes()
                .chunks(size)
                .for_each(|piece| pieces.read(piece));
            assert_eq!(
                pieces.are_ambiguous(),
                whole.are_ambiguous(),
                "{header:?} in {size}s"
            );
        }
        whole.are_ambiguous()
    }

    #[test]
    fn framing_fields_are_counted_while_they_arrive() {
        for header in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\nX: y\r\nCONTENT-LENGTH:5\r\n\r\n",
            "\r\n\r\nPOST / HTTP/1.1\nContent-Length: 5\nContent-Length: 5\n\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(ambiguous(header), "{header:?}");
        }
        for header in [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX-Content-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length-X: 5\r\nTransfer-Encodin: x\r\n\r\n",
            "Content-Length / HTTP/1.1\r\nContent-Length: 5\r\nX: Transfer-Encoding: chunked\r\n\r\n",
            "",
            "\r\n",
        ] {
            assert!(!ambiguous(header), "{header:?}");
        }
    }
}

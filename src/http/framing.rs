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
}

//! Names a request for the logs: `X-Request-Id` and W3C `traceparent`.
//!
//! Both are kept when a trusted peer sent a well-formed one, else made. Stops log forging and correlation by
//! strangers: what an untrusted peer sends is never kept. The identifiers are unique, not secret.

use super::folding::folded_equals;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest request identifier that is kept, in bytes.
const REQUEST_ID_BYTES: usize = 128;

/// The request's identifier: a trusted peer's single well-formed `X-Request-Id` (1 to 128 bytes of
/// `A-Z a-z 0-9 . _ -`), else 128 random bits in hexadecimal.
pub fn request_id(headers: &HeaderMap, trusted_peer: bool) -> HeaderValue {
    trusted_peer
        .then(|| only_line(headers, &X_REQUEST_ID))
        .flatten()
        .filter(|value| is_request_id(value.as_bytes()))
        .cloned()
        .unwrap_or_else(|| {
            let mut text = [0_u8; 32];
            write_hexadecimal(&mut text, random_bits());
            value(&text)
        })
}

/// The request's trace context (W3C Trace Context §3.2): a trusted peer's single well-formed `traceparent`, else
/// the start of a new, sampled trace. Not sampled would switch off tracing in applications that follow the flag.
pub fn traceparent(headers: &HeaderMap, trusted_peer: bool) -> HeaderValue {
    trusted_peer
        .then(|| only_line(headers, &TRACEPARENT))
        .flatten()
        .filter(|value| is_traceparent(value.as_bytes()))
        .cloned()
        .unwrap_or_else(|| {
            let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
            if let Some(trace) = text.get_mut(3..35) {
                write_hexadecimal(trace, random_bits() | 1);
            }
            if let Some(span) = text.get_mut(36..52) {
                write_hexadecimal(span, u128::from(random_word() | 1) << 64);
            }
            value(&text)
        })
}

/// Sets both fields on a request about to be forwarded and returns its identifier for the log.
///
/// Drops `tracestate` when `traceparent` is new (it belongs to the old one), and other spellings of the three
/// names (`X_Request_Id`) always.
pub fn write_request_id(headers: &mut HeaderMap, trusted_peer: bool) -> HeaderValue {
    let twins: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_twin(name.as_str().as_bytes()))
        .cloned()
        .collect();
    for twin in twins {
        headers.remove(twin);
    }
    let identifier = request_id(headers, trusted_peer);
    let trace = traceparent(headers, trusted_peer);
    if only_line(headers, &TRACEPARENT) != Some(&trace) {
        headers.remove(&TRACESTATE);
    }
    headers.insert(&X_REQUEST_ID, identifier.clone());
    headers.insert(&TRACEPARENT, trace);
    identifier
}

/// Another spelling of `x-request-id`; the other two names have nothing to spell differently.
fn is_twin(name: &[u8]) -> bool {
    folded_equals(name, b"x-request-id") && name != b"x-request-id"
}

fn only_line<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

fn is_request_id(bytes: &[u8]) -> bool {
    (1..=REQUEST_ID_BYTES).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Version 00: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, neither identifier all zeros.
fn is_traceparent(bytes: &[u8]) -> bool {
    let mut parts = bytes.split(|byte| *byte == b'-');
    let mut part = |length: usize| {
        parts.next().is_some_and(|part| {
            part.len() == length && part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let has_shape =
        bytes.starts_with(b"00-") && part(2) && part(32) && part(16) && part(2) && parts.next().is_none();
    let is_zero = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_none_or(|digits| digits.iter().all(|digit| *digit == b'0'))
    };
    has_shape && !is_zero(3..35) && !is_zero(36..52)
}

/// 128 bits that do not repeat.
fn random_bits() -> u128 {
    (u128::from(random_word()) << 64) | u128::from(random_word())
}

/// 64 bits: a keyed hash of a counter, with a key of its own for each thread from the system's random source. A
/// system call for each request would cost more than the rest of this file.
fn random_word() -> u64 {
    thread_local! {
        static STATE: (RandomState, Cell<u64>) = (RandomState::new(), const { Cell::new(0) });
    }
    STATE.with(|(key, counter)| {
        let count = counter.get().wrapping_add(1);
        counter.set(count);
        key.hash_one(count)
    })
}

/// Fills `text`, an even number of digits, with the first of `bits`, lower case.
fn write_hexadecimal(text: &mut [u8], bits: u128) {
    const fn digit(nibble: u8) -> u8 {
        nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
    }
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bits.to_be_bytes()) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
}

/// Letters, digits and hyphens: always a field value.
fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn made_identifiers_are_well_formed_and_unique() {
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let id = request_id(&HeaderMap::new(), true);
            assert_eq!(id.len(), 32);
            assert!(is_request_id(id.as_bytes()));
            assert!(seen.insert(id));
            let trace = traceparent(&HeaderMap::new(), false);
            assert!(is_traceparent(trace.as_bytes()), "{trace:?}");
            assert!(seen.insert(trace));
        }
        let here = request_id(&HeaderMap::new(), false);
        let there = std::thread::spawn(|| request_id(&HeaderMap::new(), false))
            .join()
            .unwrap();
        assert_ne!(here, there);
    }

    #[test]
    fn only_a_trusted_peers_identifier_is_kept() {
        let headers = map(&[("x-request-id", "abc-1.2_3"), ("traceparent", TRACE)]);
        assert_eq!(request_id(&headers, true), "abc-1.2_3");
        assert_ne!(request_id(&headers, false), "abc-1.2_3");
        assert_eq!(traceparent(&headers, true), TRACE);
        assert_ne!(traceparent(&headers, false), TRACE);
    }

    #[test]
    fn malformed_identifiers_are_replaced() {
        let long = "a".repeat(129);
        for id in ["", "a b", "a\"b", "a,b", "<x>", "${jndi}", long.as_str()] {
            assert_ne!(request_id(&map(&[("x-request-id", id)]), true), id, "{id}");
        }
        assert_ne!(
            request_id(&map(&[("x-request-id", "a"), ("x-request-id", "a")]), true),
            "a"
        );
        for trace in [
            "",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        ] {
            assert_ne!(
                traceparent(&map(&[("traceparent", trace)]), true),
                trace,
                "{trace}"
            );
        }
    }

    #[test]
    fn writing_replaces_twins_and_orphaned_state() {
        let lines = [
            ("x_request_id", "evil"),
            ("x-request-id", "mine"),
            ("traceparent", TRACE),
            ("tracestate", "a=b"),
        ];
        let mut headers = map(&lines);
        assert_eq!(write_request_id(&mut headers, true), "mine");
        assert_eq!(headers["tracestate"], "a=b");
        assert!(!headers.contains_key("x_request_id"));
        let mut headers = map(&lines);
        let id = write_request_id(&mut headers, false);
        assert_eq!(headers["x-request-id"], id);
        assert_ne!(headers["traceparent"], TRACE);
        assert!(!headers.contains_key("tracestate"));
    }
}

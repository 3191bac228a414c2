//! Removes the fields that are for one connection only (RFC 9110 §7.6.1).
//!
//! `Connection` may nominate fields for removal, and attackers nominate what the next party trusts
//! (CVE-2024-45410, CVE-2025-48865). So nominations act on what was received, before the proxy sets anything of
//! its own, and never on the host, the framing or the forwarding fields of a trusted peer. All `Connection`
//! lines count, and they are read as bytes. Runs before identity and forwarding fields are set.

use super::folding::folded_starts_with;
use super::trim_optional_whitespace;
use ::http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// The fields that are for one connection only.
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes every hop-by-hop field, and every field that `Connection` nominates except the protected ones.
///
/// `Transfer-Encoding` goes too; the sender frames the body anew. `Content-Length` stays. Does not allocate
/// unless a field beyond the usual `close`, `keep-alive` and `upgrade` is nominated.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // One walk over the names there are costs less than a look-up of each that might be there.
    let mut found = [false; HOP_BY_HOP.len()];
    for name in headers.keys() {
        for (found, hop_by_hop) in found.iter_mut().zip(&HOP_BY_HOP) {
            *found |= name == hop_by_hop;
        }
    }
    if found.first() == Some(&true) {
        remove_nominated(headers);
    }
    for (_, name) in found.iter().zip(&HOP_BY_HOP).filter(|(found, _)| **found) {
        headers.remove(name);
    }
}

fn remove_nominated(headers: &mut HeaderMap) {
    let unusual: Vec<HeaderValue> = headers
        .get_all(CONNECTION)
        .iter()
        .filter(|line| nominations(line).any(|name| !is_usual(name)))
        .cloned()
        .collect();
    for line in &unusual {
        for name in nominations(line).filter(|name| !is_usual(name)) {
            if let Ok(name) = HeaderName::from_bytes(name)
                && !is_protected(&name)
            {
                headers.remove(name);
            }
        }
    }
}

/// The names in one line of `Connection`, trimmed.
fn nominations(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes()
        .split(|byte| *byte == b',')
        .map(trim_optional_whitespace)
}

/// Options that name nothing which is not removed anyway.
fn is_usual(option: &[u8]) -> bool {
    option.is_empty()
        || option.eq_ignore_ascii_case(b"keep-alive")
        || option.eq_ignore_ascii_case(b"close")
        || option.eq_ignore_ascii_case(b"upgrade")
}

/// What no nomination removes: the host, the body's length, and what trusted peers say about the client.
fn is_protected(name: &HeaderName) -> bool {
    let bytes = name.as_str().as_bytes();
    name == HOST
        || name == CONTENT_LENGTH
        || folded_starts_with(bytes, b"x-forwarded")
        || folded_starts_with(bytes, b"forwarded")
        || folded_starts_with(bytes, b"x-real-ip")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        headers
    }

    fn left(lines: &[(&str, &[u8])]) -> Vec<String> {
        let mut headers = headers(lines);
        remove_hop_by_hop(&mut headers);
        let mut names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_hop_by_hop_field_goes() {
        let gone = [
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        for name in gone {
            assert_eq!(
                left(&[(name, b"x"), (name, b"y"), ("accept", b"z")]),
                ["accept"],
                "{name}"
            );
        }
    }

    #[test]
    fn nominations_of_all_lines_count_as_bytes() {
        assert_eq!(
            left(&[
                ("connection", b"close, X-One"),
                ("connection", b"\xff, x-two\t"),
                ("connection", b"keep-alive , ,x-three,x four"),
                ("x-one", b"1"),
                ("x-two", b"2"),
                ("x-three", b"3"),
                ("x-four", b"4"),
            ]),
            ["x-four"]
        );
    }

    #[test]
    fn nominations_do_not_touch_host_framing_or_forwarding() {
        let lines: &[(&str, &[u8])] = &[
            (
                "connection",
                b"host, Content-Length, X-Forwarded-For, x-forwarded-proto, forwarded, X-Real-IP",
            ),
            ("host", b"a.test"),
            ("content-length", b"3"),
            ("x-forwarded-for", b"1.2.3.4"),
            ("x-forwarded-proto", b"https"),
            ("forwarded", b"for=1.2.3.4"),
            ("x-real-ip", b"1.2.3.4"),
        ];
        assert_eq!(
            left(lines),
            [
                "content-length",
                "forwarded",
                "host",
                "x-forwarded-for",
                "x-forwarded-proto",
                "x-real-ip"
            ]
        );
    }

    #[test]
    fn a_self_nomination_is_harmless() {
        assert!(left(&[("connection", b"connection, connection, x"), ("x", b"1")]).is_empty());
    }
}

//! Reads the one host that a request names.
//!
//! Promises exactly one valid host, or an error: two `Host` lines, a list, user information, a path in the
//! host, or an absolute-form authority that differs are refused (rule: what one party takes for the host, every
//! party takes). Knows no list of allowed hosts, and never builds a URL.

use super::target::RequestTarget;
use ::http::Version;
use ::http::header::{HOST, HeaderMap, HeaderValue};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A validated host with an optional port, the host in lower case.
///
/// Cheap to clone: it shares the bytes of the field it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAndPort {
    /// The whole text, ASCII.
    value: HeaderValue,
    /// Bytes of the host, brackets of an IPv6 literal included.
    host_bytes: usize,
    port: Option<u16>,
}

/// Why a request's host is refused: the client's fault, answer 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No `Host` field, and in HTTP/2 no `:authority` either.
    #[error("the request names no host")]
    Missing,
    /// More than one `Host` line.
    #[error("the request has more than one Host field")]
    Repeated,
    /// Not `host[:port]` (RFC 9110 §7.2), or a number that programs read as different addresses.
    #[error("the Host field is malformed")]
    Malformed,
    /// `Host` differs from the authority in the request target.
    #[error("the Host field differs from the request target")]
    Mismatch,
}

/// Longest host name, in bytes (RFC 1035 §2.3.4).
const HOST_BYTES: usize = 255;

impl HostAndPort {
    /// Validates `host[:port]`. Does not allocate when the text is in lower case.
    ///
    /// # Errors
    /// [`HostError::Malformed`].
    pub fn from_value(value: &HeaderValue) -> Result<Self, HostError> {
        let text = value.to_str().map_err(|_| HostError::Malformed)?;
        let (host_bytes, port) = split(text).ok_or(HostError::Malformed)?;
        let value = if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            HeaderValue::from_str(&text.to_ascii_lowercase()).map_err(|_| HostError::Malformed)?
        } else {
            value.clone()
        };
        Ok(Self {
            value,
            host_bytes,
            port,
        })
    }

    /// `host` or `host:port`, lower case.
    pub fn as_str(&self) -> &str {
        self.value.to_str().unwrap_or_default()
    }

    /// The host alone, lower case; an IPv6 literal keeps its brackets.
    pub fn host(&self) -> &str {
        self.as_str().get(..self.host_bytes).unwrap_or_default()
    }

    /// The port, when one was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The whole as a field value, for `X-Forwarded-Host` and a rewritten `Host`.
    pub fn as_header_value(&self) -> &HeaderValue {
        &self.value
    }
}

impl fmt::Display for HostAndPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::str::FromStr for HostAndPort {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        Self::from_value(&HeaderValue::from_str(text).map_err(|_| HostError::Malformed)?)
    }
}

/// The host a request is for: exactly one valid `Host` in HTTP/1.0 and 1.1, in HTTP/2 the `:authority`; where
/// both are there they must be equal.
///
/// # Errors
/// Every [`HostError`] asks for a 400.
pub fn request_host(
    version: Version,
    headers: &HeaderMap,
    target: &RequestTarget,
) -> Result<HostAndPort, HostError> {
    let mut lines = headers.get_all(HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(HostError::Repeated);
    }
    match (line, target.authority()) {
        (None, Some(authority)) if version >= Version::HTTP_2 => authority.as_str().parse(),
        (None, _) => Err(HostError::Missing),
        (Some(line), None) => HostAndPort::from_value(line),
        (Some(line), Some(authority)) => {
            let host = HostAndPort::from_value(line)?;
            if host.as_str().eq_ignore_ascii_case(authority.as_str()) {
                Ok(host)
            } else {
                Err(HostError::Mismatch)
            }
        }
    }
}

/// The length of the host in `text` and its port; `None` when it is not a valid `host[:port]`.
fn split(text: &str) -> Option<(usize, Option<u16>)> {
    let host_bytes = if let Some(inner) = text.strip_prefix('[') {
        let (address, _) = inner.split_once(']')?;
        // No zone: `Ipv6Addr` does not parse one.
        address.parse::<Ipv6Addr>().ok()?;
        address.len().checked_add(2)?
    } else {
        let host = text.split_once(':').map_or(text, |(host, _)| host);
        is_name_or_ipv4(host).then_some(host.len())?
    };
    let port = match text.get(host_bytes..)? {
        "" => None,
        rest => Some(parse_port(rest.strip_prefix(':')?)?),
    };
    Some((host_bytes, port))
}

/// Letters, digits, `-`, `_` in labels parted by single dots. Narrower than RFC 3986's reg-name, which allows
/// escapes and commas; a name that ends in a number must be an IPv4 address in four plain decimals, for
/// `127.1` and `0x7f.1` are addresses to some programs and names to others.
fn is_name_or_ipv4(host: &str) -> bool {
    if host.is_empty() || host.len() > HOST_BYTES {
        return false;
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let mut last = "";
    for label in name.split('.') {
        if label.is_empty()
            || !label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return false;
        }
        last = label;
    }
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or_else(|| last.strip_prefix("0X"))
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    !is_number || host.parse::<Ipv4Addr>().is_ok()
}

/// 1 to 65535 in plain decimal, no sign, no leading zero.
pub(super) fn parse_port(digits: &str) -> Option<u16> {
    if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::Uri;

    fn target(text: &str) -> RequestTarget {
        RequestTarget::parse(&text.parse::<Uri>().unwrap(), 8192).unwrap()
    }

    fn host(lines: &[&str], uri: &str) -> Result<String, HostError> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HOST, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        request_host(Version::HTTP_11, &headers, &target(uri)).map(|host| host.to_string())
    }

    #[test]
    fn valid_hosts_come_out_in_lower_case() {
        for (line, expected, name, port) in [
            ("example.com", "example.com", "example.com", None),
            ("Example.COM:8443", "example.com:8443", "example.com", Some(8443)),
            ("localhost:3000", "localhost:3000", "localhost", Some(3000)),
            ("my_app", "my_app", "my_app", None),
            ("127.0.0.1:80", "127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]", "[::1]", "[::1]", None),
            (
                "[2001:DB8::1]:443",
                "[2001:db8::1]:443",
                "[2001:db8::1]",
                Some(443),
            ),
            (
                "xn--bcher-kva.example.",
                "xn--bcher-kva.example.",
                "xn--bcher-kva.example.",
                None,
            ),
            (
                "1password.example",
                "1password.example",
                "1password.example",
                None,
            ),
        ] {
            let parsed: HostAndPort = line.parse().expect(line);
            assert_eq!(
                (parsed.as_str(), parsed.host(), parsed.port()),
                (expected, name, port),
                "{line}"
            );
            assert_eq!(host(&[line], "/").as_deref(), Ok(expected));
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        for line in [
            "",
            " ",
            "a b",
            "a,b",
            "a@b",
            "user:x@b",
            "a/b?c",
            "a#b",
            "a?b",
            "a\\b",
            "a:",
            "a:0",
            "a:080",
            "a:+80",
            "a:65536",
            "a:80:80",
            "a:b",
            ":80",
            ".",
            "..",
            "a..b",
            ".a",
            "a%41",
            "a;b",
            "a'b",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "127.0.0.01",
            "127.0.0.1.",
            "1.2.3.4.5",
            "256.1.1.1",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:",
            "[fe80::1%25eth0]",
            "[1.2.3.4]",
            "[]",
            "ex\u{e4}mple.com",
        ] {
            assert_eq!(host(&[line], "/"), Err(HostError::Malformed), "{line:?}");
        }
        assert_eq!(host(&[&"a".repeat(256)], "/"), Err(HostError::Malformed));
    }

    #[test]
    fn exactly_one_host_that_equals_the_target() {
        assert_eq!(host(&[], "/"), Err(HostError::Missing));
        assert_eq!(host(&[], "http://a.test/"), Err(HostError::Missing));
        assert_eq!(host(&["a.test", "a.test"], "/"), Err(HostError::Repeated));
        assert_eq!(host(&["a.test", "b.test"], "/"), Err(HostError::Repeated));
        assert_eq!(host(&["a.test"], "http://A.test/").as_deref(), Ok("a.test"));
        assert_eq!(host(&["a.test"], "http://b.test/"), Err(HostError::Mismatch));
        assert_eq!(host(&["a.test"], "http://a.test:81/"), Err(HostError::Mismatch));
        assert_eq!(
            request_host(Version::HTTP_10, &HeaderMap::new(), &target("/")).map(|_| ()),
            Err(HostError::Missing),
            "HTTP/1.0 too"
        );
        let from_authority = request_host(Version::HTTP_2, &HeaderMap::new(), &target("https://A.test/x"));
        assert_eq!(
            from_authority.map(|host| host.to_string()).as_deref(),
            Ok("a.test")
        );
    }

    #[test]
    fn the_ordinary_host_shares_the_fields_bytes() {
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from("example.com".to_owned())).unwrap();
        let parsed = HostAndPort::from_value(&value).unwrap();
        assert_eq!(
            parsed.as_header_value().as_bytes().as_ptr(),
            value.as_bytes().as_ptr()
        );
    }
}

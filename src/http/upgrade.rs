//! Recognises the one upgrade that passes: a well-formed WebSocket handshake (RFC 6455 §4.1).
//!
//! Every other `Upgrade` is dropped with the hop-by-hop fields and the request goes on as plain HTTP, so
//! `h2c`, in any case or in a list, never opens a tunnel past the checks. A tunnel is opened only after the
//! application answered 101. Also judges `Origin`, which the browser's same-origin policy does not do for
//! WebSockets.

use super::list_items;
use ::http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use ::http::{HeaderName, HeaderValue, Method, Version};

/// What protocol a request asks to switch to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// None that is let through.
    None,
    /// A WebSocket handshake that keeps all the rules.
    WebSocket,
}

/// Why a WebSocket handshake is refused: the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// A version other than 13: answer 426 with `Sec-WebSocket-Version: 13` (RFC 6455 §4.4).
    #[error("the WebSocket version is not 13")]
    Version,
    /// A method other than GET: answer 400.
    #[error("a WebSocket handshake must be a GET")]
    Method,
    /// `Connection` does not say `upgrade`: answer 400.
    #[error("a WebSocket handshake needs Connection: upgrade")]
    Connection,
    /// A body is announced: answer 400.
    #[error("a WebSocket handshake has no body")]
    Body,
    /// No `Sec-WebSocket-Key`, several, or one that is not 16 bytes in base64: answer 400.
    #[error("the Sec-WebSocket-Key is malformed")]
    Key,
}

/// Which upgrade a request asks for. Costs one look-up when there is no `Upgrade` field.
///
/// # Errors
/// A request that asks for `websocket`, and for nothing else, but breaks the handshake's rules.
pub fn requested_upgrade(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
) -> Result<Upgrade, UpgradeError> {
    if !headers.contains_key(UPGRADE) {
        return Ok(Upgrade::None);
    }
    // RFC 9110 §7.8: the field is ignored in HTTP/1.0; HTTP/2 does not have it.
    if version != Version::HTTP_11 {
        return Ok(Upgrade::None);
    }
    let mut protocols = list_items(headers, &UPGRADE);
    let is_websocket = protocols
        .next()
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    if !is_websocket || protocols.next().is_some() {
        return Ok(Upgrade::None);
    }
    if method != Method::GET {
        return Err(UpgradeError::Method);
    }
    if !list_items(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
        return Err(UpgradeError::Connection);
    }
    if headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get_all(CONTENT_LENGTH)
            .iter()
            .any(|length| length.as_bytes() != b"0")
    {
        return Err(UpgradeError::Body);
    }
    if only_line(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        return Err(UpgradeError::Version);
    }
    if !only_line(headers, &SEC_WEBSOCKET_KEY).is_some_and(|key| is_key(key.as_bytes())) {
        return Err(UpgradeError::Key);
    }
    Ok(Upgrade::WebSocket)
}

/// Whether `Upgrade` names anything but one `websocket`.
pub fn names_other_protocol(headers: &HeaderMap) -> bool {
    let mut protocols = list_items(headers, &UPGRADE);
    let is_other = |protocol: &[u8]| !protocol.eq_ignore_ascii_case(b"websocket");
    protocols.next().is_some_and(is_other) || protocols.next().is_some()
}

/// Whether a WebSocket handshake comes from our own pages: no `Origin` (no browser), or exactly one that equals
/// `public_origin` (`scheme://host[:port]`) but for case. Stops cross-site WebSocket hijacking.
pub fn origin_allowed(headers: &HeaderMap, public_origin: &str) -> bool {
    let mut lines = headers.get_all(ORIGIN).iter();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(origin), None) => origin.as_bytes().eq_ignore_ascii_case(public_origin.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// The field's value when it has exactly one line.
fn only_line<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

/// 16 bytes in base64: 22 letters and two signs of padding.
fn is_key(key: &[u8]) -> bool {
    key.strip_suffix(b"==").is_some_and(|letters| {
        letters.len() == 22
            && letters
                .iter()
                .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: &[(&str, &str)] = &[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        headers
    }

    /// The handshake with one field replaced by these lines.
    fn with(name: &str, values: &[&str]) -> HeaderMap {
        let mut lines: Vec<(&str, &str)> = HANDSHAKE.iter().copied().filter(|line| line.0 != name).collect();
        lines.extend(values.iter().map(|value| (name, *value)));
        map(&lines)
    }

    fn requested(headers: &HeaderMap) -> Result<Upgrade, UpgradeError> {
        requested_upgrade(&Method::GET, Version::HTTP_11, headers)
    }

    #[test]
    fn a_proper_handshake_passes() {
        assert_eq!(requested(&map(HANDSHAKE)), Ok(Upgrade::WebSocket));
        assert_eq!(requested(&with("content-length", &["0"])), Ok(Upgrade::WebSocket));
        assert_eq!(
            requested(&with("connection", &["close", "upgrade"])),
            Ok(Upgrade::WebSocket)
        );
    }

    #[test]
    fn other_protocols_are_dropped() {
        for value in [
            "h2c",
            "H2C",
            "websocket, h2c",
            "h2c, websocket",
            "TLS/1.0",
            "websocket/13",
            "websockets",
            "",
            ",",
        ] {
            assert_eq!(
                requested(&with("upgrade", &[value])),
                Ok(Upgrade::None),
                "{value:?}"
            );
        }
        assert_eq!(
            requested(&with("upgrade", &["websocket", "h2c"])),
            Ok(Upgrade::None)
        );
        assert_eq!(
            requested(&with("upgrade", &["websocket", "websocket"])),
            Ok(Upgrade::None)
        );
        assert_eq!(requested(&with("upgrade", &[])), Ok(Upgrade::None));
        for version in [Version::HTTP_10, Version::HTTP_2] {
            assert_eq!(
                requested_upgrade(&Method::GET, version, &map(HANDSHAKE)),
                Ok(Upgrade::None)
            );
        }
    }

    #[test]
    fn a_broken_handshake_is_an_error() {
        use UpgradeError::*;
        for (name, values, expected) in [
            ("connection", &["keep-alive"][..], Connection),
            ("connection", &[], Connection),
            ("connection", &["upgrades"], Connection),
            ("content-length", &["5"], Body),
            ("transfer-encoding", &["chunked"], Body),
            ("sec-websocket-version", &[], Version),
            ("sec-websocket-version", &["8"], Version),
            ("sec-websocket-version", &["13, 8"], Version),
            ("sec-websocket-version", &["13", "13"], Version),
            ("sec-websocket-key", &[], Key),
            (
                "sec-websocket-key",
                &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="],
                Key,
            ),
            ("sec-websocket-key", &["short=="], Key),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQAA"], Key),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25j!Q=="], Key),
        ] {
            assert_eq!(
                requested(&with(name, values)),
                Err(expected),
                "{name}: {values:?}"
            );
        }
        assert_eq!(
            requested_upgrade(&::http::Method::POST, ::http::Version::HTTP_11, &map(HANDSHAKE)),
            Err(Method)
        );
    }

    #[test]
    fn foreign_origins_are_refused() {
        let allowed = |lines: &[&str]| {
            let lines: Vec<(&str, &str)> = lines.iter().map(|value| ("origin", *value)).collect();
            origin_allowed(&map(&lines), "https://app.example.com")
        };
        assert!(allowed(&[]));
        assert!(allowed(&["https://app.example.com"]));
        assert!(allowed(&["https://App.Example.com"]));
        for origin in [
            "null",
            "",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.test",
            "https://app.example.com/",
            "https://evil.test",
        ] {
            assert!(!allowed(&[origin]), "{origin}");
        }
        assert!(!allowed(&["https://app.example.com", "https://app.example.com"]));
    }
}

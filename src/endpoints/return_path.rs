//! Where a browser goes after a sign-in or sign-out: always a place on this site, which is the public origin and the hosts
//! that share its session.
//!
//! Stops open redirects. A return path is stored inside sealed state, never in the clear, and is emitted as an
//! absolute URL on the configured origin, so no parser may take it for another host.

use super::paths::EndpointPaths;
use crate::http::forwarded::PublicOrigin;
use percent_encoding::percent_decode_str;
use url::Url;

/// The longest return path that is kept, in bytes. A longer one falls back to its path, then to `/`.
const MAXIMUM_BYTES: usize = 2048;

/// A path, with query and fragment if any, that stays on the public origin and is none of the proxy's own
/// endpoints. Byte for byte what was asked for. Or such a path on a host below `session.cookie_domain`, as an absolute URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnPath(String);

impl ReturnPath {
    /// The root.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Accepts a same-origin path, judged as a browser would: by the WHATWG URL parser against the origin.
    pub fn parse(text: &str, origin: &PublicOrigin, endpoints: &EndpointPaths) -> Option<Self> {
        let bytes = text.as_bytes();
        let rooted = bytes.first() == Some(&b'/') && !matches!(bytes.get(1), Some(b'/' | b'\\'));
        let plain = bytes.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\');
        if !rooted || !plain || text.len() > MAXIMUM_BYTES {
            return None;
        }
        let base = Url::parse(origin.as_str()).ok()?;
        let target = base.join(text).ok()?;
        if target.origin() != base.origin()
            || !target.username().is_empty()
            || target.path().starts_with("//")
        {
            return None;
        }
        // The browser resolves dot segments before it asks, so the resolved path is what counts.
        let resolved = percent_decode_str(target.path()).decode_utf8().ok()?;
        (!endpoints.is_no_destination(&resolved)).then(|| Self(text.to_owned()))
    }

    /// Accepts an absolute URL on a host below the cookie domain, with the scheme of the public origin: whoever serves that
    /// host is sent the session cookie anyway. Written as its parser would write its origin, so that none reads another one.
    pub fn parse_sibling(
        text: &str,
        origin: &PublicOrigin,
        domain: &str,
        endpoints: &EndpointPaths,
    ) -> Option<Self> {
        if text.len() > MAXIMUM_BYTES {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let path = text.strip_prefix(&url.origin().ascii_serialization())?;
        let Some(url::Host::Domain(host)) = url.host() else {
            return None;
        };
        let is_below = host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if url.scheme() != origin.scheme() || !is_below {
            return None;
        }
        let on_host = PublicOrigin::parse(&url.origin().ascii_serialization())?;
        Self::parse(path, &on_host, endpoints).map(|_| Self(text.to_owned()))
    }

    /// The same, or the path without its query when that is too long, or `/`.
    pub fn parse_or_root(text: &str, origin: &PublicOrigin, endpoints: &EndpointPaths) -> Self {
        let without_query = || {
            let path = text.split(['?', '#']).next().unwrap_or("/");
            (text.len() > MAXIMUM_BYTES)
                .then(|| Self::parse(path, origin, endpoints))
                .flatten()
        };
        Self::parse(text, origin, endpoints)
            .or_else(without_query)
            .unwrap_or_else(Self::root)
    }

    /// The path, or the absolute URL, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The absolute URL to redirect to.
    pub fn on(&self, origin: &PublicOrigin) -> String {
        if self.0.starts_with('/') {
            format!("{}{}", origin.as_str(), self.0)
        } else {
            self.0.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin() -> PublicOrigin {
        PublicOrigin::parse("https://app.example.com").unwrap()
    }

    fn parse(text: &str) -> Option<ReturnPath> {
        ReturnPath::parse(text, &origin(), &EndpointPaths::under("/.logto"))
    }

    #[test]
    fn honest_paths_are_kept_byte_for_byte() {
        for text in [
            "/",
            "/a",
            "/a?next=https://x//y",
            "/a//b",
            "/caf%C3%A9?q=%20#top",
            "/a/./b",
            "/@me",
            "/a:b",
            "/?a=1&b=//evil.test",
            "/.logto/sessions",
        ] {
            assert_eq!(parse(text).as_ref().map(ReturnPath::as_str), Some(text));
        }
    }

    #[test]
    fn nothing_leads_away_or_to_our_own_endpoints() {
        for text in [
            "",
            "a",
            "//evil.test",
            "///evil.test",
            "/\\evil.test",
            "\\/evil.test",
            "https://evil.test",
            "https:evil.test",
            "javascript:alert(1)",
            "/\tevil.test",
            "/\n/evil.test",
            " /a",
            "/a b",
            "/é",
            "@evil.test",
            ".evil.test",
            "/.//evil.test",
            "/x/..//evil.test",
            "/%2e%2e//evil.test",
            "/.logto/sign-out",
            "/.logto/sign-out?x",
            "/x/../.logto/sign-in",
            "/%2elogto/callback",
            "/.logto/%73ign-out",
            "/.logto/sessions/revoke",
            "/.logto/webhook",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_long_one_falls_back_to_its_path() {
        let endpoints = EndpointPaths::under("/.logto");
        let long_query = format!("/page?{}", "q".repeat(3000));
        assert_eq!(
            ReturnPath::parse_or_root(&long_query, &origin(), &endpoints).as_str(),
            "/page"
        );
        let long_path = format!("/{}", "p".repeat(3000));
        assert_eq!(
            ReturnPath::parse_or_root(&long_path, &origin(), &endpoints).as_str(),
            "/"
        );
    }

    #[test]
    fn hosts_below_the_cookie_domain_are_of_this_site_and_no_others() {
        let sibling = |text: &str| {
            let endpoints = EndpointPaths::under("/.logto");
            ReturnPath::parse_sibling(text, &origin(), "example.com", &endpoints)
        };
        for text in [
            "https://app2.example.com/",
            "https://example.com/a?b=https://x#c",
            "https://a.b.example.com:8443/a//b",
        ] {
            let path = sibling(text).unwrap();
            assert_eq!((path.as_str(), path.on(&origin()).as_str()), (text, text));
        }
        for text in [
            "/",
            "http://app2.example.com/",
            "ftp://app2.example.com/",
            "https://app2.example.com",
            "https://app2.example.com?x",
            "https://evil.test/",
            "https://evilexample.com/",
            "https://example.com.evil.test/",
            "https://app2.example.com@evil.test/",
            "https://evil.test#.example.com/",
            "https://evil.test\\.example.com/",
            "https:\\\\app2.example.com/",
            "https:/app2.example.com/",
            "https:app2.example.com/",
            "https://user@app2.example.com/",
            "https://APP2.example.com/",
            "https://app2.example.com:443/",
            "https://app2.example.com//evil.test",
            "https://app2.example.com/\\evil.test",
            "https://app2.example.com/a b",
            " https://app2.example.com/",
            "https://app2.example.com/.logto/sign-out",
            "https://app2.example.com/.logto/auth",
            "https://[::1]/",
            "https://127.0.0.1/",
            "javascript:alert(1)",
        ] {
            assert_eq!(sibling(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_on_the_origin(text in "[/\\\\.@:%a-z0-9?#\t ]{0,24}") {
            if let Some(path) = parse(&text) {
                let base = Url::parse(origin().as_str()).unwrap();
                for target in [base.join(path.as_str()).unwrap(), Url::parse(&path.on(&origin())).unwrap()] {
                    prop_assert_eq!(target.origin(), base.origin());
                }
            }
        }
    }
}

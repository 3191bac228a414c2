//! Host patterns of rules: one name or address, or everything below a name.
//!
//! Which host a request names is the client's choice. A pattern selects rules; it protects nothing by itself.

use crate::http::host::HostAndPort;
use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

/// What a rule's `host` covers; ports are not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host, in lower case, without a final dot; IPv6 in brackets, in its canonical form.
    Exact(String),
    /// Every name that ends in a dot and this one, by however many labels, but not this one: `*.example.com`.
    Below(String),
}

/// A text that is no host pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host is a name, an address, or \"*.\" and a name; without a port")]
pub struct HostPatternError;

impl HostPattern {
    /// Reads `app.example.com`, `*.example.com`, `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`; case does not matter.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        if let Some(name) = text.strip_prefix("*.") {
            let name = plain(name).ok_or(HostPatternError)?;
            let is_name = name.parse::<std::net::Ipv4Addr>().is_err() && !name.starts_with('[');
            return is_name.then_some(Self::Below(name)).ok_or(HostPatternError);
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Exact(format!("[{address}]")));
        }
        plain(text).map(Self::Exact).ok_or(HostPatternError)
    }
}

impl HostPattern {
    /// Whether a normal host is covered. The route table finds by another way what this defines.
    pub(super) fn covers(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(name) => parents(host).any(|parent| parent == name),
        }
    }
}

/// A host without a port, as requests name it and as [`normal`] makes it.
fn plain(text: &str) -> Option<String> {
    let host: HostAndPort = text.parse().ok()?;
    host.port().is_none().then(|| normal(host.host()).into_owned())
}

/// One spelling of a host, which must be in lower case: no final dot, IPv6 in its canonical form. What names the same host
/// must not fall under another rule.
pub(super) fn normal(host: &str) -> Cow<'_, str> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(address) => Cow::Owned(format!("[{address}]")),
            Err(_) => Cow::Borrowed(host),
        };
    }
    Cow::Borrowed(host.strip_suffix('.').unwrap_or(host))
}

/// The names that a normal host is below, the longest first.
pub(super) fn parents(host: &str) -> impl Iterator<Item = &str> {
    let is_name = !host.starts_with('[');
    let mut rest = Some(host).filter(|_| is_name);
    std::iter::from_fn(move || {
        let (_, parent) = rest?.split_once('.')?;
        rest = Some(parent);
        Some(parent)
    })
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => formatter.write_str(host),
            Self::Below(name) => write!(formatter, "*.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_one_pattern() {
        for (text, shown) in [
            ("app.example.com", "app.example.com"),
            ("APP.Example.com", "app.example.com"),
            ("app.example.com.", "app.example.com"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0::1", "[2001:db8::1]"),
            ("[2001:db8:0:0:0:0:0:1]", "[2001:db8::1]"),
            ("*.example.com", "*.example.com"),
            ("*.Example.COM.", "*.example.com"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(HostPattern::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "*",
            "*.",
            "*.*.com",
            "app.*.com",
            "*app.example.com",
            "app.example.com:443",
            "https://x",
            "a b",
            "a/b",
            "a..b",
            ".example.com",
            "*.192.0.2.1",
            "*.[::1]",
            "[::1",
            "user@host",
            "münchen.example",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parents_are_whole_labels_from_the_longest() {
        assert_eq!(
            parents("a.b.example.com").collect::<Vec<_>>(),
            ["b.example.com", "example.com", "com"]
        );
        assert_eq!(parents("com").count(), 0);
        assert_eq!(parents("[2001:db8::1.2.3.4]").count(), 0);
    }
}

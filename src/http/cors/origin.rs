//! Which origins a policy is about.
//!
//! An origin is compared as browsers serialise it (RFC 6454 §6.2): scheme, host in lower case, port unless it is the scheme's
//! own. A pattern that no browser could ever send is an error, so that a list never names nobody by mistake.

use std::fmt;
use url::{Host, Url};

/// One origin, or those of every name below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginPattern {
    /// This one: `https://app.example.com`, `http://localhost:5173`, `capacitor://localhost`.
    Exact(String),
    /// Every name that ends in a dot and this one, by however many labels: `https://*.example.com`.
    Below {
        /// With its `://`.
        scheme: String,
        /// With its leading dot, and the port if there is one.
        end: String,
    },
    /// `null`: sandboxed frames, files, and redirects from elsewhere. Any page can make a frame that has it.
    Null,
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Browsers write it like this.
    #[error("browsers write this origin `{0}`")]
    Spelling(String),
    /// It never is one.
    #[error("an origin is a scheme, a host and perhaps a port, such as `https://app.example.com`")]
    Malformed,
    /// A star in the wrong place.
    #[error("`*.` stands for the names below one with two labels at least, such as `https://*.example.com`")]
    Star,
}

impl OriginPattern {
    /// Reads one.
    ///
    /// # Errors
    /// Browsers send no such origin.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let (scheme, authority) = text.split_once("://").ok_or(OriginError::Malformed)?;
        let Some(name) = authority.strip_prefix("*.") else {
            return exact(text, scheme, authority).map(Self::Exact);
        };
        let is_web = matches!(scheme, "http" | "https");
        let whole = exact(&format!("{scheme}://{name}"), scheme, name).map_err(|error| match error {
            OriginError::Spelling(right) => OriginError::Spelling(right.replacen("://", "://*.", 1)),
            other => other,
        })?;
        let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
        let is_name = host.contains('.') && matches!(Host::parse(host), Ok(Host::Domain(_)));
        if !is_web || !is_name || whole.contains('*') {
            return Err(OriginError::Star);
        }
        Ok(Self::Below {
            scheme: format!("{scheme}://"),
            end: format!(".{name}"),
        })
    }

    /// Whether an `Origin` is one of these.
    pub fn covers(&self, origin: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => origin == exact.as_bytes(),
            Self::Null => origin == b"null",
            Self::Below { scheme, end } => {
                let labels = origin
                    .strip_prefix(scheme.as_bytes())
                    .and_then(|rest| rest.strip_suffix(end.as_bytes()));
                let fits = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
                labels.is_some_and(|labels| !labels.is_empty() && labels.iter().all(fits))
            }
        }
    }

    /// Whether anybody on the network may be this origin: plain HTTP, and not on the browser's own machine.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Exact(origin) => origin
                .strip_prefix("http://")
                .is_some_and(|authority| !is_loopback(authority)),
            Self::Below { scheme, .. } => scheme == "http://",
            Self::Null => false,
        }
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}

/// The one spelling of an origin.
fn exact(text: &str, scheme: &str, authority: &str) -> Result<String, OriginError> {
    if authority.contains('*') {
        return Err(OriginError::Star);
    }
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return of_an_app(text, scheme, authority);
    }
    let url = Url::parse(text).map_err(|_| OriginError::Malformed)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OriginError::Malformed);
    }
    let written = url.origin().ascii_serialization();
    if written == text {
        Ok(written)
    } else {
        Err(OriginError::Spelling(written))
    }
}

/// Schemes of browser extensions and of apps that are made of web pages. Nobody says how these are serialised; it is compared
/// as it stands.
fn of_an_app(text: &str, scheme: &str, authority: &str) -> Result<String, OriginError> {
    let in_scheme =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    let fits = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(in_scheme)
        && !authority.is_empty()
        && authority.bytes().all(in_host);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(OriginError::Malformed)
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(origin) => formatter.write_str(origin),
            Self::Below { scheme, end } => write!(formatter, "{scheme}*{end}"),
            Self::Null => formatter.write_str("null"),
        }
    }
}

//! Addresses: where we listen, what we are called, where the app and Logto are.

use super::super::error::Problem;
use ::http::HeaderValue;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use url::{Host, Url};

/// The longest path of a unix socket in bytes: `sun_path` holds 108 with its final NUL.
const SOCKET_PATH_BYTES: usize = 107;

/// Where to accept connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An IP address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The absolute path of a unix socket.
    Unix(PathBuf),
}

/// Where browsers reach the proxy: a scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    authority: String,
    host: String,
    port: u16,
    secure: bool,
}

/// Where the app is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UpstreamAddress {
    /// HTTP over TCP. An IPv6 address stands without brackets.
    Tcp {
        /// Host name or IP address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// HTTP over TLS. An IPv6 address stands without brackets.
    Tls {
        /// Host name or IP address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// HTTP over a unix socket of this absolute path.
    Unix(PathBuf),
}

/// The `Host` that the app sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The one the browser sent.
    Keep,
    /// That of the upstream's address: already worked out here.
    Rewrite(HeaderValue),
    /// This one.
    Value(HeaderValue),
}

impl PublicUrl {
    /// Scheme, host and, unless it is the scheme's own, port: what an `Origin` header says.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Whether the scheme is https.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host and, unless it is the scheme's own, port: what a `Host` header says.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host in lower case; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, given or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The absolute URL of a path on this site. The path begins with `/`.
    pub fn url_of(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(in super::super) fn parse(text: &str) -> Result<Self, Problem> {
        let url = parse_origin(text)?;
        let secure = url.scheme() == "https";
        if !secure && !is_loopback(&url) {
            return Err(Problem::new("http is allowed on a loopback host only")
                .help("browsers drop Secure cookies over http: use https, or localhost for development"));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        if host.ends_with('.') {
            return Err(Problem::new("the host must not end with a dot"));
        }
        let authority = url
            .port()
            .map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let port = url.port_or_known_default().unwrap_or_default();
        Ok(Self {
            origin: format!("{}://{authority}", url.scheme()),
            authority,
            host,
            port,
            secure,
        })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin)
    }
}

impl ListenAddress {
    /// Reads `ip:port` or `unix:/path`.
    pub(in super::super) fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            let help = match text.rsplit_once(':') {
                Some(("", port)) if port.parse::<u16>().is_ok() => Some(format!(
                    "write 0.0.0.0:{port} for every interface, 127.0.0.1:{port} for this machine alone"
                )),
                Some(("localhost", port)) if port.parse::<u16>().is_ok() => {
                    Some(format!("names are not looked up here: write 127.0.0.1:{port}"))
                }
                _ => None,
            };
            Problem::new("expected `ip:port` or `unix:/path`").maybe_help(help)
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl UpstreamAddress {
    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }

    pub(in super::super) fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path.strip_prefix("//").unwrap_or(path)).map(Self::Unix);
        }
        let url = parse_origin(text).map_err(|problem| {
            if has_http_scheme(text) {
                problem
            } else {
                Problem::new("expected http://host:port, https://host:port or unix:/path")
            }
        })?;
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        if port == 0 {
            return Err(Problem::new("port 0 cannot be connected to"));
        }
        Ok(if url.scheme() == "https" {
            Self::Tls { host, port }
        } else {
            Self::Tcp { host, port }
        })
    }

    /// What a `Host` header for this upstream says; `None` for a unix socket.
    pub fn authority(&self) -> Option<String> {
        let (host, port, usual) = match self {
            Self::Tcp { host, port } => (host, *port, 80),
            Self::Tls { host, port } => (host, *port, 443),
            Self::Unix(_) => return None,
        };
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        Some(if port == usual {
            host
        } else {
            format!("{host}:{port}")
        })
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { .. } => write!(formatter, "http://{}", self.authority().unwrap_or_default()),
            Self::Tls { .. } => write!(formatter, "https://{}", self.authority().unwrap_or_default()),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl UpstreamHost {
    pub(in super::super) fn parse(text: &str, upstream: Option<&UpstreamAddress>) -> Result<Self, Problem> {
        let header =
            |text: &str| HeaderValue::from_str(text).map_err(|_| Problem::new("expected ASCII text"));
        match text {
            "keep" => Ok(Self::Keep),
            "rewrite" => match upstream.map(UpstreamAddress::authority) {
                Some(None) => Err(Problem::new("a unix socket has no host: give the value itself")),
                // A wrong upstream has been reported already.
                Some(Some(authority)) => header(&authority).map(Self::Rewrite),
                None => Ok(Self::Keep),
            },
            _ => {
                let problem =
                    || Problem::new("expected `keep`, `rewrite` or a host, with its port if it has one");
                let fits = text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
                let authority: ::http::uri::Authority = text.parse().map_err(|_| problem())?;
                let port_fits = authority.port().is_some() == (authority.host() != text);
                if fits && port_fits && !authority.host().is_empty() {
                    header(text).map(Self::Value)
                } else {
                    Err(problem())
                }
            }
        }
    }
}

/// A URL that says scheme, host and port, and nothing more.
pub(in super::super) fn parse_origin(text: &str) -> Result<Url, Problem> {
    // The URL parser forgives blanks, tabs and backslashes; whoever wrote one meant something else.
    if !has_http_scheme(text) || text.contains(['\\', ' ', '\t']) {
        return Err(Problem::new(
            "expected a URL that begins with https:// or http://",
        ));
    }
    let url = Url::parse(text).map_err(|error| Problem::new(format!("not a URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err(Problem::new(
            "a user name or password does not belong into this URL",
        ));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Problem::new(
            "expected scheme, host and port alone, without a path or query",
        ));
    }
    Ok(url)
}

fn has_http_scheme(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// Whether the host is this machine by definition (RFC 6761 §6.3 for `localhost`).
pub(in super::super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the host is one that only a private network knows: a loopback, private or link-local address,
/// a single label, or a name under a suffix kept for private use.
pub(in super::super) fn is_private(host: Option<Host<&str>>) -> bool {
    const SUFFIXES: [&str; 7] = [
        ".internal",
        ".local",
        ".lan",
        ".home.arpa",
        ".svc",
        ".test",
        ".localhost",
    ];
    match host {
        Some(Host::Domain(name)) => {
            !name.contains('.') || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        }
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        None => false,
    }
}

/// Whether connecting to `upstream` would reach the listener itself.
pub(in super::super) fn reaches(upstream: &UpstreamAddress, listener: &ListenAddress) -> bool {
    match (upstream, listener) {
        (UpstreamAddress::Unix(upstream), ListenAddress::Unix(listener)) => upstream == listener,
        (UpstreamAddress::Tcp { host, port }, ListenAddress::Tcp(listener)) => {
            let address = if host == "localhost" {
                Some(IpAddr::from([127, 0, 0, 1]))
            } else {
                host.parse::<IpAddr>().ok()
            };
            *port == listener.port()
                && address.is_some_and(|address| {
                    address == listener.ip()
                        || (listener.ip().is_unspecified()
                            && (address.is_loopback() || address.is_unspecified()))
                })
        }
        _ => false,
    }
}

fn socket_path(path: &str) -> Result<PathBuf, Problem> {
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(Problem::new("expected the absolute path of a socket: unix:/path"));
    }
    if path.len() > SOCKET_PATH_BYTES {
        return Err(Problem::new(format!(
            "the path of a unix socket may have {SOCKET_PATH_BYTES} bytes"
        )));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests;

//! Who the client is behind trusted proxies, and what the application is told about it.
//!
//! Fields that state an address, scheme, host or original target are believed from peers in the trusted
//! networks only, and addresses are read from the right, because everything left of an untrusted address was
//! written by a stranger. From other peers the whole family is dropped, in any spelling, and what names another path, host or
//! method from everybody: the application might re-route by `X-Original-URL` or `X_Forwarded_Prefix` what policy judged by
//! the path. Nothing here is an input to a decision about a path. Knows no configuration file.

use super::folding::{fold_byte, folded_equals, folded_starts_with};
use super::host::{HostAndPort, parse_port};
use super::{list_items, trim_optional_whitespace};
use ::http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use std::io::{Cursor, Write};
use std::net::{IpAddr, SocketAddr};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// The other end of the connection a request came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` on a unix socket.
    pub address: Option<SocketAddr>,
    /// Whether the connection is TLS, ended by this proxy.
    pub tls: bool,
}

/// The peers whose word about the client is taken.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    trust_unix: bool,
}

/// The client as far as trusted peers let it be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The nearest address that is not a trusted proxy's; `None` when only unix sockets were in the way.
    pub address: Option<IpAddr>,
    /// `http` or `https`: how the client spoke to the nearest trusted proxy, or to us.
    pub scheme: &'static str,
    /// Whether the peer itself is trusted.
    pub trusted_peer: bool,
}

/// The origin at which browsers reach the proxy, and the parts of it that applications build links from.
#[derive(Debug, Clone)]
pub struct PublicOrigin {
    text: String,
    scheme: &'static str,
    port: HeaderValue,
}

impl TrustedProxies {
    /// Trusts peers in these networks, and peers on unix sockets when `trust_unix`. An IPv6 network of
    /// IPv4-mapped addresses (`::ffff:10.0.0.0/104`) means the IPv4 network.
    pub fn new(networks: Vec<IpNet>, trust_unix: bool) -> Self {
        let networks = networks.into_iter().map(canonical_network).collect();
        Self { networks, trust_unix }
    }

    /// Whether this peer is trusted.
    pub fn trusts(&self, peer: &Peer) -> bool {
        match peer.address {
            None => self.trust_unix,
            Some(address) => self.trusts_address(address.ip().to_canonical()),
        }
    }

    /// `address` must be canonical: IPv4 not mapped into IPv6.
    fn trusts_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

impl PublicOrigin {
    /// From the text of an `http` or `https` origin, as an `Origin` field has it (RFC 6454 §6.1).
    pub fn parse(text: &str) -> Option<Self> {
        let url = url::Url::parse(text).ok()?;
        let scheme = match url.scheme() {
            "https" => "https",
            "http" => "http",
            _ => return None,
        };
        Some(Self {
            text: url.origin().ascii_serialization(),
            scheme,
            port: HeaderValue::from(url.port_or_known_default()?),
        })
    }

    /// The origin's text: scheme, host and, unless it is the scheme's own, port.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `http` or `https`.
    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Whether a request that names this host is for this origin. A host without a port is taken to be, since not every proxy
    /// passes the port on.
    pub fn has_host(&self, host: &HostAndPort) -> bool {
        let Some(own) = self
            .text
            .split_once("://")
            .and_then(|(_, own)| own.parse::<HostAndPort>().ok())
        else {
            return false;
        };
        let port = |port: u16| self.port.as_bytes() == port.to_string().as_bytes();
        own.host() == host.host() && host.port().is_none_or(port)
    }
}

/// The client of a request: the peer, or when that is trusted the right-most untrusted address of
/// `X-Forwarded-For` over all its lines. What cannot be read as an address ends the walk.
pub fn client(headers: &HeaderMap, peer: Peer, trusted: &TrustedProxies) -> Client {
    let trusted_peer = trusted.trusts(&peer);
    let mut address = peer.address.map(|address| address.ip().to_canonical());
    let mut scheme = if peer.tls { "https" } else { "http" };
    if trusted_peer {
        let hops = headers
            .get_all(&X_FORWARDED_FOR)
            .iter()
            .rev()
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
            .map(trim_optional_whitespace)
            .filter(|hop| !hop.is_empty());
        for hop in hops {
            let Some(hop) = parse_address(hop) else { break };
            address = Some(hop);
            if !trusted.trusts_address(hop) {
                break;
            }
        }
        if let Some(stated) = list_items(headers, &X_FORWARDED_PROTO)
            .last()
            .and_then(parse_scheme)
        {
            scheme = stated;
        }
    }
    Client {
        address,
        scheme,
        trusted_peer,
    }
}

/// Writes what the application is told: `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.
///
/// From a peer that is not trusted the whole family is dropped first. From a trusted peer `-Proto`, `-Host` and
/// `-Port` are kept when there is exactly one well-formed of each, the peer's address is appended to
/// `X-Forwarded-For` (and to `Forwarded`, when there is one), and the rest of the family stays. What states another path,
/// host or method than the judged one is dropped from everyone, since few proxies take out what their own clients say there.
/// So are other spellings of the names: a proxy does not write them, and does not strip them either.
/// `peer` is the one that `client` was made from.
pub fn write_forwarded(
    headers: &mut HeaderMap,
    peer: Peer,
    client: &Client,
    host: &HostAndPort,
    public: &PublicOrigin,
) {
    drop_family(headers, client.trusted_peer);

    let peer_address = peer.address.map(|address| address.ip().to_canonical());
    // Without trust the family is gone already: nothing of it needs to be looked for.
    let may_keep = client.trusted_peer;
    let appended = if may_keep {
        append_forwarded_for(headers, peer_address)
    } else {
        peer_address.and_then(address_value)
    };
    match appended {
        Some(value) => {
            headers.insert(&X_FORWARDED_FOR, value);
        }
        None => {
            headers.remove(&X_FORWARDED_FOR);
        }
    }
    if may_keep
        && headers.contains_key(FORWARDED)
        && let Some(element) = peer_address.and_then(forwarded_element)
    {
        headers.append(FORWARDED, element);
    }
    let mut set = |name, is_valid: fn(&HeaderValue) -> bool, value: &HeaderValue| {
        if !(may_keep && is_only_line(headers, name, is_valid)) {
            headers.insert(name, value.clone());
        }
    };
    set(
        &X_FORWARDED_PROTO,
        is_scheme,
        &HeaderValue::from_static(public.scheme),
    );
    set(&X_FORWARDED_HOST, is_host, host.as_header_value());
    set(&X_FORWARDED_PORT, is_port, &public.port);
}

/// Whether a field has exactly one line and that is well-formed.
fn is_only_line(headers: &HeaderMap, name: &HeaderName, is_valid: fn(&HeaderValue) -> bool) -> bool {
    let mut lines = headers.get_all(name).iter();
    lines.next().is_some_and(is_valid) && lines.next().is_none()
}

fn is_scheme(value: &HeaderValue) -> bool {
    value == "https" || value == "http"
}

fn is_host(value: &HeaderValue) -> bool {
    HostAndPort::from_value(value).is_ok()
}

fn is_port(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| parse_port(text).is_some())
}

/// Removes the family: all of it, or with `keep_exact` only what states another target, and what is spelled other than with
/// letters and hyphens.
fn drop_family(headers: &mut HeaderMap, keep_exact: bool) {
    let is_dropped = |name: &HeaderName| {
        let name = name.as_str().as_bytes();
        let is_exact = || name.iter().all(|byte| fold_byte(*byte) == *byte);
        is_family(name) && !(keep_exact && is_exact() && !states_target(name))
    };
    // Ordinary requests match nothing: no memory is asked for.
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| is_dropped(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
}

/// Whether a name, folded, states who the client is or what it originally asked for.
fn is_family(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 18] = [
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-proxyuser-ip",
        b"x-envoy-external-address",
        b"x-envoy-original-path",
        b"x-envoy-original-host",
        b"x-url-scheme",
        b"x-scheme",
        b"x-host",
        b"x-http-host-override",
        b"client-ip",
        b"true-client-ip",
        b"cf-connecting-ip",
        b"cf-connecting-ipv6",
        b"fastly-client-ip",
        b"front-end-https",
        b"forwarded",
    ];
    const PREFIXES: [&[u8]; 4] = [b"x-forwarded", b"forwarded-", b"x-original-", b"x-rewrite-"];
    // Names in a `HeaderMap` are in lower case; most begin with another letter.
    matches!(name, [b'x' | b'c' | b't' | b'f', ..])
        && (PREFIXES.iter().any(|prefix| folded_starts_with(name, prefix))
            || NAMES.iter().any(|known| folded_equals(name, known)))
}

/// Whether a name of the family, exactly spelled, states what was asked for: frameworks that go by it serve another page than
/// policy has judged.
fn states_target(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 12] = [
        b"x-original-url",
        b"x-original-uri",
        b"x-original-path",
        b"x-original-host",
        b"x-original-method",
        b"x-forwarded-uri",
        b"x-forwarded-path",
        b"x-forwarded-method",
        b"x-envoy-original-path",
        b"x-envoy-original-host",
        b"x-host",
        b"x-http-host-override",
    ];
    name.starts_with(b"x-rewrite-") || NAMES.contains(&name)
}

/// The lines of `X-Forwarded-For` joined, with the peer's address at the end; `None` when that is empty.
fn append_forwarded_for(headers: &HeaderMap, peer: Option<IpAddr>) -> Option<HeaderValue> {
    let mut buffer = [0_u8; ADDRESS_BYTES];
    let peer = peer.map(|address| write_address(&mut buffer, address, "", ""));
    let joined = headers
        .get_all(&X_FORWARDED_FOR)
        .iter()
        .map(HeaderValue::as_bytes)
        .chain(peer)
        .fold(Vec::new(), |mut joined, part| {
            if !joined.is_empty() && !part.is_empty() {
                joined.extend_from_slice(b", ");
            }
            joined.extend_from_slice(part);
            joined
        });
    (!joined.is_empty()).then(|| HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)).ok())?
}

fn address_value(address: IpAddr) -> Option<HeaderValue> {
    let mut buffer = [0_u8; ADDRESS_BYTES];
    HeaderValue::from_bytes(write_address(&mut buffer, address, "", "")).ok()
}

/// `for=192.0.2.1` or `for="[2001:db8::1]"` (RFC 7239 §6).
fn forwarded_element(address: IpAddr) -> Option<HeaderValue> {
    let mut buffer = [0_u8; ADDRESS_BYTES];
    let text = match address {
        IpAddr::V4(_) => write_address(&mut buffer, address, "for=", ""),
        IpAddr::V6(_) => write_address(&mut buffer, address, "for=\"[", "]\""),
    };
    HeaderValue::from_bytes(text).ok()
}

/// Enough for the longest IPv6 address, 45 bytes, and what [`forwarded_element`] puts around it.
const ADDRESS_BYTES: usize = 64;

fn write_address<'a>(
    buffer: &'a mut [u8; ADDRESS_BYTES],
    address: IpAddr,
    before: &str,
    after: &str,
) -> &'a [u8] {
    let mut cursor = Cursor::new(&mut buffer[..]);
    // The buffer is large enough by its definition; a short write could only shorten the text.
    let _ = write!(cursor, "{before}{address}{after}");
    let end = usize::try_from(cursor.position()).unwrap_or_default();
    buffer.get(..end).unwrap_or_default()
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => text
            .parse::<IpAddr>()
            .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
            .ok()?,
    };
    Some(address.to_canonical())
}

fn parse_scheme(text: &[u8]) -> Option<&'static str> {
    if text.eq_ignore_ascii_case(b"https") || text.eq_ignore_ascii_case(b"wss") {
        Some("https")
    } else if text.eq_ignore_ascii_case(b"http") || text.eq_ignore_ascii_case(b"ws") {
        Some("http")
    } else {
        None
    }
}

/// An IPv6 network within `::ffff:0:0/96` as the IPv4 network it stands for.
pub fn canonical_network(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let IpNet::V6(v6) = network else { return network };
    let mapped = v6
        .addr()
        .to_ipv4_mapped()
        .zip(v6.prefix_len().checked_sub(MAPPED_BITS));
    match mapped.map(|(address, bits)| ipnet::Ipv4Net::new(address, bits)) {
        Some(Ok(v4)) => IpNet::V4(v4),
        _ => network,
    }
}

#[cfg(test)]
mod tests;

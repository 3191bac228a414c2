//! Connections to the app behind the proxy.
//!
//! Promises: a request goes out as HTTP/1.1, framed anew from what is known about its body; an answer comes back with
//! unambiguous framing or not at all; a truncated answer is an error and never a clean end; every wait but that for an
//! answer's body has a limit; whoever stops waiting, closes the connection at once.
//!
//! Refuses to know: who the user is, which headers may pass, what a refusal looks like. It is given a finished request.
//!
//! Stops: desync and response-queue poisoning. A connection is used again only after both messages on it were complete
//! in the right order: never after an early answer, an abort, surplus bytes, an upgrade or an answer in HTTP/1.0
//! (RFC 9112 §6.3, §9.3). What remains is HTTP/1.1's own: surplus bytes that reach the runtime only after the next
//! request was begun are taken for its answer. Nothing is sent twice unless RFC 9110 §9.2.2 allows it.

mod client;
mod connect;
mod error;
mod frames;
mod outgoing;
mod pool;
mod pools;
mod request;
mod retry;
mod stream;
mod tunnel;
mod wire;

#[cfg(test)]
mod tests;

pub use client::Pool;
pub use error::{Fault, UpstreamError};
pub use pools::{Pools, UpstreamId, Upstreams};
pub use request::{Treatment, UpstreamHost, UpstreamRequest};
pub use tunnel::{TunnelStats, join};

use rustls::pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where the app listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Clear text over TCP.
    Tcp {
        /// A name, an IPv4 address, or an IPv6 address with or without brackets.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// TLS over TCP; the certificate must be valid for `server_name`.
    Tls {
        /// A name, an IPv4 address, or an IPv6 address with or without brackets.
        host: String,
        /// The TCP port.
        port: u16,
        /// The name sent in SNI and looked for in the certificate.
        server_name: ServerName<'static>,
    },
    /// Clear text over a unix domain socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    /// As a configuration has it: `http://127.0.0.1:8080`, `unix:/path`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Tcp { host, port } => ("http", host, port),
            Self::Tls { host, port, .. } => ("https", host, port),
            Self::Unix(path) => return write!(formatter, "unix:{}", path.display()),
        };
        if host.contains(':') && !host.starts_with('[') {
            write!(formatter, "{scheme}://[{host}]:{port}")
        } else {
            write!(formatter, "{scheme}://{host}:{port}")
        }
    }
}

/// What a [`Pool`] is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the app listens.
    pub address: Address,
    /// How long name look-up, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// How long the app may take to begin its answer, counted from the last byte of the request that it was given;
    /// while a body is sent this is also how long it may refuse to take more.
    pub response_header_timeout: Duration,
    /// How long the client may leave us waiting for more of its body before the answer has begun.
    pub request_body_timeout: Duration,
    /// How long an unused connection is kept; shorter than the app's own limit, lest it closes first.
    pub idle_timeout: Duration,
    /// How many unused connections a pool keeps.
    pub max_idle: usize,
    /// Trust anchors besides the web's. One that cannot be parsed is left out with a warning.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

impl Settings {
    /// The defaults: connect 5 s, answer 60 s, client's body 60 s, unused 55 s, 256 unused connections, no extra roots.
    pub const fn new(address: Address) -> Self {
        Self {
            address,
            connect_timeout: Duration::from_secs(5),
            response_header_timeout: Duration::from_secs(60),
            request_body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(55),
            max_idle: 256,
            extra_roots: Vec::new(),
        }
    }
}

//! What the listeners are told: where to listen, how to treat connections, and how to end.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the proxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// How workers treat connections.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// Field lines of a header beyond which hyper refuses it.
    pub maximum_headers: usize,
    /// Bytes of a connection's read buffer at most; also bounds a header.
    pub buffer_bytes: usize,
    /// Time for a header to arrive whole.
    pub header_timeout: Duration,
    /// Time that a connection may idle between requests.
    pub idle_timeout: Duration,
}

/// How connections are treated and how it all ends. Unlike a gate it belongs to no request.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// How workers treat the connections that come from now on.
    pub connections: WorkerSettings,
    /// Time between the signal to stop and the end of accepting.
    pub shutdown_delay: Duration,
    /// Time for requests in flight.
    pub shutdown_timeout: Duration,
}

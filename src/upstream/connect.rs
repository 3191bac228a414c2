//! Making a connection: name look-up, TCP, TLS, unix socket, all within one limit.

use super::error::UpstreamError;
use super::stream::Transport;
use super::{Address, Settings};
use crate::clock::monotonic;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a silent connection may be before the kernel probes it, and the time between two probes.
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Makes connections to one address.
pub(super) struct Connector {
    settings: Arc<Settings>,
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let tls = match &settings.address {
            Address::Tls { .. } => tls_connector(&settings.extra_roots),
            Address::Tcp { .. } | Address::Unix(_) => None,
        };
        Self { settings, tls }
    }

    /// What it is made from.
    pub(super) const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Connects, within `connect_timeout`.
    pub(super) async fn connect(&self) -> Result<Transport, UpstreamError> {
        timeout(self.settings.connect_timeout, self.connect_patiently())
            .await
            .unwrap_or(Err(UpstreamError::ConnectTimeout))
    }

    async fn connect_patiently(&self) -> Result<Transport, UpstreamError> {
        match &self.settings.address {
            Address::Tcp { host, port } => self.tcp(host, *port).await.map(Transport::Tcp),
            Address::Tls {
                host,
                port,
                server_name,
            } => {
                let Some(connector) = &self.tls else {
                    return Err(UpstreamError::Tls(io::Error::other("TLS could not be set up")));
                };
                let stream = self.tcp(host, *port).await?;
                connector
                    .connect(server_name.clone(), stream)
                    .await
                    .map(|stream| Transport::Tls(Box::new(stream)))
                    .map_err(UpstreamError::Tls)
            }
            Address::Unix(path) => UnixStream::connect(path)
                .await
                .map(Transport::Unix)
                .map_err(UpstreamError::Refused),
        }
    }

    /// Tries the host's addresses in order. Each but the last gets a fair share of the time that is left, so that one
    /// that swallows packets does not use it up.
    async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, UpstreamError> {
        let deadline = monotonic() + self.settings.connect_timeout;
        let addresses = addresses(host, port).await.map_err(UpstreamError::Refused)?;
        let mut failure = UpstreamError::Refused(io::Error::other("the name has no address"));
        for (index, address) in addresses.iter().enumerate() {
            let untried = u32::try_from(addresses.len().saturating_sub(index))
                .unwrap_or(1)
                .max(1);
            let share = deadline.saturating_duration_since(monotonic()) / untried;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    tune(&stream);
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = UpstreamError::Refused(error),
                Err(_) => failure = UpstreamError::ConnectTimeout,
            }
        }
        Err(failure)
    }
}

async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
        Err(_) => Ok(lookup_host((bare, port)).await?.collect()),
    }
}

/// Small writes leave at once; a peer that vanished is noticed, tunnels included. Failing to set either is no failure.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

fn tls_connector(extra_roots: &[CertificateDer<'static>]) -> Option<TlsConnector> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for root in extra_roots {
        if let Err(error) = roots.add(root.clone()) {
            tracing::warn!(%error, "a trust anchor for the upstream cannot be used");
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .inspect_err(|error| tracing::error!(%error, "TLS to the upstream cannot be set up"))
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(TlsConnector::from(Arc::new(config)))
}

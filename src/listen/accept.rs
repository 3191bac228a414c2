//! Listening sockets, and the loop that accepts from them.

use super::stream::Stream;
use super::worker::Dealer;
use crate::http::forwarded::Peer;
use crate::live::ListenAddress;
use futures_util::FutureExt as _;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A socket that is bound and listens; dropping it removes its unix socket file.
#[derive(Debug)]
pub struct BoundListener {
    listener: Listener,
    address: ListenAddress,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection as accepted, not yet registered with the runtime of a worker.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl BoundListener {
    /// Binds. A stale socket file that nobody listens on is replaced; anything else in its place is an error.
    pub async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(socket) => {
                let listener = TcpListener::bind(socket).await?;
                let address = ListenAddress::Tcp(listener.local_addr()?);
                Ok(Self {
                    listener: Listener::Tcp(listener),
                    address,
                })
            }
            ListenAddress::Unix(path) => {
                remove_stale(path).await?;
                Ok(Self {
                    listener: Listener::Unix(UnixListener::bind(path)?),
                    address: address.clone(),
                })
            }
        }
    }

    /// The address as bound: a port that the system chose is known here.
    pub const fn address(&self) -> &ListenAddress {
        &self.address
    }

    async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let peer = Peer {
                    address: Some(address),
                    tls: false,
                };
                Ok((Accepted::Tcp(stream.into_std()?), peer))
            }
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer {
                    address: None,
                    tls: false,
                };
                Ok((Accepted::Unix(stream.into_std()?), peer))
            }
        }
    }
}

impl BoundListener {
    /// Accepts a connection that is served on the current runtime.
    pub(crate) async fn accept_local(&self) -> io::Result<Stream> {
        let (accepted, _) = self.accept().await?;
        accepted.register()
    }
}

impl Drop for BoundListener {
    fn drop(&mut self) {
        if let ListenAddress::Unix(path) = &self.address {
            // The file may be gone already; nobody is left to tell.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if metadata.file_type().is_socket() && UnixStream::connect(path).await.is_err() => {
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Accepts connections until told to stop; never more than its limit are served at once.
#[derive(Debug)]
pub struct Acceptor {
    /// Places for connections: `limits.connections`.
    pub places: Arc<Semaphore>,
    /// Deals connections out to the workers.
    pub dealer: Dealer,
    /// When to stop.
    pub stop: CancellationToken,
}

impl Acceptor {
    /// The accept loop of one listener. At the limit, one connection waits here and all others in the kernel's queue;
    /// no place is held while none comes, so that every listener gets its turn. What is queued when it is told to
    /// stop is taken too, as far as there is room: their clients believe to be connected.
    pub async fn run(self, listener: BoundListener) {
        self.accept_until_stopped(&listener).await;
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let Some(Ok((connection, peer))) = listener.accept().now_or_never() else {
                return;
            };
            self.dealer.deal(connection, peer, place);
        }
    }

    async fn accept_until_stopped(&self, listener: &BoundListener) {
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((connection, peer)) => {
                    let place = Arc::clone(&self.places).acquire_owned();
                    let Some(Ok(place)) = self.stop.run_until_cancelled(place).await else {
                        return;
                    };
                    self.dealer.deal(connection, peer, place);
                }
                Err(error) => {
                    // Out of descriptors, most likely: spinning would make it worse.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Accepted {
    /// Registers the connection with the current runtime.
    pub(super) fn register(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(TcpStream::from_std(stream)?))
            }
            Self::Unix(stream) => Ok(Stream::Unix(UnixStream::from_std(stream)?)),
        }
    }
}

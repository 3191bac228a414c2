//! Making a connection to the Redis: name look-up, TCP or unix socket, TLS, log-in, all within one limit.

use super::address::{Address, Place};
use super::fault::Fault;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use socket2::{SockRef, TcpKeepalive};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long a silent connection may be before the kernel probes it, and the time between two probes.
const KEEPALIVE_TIME: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// What moves the bytes of a connection; it ends when the connection does.
pub(in crate::store) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Address {
    /// Connects and logs in. Each answer may take `answer_limit`.
    pub(in crate::store) async fn connect(
        &self,
        answer_limit: Duration,
    ) -> Result<(MultiplexedConnection, Driver), Fault> {
        timeout(CONNECT_LIMIT, self.connect_patiently(answer_limit))
            .await
            .unwrap_or(Err(Fault::SLOW))
    }

    async fn connect_patiently(
        &self,
        answer_limit: Duration,
    ) -> Result<(MultiplexedConnection, Driver), Fault> {
        match &self.place {
            Place::Tcp { host, port } => self.log_in(tcp(host, *port).await?, answer_limit).await,
            Place::Tls {
                host,
                port,
                name,
                connector,
            } => {
                let stream = tcp(host, *port).await?;
                let stream = connector.connect(name.clone(), stream).await?;
                self.log_in(stream, answer_limit).await
            }
            Place::Unix(path) => self.log_in(UnixStream::connect(path).await?, answer_limit).await,
        }
    }

    async fn log_in<S>(
        &self,
        stream: S,
        answer_limit: Duration,
    ) -> Result<(MultiplexedConnection, Driver), Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(answer_limit));
        let (mut connection, driver) =
            MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        let mut driver: Driver = Box::pin(driver);
        if self.database != 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(self.database);
            tokio::select! {
                answer = select.query_async::<()>(&mut connection) => answer.map_err(not_selected)?,
                () = &mut driver => return Err(Fault::CLOSED),
            }
        }
        Ok((connection, driver))
    }
}

fn not_selected(error: RedisError) -> Fault {
    if error.code() == Some("ERR") {
        return Fault::of("it has no such database as the URL names");
    }
    Fault::from(error)
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Fault> {
    let stream = TcpStream::connect((host, port)).await?;
    // Small writes leave at once, and a peer that vanished is noticed. Failing to set either is no failure.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    Ok(stream)
}

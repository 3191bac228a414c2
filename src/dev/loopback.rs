//! A listener that serves this machine and nobody else.
//!
//! Three checks, each enough against a different mistake: the address bound to is loopback (a typing error
//! cannot expose the server), the peer is loopback (a forwarding rule cannot either), and the `Host` field
//! names loopback (a web page whose name was re-bound to 127.0.0.1 is refused).

use ::http::header::HOST;
use ::http::{HeaderMap, Uri};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::tasks::Tasks;

/// How long to wait after `accept` failed (file descriptors used up), so as not to spin.
const PAUSE_AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(50);

/// A TCP listener on a loopback address.
#[derive(Debug)]
pub(super) struct LoopbackListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl LoopbackListener {
    /// Binds; any address that is not loopback is `InvalidInput`. Port 0 takes a free port.
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        if !is_loopback(address.ip()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{address} is not a loopback address; the development servers listen on loopback only"
                ),
            ));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address bound to, with the real port.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `shutdown` fires, running `connection` as a tracked task for each peer.
    pub(super) async fn serve<C, F>(self, shutdown: CancellationToken, tasks: Tasks, connection: C)
    where
        C: Fn(TcpStream) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) if is_loopback(peer.ip()) => {
                    // Small answers must not wait for the peer's delayed acknowledgement.
                    let _ = stream.set_nodelay(true);
                    tasks.spawn(connection(stream));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(PAUSE_AFTER_FAILED_ACCEPT).await,
            }
        }
    }
}

/// Whether the address is loopback, an IPv4 address inside IPv6 included.
fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The request's authority when it names this machine: exactly one `Host` field (RFC 9112 §3.2), loopback, and
/// in absolute-form the target's authority loopback too.
pub(super) fn loopback_host<'a>(headers: &'a HeaderMap, target: &Uri) -> Option<&'a str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    if hosts.next().is_some() || !names_loopback(host) {
        return None;
    }
    match target.authority() {
        Some(authority) if !names_loopback(authority.as_str()) => None,
        _ => Some(host),
    }
}

/// Whether `host[:port]` is `localhost` or a loopback address.
pub(crate) fn names_loopback(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (Host::V6(address), None),
            Some((address, port)) => match port.strip_prefix(':') {
                Some(port) => (Host::V6(address), Some(port)),
                None => return false,
            },
            None => return false,
        },
        None => match authority.split_once(':') {
            Some((name, port)) => (Host::Name(name), Some(port)),
            None => (Host::Name(authority), None),
        },
    };
    let port_is_sound =
        port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    port_is_sound && host.is_loopback()
}

enum Host<'a> {
    Name(&'a str),
    V6(&'a str),
}

impl Host<'_> {
    fn is_loopback(&self) -> bool {
        match self {
            Host::Name(name) => {
                name.eq_ignore_ascii_case("localhost")
                    || name
                        .parse::<Ipv4Addr>()
                        .is_ok_and(|address| address.is_loopback())
            }
            Host::V6(address) => address
                .parse::<Ipv6Addr>()
                .is_ok_and(|address| is_loopback(IpAddr::V6(address))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_answered() {
        for good in [
            "localhost",
            "LOCALHOST:3001",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]",
            "[::1]:3001",
        ] {
            assert!(names_loopback(good), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "localhost.example.com",
            "evil.localhost",
            "127.0.0.1.example.com",
            "localhost@example.com",
            "example.com@localhost",
            "localhost:",
            "localhost:80x",
            "localhost:99999",
            "localhost:+80",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::2]:80",
            "[::1",
            "[::1]x",
            "::1",
            "2130706433",
            "127.1",
            "localhost, localhost",
            "localhost ",
        ] {
            assert!(!names_loopback(bad), "{bad:?}");
        }
    }

    #[test]
    fn one_host_field_and_an_agreeing_target() {
        let origin_form: Uri = "/x".parse().unwrap();
        let foreign: Uri = "http://example.com/x".parse().unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(loopback_host(&headers, &origin_form), None, "no Host");
        headers.append(HOST, "localhost:1".parse().unwrap());
        assert_eq!(loopback_host(&headers, &origin_form), Some("localhost:1"));
        assert_eq!(loopback_host(&headers, &foreign), None, "absolute-form elsewhere");
        headers.append(HOST, "localhost:1".parse().unwrap());
        assert_eq!(loopback_host(&headers, &origin_form), None, "two Hosts");
    }

    #[tokio::test]
    async fn refuses_to_bind_elsewhere() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let error = LoopbackListener::bind(address.parse().unwrap())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address}");
        }
        assert!(is_loopback("::ffff:127.0.0.1".parse().unwrap()));
    }
}

//! `logto-proxy healthcheck`: for a container without a shell.

use super::output::complain;
use super::{ConfigFlags, FAILED, run};
use crate::live::{self, ListenAddress};
use clap::Args;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// Flags of the command.
#[derive(Debug, Args)]
pub(super) struct HealthcheckFlags {
    #[command(flatten)]
    config: ConfigFlags,
    /// Ask /readyz (can users sign in?) instead of /livez (does it run?)
    #[arg(long)]
    ready: bool,
}

/// Exits with 0 when the answer is 200.
pub(super) fn run(flags: &HealthcheckFlags) -> ExitCode {
    let config = match run::load(&flags.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let Some(address) = live::admin_address(&config) else {
        complain(
            "error: there is no health listener; set admin.listen, as in [admin] listen = \"127.0.0.1:9400\"",
        );
        return ExitCode::from(super::WRONG_SETUP);
    };
    let path = if flags.ready { "/readyz" } else { "/livez" };
    match ask(&address, path) {
        Ok(status) if status == "200" => ExitCode::SUCCESS,
        Ok(status) => {
            complain(format_args!("{path} answers {status}"));
            ExitCode::from(FAILED)
        }
        Err(error) => {
            complain(format_args!("{address}: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

fn ask(address: &ListenAddress, path: &str) -> io::Result<String> {
    match address {
        ListenAddress::Tcp(socket) => {
            let stream = TcpStream::connect_timeout(&reachable(*socket), PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            exchange(stream, path)
        }
        ListenAddress::Unix(file) => {
            let stream = UnixStream::connect(file)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            exchange(stream, path)
        }
    }
}

/// Where a listener on "all addresses" can be reached from the same machine.
fn reachable(socket: SocketAddr) -> SocketAddr {
    let address = match socket.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(address, socket.port())
}

/// The status code of the answer.
fn exchange(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    answer
        .split(' ')
        .nth(1)
        .map(str::to_owned)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

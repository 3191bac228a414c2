//! The proxy as its user starts it: a configuration file and `logto-proxy --config`, or `logto-proxy dev`.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::process::Command;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use super::ports::free_port;
use super::process::Program;
use super::wait::eventually;

/// The binary that cargo built with these tests, or the one named by `LOGTO_PROXY_BINARY` (a release build).
fn binary() -> OsString {
    std::env::var_os("LOGTO_PROXY_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_logto-proxy").into())
}

/// Scopes of the default configuration plus the one that brings Hugging Face.
const SCOPES: &str = r#"["profile", "email", "roles", "urn:logto:scope:organizations", "urn:logto:scope:organization_roles", "identities"]"#;

/// Where a proxy will listen, decided before it starts, since the provider must know it too.
///
/// `localhost` for the proxy and `127.0.0.1` for the provider makes them two sites, as in real life: cookies do not mix,
/// and the callback is a cross-site navigation.
pub struct Place {
    port: u16,
}

/// A running proxy.
pub struct Proxy {
    program: Program,
    public_url: String,
    _folder: Option<TempDir>,
}

impl Place {
    pub fn choose() -> Self {
        Self { port: free_port() }
    }

    /// The origin that browsers use, without a trailing slash.
    pub fn public_url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}

impl Proxy {
    /// Starts the proxy for an app, with the provider in the place of Logto. `more` is appended to the configuration.
    pub async fn start(place: &Place, upstream: &str, provider: &OidcProvider, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secret = folder.path().join("app_secret");
        std::fs::write(&secret, CLIENT_SECRET).expect("a secret file is written");
        let public_url = place.public_url();
        let configuration = format!(
            r#"public_url = "{public_url}"
listen = "127.0.0.1:{port}"
upstream = "{upstream}"
[logto]
endpoint = "{endpoint}"
app_id = "{CLIENT_ID}"
app_secret = {{ file = "{secret}" }}
scopes = {SCOPES}
[session]
keys = ["b3Vyb3duc2Vzc2lvbmtleW9mdGhpcnR5dHdvYnl0ZXM"]
{more}
"#,
            port = place.port,
            endpoint = provider.endpoint(),
            secret = secret.display(),
        );
        let file = folder.path().join("proxy.toml");
        std::fs::write(&file, configuration).expect("a configuration is written");
        let program = Program::start("logto-proxy", Command::new(binary()).arg("--config").arg(&file));
        let proxy = Self {
            program,
            public_url,
            _folder: Some(folder),
        };
        proxy.until_listening(place.port).await;
        proxy
    }

    /// Starts `logto-proxy dev`: the built-in stand-in for Logto, the demo app, and the proxy between them.
    pub async fn start_dev() -> Self {
        let mut program = Program::start("logto-proxy dev", Command::new(binary()).arg("dev"));
        let public_url = program.line("says which address to open", address_in).await;
        let port = public_url
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .expect("an address with a port");
        let proxy = Self {
            program,
            public_url,
            _folder: None,
        };
        proxy.until_listening(port).await;
        proxy
    }

    /// An address below the public origin; `path` starts with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// Asks it to end as a service manager does; it must, and call it success.
    pub async fn stop(mut self) {
        let status = self.program.terminate().await;
        assert!(status.success(), "SIGTERM ended the proxy with {status}");
    }

    async fn until_listening(&self, port: u16) {
        eventually("the proxy accepts connections", || async {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()
        })
        .await;
    }
}

/// The first loopback address in a line, without its path.
fn address_in(line: &str) -> Option<String> {
    let start = line
        .find("http://localhost:")
        .or_else(|| line.find("http://127.0.0.1:"))?;
    let address = line.get(start..)?;
    let port = address.rfind(':')? + 1;
    let digits = address
        .get(port..)?
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    address.get(..port + digits).map(str::to_owned)
}

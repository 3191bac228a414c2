//! The proxy as its user starts it: a configuration file and `logto-proxy --config`, or `logto-proxy dev`.

use std::ffi::OsString;
use std::process::Command;

use tempfile::TempDir;

use super::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use super::ports::free_port;
use super::process::Program;

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
    /// Starts the proxy for an app, with the provider in the place of Logto. `/open` is public.
    pub async fn start(place: &Place, upstream: &str, provider: &OidcProvider) -> Self {
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
[admin]
listen = "127.0.0.1:{admin}"
[session]
keys = ["b3Vyb3duc2Vzc2lvbmtleW9mdGhpcnR5dHdvYnl0ZXM"]
[[route]]
path = "/open"
access = "public"
"#,
            port = place.port,
            endpoint = provider.endpoint(),
            admin = free_port(),
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
        proxy.until_ready().await
    }

    /// Starts `logto-proxy dev`: the built-in stand-in for Logto, the demo app, and the proxy between them.
    /// `/open` is public.
    pub async fn start_dev() -> Self {
        let place = Place::choose();
        let program = Program::start(
            "logto-proxy dev",
            Command::new(binary())
                .args(["dev", "--port", &place.port.to_string()])
                .args(["--logto-port", &free_port().to_string()])
                .args(["--public", "/open"]),
        );
        let proxy = Self {
            program,
            public_url: place.public_url(),
            _folder: None,
        };
        proxy.until_ready().await
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

    /// Waits until sign-ins work: it listens before it knows Logto, and says when it does.
    async fn until_ready(mut self) -> Self {
        self.program
            .line("reaches Logto", |line| {
                line.contains("Logto is reachable").then_some(())
            })
            .await;
        self
    }
}

//! The proxy as its user starts it: a configuration file and `logto-proxy run`, or `logto-proxy dev`.

use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use super::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use super::ports::free_port;
use super::process::Program;

/// The binary that cargo built with these tests, or the one named by `LOGTO_PROXY_BINARY` (a release build).
fn binary() -> OsString {
    std::env::var_os("LOGTO_PROXY_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_logto-proxy").into())
}

/// Scopes of the default configuration plus the one that brings Hugging Face.
const SCOPES: [&str; 6] = [
    "profile",
    "email",
    "roles",
    "urn:logto:scope:organizations",
    "urn:logto:scope:organization_roles",
    "identities",
];

/// Where a proxy will listen, decided before it starts, since the provider must know it too.
///
/// `localhost` for the proxy and `127.0.0.1` for the provider makes them two sites, as in real life: cookies do not mix,
/// and the callback is a cross-site navigation.
pub struct Place {
    port: u16,
}

/// The configuration of a proxy: one that works, and what a test adds.
pub struct Deployment {
    public_url: String,
    port: u16,
    upstream: String,
    endpoint: String,
    scopes: Vec<&'static str>,
    top: String,
    logto: String,
    session: String,
    sections: String,
}

/// A running proxy.
pub struct Proxy {
    /// `None` after it was killed.
    program: Option<Program>,
    arguments: Vec<OsString>,
    public_url: String,
    port: u16,
    admin: Option<u16>,
    _folder: Option<Arc<TempDir>>,
}

impl Place {
    pub fn choose() -> Self {
        Self { port: free_port() }
    }

    /// The origin that browsers use, without a trailing slash.
    pub fn public_url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Deployment {
    /// For an app, with the provider in the place of Logto. `/open` is public.
    pub fn new(place: &Place, upstream: &str, provider: &OidcProvider) -> Self {
        Self {
            public_url: place.public_url(),
            port: place.port,
            upstream: upstream.to_owned(),
            endpoint: provider.endpoint().to_owned(),
            scopes: SCOPES.to_vec(),
            top: String::new(),
            logto: String::new(),
            session: String::new(),
            sections: String::new(),
        }
    }

    /// With a top-level key, as TOML.
    pub fn top(mut self, toml: &str) -> Self {
        self.top = format!("{}{toml}\n", self.top);
        self
    }

    /// With further scopes.
    pub fn scopes(mut self, more: &[&'static str]) -> Self {
        self.scopes.extend(more);
        self
    }

    /// With a key of `[logto]`, as TOML.
    pub fn logto(mut self, toml: &str) -> Self {
        self.logto = format!("{}{toml}\n", self.logto);
        self
    }

    /// With a key of `[session]`, as TOML.
    pub fn session(mut self, toml: &str) -> Self {
        self.session = format!("{}{toml}\n", self.session);
        self
    }

    /// With a section, as TOML.
    pub fn section(mut self, toml: &str) -> Self {
        self.sections = format!("{}{toml}\n", self.sections);
        self
    }

    /// Starts one proxy, which listens where browsers come.
    pub async fn start(self) -> Proxy {
        let folder = self.write();
        self.start_at(self.port, &folder, &[]).await
    }

    /// Starts one proxy on a port of its own: browsers come to something else.
    pub async fn start_elsewhere(self) -> Proxy {
        let folder = self.write();
        self.start_at(free_port(), &folder, &[]).await
    }

    /// The file in a folder of its own, and the secret beside it.
    pub(super) fn write(&self) -> Arc<TempDir> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let secret = folder.path().join("app_secret");
        std::fs::write(&secret, CLIENT_SECRET).expect("a secret file is written");
        let configuration = format!(
            r#"public_url = "{public_url}"
upstream = "{upstream}"
{top}
[logto]
endpoint = "{endpoint}"
app_id = "{CLIENT_ID}"
app_secret = {{ file = "{secret}" }}
scopes = {scopes:?}
{logto}
[session]
keys = ["b3Vyb3duc2Vzc2lvbmtleW9mdGhpcnR5dHdvYnl0ZXM"]
{session}
[[route]]
path = "/open"
access = "public"
{sections}"#,
            public_url = self.public_url,
            upstream = self.upstream,
            top = self.top,
            endpoint = self.endpoint,
            scopes = self.scopes,
            secret = secret.display(),
            logto = self.logto,
            session = self.session,
            sections = self.sections,
        );
        std::fs::write(folder.path().join("proxy.toml"), configuration).expect("a configuration is written");
        Arc::new(folder)
    }

    /// Starts a proxy with the file of that folder on this port, `--set` each of these.
    pub(super) async fn start_at(&self, port: u16, folder: &Arc<TempDir>, set: &[String]) -> Proxy {
        let admin = free_port();
        let mut arguments: Vec<OsString> = vec!["run".into(), "--config".into()];
        arguments.push(folder.path().join("proxy.toml").into());
        let listeners = [
            format!("listen=127.0.0.1:{port}"),
            format!("admin.listen=127.0.0.1:{admin}"),
        ];
        for pair in listeners.iter().chain(set) {
            arguments.extend(["--set".into(), pair.into()]);
        }
        let mut proxy = Proxy {
            program: None,
            arguments,
            public_url: self.public_url.clone(),
            port,
            admin: Some(admin),
            _folder: Some(Arc::clone(folder)),
        };
        proxy.restart().await;
        proxy
    }
}

impl Proxy {
    /// Starts the proxy for an app, with the provider in the place of Logto. `/open` is public.
    pub async fn start(place: &Place, upstream: &str, provider: &OidcProvider) -> Self {
        Deployment::new(place, upstream, provider).start().await
    }

    /// Starts `logto-proxy dev`: the built-in stand-in for Logto, the demo app, and the proxy between them.
    /// `/open` is public.
    pub async fn start_dev() -> Self {
        Self::start_dev_with(&["--public", "/open"]).await
    }

    /// The same with other flags.
    pub async fn start_dev_with(flags: &[&str]) -> Self {
        Self::start_dev_around(free_port(), flags).await
    }

    /// The same with the stand-in on this port.
    pub async fn start_dev_around(logto_port: u16, flags: &[&str]) -> Self {
        let place = Place::choose();
        let (port, logto_port) = (place.port.to_string(), logto_port.to_string());
        let own = ["dev", "--port", &port, "--logto-port", &logto_port];
        let mut proxy = Self {
            program: None,
            arguments: own.iter().chain(flags).map(OsString::from).collect(),
            public_url: place.public_url(),
            port: place.port,
            admin: None,
            _folder: None,
        };
        proxy.restart().await;
        proxy
    }

    /// An address below the public origin; `path` starts with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// An address at this very process, past what is in front of it.
    pub fn own_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// An address of its health listener.
    pub fn admin_url(&self, path: &str) -> String {
        let port = self.admin.expect("it has a health listener that the test knows");
        format!("http://127.0.0.1:{port}{path}")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it printed since it was started last.
    pub fn output(&self) -> Vec<String> {
        self.program.as_ref().expect("it runs").output()
    }

    /// Asks it to end as a service manager does; it must, and call it success.
    pub async fn stop(mut self) {
        self.terminate().await;
    }

    /// The same, for one that is started again.
    pub async fn terminate(&mut self) {
        let status = self.program.as_mut().expect("it runs").terminate().await;
        assert!(status.success(), "SIGTERM ended the proxy with {status}");
        self.program = None;
    }

    /// SIGKILL, without a word.
    pub fn kill(&mut self) {
        assert!(self.program.take().is_some(), "it runs");
    }

    /// Starts it, again with the same arguments, and waits until sign-ins work: it listens before it knows Logto, and
    /// says when it does.
    pub async fn restart(&mut self) {
        self.program = None;
        let mut program = Program::start("logto-proxy", Command::new(binary()).args(&self.arguments));
        program
            .line("reaches Logto", |line| {
                line.contains("Logto is reachable").then_some(())
            })
            .await;
        self.program = Some(program);
    }
}

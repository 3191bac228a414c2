//! Real nginx, Caddy and Envoy, running the very configurations of `examples/` with other addresses, or a plain one.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::process::Program;
use super::wait::eventually;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Envoy,
}

/// A running one. Dropped, it ends.
pub struct Front {
    _program: Program,
    _folder: TempDir,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Nginx, Self::Caddy, Self::Envoy];

    /// In small letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Envoy => "envoy",
        }
    }

    /// The configuration in which it asks the proxy whether a request may pass; browsers come to `localhost` at `port`.
    fn forward_auth(self, port: u16, proxy: u16, app: &str) -> String {
        let app = app.trim_start_matches("http://");
        let app_port = app.rsplit_once(':').expect("an address with a port").1;
        let file = match self {
            Self::Nginx => "nginx-forward-auth/nginx.conf",
            Self::Caddy => "caddy-forward-auth/Caddyfile",
            Self::Envoy => "envoy-forward-auth/envoy.yaml",
        };
        let text = read(&root().join("examples").join(file));
        // What depends on where a test runs; each of it must be there.
        let changes = match self {
            Self::Nginx => vec![
                ("listen 80;", format!("listen 127.0.0.1:{port};")),
                (
                    "server_name app.example.com;",
                    "server_name localhost;".to_owned(),
                ),
                ("server 127.0.0.1:3000;", format!("server 127.0.0.1:{proxy};")),
                ("server 127.0.0.1:8080;", format!("server {app};")),
                // $host is without the port, which only a test has.
                ("$host", format!("$host:{port}")),
            ],
            Self::Caddy => vec![
                (
                    "app.example.com {",
                    format!("http://localhost:{port} {{\n\tbind 127.0.0.1"),
                ),
                ("127.0.0.1:3000", format!("127.0.0.1:{proxy}")),
                ("127.0.0.1:8080", app.to_owned()),
            ],
            Self::Envoy => vec![
                (
                    "address: 0.0.0.0, port_value: 8000",
                    format!("address: 127.0.0.1, port_value: {port}"),
                ),
                ("127.0.0.1:3000", format!("127.0.0.1:{proxy}")),
                ("port_value: 3000", format!("port_value: {proxy}")),
                ("port_value: 8080", format!("port_value: {app_port}")),
            ],
        };
        changes.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{file} has no {from}");
            text.replace(from, to)
        })
    }

    /// The plainest configuration that forwards everything to the app: it stands behind the proxy.
    fn plain(self, port: u16, app: &str) -> String {
        let app = app.trim_start_matches("http://");
        let app_port = app.rsplit_once(':').expect("an address with a port").1;
        match self {
            Self::Nginx => format!(
                "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{app}; proxy_http_version 1.1;
                 proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection; proxy_buffering off; }} }}"
            ),
            Self::Caddy => format!("http://:{port} {{\n\tbind 127.0.0.1\n\treverse_proxy {app}\n}}\n"),
            Self::Envoy => format!(
                r#"static_resources:
  listeners:
    - name: http
      address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: http
                upgrade_configs: [{{ upgrade_type: websocket }}]
                route_config:
                  virtual_hosts:
                    - name: app
                      domains: ["*"]
                      routes: [{{ match: {{ prefix: / }}, route: {{ cluster: app, timeout: 0s }} }}]
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
    - name: app
      type: STATIC
      load_assignment:
        cluster_name: app
        endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {app_port} }} }} }} }}] }}]
"#
            ),
        }
    }
}

impl Front {
    /// In front: it asks the proxy at the port `proxy` about each request, and forwards what may pass to the app.
    pub async fn guarding(kind: Kind, port: u16, proxy: u16, app: &str) -> Self {
        Self::start(kind, port, &kind.forward_auth(port, proxy, app)).await
    }

    /// nginx in front, which passes these headers of the answer on as well.
    pub async fn nginx_with(names: &[&str], port: u16, proxy: u16, app: &str) -> Self {
        let pass = "proxy_pass http://app;";
        let text = Kind::Nginx.forward_auth(port, proxy, app);
        assert!(text.contains(pass), "the example has no {pass}");
        // As its README says: a pair of lines for each.
        let pairs: String = names
            .iter()
            .map(|name| {
                let variable = name.to_ascii_lowercase().replace('-', "_");
                format!(
                    "auth_request_set ${variable} $upstream_http_{variable};\nproxy_set_header {name} ${variable};\n"
                )
            })
            .collect();
        let text = text.replace(pass, &format!("{pairs}{pass}"));
        Self::start(Kind::Nginx, port, &text).await
    }

    /// Behind the proxy: it forwards everything to the app.
    pub async fn before(kind: Kind, port: u16, app: &str) -> Self {
        Self::start(kind, port, &kind.plain(port, app)).await
    }

    async fn start(kind: Kind, port: u16, configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path();
        let mut command = match kind {
            Kind::Nginx => {
                let file = write(place, "nginx.conf", &nginx(place, configuration));
                let mut command = Command::new("nginx");
                command
                    .arg("-p")
                    .arg(place)
                    .arg("-c")
                    .arg(file)
                    .args(["-e", "stderr"]);
                command
            }
            Kind::Caddy => {
                let global = "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\n";
                let file = write(place, "Caddyfile", &format!("{global}{configuration}"));
                let mut command = Command::new(programs().join("bin/caddy"));
                command
                    .args(["run", "--adapter", "caddyfile", "--config"])
                    .arg(file);
                command
                    .env("HOME", place)
                    .env("XDG_DATA_HOME", place)
                    .env("XDG_CONFIG_HOME", place);
                command
            }
            Kind::Envoy => {
                let file = write(place, "envoy.yaml", configuration);
                let mut command = Command::new(programs().join("envoy/_bin/envoy"));
                command.args([
                    "--disable-hot-restart",
                    "--concurrency",
                    "1",
                    "--log-level",
                    "warning",
                    "-c",
                ]);
                command.arg(file);
                command
            }
        };
        let program = Program::start(kind.name(), &mut command);
        eventually(&format!("{} listens", kind.name()), || async {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self {
            _program: program,
            _folder: folder,
        }
    }
}

/// A whole file around a server of the example, with everything that it writes in the folder.
fn nginx(folder: &Path, servers: &str) -> String {
    let folder = folder.display();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let kept: String = kept
        .iter()
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{kept}{servers}\n}}\n"
    )
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a configuration is written");
    path
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where `tests/run` puts them.
fn programs() -> PathBuf {
    let path = root().join("target/programs");
    assert!(
        path.join("bin/caddy").exists(),
        "Caddy and Envoy are not installed: run tests/run"
    );
    path
}

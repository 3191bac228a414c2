//! A gate as the configuration compiles it, and a signed-in browser's request.

use http::header::{COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use logto_proxy::clock::Clock;
use logto_proxy::config::{self, Environment};
use logto_proxy::http::forwarded::Peer;
use logto_proxy::identity::Claims;
use logto_proxy::live;
use logto_proxy::proxy::Gate;
use logto_proxy::session::{Established, Session};
use logto_proxy::tasks::Tasks;
use logto_proxy::telemetry::Metrics;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Who the requests come from.
pub const PEER: Peer = Peer {
    address: Some(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 50_000)),
    tls: false,
};

const CLAIMS: &str = r#"{
    "sub": "u5x9p2mfkq01", "name": "Admin Person", "username": "adm", "email": "adm@example.com",
    "picture": "https://cdn.example.com/avatars/adm.png", "roles": ["admin", "editor"],
    "organizations": ["org-analytical", "org-engines"],
    "organization_roles": ["org-analytical:owner", "org-engines:member"]
}"#;

/// What a browser sends with every navigation.
const FIELDS: &[(&str, &str)] = &[
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,ja;q=0.8"),
    ("connection", "keep-alive"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("upgrade-insecure-requests", "1"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
];

/// A compiled proxy and the fields of a request that it lets pass.
pub struct Fixture {
    pub runtime: Runtime,
    pub gate: Arc<Gate>,
    pub headers: HeaderMap,
}

impl Fixture {
    /// Before an app that nobody asks.
    pub fn new() -> Self {
        Self::before(1)
    }

    /// Before the app at this port.
    pub fn before(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let text = format!(
            "public_url = \"https://app.example.com\"\nupstream = \"http://127.0.0.1:{port}\"\n\
             [logto]\nendpoint = \"https://tenant.example.com\"\napp_id = \"bench\"\napp_secret = \"0123456789abcdef\"\n\
             [session]\nkeys = [\"{key}\"]\n[log]\naccess = false\n"
        );
        let config = config::parse_str("bench", &text, Environment::new(Vec::new())).unwrap();
        let tasks = Tasks::on(runtime.handle().clone());
        let compiled = live::compile(&config, Clock::system(), &tasks, &Metrics::new()).unwrap();
        let headers = signed_in(&compiled.gate);
        Self {
            runtime,
            gate: Arc::new(compiled.gate),
            headers,
        }
    }
}

/// The fields of a browser that signed in just now.
fn signed_in(gate: &Gate) -> HeaderMap {
    let claims = Claims::from_json(CLAIMS.as_bytes()).unwrap();
    let session = Session::establish(Established {
        subject: "u5x9p2mfkq01".to_owned(),
        sid: Some("aQ3xV9d2hJ5mN8pR1tW4y".to_owned()),
        headers: gate.header_rules.project(&claims),
        fingerprint: gate.header_rules.fingerprint(),
        claims,
        signed_in_at: Clock::system().now(),
        lifetime: Duration::from_secs(8 * 3_600),
        refresh_token: None,
        access_token: None,
    })
    .unwrap();
    let lines = gate.cookies.seal(&session, &HeaderMap::new()).unwrap();
    let pairs: Vec<&str> = lines
        .iter()
        .map(|line| line.to_str().unwrap().split(';').next().unwrap())
        .collect();
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("app.example.com"));
    for (name, value) in FIELDS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let cookie = format!("theme=dark; {}", pairs.join("; "));
    headers.insert(COOKIE, HeaderValue::from_str(&cookie).unwrap());
    headers
}

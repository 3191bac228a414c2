//! nginx, Caddy and Envoy: each guards an app by asking the proxy, as in `examples/`, and each stands behind it.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use logto_proxy::identity::AssertionKey;
use serde_json::{Value, json};

use crate::front_tunnels::lets_no_tunnel_pass;
use crate::support::chromium::Chromium;
use crate::support::front::{Front, Kind};
use crate::support::ports::free_port;
use crate::support::process::Program;
use crate::support::proxy::{Deployment, Place, Proxy};
use crate::support::runner::Scenarios;
use crate::support::setting::Around;
use crate::support::visitor::Visitor;
use crate::support::wait::eventually;

/// Identity headers, as somebody who would like to be somebody else writes them.
const FORGED: [(&str, &str); 20] = [
    ("X-User-Sub", "forged"),
    ("x-user-hf-id", "forged"),
    ("X-User-Org-Roles", "forged"),
    ("X-Client-Id", "forged"),
    // Many an app reads these like the ones with hyphens.
    ("X_User_Sub", "forged"),
    ("X-User_Sub", "forged"),
    ("x_user-sub", "forged"),
    ("X_Client_Id", "forged"),
    ("X-Client_Id", "forged"),
    ("x_client-id", "forged"),
    ("X-Original-URL", "http://localhost/open/forged"),
    ("X-Forwarded-Uri", "/open/forged"),
    ("X-Forwarded-Method", "OPTIONS"),
    // By these some apps serve another page, or take another method.
    ("X-Rewrite-URL", "forged"),
    ("X-Forwarded-Prefix", "forged"),
    ("Forwarded", "forged"),
    ("X-Real-IP", "forged"),
    ("X-HTTP-Method", "forged"),
    ("X-HTTP-Method-Override", "forged"),
    ("X-Method-Override", "forged"),
];

const RULES: &str = "[[route]]\npath = \"/headers\"\n\n[[route]]\npath = \"/open/*\"\naccess = \"public\"\n\n\
    [[route]]\npath = \"/public\"\naccess = \"public\"\n\n\
    [[route]]\npath = \"/api/*\"\naccess = \"public\"\n\n[[route]]\npath = \"/bytes/*\"\naccess = { any_role = [\"admin\"] }\n";

/// Adds them once for each program.
pub fn add_to(scenarios: &mut Scenarios) {
    for kind in Kind::ALL {
        let name = kind.name();
        scenarios.add(format!("fronts_{name}::guards_an_app"), move || {
            guards_an_app(kind)
        });
        scenarios.add(format!("fronts_{name}::browser_signs_in"), move || {
            browser_signs_in(kind)
        });
        scenarios.add(format!("fronts_{name}::lets_no_tunnel_pass"), move || {
            lets_no_tunnel_pass(kind)
        });
        scenarios.add(format!("fronts_{name}::stands_behind"), move || {
            stands_behind(kind)
        });
    }
    scenarios.add(
        "fronts_nginx::passes_tokens_and_the_assertion_on".to_owned(),
        nginx_passes_tokens_and_the_assertion_on,
    );
    for app in ["behind_oauth2_proxy", "behind_google_iap"] {
        scenarios.add(format!("fronts::app_{app}_runs_unchanged"), move || {
            runs_unchanged(app)
        });
    }
}

/// The app, the proxy, and a program that browsers come to, which asks the proxy.
struct Guarded {
    front: Front,
    proxy: Proxy,
    around: Around,
}

impl Guarded {
    async fn new(kind: Kind) -> Self {
        let around = Around::new(Place::choose(), json!({})).await;
        let proxy = around
            .deployment()
            .top("trusted_proxies = [\"127.0.0.1/32\"]")
            .section(RULES)
            .start_elsewhere()
            .await;
        let front = Front::guarding(kind, around.place.port(), proxy.port(), around.app.address()).await;
        Self { front, proxy, around }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.around.place.public_url())
    }
}

async fn guards_an_app(kind: Kind) {
    let guarded = Guarded::new(kind).await;
    let url = |path: &str| guarded.url(path);

    // Nobody: 401 for a script, whatever it says of itself; the sign-in for a person.
    for fields in [&[][..], &FORGED] {
        let (status, _, body) = get(Method::GET, &url("/headers"), fields).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    }
    let (status, _, body) = get(Method::POST, &url("/echo"), &FORGED).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    // Nobody asks from outside.
    for path in ["/.logto/auth", "/.logto/auth/open/x"] {
        let (status, _, body) = get(Method::GET, &url(path), &[("X-Forwarded-Uri", "/open/x")]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
    }
    // What only reads like one of these never reaches the app.
    for name in ["X.User.Sub", "X-User.Sub", "X!User~Sub", "X.Client.Id"] {
        let (status, _, body) = get(Method::GET, &url("/api/x"), &[(name, "forged")]).await;
        if status != StatusCode::FORBIDDEN {
            assert_no_forged_identity(&body);
        }
    }
    // A public page is served without a session, and knows nobody.
    let (status, _, body) = get(Method::GET, &url("/public"), &FORGED).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(!body.contains("forged"), "{body}");
    let (_, _, body) = get(Method::GET, &url("/api/x"), &FORGED).await;
    assert_no_forged_identity(&body);

    let mut visitor = Visitor::new();
    let page = visitor.sign_in(&url("/headers?x=1&y=%2F"), "plain").await;
    assert_eq!(page.url.as_str(), url("/headers?x=1&y=%2F"));
    assert_eq!(page.user().as_deref(), Some("plain0000001"));
    // What the user has none of is not what the client says.
    let cookie = visitor.cookie_field("localhost");
    let mut fields = vec![("cookie", cookie.as_str())];
    fields.extend(FORGED);
    let (status, _, body) = get(Method::GET, &url("/headers"), &fields).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let seen: Value = serde_json::from_str(&body).expect("the app answers in JSON");
    assert_eq!(seen["x-user-sub"], json!(["plain0000001"]), "{seen}");
    for name in ["x-user-hf-id", "x-user-org-roles"] {
        let there = seen[name]
            .as_array()
            .is_some_and(|values| values.iter().any(|value| value != ""));
        assert!(!there, "{name}: {seen}");
    }
    assert_no_forged_identity(&body);
    // Signed in, and not allowed.
    let (status, _, body) = get(Method::GET, &url("/bytes/3"), &fields).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    // Nobody to ask: nothing passes.
    drop(guarded.proxy);
    let (status, _, body) = get(Method::GET, &guarded.around.place.public_url(), &fields).await;
    // Envoy says 403 unless told otherwise.
    let refused = status.is_server_error() || (kind == Kind::Envoy && status == StatusCode::FORBIDDEN);
    assert!(refused && !body.contains("Demo app"), "{status} {body}");
    drop(guarded.front);
}

/// `body` is what the app says it received.
fn assert_no_forged_identity(body: &str) {
    let seen: Value = serde_json::from_str(body).expect("the app answers in JSON");
    for (name, values) in seen.as_object().expect("headers") {
        let values = values.as_array().expect("lines of one name");
        assert!(!values.contains(&json!("forged")), "{name}: {seen}");
    }
}

/// Tokens and the assertion reach the app through the lines that the example asks for, and are nobody else's.
async fn nginx_passes_tokens_and_the_assertion_on() {
    const NAMES: [&str; 3] = ["X-Access-Token", "X-Id-Token", "X-Logto-Assertion"];
    let key = AssertionKey::generate().expect("a key is made");
    let around = Around::new(Place::choose(), json!({})).await;
    let proxy = around
        .deployment()
        .top("trusted_proxies = [\"127.0.0.1/32\"]")
        .section(&format!("[assertion]\nkey = \"\"\"\n{}\"\"\"", key.expose()))
        .section("[[route]]\npath = \"/api/open\"\naccess = \"public\"")
        .section("[[route]]\npath = \"/api/*\"")
        .section(
            "[[route]]\npath = \"/headers\"\n\
             tokens = [{ header = \"X-Access-Token\" }, { header = \"X-Id-Token\", token = \"id\" }]",
        )
        .start_elsewhere()
        .await;
    let app = around.app.address();
    let _front = Front::nginx_with(&NAMES, around.place.port(), proxy.port(), app).await;
    let url = |path: &str| format!("{}{path}", around.place.public_url());
    let mut visitor = Visitor::new();
    visitor.sign_in(&url("/headers"), "plain").await;
    let cookie = visitor.cookie_field("localhost");
    let mut fields = vec![("cookie", cookie.as_str())];
    fields.extend(NAMES.map(|name| (name, "forged")));
    let seen = async |path: &str| {
        let (status, _, body) = get(Method::GET, &url(path), &fields).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        assert_no_forged_identity(&body);
        let seen: Value = serde_json::from_str(&body).expect("the app answers in JSON");
        NAMES.map(|name| {
            let lines = seen[name.to_ascii_lowercase()]
                .as_array()
                .cloned()
                .unwrap_or_default();
            assert!(lines.len() < 2, "{path} {name}: {seen}");
            let line = lines.first().and_then(Value::as_str).unwrap_or_default();
            line.to_owned()
        })
    };
    let [access, id, assertion] = seen("/headers").await;
    assert!(access.len() > 20, "{access}");
    assert_eq!(claims(&id)["sub"], "plain0000001");
    assert_eq!(claims(&assertion)["sub"], "plain0000001");
    assert_eq!(claims(&assertion)["iss"], around.place.public_url());
    // Each route has what it is to have, and no more.
    let [access, id, assertion] = seen("/api/x").await;
    assert!(access.is_empty() && id.is_empty(), "{access} {id}");
    assert_eq!(claims(&assertion)["sub"], "plain0000001");
    assert_eq!(seen("/api/open").await, ["", "", ""]);
}

/// What a JWT says; who signed it is for other tests.
fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).unwrap_or_else(|| panic!("a JWT: {jwt}"));
    let bytes = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

async fn browser_signs_in(kind: Kind) {
    let guarded = Guarded::new(kind).await;
    let browser = Chromium::start().await;
    let address = guarded.url("/headers?page=2&q=%E7%8C%AB");
    browser.open(&address).await;
    eventually("a sign-in page", || async {
        browser
            .has("button[name=persona][value=plain]")
            .await
            .then_some(())
    })
    .await;
    browser.click("button[name=persona][value=plain]").await;
    browser.arrives_at(&address).await;
    let headers = browser
        .run_async("return await (await fetch('/headers')).json()")
        .await;
    assert_eq!(headers["x-user-sub"], json!(["plain0000001"]), "{headers}");
    let echo = browser
        .run_async(
            "return await new Promise((done) => {
                 const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
                 socket.onopen = () => socket.send('hello, 世界');
                 socket.onmessage = (message) => { socket.close(); done(message.data); };
                 socket.onerror = () => done('refused');
             });",
        )
        .await;
    assert_eq!(echo, "hello, 世界");
    browser.close().await;
}

async fn stands_behind(kind: Kind) {
    let around = Around::new(Place::choose(), json!({})).await;
    let port = free_port();
    let _front = Front::before(kind, port, around.app.address()).await;
    let proxy = Deployment::new(
        &around.place,
        &format!("http://127.0.0.1:{port}"),
        &around.provider,
    )
    .start()
    .await;
    let mut visitor = Visitor::new();
    let page = visitor.sign_in(&proxy.url("/headers"), "plain").await;
    assert_eq!(page.user().as_deref(), Some("plain0000001"));
    let mut socket = crate::support::socket::Socket::open(&visitor, &proxy).await;
    assert!(socket.echoes().await);
    let bytes = visitor.open(&proxy.url("/bytes/300000")).await;
    assert_eq!((bytes.status, bytes.body.len()), (StatusCode::OK, 300_000));
}

/// An app that was written for another proxy, with its preset and nothing else.
async fn runs_unchanged(app: &'static str) {
    let around = Around::new(Place::choose(), json!({})).await;
    let file = format!("{}/tests/interop/apps/{app}.py", env!("CARGO_MANIFEST_DIR"));
    let mut program = Program::start(app, Command::new("python3").arg(file));
    let port: u16 = program
        .line("says its port", |line| {
            line.strip_prefix("listening on ")?.parse().ok()
        })
        .await;
    let preset = if app.ends_with("iap") {
        "google-iap"
    } else {
        "oauth2-proxy"
    };
    let proxy = Deployment::new(
        &around.place,
        &format!("http://127.0.0.1:{port}"),
        &around.provider,
    )
    .section(&format!("[headers_presets]\nuse = [\"{preset}\"]"))
    .start()
    .await;
    let mut visitor = Visitor::new();
    let page = visitor.sign_in(&proxy.url("/"), "admin").await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(
        page.body.starts_with("user=admin") && page.body.contains('@'),
        "{page:?}"
    );
    if preset == "oauth2-proxy" {
        assert!(page.body.ends_with("admin=True"), "{page:?}");
    }
    // Without a session the app hears nothing of whom the client says it is.
    let forged = [
        ("X-Forwarded-User", "forged"),
        (
            "X-Goog-Authenticated-User-Email",
            "accounts.google.com:forged@example.com",
        ),
        ("X-Goog-Authenticated-User-ID", "accounts.google.com:forged"),
    ];
    let (status, _, body) = get(Method::GET, &proxy.url("/open"), &forged).await;
    assert!(!body.contains("forged"), "{status} {body}");
}

/// One request of a script.
async fn get(
    method: Method,
    address: &str,
    fields: &[(&str, &str)],
) -> (StatusCode, http::HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(address);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Empty::<bytes::Bytes>::new())
        .expect("a well-formed request");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (
        head.status,
        head.headers,
        String::from_utf8_lossy(&body).into_owned(),
    )
}

//! The parts do what the scenarios take for granted: what the provider does as Logto does, what goes wrong there on request,
//! and proxies that are killed.

use http::StatusCode;
use logto_proxy::clock::monotonic;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::app::App;
use crate::support::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider, VERSIONS};
use crate::support::proxy::{Deployment, Place};
use crate::support::replicas::Replicas;
use crate::support::runner::Scenarios;
use crate::support::visitor::Visitor;
use crate::support::wait::eventually;

/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Adds those of the provider once for each version.
pub fn add_to(scenarios: &mut Scenarios) {
    for version in VERSIONS {
        scenarios.add_patient(format!("parts_{version}::refresh_tokens_rotate"), move || {
            refresh_tokens_rotate(version)
        });
        scenarios.add(format!("parts_{version}::sign_out_is_told"), move || {
            sign_out_is_told(version)
        });
        scenarios.add(format!("parts_{version}::access_is_withdrawn"), move || {
            access_is_withdrawn(version)
        });
    }
    scenarios.add("parts::token_endpoint_misbehaves", token_endpoint_misbehaves);
    scenarios.add("parts::replicas_are_killed", replicas_are_killed);
}

/// A relying party made of this test, with a page to come back to.
struct RelyingParty {
    provider: OidcProvider,
    app: App,
    visitor: Visitor,
}

impl RelyingParty {
    async fn new(version: u8, mut settings: Value) -> Self {
        let app = App::start().await;
        settings["always_issue_refresh_token"] = json!(true);
        let provider = OidcProvider::start_with(version, app.address(), settings).await;
        Self {
            provider,
            app,
            visitor: Visitor::new(),
        }
    }

    /// Signs in and redeems the code.
    async fn tokens(&mut self, persona: &str) -> Value {
        let callback = format!("{}/.logto/callback", self.app.address());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", CLIENT_ID),
                ("redirect_uri", &callback),
                ("response_type", "code"),
                ("scope", "openid profile roles"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        let address = format!("{}/oidc/auth?{query}", self.provider.endpoint());
        let page = self.visitor.sign_in(&address, persona).await;
        let code = page.url.query_pairs().find(|(name, _)| name == "code");
        let code = code.unwrap_or_else(|| panic!("no code: {page:?}")).1.into_owned();
        let answer = self
            .token(&[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", &callback),
                ("code_verifier", VERIFIER),
            ])
            .await
            .expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
            .expect("an answer")
    }

    /// A call of the token endpoint as an application makes it, on a connection of its own; HTTP/1.0, so that the answer comes in one piece.
    async fn token(&self, pairs: &[(&str, &str)]) -> Option<Answer> {
        let client = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs.iter().chain(&client))
            .finish();
        let address = self.provider.endpoint().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!(
            "POST /oidc/token HTTP/1.0\r\nHost: {address}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        stream.write_all(request.as_bytes()).await.expect("it is written");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some(Answer {
            status: head.split(' ').nth(1)?.parse().ok()?,
            body: serde_json::from_str(body).expect("JSON"),
        })
    }
}

/// What the token endpoint answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {value}"))
}

async fn refresh_tokens_rotate(version: u8) {
    let settings = json!({ "refresh_token_ttl": 6, "refresh_token_leeway_ms": 700 });
    let mut party = RelyingParty::new(version, settings).await;
    let tokens = party.tokens("plain").await;
    let old = text(&tokens, "refresh_token").to_owned();
    let same = party.refresh(&old).await.body;
    assert_eq!(
        text(&same, "refresh_token"),
        old,
        "the same until 70 % of its life"
    );
    let new = eventually("the refresh token rotates", || async {
        let answer = party.refresh(&old).await.body;
        (text(&answer, "refresh_token") != old).then(|| text(&answer, "refresh_token").to_owned())
    })
    .await;
    assert_eq!(party.provider.rotations().await, 1);
    let within = party.refresh(&old).await;
    assert_eq!(within.status, 200, "within the leeway: {within:?}");
    tokio::time::sleep(Duration::from_millis(750)).await;
    assert_eq!(text(&party.refresh(&old).await.body, "error"), "invalid_grant");
    assert_eq!(
        text(&party.refresh(&new).await.body, "error"),
        "invalid_grant",
        "the whole grant is gone"
    );
    assert_eq!(party.provider.token_calls("authorization_code").await, 1);
    assert!(party.provider.token_calls("refresh_token").await > 4);
}

async fn sign_out_is_told(version: u8) {
    for session_required in [true, false] {
        let (address, heard) = listener().await;
        let settings = OidcProvider::back_channel_logout(&format!("http://{address}"), session_required);
        let mut party = RelyingParty::new(version, settings).await;
        let tokens = party.tokens("plain").await;
        let sid = claims(text(&tokens, "id_token"))["sid"].clone();
        assert_eq!(sid.is_string(), session_required);
        let address = format!("{}/oidc/session/end", party.provider.endpoint());
        let page = party.visitor.open(&address).await;
        party.visitor.post_only_form(&page).await;
        assert_eq!(party.provider.count("backchannel.success").await, 1);
        let heard = heard.lock().expect("no holder panics").clone();
        assert_eq!(heard.len(), 1, "{heard:?}");
        let (_, form) = heard[0].split_once("\r\n\r\n").expect("a head and a body");
        let token = form.strip_prefix("logout_token=").expect("a logout token");
        let claims = claims(token);
        assert_eq!(claims["sub"], "plain0000001");
        assert_eq!(claims["sid"], sid);
    }
}

async fn access_is_withdrawn(version: u8) {
    let mut party = RelyingParty::new(version, json!({})).await;
    let sub = "plain0000001";
    let error = |answer: Answer| text(&answer.body, "error").to_owned();

    let tokens = party.tokens("plain").await;
    let token = text(&tokens, "refresh_token");
    party
        .provider
        .change_user(sub, json!({ "access_denied": true, "roles": ["other"] }))
        .await;
    assert_eq!(error(party.refresh(token).await), "access_denied");
    party
        .provider
        .change_user(sub, json!({ "access_denied": false }))
        .await;
    let refreshed = party.refresh(token).await.body;
    assert_eq!(claims(text(&refreshed, "id_token"))["roles"], json!(["other"]));

    party.provider.end_sessions(sub).await;
    assert_eq!(error(party.refresh(token).await), "invalid_grant");
    assert!(party.provider.signed_in().await.is_empty());

    let tokens = party.tokens("plain").await;
    party.provider.evict_grants(sub).await;
    assert_eq!(
        error(party.refresh(text(&tokens, "refresh_token")).await),
        "invalid_grant"
    );
    assert_eq!(party.provider.signed_in().await, [sub]);
    for gone in ["suspended", "deleted"] {
        party.visitor = Visitor::new();
        let tokens = party.tokens("plain").await;
        let (on, off) = (json!({ gone: true }), json!({ gone: false }));
        party.provider.change_user(sub, on).await;
        assert_eq!(
            error(party.refresh(text(&tokens, "refresh_token")).await),
            "invalid_grant"
        );
        assert!(party.provider.signed_in().await.is_empty());
        party.provider.change_user(sub, off).await;
    }
}

async fn token_endpoint_misbehaves() {
    let mut party = RelyingParty::new(9, json!({})).await;
    let tokens = party.tokens("plain").await;
    let token = text(&tokens, "refresh_token").to_owned();
    let ask = || async { party.refresh(&token).await.status };

    party.provider.fault("refresh_token", "error", 0, Some(2)).await;
    assert_eq!([ask().await, ask().await, ask().await], [503, 503, 200]);
    for kind in ["slow", "late"] {
        party.provider.fault("*", kind, 400, None).await;
        let before = monotonic();
        assert_eq!(ask().await, 200);
        assert!(before.elapsed() >= Duration::from_millis(400), "{kind}");
    }
    party.provider.heal("*").await;
    let before = party.provider.count("grant.success").await;
    for (kind, done) in [("reset", 0), ("lost", 1)] {
        party.provider.fault("refresh_token", kind, 0, Some(1)).await;
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        assert!(party.token(&pairs).await.is_none(), "{kind}");
        assert_eq!(
            party.provider.count("grant.success").await - before,
            done,
            "{kind}"
        );
    }
    assert_eq!(ask().await, 200);
    party.provider.freeze();
    let frozen = tokio::time::timeout(Duration::from_millis(300), ask()).await;
    assert!(frozen.is_err());
    party.provider.thaw();
    assert_eq!(ask().await, 200);
}

async fn replicas_are_killed() {
    let app = App::start().await;
    let place = Place::choose();
    let provider = OidcProvider::start(9, &place.public_url()).await;
    let deployment = Deployment::new(&place, app.address(), &provider)
        .top("workers = 1")
        .logto("userinfo = \"when-needed\"")
        .session("idle_timeout = \"1d\"")
        .section("[[route]]\npath = \"/too\"\naccess = \"public\"\n");
    let mut replicas = Replicas::start(&place, deployment, 2, |_| vec!["log.level=info".to_owned()]).await;
    let mut visitor = Visitor::new();
    let page = visitor.sign_in(&replicas.url("/headers"), "plain").await;
    assert_eq!(page.json()["x-user-sub"], json!(["plain0000001"]));
    replicas.proxies[0].kill();
    let signed_in = async |visitor: &mut Visitor, address: &str| {
        visitor.open(address).await.json()["x-user-sub"] == json!(["plain0000001"])
    };
    for _ in 0..3 {
        // A new visitor with the same cookies, so that a connection that died is nobody's.
        visitor = visitor.reconnected();
        assert!(signed_in(&mut visitor, &replicas.url("/headers")).await);
    }
    replicas.proxies[0].restart().await;
    assert!(signed_in(&mut visitor, &replicas.proxies[0].own_url("/headers")).await);
    replicas.only(&[0]);
    replicas.proxies[1].terminate().await;
    visitor = visitor.reconnected();
    assert!(signed_in(&mut visitor, &replicas.url("/headers")).await);
    let ready = visitor.open(&replicas.proxies[0].admin_url("/readyz")).await;
    assert_eq!(ready.status, StatusCode::OK);
    assert!(!replicas.proxies[0].output().is_empty());
}

/// Answers every request with 200 and keeps what it said, head and body.
async fn listener() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heard);
    drop(logto_proxy::tasks::Tasks::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            while !is_whole(&bytes) && stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
            noted
                .lock()
                .expect("no holder panics")
                .push(String::from_utf8_lossy(&bytes).into_owned());
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        }
    }));
    (address, heard)
}

/// Whether a request with `Content-Length` has arrived to its end.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        length.is_some_and(|length: usize| body.len() >= length)
    })
}

fn claims(token: &str) -> Value {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}

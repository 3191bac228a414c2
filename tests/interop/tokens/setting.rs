//! A proxy whose routes have tokens, before the real `oidc-provider`, and what a test wants to know of a token.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use logto_proxy::clock::Clock;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::oidc_provider::{CLIENT_ID, OidcProvider};
use crate::support::proxy::{Deployment, Place, Proxy};
use crate::support::visitor::{Answer, Visitor};
use crate::support::webhook;

pub const THINGS: &str = "https://things.example.com";
pub const PEOPLE: &str = "https://people.example.com/";
pub const ADMIN: &str = "admin0000001";
pub const PLAIN: &str = "plain0000001";

/// `/api/team` is for members of an organization, as far as its first token goes.
pub const ROUTES: &str = r#"
[[route]]
path = "/headers"
tokens = [{ header = "X-Access-Token" }, { token = "id", header = "X-Id-Token" }]

[[route]]
path = "/api/things"
tokens = [{ resource = "https://things.example.com", header = "Authorization" }]

[[route]]
path = "/api/people"
tokens = [{ resource = "https://people.example.com/", header = "X-People-Token", when_absent = "refuse" }]

[[route]]
path = "/api/team"
tokens = [
  { organization = "org_alpha", header = "X-Team-Token", when_absent = "refuse" },
  { resource = "https://things.example.com", organization = "org_alpha", header = "X-Team-Things-Token" },
]
"#;

/// App and provider; the proxy is started between them.
pub struct Setting {
    pub place: Place,
    pub provider: OidcProvider,
    app: App,
}

impl Setting {
    /// `more` are further settings of server.mjs.
    pub async fn new(version: u8, more: Value) -> Self {
        let mut settings = json!({
            "always_issue_refresh_token": true,
            "resources": [THINGS, PEOPLE],
            "resource_scopes": "read write delete",
        });
        for (name, value) in more.as_object().expect("settings are an object") {
            settings[name] = value.clone();
        }
        let place = Place::choose();
        let provider = OidcProvider::start_with(version, &place.public_url(), settings).await;
        let app = App::start().await;
        Self { place, provider, app }
    }

    /// A proxy whose routes have no tokens.
    pub fn deployment(&self) -> Deployment {
        Deployment::new(&self.place, self.app.address(), &self.provider)
            .scopes(&["read", "write", "manage:members"])
            .session("recheck = \"60s\"")
            .section(&webhook::section())
    }

    /// One whose routes have.
    pub async fn proxy(&self) -> Proxy {
        self.deployment().section(ROUTES).start().await
    }

    /// Token calls with a refresh token.
    pub async fn refreshes(&self) -> u64 {
        self.provider.token_calls("refresh_token").await
    }

    /// What a JWT says, once its signature has been proved with the provider's key (RFC 7515 §5.2), and its `typ`.
    pub async fn verified(&self, token: &str) -> (Value, Option<String>) {
        let address = format!("{}/oidc/jwks", self.provider.endpoint());
        let keys = Visitor::new().open(&address).await.json();
        let (signed, signature) = token.rsplit_once('.').expect("a JWT");
        let (header, payload) = signed.split_once('.').expect("a JWT");
        let header = decoded(header);
        assert_eq!(header["alg"], "ES384");
        let key = keys["keys"].as_array().expect("keys").iter();
        let key = key.into_iter().find(|key| key["kid"] == header["kid"]);
        let key = key.unwrap_or_else(|| panic!("{header} names none of {keys}"));
        let coordinate = |name: &str| bytes(key[name].as_str().expect("a coordinate"));
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
            .verify(signed.as_bytes(), &bytes(signature))
            .expect("the provider signed it");
        (decoded(payload), header["typ"].as_str().map(str::to_owned))
    }

    /// Checks a token for an API, or for an organization: its audience is this.
    pub async fn assert_is_for(&self, token: &str, audience: &str, subject: &str, scope: &str) -> Value {
        let (claims, kind) = self.verified(token).await;
        assert_eq!(kind.as_deref(), Some("at+jwt"));
        assert_eq!(claims["aud"], audience);
        assert_eq!(claims["iss"], format!("{}/oidc", self.provider.endpoint()));
        assert_eq!(claims["sub"], subject);
        assert_eq!(claims["client_id"], CLIENT_ID);
        assert_eq!(claims["scope"], scope);
        assert!(claims["exp"].as_u64().expect("an end") > now());
        claims
    }

    /// Whose an opaque access token is; `None` when it is nobody's.
    pub async fn user_of(&self, opaque: &str) -> Option<String> {
        let address = format!("{}/oidc/me", self.provider.endpoint());
        let authorization = format!("Bearer {opaque}");
        let fields = [("authorization", authorization.as_str())];
        let answer = Visitor::new()
            .request(Method::GET, &address, &fields, "", String::new())
            .await;
        let user = serde_json::from_str::<Value>(&answer.body).ok()?;
        user["sub"].as_str().map(str::to_owned)
    }
}

fn bytes(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

pub fn decoded(part: &str) -> Value {
    serde_json::from_slice(&bytes(part)).expect("JSON")
}

pub fn now() -> u64 {
    Clock::system().now().as_u64()
}

pub async fn signed_in(proxy: &Proxy, persona: &str) -> Visitor {
    let mut visitor = Visitor::new();
    let page = visitor.sign_in(&proxy.url("/api/other"), persona).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    visitor
}

/// The one value of a header that reached the app.
pub fn header(answer: &Answer, name: &str) -> Option<String> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let headers = answer.json();
    let values = headers[name].as_array().map_or(&[][..], Vec::as_slice);
    assert!(values.len() <= 1, "{headers}");
    values.first()?.as_str().map(str::to_owned)
}

/// The same of one that is there.
pub fn token(answer: &Answer, name: &str) -> String {
    header(answer, name).unwrap_or_else(|| panic!("no {name}: {answer:?}"))
}

//! Callers without a browser, with the tokens of the real `oidc-provider`: client credentials, resource indicators, opaque
//! tokens and their introspection, and the token exchange of personal access tokens as Logto adds it.

use std::process::Command;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::oidc_provider::{CLIENT_ID, OidcProvider, VERSIONS};
use crate::support::proxy::{Deployment, Place, Proxy};
use crate::support::runner::Scenarios;
use crate::support::visitor::{Answer, Visitor};
use crate::support::{app::App, oidc_provider::CLIENT_SECRET};

const API: &str = "https://api.example.com/";
const PERSONAL: &str = "pat_0123456789abcdefghijklmnopqrstuvwxyz";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Adds every scenario once for each version.
pub fn add_to(scenarios: &mut Scenarios) {
    for version in VERSIONS {
        scenarios.add(format!("bearer_{version}::a_machine_calls"), move || {
            a_machine_calls(version)
        });
        scenarios.add(
            format!("bearer_{version}::a_users_tokens_of_another_application"),
            move || a_users_tokens_of_another_application(version),
        );
        scenarios.add(
            format!("bearer_{version}::a_personal_access_token_is_exchanged"),
            move || a_personal_access_token_is_exchanged(version),
        );
    }
    scenarios.add(
        "bearer::dev_prints_a_call_that_works",
        dev_prints_a_call_that_works,
    );
}

struct Setting {
    place: Place,
    provider: OidcProvider,
    proxy: Proxy,
    caller: Visitor,
    _app: App,
}

impl Setting {
    async fn new(version: u8) -> Self {
        let app = App::start().await;
        let place = Place::choose();
        let more = json!({
            "resources": [API, "https://other.example.com/"],
            "resource_scopes": "read write",
            "more_clients": [
                { "client_id": "machine", "client_secret": "m", "grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [] },
                {
                    "client_id": "cli", "client_secret": "c", "grant_types": ["authorization_code", "refresh_token"],
                    "response_types": ["code"], "redirect_uris": [format!("{}/open", place.public_url())],
                },
                {
                    "client_id": "stranger", "client_secret": "s", "grant_types": ["authorization_code", "refresh_token"],
                    "response_types": ["code"], "redirect_uris": [format!("{}/open", place.public_url())],
                },
            ],
            "personal_access_tokens": { PERSONAL: "admin0000001" },
        });
        let provider = OidcProvider::start_with(version, &place.public_url(), more).await;
        let proxy = Deployment::new(&place, app.address(), &provider)
            .logto(&format!("resources = \"{API}\"\ntrusted_clients = \"cli\""))
            .section("[[route]]\npath = \"/headers\"\nbearer = true")
            .section("[[route]]\npath = \"/api/write\"\nbearer = true\naccess = { scope = [\"write\"] }")
            .section("[[route]]\npath = \"/api/admin\"\nbearer = true\naccess = { any_role = [\"admin\"] }")
            .start()
            .await;
        Self {
            place,
            provider,
            proxy,
            caller: Visitor::new(),
            _app: app,
        }
    }

    async fn call(&mut self, path: &str, token: &str) -> Answer {
        let fields = [("authorization", format!("Bearer {token}"))];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let address = self.proxy.url(path);
        self.caller
            .request(Method::GET, &address, &fields, "", String::new())
            .await
    }

    /// What the token endpoint answers a client.
    async fn token(&mut self, client: &str, secret: &str, parameters: &[(&str, &str)]) -> Value {
        let address = format!("{}/oidc/token", self.provider.endpoint());
        let credentials = [("client_id", client), ("client_secret", secret)];
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters.iter().chain(&credentials))
            .finish();
        let form = "application/x-www-form-urlencoded";
        let answer = self.caller.request(Method::POST, &address, &[], form, body).await;
        answer.json()
    }

    /// The tokens of a user who signs in at another application, which asks for the API's too.
    async fn sign_in_at(&mut self, client: &str, secret: &str, persona: &str) -> Value {
        let callback = format!("{}/open", self.place.public_url());
        let mut address: url::Url = format!("{}/oidc/auth", self.provider.endpoint()).parse().unwrap();
        address.query_pairs_mut().extend_pairs([
            ("client_id", client),
            ("redirect_uri", &callback),
            ("response_type", "code"),
            ("scope", "openid profile roles offline_access read"),
            ("resource", API),
            ("prompt", "consent"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let page = Visitor::new().sign_in(address.as_str(), persona).await;
        let code = page.url.query_pairs().find(|(name, _)| name == "code");
        let code = code.unwrap_or_else(|| panic!("{page:?}")).1.into_owned();
        let parameters = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &callback),
            ("code_verifier", VERIFIER),
        ];
        self.token(client, secret, &parameters).await
    }
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} of {answer}"))
}

async fn a_machine_calls(version: u8) {
    let mut setting = Setting::new(version).await;
    let grant = [
        ("grant_type", "client_credentials"),
        ("resource", API),
        ("scope", "read"),
    ];
    let answer = setting.token("machine", "m", &grant).await;
    let token = text(&answer, "access_token");
    assert_eq!(token.matches('.').count(), 2, "a JWT");

    let headers = setting.call("/headers", token).await.json();
    assert_eq!(headers["x-client-id"], json!(["machine"]));
    assert!(headers["x-user-sub"].is_null(), "{headers}");
    let refused = setting.call("/api/write", token).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(
        refused.headers["www-authenticate"],
        "Bearer error=\"insufficient_scope\", scope=\"write\""
    );

    let grant = [
        ("grant_type", "client_credentials"),
        ("resource", API),
        ("scope", "read write"),
    ];
    let answer = setting.token("machine", "m", &grant).await;
    let written = setting.call("/api/write", text(&answer, "access_token")).await;
    assert_eq!(written.status, StatusCode::OK, "{written:?}");

    let other = [
        ("grant_type", "client_credentials"),
        ("resource", "https://other.example.com/"),
    ];
    let answer = setting.token("machine", "m", &other).await;
    let refused = setting.call("/headers", text(&answer, "access_token")).await;
    assert_eq!(
        refused.status,
        StatusCode::UNAUTHORIZED,
        "of another API: {refused:?}"
    );
    // Without a resource it is opaque, and of an application that nobody listed.
    let answer = setting
        .token("machine", "m", &[("grant_type", "client_credentials")])
        .await;
    let refused = setting.call("/headers", text(&answer, "access_token")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    assert_eq!(setting.provider.count("POST /oidc/token/introspection").await, 1);
}

async fn a_users_tokens_of_another_application(version: u8) {
    let mut setting = Setting::new(version).await;
    let signed_in = setting.sign_in_at("cli", "c", "admin").await;
    // Opaque: introspected, and userinfo asked for roles.
    let opaque = text(&signed_in, "access_token").to_owned();
    let headers = setting.call("/headers", &opaque).await.json();
    assert_eq!(headers["x-user-sub"], json!(["admin0000001"]));
    assert_eq!(headers["x-user-roles"], json!(["admin,editor"]));
    assert!(headers["authorization"].is_null(), "it opens more than this app");
    assert_eq!(setting.call("/api/admin", &opaque).await.status, StatusCode::OK);
    assert_eq!(setting.provider.count("POST /oidc/token/introspection").await, 1);

    // By refresh, with the resource: a JWT.
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&signed_in, "refresh_token")),
        ("resource", API),
        ("scope", "read"),
    ];
    let answer = setting.token("cli", "c", &refresh).await;
    let jwt = text(&answer, "access_token").to_owned();
    let headers = setting.call("/headers", &jwt).await.json();
    assert_eq!(headers["x-user-sub"], json!(["admin0000001"]));
    assert!(headers["x-client-id"].is_null(), "{headers}");
    assert_eq!(headers["authorization"], json!([format!("Bearer {jwt}")]));
    let refused = setting.call("/api/write", &jwt).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    // An ID token and a refresh token are none.
    for name in ["id_token", "refresh_token"] {
        let refused = setting.call("/headers", text(&signed_in, name)).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{name}: {refused:?}");
    }
    let answer = setting.sign_in_at("stranger", "s", "admin").await;
    let refused = setting.call("/headers", text(&answer, "access_token")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
}

async fn a_personal_access_token_is_exchanged(version: u8) {
    let mut setting = Setting::new(version).await;
    for _ in 0..3 {
        let answer = setting.call("/api/admin", PERSONAL).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    let headers = setting.call("/headers", PERSONAL).await.json();
    assert_eq!(headers["x-user-sub"], json!(["admin0000001"]));
    assert!(headers["authorization"].is_null(), "it opens more than this app");
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    assert_eq!(setting.provider.token_calls(exchange).await, 1);
    let unknown = PERSONAL.replace("pat_0", "pat_1");
    let refused = setting.call("/headers", &unknown).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    // Those of the proxy's own application need not be listed.
    let grant = [
        ("grant_type", exchange),
        ("subject_token", PERSONAL),
        ("subject_token_type", "urn:logto:token-type:personal_access_token"),
        ("scope", "openid profile roles"),
    ];
    let answer = setting.token(CLIENT_ID, CLIENT_SECRET, &grant).await;
    let headers = setting
        .call("/headers", text(&answer, "access_token"))
        .await
        .json();
    assert_eq!(headers["x-user-sub"], json!(["admin0000001"]));
}

async fn dev_prints_a_call_that_works() {
    let proxy = Proxy::start_dev().await;
    let output = proxy.output();
    let call = output
        .iter()
        .find(|line| line.contains("grant_type=client_credentials"));
    let call = call.unwrap_or_else(|| panic!("{output:?}")).clone();
    let done = tokio::task::spawn_blocking(move || Command::new("sh").arg("-c").arg(call).output())
        .await
        .unwrap()
        .unwrap();
    let headers: Value =
        serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    assert_eq!(headers["x-client-id"], json!(["logto-proxy-dev-machine"]));
}

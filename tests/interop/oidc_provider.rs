//! Sign-in and sign-out against the real `oidc-provider`, in the two major versions that Logto has been built on.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::oidc_provider::{OidcProvider, VERSIONS};
use crate::support::proxy::{Place, Proxy};
use crate::support::runner::Scenarios;
use crate::support::visitor::Visitor;

/// Adds every scenario once for each version.
pub fn add_to(scenarios: &mut Scenarios) {
    for version in VERSIONS {
        scenarios.add(
            format!("oidc_provider_{version}::code_flow_carries_identity"),
            move || code_flow_carries_identity(version),
        );
        scenarios.add(
            format!("oidc_provider_{version}::hugging_face_comes_from_userinfo"),
            move || hugging_face_comes_from_userinfo(version),
        );
        scenarios.add(
            format!("oidc_provider_{version}::code_is_redeemed_once"),
            move || code_is_redeemed_once(version),
        );
        scenarios.add(
            format!("oidc_provider_{version}::key_rotation_changes_algorithm"),
            move || key_rotation_changes_algorithm(version),
        );
        scenarios.add(
            format!("oidc_provider_{version}::sign_out_ends_provider_session"),
            move || sign_out_ends_provider_session(version),
        );
    }
}

/// App, provider and the proxy between them.
struct Setting {
    provider: OidcProvider,
    proxy: Proxy,
    _app: App,
}

impl Setting {
    async fn new(version: u8) -> Self {
        let app = App::start().await;
        let place = Place::choose();
        let provider = OidcProvider::start(version, &place.public_url()).await;
        let proxy = Proxy::start(&place, app.address(), &provider).await;
        Self {
            provider,
            proxy,
            _app: app,
        }
    }
}

/// The header fields of a request as they reached the app: name to list of values.
async fn headers(visitor: &mut Visitor, proxy: &Proxy) -> Value {
    visitor.open(&proxy.url("/headers")).await.json()
}

async fn code_flow_carries_identity(version: u8) {
    let Setting {
        provider,
        proxy,
        _app,
    } = Setting::new(version).await;
    let mut visitor = Visitor::new();

    let page = visitor.sign_in(&proxy.url("/headers?q=1&q=2"), "admin").await;

    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.url.as_str(), proxy.url("/headers?q=1&q=2"));
    let callback = visitor
        .visited
        .iter()
        .find(|url| url.query_pairs().any(|(name, _)| name == "code"));
    let callback = callback.expect("a callback was made");
    let iss = callback
        .query_pairs()
        .find(|(name, _)| name == "iss")
        .expect("the provider sends `iss`")
        .1;
    assert_eq!(iss, format!("{}/oidc", provider.endpoint()));

    let headers = headers(&mut visitor, &proxy).await;
    assert_eq!(headers["x-user-sub"], json!(["admin0000001"]));
    assert_eq!(headers["x-user-email"], json!(["adam@example.com"]));
    assert_eq!(
        headers["x-user-name"],
        json!(["%C3%81d%C3%A1m %C3%85gren %E7%AE%A1%E7%90%86"])
    );
    assert_eq!(headers["x-user-roles"], json!(["admin,editor"]));
    assert_eq!(headers["x-user-orgs"], json!(["org_alpha,org_beta"]));
    assert_eq!(
        headers["x-user-org-roles"],
        json!(["org_alpha:owner,org_beta:member"])
    );
    assert!(
        headers["cookie"].is_null(),
        "the proxy's own cookies went to the app: {headers}"
    );
    assert_eq!(provider.count("POST /oidc/token").await, 1);
    proxy.stop().await;
}

async fn hugging_face_comes_from_userinfo(version: u8) {
    let Setting {
        provider,
        proxy,
        _app,
    } = Setting::new(version).await;
    let mut visitor = Visitor::new();

    visitor.sign_in(&proxy.url("/"), "huggingface").await;

    let headers = headers(&mut visitor, &proxy).await;
    assert_eq!(headers["x-user-sub"], json!(["hugging00001"]));
    assert_eq!(headers["x-user-hf-id"], json!(["62f0c0ffee0000000000abcd"]));
    // Null at the provider, so absent and not the word "null".
    assert!(headers["x-user-email"].is_null(), "{headers}");
    assert!(headers["x-user-username"].is_null(), "{headers}");
    assert_eq!(provider.count("GET /oidc/me").await, 1);
}

async fn code_is_redeemed_once(version: u8) {
    let Setting {
        provider,
        proxy,
        _app,
    } = Setting::new(version).await;
    let mut visitor = Visitor::new();
    visitor.sign_in(&proxy.url("/wanted"), "plain").await;
    let callback = visitor
        .visited
        .iter()
        .find(|url| url.query_pairs().any(|(name, _)| name == "code"));
    let callback = callback.expect("a callback was made").clone();

    // A reload of the callback by someone who is signed in goes on to the page.
    let again = visitor.open(callback.as_str()).await;
    assert_eq!(again.url.as_str(), proxy.url("/wanted"));

    // Another browser that gets hold of the address gains nothing and costs nothing.
    let stolen = Visitor::new().open(callback.as_str()).await;
    assert!(stolen.status.is_client_error(), "{stolen:?}");
    assert_eq!(provider.count("POST /oidc/token").await, 1);
}

async fn key_rotation_changes_algorithm(version: u8) {
    let Setting {
        provider,
        proxy,
        _app,
    } = Setting::new(version).await;
    let mut before = Visitor::new();
    before.sign_in(&proxy.url("/"), "plain").await;

    provider.rotate_to("RS256").await;

    let mut after = Visitor::new();
    let page = after.sign_in(&proxy.url("/after"), "admin").await;
    assert_eq!(page.url.as_str(), proxy.url("/after"), "{page:?}");
    assert_eq!(
        headers(&mut after, &proxy).await["x-user-sub"],
        json!(["admin0000001"])
    );
    assert_eq!(
        headers(&mut before, &proxy).await["x-user-sub"],
        json!(["plain0000001"])
    );
}

async fn sign_out_ends_provider_session(version: u8) {
    let Setting {
        provider,
        proxy,
        _app,
    } = Setting::new(version).await;
    provider.set(json!({ "always_issue_refresh_token": true })).await;
    let mut visitor = Visitor::new();
    visitor.sign_in(&proxy.url("/"), "plain").await;
    assert_eq!(provider.signed_in().await, ["plain0000001"]);

    let page = visitor.open(&proxy.url("/.logto/sign-out")).await;
    assert!(
        page.url.as_str().starts_with(provider.endpoint()),
        "the provider's sign-out page was expected: {page:?}"
    );
    visitor.post_only_form(&page).await;

    assert!(provider.signed_in().await.is_empty());
    assert_eq!(provider.count("POST /oidc/token/revocation").await, 1);
    assert!(
        !visitor.cookie_names("localhost").contains(&"logto".to_owned()),
        "the session cookie is still there"
    );
    let page = visitor.open(&proxy.url("/")).await;
    assert!(
        page.body.contains("name=\"persona\""),
        "signed in again without being asked: {page:?}"
    );
}

//! Without a refresh token, in Chromium: the page works past the access token's end, and nobody sees how.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::support::chromium::Chromium;
use crate::support::proxy::Place;
use crate::support::runner::Scenarios;
use crate::support::setting::Around;
use crate::support::webhook;

const PLAIN: &str = "plain0000001";
/// The proxy's note of the last sign-ins of a browser; half a minute after one it is gone.
const ROUNDS: &str = "logto-rounds";

pub fn add_to(scenarios: &mut Scenarios) {
    scenarios.add(
        "silent::a_page_outlives_the_access_token",
        a_page_outlives_the_access_token,
    );
}

async fn a_page_outlives_the_access_token() {
    let settings = json!({ "always_issue_refresh_token": false, "access_token_ttl": 2 });
    let around = Around::new(Place::choose(), settings).await;
    let proxy = around.deployment().logto("refresh = \"none\"").start().await;
    let provider = &around.provider;
    let page = proxy.url("/headers?of=mine");
    let browser = Chromium::start().await;
    browser.open(&page).await;
    browser.click("button[name=persona][value=plain]").await;
    browser.arrives_at(&page).await;
    let user = async || {
        let headers: serde_json::Value = serde_json::from_str(&browser.text().await).ok()?;
        headers["x-user-sub"][0].as_str().map(str::to_owned)
    };
    assert_eq!(user().await.as_deref(), Some(PLAIN));

    // As if the sign-in were long ago.
    browser.forget_cookie(ROUNDS).await;
    sleep(Duration::from_millis(2_500)).await;
    webhook::user_changed(&proxy.url(""), PLAIN).await;
    let fetched = browser
        .run_async("const answer = await fetch('/headers'); return { status: answer.status, body: await answer.json() }")
        .await;
    assert_eq!(fetched["status"], 401, "{fetched}");
    assert!(fetched["body"]["hint"].is_string(), "{fetched}");

    let (asked, codes) = (
        provider.count("GET /oidc/auth").await,
        provider.token_calls("authorization_code").await,
    );
    browser.open(&page).await;
    browser.arrives_at(&page).await;
    assert_eq!(user().await.as_deref(), Some(PLAIN));
    assert_eq!(provider.count("GET /oidc/auth").await - asked, 1);
    assert_eq!(provider.token_calls("authorization_code").await - codes, 1);
    let fetched = browser.run_async("return (await fetch('/headers')).status").await;
    assert_eq!(fetched, 200);

    // Over at Logto: what nobody can answer for is asked of the user.
    provider.end_sessions(PLAIN).await;
    browser.forget_cookie(ROUNDS).await;
    sleep(Duration::from_millis(2_500)).await;
    webhook::user_changed(&proxy.url(""), PLAIN).await;
    browser.open(&page).await;
    browser.click("button[name=persona][value=admin]").await;
    browser.arrives_at(&page).await;
    assert_eq!(user().await.as_deref(), Some("admin0000001"));
    browser.close().await;
}

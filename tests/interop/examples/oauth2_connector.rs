//! A third party behind the generic OAuth 2.0 connector: a sign-in through it, and an app that calls its API for the user.

use std::time::Duration;

use logto_proxy::clock::monotonic;

use crate::support::example::Example;
use crate::support::ports::free_port;
use crate::support::runner::Scenarios;
use crate::support::wait::eventually;

/// Longer than the stand-in's tokens of Acme live.
const TOKEN_LIFE: Duration = Duration::from_secs(32);

pub fn add_to(scenarios: &mut Scenarios) {
    scenarios.add_patient("examples::oauth2-connector", visit);
}

/// The page as a script gets it now.
async fn page(example: &Example, options: &str) -> String {
    let (status, body) = example.fetch("/", options).await;
    assert_eq!(status, 200, "{body}");
    body
}

fn assert_is_acmes(page: &str) {
    for expected in [
        r#"<b id="user">Acme User</b> (acmeuser0001)"#,
        r#"<span id="account">1001</span>"#,
        r#"<span id="projects">anvil, rocket</span>"#,
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
}

async fn visit() {
    let logto = free_port();
    let api = format!("http://localhost:{logto}/acme/oauth/userinfo");
    let example = Example::start_around("oauth2-connector", logto, &[("ACME_API", &api)], &[]).await;
    let browser = &example.browser;
    let at_acme = format!("http://localhost:{logto}/acme/oauth/authorize");

    // Straight to Acme's screen, past Logto's.
    browser.open(&example.url("/")).await;
    browser
        .arrives("Acme", |url| url.as_str().starts_with(&at_acme))
        .await;
    browser.keep_picture("oauth2-connector-signed-out").await;
    // Who says no there is Logto's again, and may be somebody without an account at Acme: the app wants a token of theirs.
    browser.click("#cancel").await;
    browser.appears("#continue-with-acme").await;
    browser.click("#persona-plain").await;
    let again = "a[href*='direct_sign_in=social%3Aacme']";
    browser.appears(again).await;
    browser.keep_picture("oauth2-connector-consent-needed").await;

    // The page's link leads through Acme and back.
    browser.click(again).await;
    browser
        .arrives("Acme", |url| url.as_str().starts_with(&at_acme))
        .await;
    let signed_in = monotonic();
    browser.click("#authorize-acme").await;
    browser.arrives_at(&example.url("/")).await;
    browser.appears("#user").await;
    assert_is_acmes(&page(&example, "{}").await);
    browser.keep_picture("oauth2-connector-signed-in").await;

    // Nobody gets in by saying who they are or with a token of their own, and nobody around the proxy.
    let forged = "{ headers: { 'X-Acme-Token': 'x', 'X_Acme_Token': 'x', 'X-Acme-Id': '1', 'X-User-Sub': 'adminuser001' } }";
    assert_is_acmes(&page(&example, forged).await);
    let anonymous = forged.replacen('{', "{ credentials: 'omit',", 1);
    assert_eq!(example.fetch("/", &anonymous).await.0, 401);
    example.app.assert_out_of_reach().await;

    // Acme takes none of the tokens it has given so far any more; Logto has been given another one.
    tokio::time::sleep(TOKEN_LIFE.saturating_sub(signed_in.elapsed())).await;
    eventually("a renewed token", || async {
        page(&example, "{}").await.contains("anvil, rocket").then_some(())
    })
    .await;
    assert_is_acmes(&page(&example, "{}").await);

    browser.click("a[href='/.logto/sign-out']").await;
    // Out at Logto too, so that Acme asks again.
    browser
        .arrives("the next sign-in", |url| url.as_str().starts_with(&at_acme))
        .await;
    example.browser.close().await;
}

//! An app that has users of its own and believes a header: Radicale, unchanged.

use crate::support::example::Example;
use crate::support::runner::Scenarios;

pub fn add_to(scenarios: &mut Scenarios) {
    scenarios.add("examples::radicale", visit);
}

async fn visit() {
    let example = Example::start("radicale").await;
    let browser = &example.browser;
    browser.open(&example.url("/.web/")).await;
    browser.keep_picture("radicale-signed-out").await;
    example.choose("plain").await;
    browser.arrives_at(&example.url("/.web/")).await;
    browser.keep_picture("radicale-signed-in").await;

    // The app takes the user for who the proxy says it is, whatever the page's script says.
    let who = "{ method: 'PROPFIND', headers: { Depth: '0', 'X-Remote-User': 'adminuser001' },
                 body: '<propfind xmlns=\"DAV:\"><prop><current-user-principal/></prop></propfind>' }";
    let (status, body) = example.fetch("/", who).await;
    assert_eq!(status, 207, "{body}");
    assert!(
        body.contains("/plainuser001/") && !body.contains("adminuser001"),
        "{body}"
    );

    // Rights are the app's: one's own calendars, and nobody else's.
    let make = "{ method: 'MKCALENDAR' }";
    let calendar = format!("/plainuser001/{}/", example.proxy.port());
    assert_eq!(example.fetch(&calendar, make).await.0, 201);
    assert_eq!(example.fetch("/adminuser001/theirs/", make).await.0, 403);
    assert_eq!(example.fetch(&calendar, "{ method: 'DELETE' }").await.0, 200);

    let forged = "{ method: 'PROPFIND', credentials: 'omit', headers: { 'X-Remote-User': 'adminuser001', 'X_Remote_User': 'adminuser001' } }";
    assert_eq!(example.fetch("/", forged).await.0, 401);
    example.app.assert_out_of_reach().await;

    browser.open(&example.url("/.logto/sign-out")).await;
    let app = example.url("/");
    browser
        .arrives("the next sign-in", |url| !url.as_str().starts_with(&app))
        .await;
    example.browser.close().await;
}

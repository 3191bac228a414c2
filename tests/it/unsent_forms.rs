//! A form that a person sends while signed out: they read that it was not sent, and come back to where it was.

use crate::support::{Answer, Browser, proxy};
use bytes::Bytes;

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn ask(browser: &mut Browser, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let url = format!("https://app.example.com{path}").parse().unwrap();
    browser
        .send(method, url, fields, Bytes::from_static(b"a=b"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_a_form_leads_back_to_where_it_was_sent_from() {
    let world = proxy()
        .section("[[route]]\npath = \"/closed/*\"\naccess = { any_role = [\"admin\"] }")
        .start()
        .await;
    let signed_in = world.signed_in("plain").await;
    world.upstream.forget();
    for (referer, page) in [
        ("https://app.example.com/reports?a=1&b", "/reports?a=1&b"),
        ("https://app.example.com/", "/"),
        ("https://app.example.com.evil.test/x", "/"),
        ("https://app.example.com//evil.test/x", "/"),
        ("https://evil.test/x", "/"),
        ("https://app.example.com/.logto/sign-out", "/"),
        ("javascript:alert(1)", "/"),
    ] {
        let form = [NAVIGATE, DOCUMENT, HTML, FORM, ("referer", referer)];
        let encoded: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
        let sign_in = format!("href=\"/.logto/sign-in?redirect={encoded}\"");
        let back = format!("href=\"https://app.example.com{}\"", page.replace('&', "&amp;"));
        let html = ask(&mut world.browser(), "POST", "/save", &form).await.body;
        assert!(
            html.contains(&sign_in) && html.contains(&back),
            "{referer}: {html}"
        );
        assert!(
            !html.contains("evil") && !html.contains("javascript"),
            "{referer}: {html}"
        );
        // Another account does not come back to what takes a form alone, either.
        let html = ask(&mut signed_in.clone(), "POST", "/closed/x", &form).await.body;
        let another = format!("href=\"/.logto/sign-in?redirect={encoded}&amp;prompt=login\"");
        assert!(html.contains(&another), "{referer}: {html}");
    }
    let form = [NAVIGATE, DOCUMENT, HTML, FORM, ("accept-language", "ja")];
    let html = ask(&mut world.browser(), "POST", "/save", &form).await.body;
    assert!(
        html.contains("lang=\"ja\"") && html.contains("送信されませんでした"),
        "{html}"
    );
    assert!(world.upstream.seen().is_empty());
}

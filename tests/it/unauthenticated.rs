//! Redirect or 401: a person's navigation is sent to the sign-in, everything else is told.

use crate::support::{Answer, Browser, World, proxy};
use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Redirect,
    Refused,
}
use Expected::{Redirect, Refused};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");

type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    Expected,
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("a navigation", "GET", &[NAVIGATE, DOCUMENT, HTML], Redirect),
    ("a navigation with a bare Accept", "GET", &[NAVIGATE, DOCUMENT, ("accept", "*/*")], Redirect),
    ("an old browser", "GET", &[HTML], Redirect),
    ("an old browser's HEAD", "HEAD", &[HTML], Redirect),
    ("a WebView, which names its package", "GET", &[HTML, ("x-requested-with", "com.example.app")], Redirect),
    ("HTML before JSON", "GET", &[("accept", "text/html;q=0.9, application/json;q=0.8")], Redirect),
    ("JSON before HTML", "GET", &[("accept", "application/json, text/html;q=0.9")], Refused),
    ("HTML not wanted", "GET", &[("accept", "text/html;q=0, */*")], Refused),
    ("curl", "GET", &[("accept", "*/*")], Refused),
    ("nothing said", "GET", &[], Refused),
    ("fetch", "GET", &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), HTML], Refused),
    ("a same-origin fetch", "GET", &[("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "empty"), HTML], Refused),
    ("an image", "GET", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), HTML], Refused),
    ("a frame", "GET", &[NAVIGATE, ("sec-fetch-dest", "iframe"), HTML], Refused),
    ("XHR", "GET", &[HTML, ("x-requested-with", "XMLHttpRequest")], Refused),
    ("a prefetch", "GET", &[NAVIGATE, DOCUMENT, HTML, ("sec-purpose", "prefetch")], Refused),
    ("an old prefetch", "GET", &[HTML, ("purpose", "prefetch")], Refused),
    ("EventSource", "GET", &[("accept", "text/event-stream")], Refused),
    ("gRPC", "GET", &[HTML, ("content-type", "application/grpc")], Refused),
    ("a form", "POST", &[NAVIGATE, DOCUMENT, HTML], Refused),
    ("PUT", "PUT", &[HTML], Refused),
    ("DELETE", "DELETE", &[HTML], Refused),
    ("PATCH", "PATCH", &[HTML], Refused),
    ("OPTIONS", "OPTIONS", &[HTML], Refused),
    ("CORS preflight", "OPTIONS", &[("origin", "https://other.example"), ("access-control-request-method", "GET")], Refused),
    ("HEAD of a program", "HEAD", &[("accept", "*/*")], Refused),
    ("WebSocket", "GET", &[HTML, ("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")], Refused),
];

async fn ask(browser: &mut Browser, method: &str, fields: &[(&str, &str)]) -> Answer {
    let url = "https://app.example.com/reports?q=1".parse().unwrap();
    browser.send(method, url, fields, Bytes::new()).await
}

/// Browsers without a session: by no cookie, by cookies of every bad kind, by one that is over.
async fn browsers(world: &World) -> Vec<(&'static str, Browser)> {
    let over = world.signed_in("plain").await;
    world.hand.advance(9 * 3_600);
    let cookie = over.cookie("__Host-logto").unwrap().clone();
    let with = |value: &str| {
        let mut browser = world.browser();
        browser.set_cookie("__Host-logto", value);
        browser
    };
    vec![
        ("no cookie", world.browser()),
        ("an expired cookie", over),
        ("a cut cookie", with(&cookie[..100])),
        ("garbage", with("1garbage")),
        ("an empty cookie", with("")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_navigation_is_redirected_and_all_else_is_told_whatever_is_wrong_with_the_cookie() {
    let world = proxy().section("[limits]\nsign_ins_per_minute = 0").start().await;
    let begin = format!("{}/auth?", world.issuer);
    for (state, browser) in browsers(&world).await {
        for (name, method, fields, expected) in CASES {
            let mut browser = browser.clone();
            let answer = ask(&mut browser, method, fields).await;
            let context = format!("{name}, {state}: {answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{context}");
            let binds = answer
                .set_cookies()
                .iter()
                .any(|line| line.starts_with("__Host-logto-browser="));
            match expected {
                Redirect => {
                    assert_eq!(answer.status, 302, "{context}");
                    assert!(
                        answer.header("location").unwrap().starts_with(&begin),
                        "{context}"
                    );
                    assert!(binds, "{context}");
                }
                Refused => {
                    assert_eq!(answer.status, 401, "{context}");
                    assert!(answer.header("www-authenticate").is_some(), "{context}");
                    assert!(answer.header("location").is_none() && !binds, "{context}");
                    assert_eq!(answer.header("content-type"), Some("application/json"));
                    if *method == "HEAD" {
                        assert!(answer.body.is_empty());
                        continue;
                    }
                    let document = answer.json();
                    assert_eq!(document["error"], "unauthenticated", "{context}");
                    let sign_in = document["sign_in_url"].as_str().unwrap();
                    assert!(
                        sign_in.starts_with("https://app.example.com/.logto/sign-in?"),
                        "{context}"
                    );
                }
            }
        }
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_that_open_nothing_are_taken_away() {
    let world = proxy().start().await;
    for (name, mut browser) in browsers(&world).await.into_iter().skip(1) {
        for navigates in [true, false] {
            let answer = if navigates {
                browser.clone().navigate("/reports").await
            } else {
                browser.fetch("/reports").await
            };
            let expired = "__Host-logto=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; Secure; SameSite=Lax";
            assert!(
                answer.set_cookies().iter().any(|line| line == expired),
                "{name}: {answer:?}"
            );
        }
        assert!(!browser.has_session(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_say_what_the_unauthenticated_get() {
    let world = proxy()
        .section("[[route]]\npath = \"/api/*\"\nunauthenticated = \"401\"")
        .section("[[route]]\npath = \"/pages/*\"\nunauthenticated = \"redirect\"")
        .start()
        .await;
    assert_eq!(world.browser().navigate("/api/x").await.status, 401);
    assert_eq!(world.browser().fetch("/pages/x").await.status, 302);
    assert_eq!(world.browser().navigate("/other").await.status, 302);
    assert_eq!(world.browser().fetch("/other").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_body_ends_the_connection() {
    let world = proxy().start().await;
    let request = "POST /reports HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 33\r\n\r\n";
    let answer = world
        .raw(format!("{request}GET /open HTTP/1.1\r\nHost: x\r\n\r\n{request}"))
        .await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(
        answer.to_ascii_lowercase().contains("connection: close"),
        "{answer}"
    );
}

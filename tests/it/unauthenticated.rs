//! Redirect or 401: a person's navigation is sent to the sign-in, everything else is told.

use crate::support::{Answer, Browser, World, proxy};
use bytes::Bytes;

/// Who waits for the answer, and so what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asks {
    /// A person: redirected to the sign-in, or shown a page.
    Person,
    /// A person who sent a form: shown a page.
    Form,
    /// A program: 401 or 403 with JSON.
    Program,
    /// A gRPC client: the same with a gRPC status. With the content type of the answer.
    Grpc(&'static str),
}
use Asks::{Form, Grpc, Person, Program};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
const CORS: (&str, &str) = ("sec-fetch-mode", "cors");
const NO_CORS: (&str, &str) = ("sec-fetch-mode", "no-cors");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const WEBSOCKET: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    Asks,
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Browsers say themselves what they do; Accept and all else counts for nothing beside that.
    ("a navigation", "GET", &[NAVIGATE, DOCUMENT, HTML], Person),
    ("a navigation with a bare Accept", "GET", &[NAVIGATE, DOCUMENT, ("accept", "*/*")], Person),
    ("a navigation without Accept", "GET", &[NAVIGATE, DOCUMENT], Person),
    ("a navigation that wants JSON", "GET", &[NAVIGATE, DOCUMENT, ("accept", "application/json")], Person),
    ("a navigation's HEAD", "HEAD", &[NAVIGATE, DOCUMENT, HTML], Person),
    ("a navigation by a script's header", "GET", &[NAVIGATE, DOCUMENT, HTML, ("x-requested-with", "XMLHttpRequest")], Person),
    ("a mode without a destination", "GET", &[NAVIGATE, HTML], Person),
    ("a destination without a mode", "GET", &[DOCUMENT, HTML], Person),
    ("fetch", "GET", &[CORS, ("sec-fetch-dest", "empty"), HTML], Program),
    ("a same-origin fetch", "GET", &[("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "empty"), HTML], Program),
    ("EventSource", "GET", &[CORS, ("sec-fetch-dest", "empty"), ("accept", "text/event-stream")], Program),
    ("a module script", "GET", &[CORS, ("sec-fetch-dest", "script"), ("accept", "*/*")], Program),
    ("a script", "GET", &[NO_CORS, ("sec-fetch-dest", "script"), ("accept", "*/*")], Program),
    ("a worker", "GET", &[("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "worker"), ("accept", "*/*")], Program),
    ("an image", "GET", &[NO_CORS, ("sec-fetch-dest", "image"), HTML], Program),
    ("a style sheet", "GET", &[NO_CORS, ("sec-fetch-dest", "style"), ("accept", "text/css,*/*;q=0.1")], Program),
    ("a font", "GET", &[CORS, ("sec-fetch-dest", "font"), ("accept", "*/*")], Program),
    ("a video", "GET", &[NO_CORS, ("sec-fetch-dest", "video"), ("range", "bytes=0-")], Program),
    ("a manifest", "GET", &[CORS, ("sec-fetch-dest", "manifest"), ("accept", "*/*")], Program),
    ("a frame", "GET", &[NAVIGATE, ("sec-fetch-dest", "iframe"), HTML], Program),
    ("an object", "GET", &[NAVIGATE, ("sec-fetch-dest", "object"), HTML], Program),
    ("an embedded page", "GET", &[NAVIGATE, ("sec-fetch-dest", "embed"), HTML], Program),
    ("a fenced frame", "GET", &[NAVIGATE, ("sec-fetch-dest", "fencedframe"), HTML], Program),
    ("a beacon", "POST", &[NO_CORS, ("sec-fetch-dest", "empty"), ("accept", "*/*")], Program),
    ("two lines that differ", "GET", &[NAVIGATE, CORS, DOCUMENT, HTML], Program),
    ("two destinations", "GET", &[NAVIGATE, DOCUMENT, ("sec-fetch-dest", "iframe"), HTML], Program),
    ("a prefetch", "GET", &[NAVIGATE, DOCUMENT, HTML, ("sec-purpose", "prefetch")], Program),
    ("a prerender", "GET", &[NAVIGATE, DOCUMENT, HTML, ("sec-purpose", "prefetch;prerender")], Program),
    // Methods whose body would be lost on the way.
    ("a form", "POST", &[NAVIGATE, DOCUMENT, HTML, FORM], Form),
    ("a form with a file", "POST", &[NAVIGATE, DOCUMENT, HTML, ("content-type", "multipart/form-data; boundary=x")], Form),
    ("an old browser's form", "POST", &[HTML, FORM], Form),
    ("a WebView's form", "POST", &[HTML, FORM, ("x-requested-with", "com.example.app")], Form),
    ("a form in a frame", "POST", &[NAVIGATE, ("sec-fetch-dest", "iframe"), HTML, FORM], Program),
    ("a form that wants JSON", "POST", &[NAVIGATE, DOCUMENT, ("accept", "application/json"), FORM], Program),
    ("a form that wants anything", "POST", &[NAVIGATE, DOCUMENT, ("accept", "*/*"), FORM], Program),
    ("a form by fetch", "POST", &[CORS, ("sec-fetch-dest", "empty"), HTML, FORM], Program),
    ("a form by XHR", "POST", &[HTML, FORM, ("x-requested-with", "XMLHttpRequest")], Program),
    ("a form by curl", "POST", &[("accept", "*/*"), FORM], Program),
    ("a form loaded ahead", "POST", &[NAVIGATE, DOCUMENT, HTML, FORM, ("sec-purpose", "prefetch")], Program),
    ("a navigation's PUT", "PUT", &[NAVIGATE, DOCUMENT, HTML, FORM], Program),
    ("PUT", "PUT", &[HTML], Program),
    ("DELETE", "DELETE", &[HTML], Program),
    ("PATCH", "PATCH", &[HTML], Program),
    ("OPTIONS", "OPTIONS", &[HTML], Program),
    ("an invented method", "BREW", &[HTML], Program),
    ("CORS preflight", "OPTIONS", &[("origin", "https://other.example"), ("access-control-request-method", "GET")], Program),
    // Old browsers and tools are known by what they accept.
    ("an old browser", "GET", &[HTML], Person),
    ("an old browser's HEAD", "HEAD", &[HTML], Person),
    ("a WebView, which names its package", "GET", &[HTML, ("x-requested-with", "com.example.app")], Person),
    ("HTML before JSON", "GET", &[("accept", "text/html;q=0.9, application/json;q=0.8")], Person),
    ("HTML first of equals", "GET", &[("accept", "text/html, application/json")], Person),
    ("XHTML", "GET", &[("accept", "application/xhtml+xml")], Person),
    ("any text", "GET", &[("accept", "text/*;q=0.5")], Person),
    ("capitals", "GET", &[("accept", "Text/HTML;Q=0.3")], Person),
    ("HTML in a second line", "GET", &[("accept", "image/png"), ("accept", "text/html")], Person),
    ("an old prefetch", "GET", &[HTML, ("purpose", "prefetch")], Program),
    ("an older prefetch", "GET", &[HTML, ("x-moz", "prefetch")], Program),
    ("a preview", "GET", &[HTML, ("purpose", "preview")], Program),
    ("XHR", "GET", &[HTML, ("x-requested-with", "XMLHttpRequest")], Program),
    ("JSON before HTML", "GET", &[("accept", "application/json, text/html;q=0.9")], Program),
    ("JSON of a kind before HTML", "GET", &[("accept", "application/problem+json, text/html;q=0.9")], Program),
    ("HTML not wanted", "GET", &[("accept", "text/html;q=0, */*")], Program),
    ("a weight that is none", "GET", &[("accept", "text/html;q=2")], Program),
    ("an old EventSource", "GET", &[("accept", "text/event-stream")], Program),
    ("an old image", "GET", &[("accept", "image/png,*/*;q=0.5")], Program),
    ("curl", "GET", &[("accept", "*/*")], Program),
    ("nothing said", "GET", &[], Program),
    ("HEAD of a program", "HEAD", &[("accept", "*/*")], Program),
    ("WebSocket", "GET", &[HTML, WEBSOCKET[0], WEBSOCKET[1], WEBSOCKET[2], WEBSOCKET[3]], Program),
    ("WebSocket of a browser", "GET", &[("sec-fetch-mode", "websocket"), ("sec-fetch-dest", "empty"), ("origin", "https://app.example.com"), WEBSOCKET[0], WEBSOCKET[1], WEBSOCKET[2], WEBSOCKET[3]], Program),
    ("WebSocket that claims to navigate", "GET", &[NAVIGATE, DOCUMENT, HTML, WEBSOCKET[0], WEBSOCKET[1], WEBSOCKET[2], WEBSOCKET[3]], Program),
    // gRPC
    ("gRPC", "POST", &[("content-type", "application/grpc+proto"), ("te", "trailers")], Grpc("application/grpc")),
    ("gRPC that accepts HTML", "POST", &[HTML, ("content-type", "application/grpc")], Grpc("application/grpc")),
    ("gRPC-Web", "POST", &[CORS, ("sec-fetch-dest", "empty"), ("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")], Grpc("application/grpc-web")),
    ("gRPC-Web in base64", "POST", &[CORS, ("content-type", "application/grpc-web-text")], Grpc("application/grpc-web-text")),
    ("a GET that claims to be gRPC", "GET", &[HTML, ("content-type", "application/grpc")], Program),
];

async fn ask(browser: &mut Browser, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let url = format!("https://app.example.com{path}").parse().unwrap();
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
    let revoked = world.signed_in("plain").await;
    revoked.clone().navigate("/.logto/sign-out").await;
    let unconfirmed = world.signed_in("admin").await;
    assert!(world.logto.suspend("admin"));
    world.hand.advance(300);
    vec![
        ("no cookie", world.browser()),
        ("an expired cookie", over),
        ("a cut cookie", with(&cookie[..100])),
        ("garbage", with("1garbage")),
        ("an empty cookie", with("")),
        ("signed out, with a copied cookie", revoked),
        ("Logto refuses to refresh", unconfirmed),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_navigation_is_redirected_and_all_else_is_told_whatever_is_wrong_with_the_cookie() {
    let world = proxy().section("[limits]\nsign_ins_per_minute = 0").start().await;
    let begin = format!("{}/auth?", world.issuer);
    let browsers = browsers(&world).await;
    world.upstream.forget();
    for (state, browser) in browsers {
        for (name, method, fields, asks) in CASES {
            let mut browser = browser.clone();
            let answer = ask(&mut browser, method, "/reports?q=1", fields).await;
            let context = format!("{name}, {state}: {answer:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{context}");
            let binds = answer
                .set_cookies()
                .iter()
                .any(|line| line.starts_with("__Host-logto-browser="));
            if *asks == Person {
                assert_eq!(answer.status, 302, "{context}");
                assert!(
                    answer.header("location").unwrap().starts_with(&begin),
                    "{context}"
                );
                assert!(binds, "{context}");
                continue;
            }
            assert_eq!(answer.status, 401, "{context}");
            assert!(answer.header("www-authenticate").is_some(), "{context}");
            assert!(answer.header("location").is_none() && !binds, "{context}");
            if let Grpc(content_type) = asks {
                assert_grpc(&answer, content_type, "16");
                continue;
            }
            if *asks == Form {
                assert_page(&answer, &context);
                let page = &answer.body;
                assert!(
                    page.contains("You are signed out") && page.contains("was not sent"),
                    "{context}"
                );
                continue;
            }
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
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_told_by_the_same_distinction() {
    let world = proxy()
        .section("[[route]]\npath = \"/closed/*\"\naccess = { any_role = [\"admin\"] }")
        .start()
        .await;
    let browser = world.signed_in("plain").await;
    world.upstream.forget();
    for (name, method, fields, asks) in CASES {
        let answer = ask(&mut browser.clone(), method, "/closed/x", fields).await;
        let context = format!("{name}: {answer:?}");
        assert_eq!(answer.status, 403, "{context}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{context}");
        assert!(answer.header("location").is_none(), "{context}");
        let content_type = match asks {
            Person | Form => "text/html; charset=utf-8",
            Program => "application/json",
            Grpc(content_type) => {
                assert_grpc(&answer, content_type, "7");
                continue;
            }
        };
        assert_eq!(answer.header("content-type"), Some(content_type), "{context}");
        assert_eq!(answer.body.is_empty(), *method == "HEAD", "{context}");
    }
    assert!(world.upstream.seen().is_empty());
}

/// HTML that loads nothing and is kept nowhere.
fn assert_page(answer: &Answer, context: &str) {
    let policy = answer.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{context}"
    );
    assert!(
        policy.contains("form-action 'none'") && policy.contains("frame-ancestors 'none'"),
        "{context}"
    );
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{context}");
    }
}

/// Trailers-Only, as clients of gRPC read it.
fn assert_grpc(answer: &Answer, content_type: &str, status: &str) {
    assert_eq!(answer.header("content-type"), Some(content_type), "{answer:?}");
    assert_eq!(answer.header("grpc-status"), Some(status), "{answer:?}");
    assert!(
        answer.header("grpc-message").is_some() && answer.body.is_empty(),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_of_an_app_that_is_away_is_told_so() {
    let world = proxy()
        .upstream_url("http://127.0.0.1:1")
        .route("/*", "public")
        .start()
        .await;
    let fields = [("content-type", "application/grpc-web")];
    let answer = ask(&mut world.browser(), "POST", "/service/Method", &fields).await;
    assert_eq!(answer.status, 502);
    assert_grpc(&answer, "application/grpc-web", "14");
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
    let form = [NAVIGATE, DOCUMENT, HTML, FORM];
    let answer = ask(&mut world.browser(), "POST", "/api/x", &form).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (401, Some("application/json"))
    );
    let answer = ask(&mut world.browser(), "POST", "/pages/x", &form).await;
    assert_eq!(answer.status, 302);
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

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_of_a_401_leads_back_to_the_page_that_asked() {
    let world = proxy().start().await;
    for (referer, redirect) in [
        ("https://app.example.com/reports?year=2026", "/reports?year=2026"),
        ("https://app.example.com.evil.test/x", "/"),
        ("https://app.example.com//evil.test/x", "/"),
        ("https://evil.test/x", "/"),
        ("https://app.example.com/.logto/sign-out", "/"),
    ] {
        let mut browser = world.browser();
        browser.fields = vec![("referer".to_owned(), referer.to_owned())];
        let document = browser.fetch("/api").await.json();
        let url = url::Url::parse(document["sign_in_url"].as_str().unwrap()).unwrap();
        let (_, found) = url.query_pairs().next().unwrap();
        assert_eq!(found, redirect, "{referer}");
    }
}

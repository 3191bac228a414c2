use super::*;
use ::http::HeaderValue;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

const CHROME: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7";

#[test]
fn only_a_top_level_navigation_is_a_browsers() {
    let html = ("accept", CHROME);
    for (what, lines, expected) in [
        (
            "Chrome",
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                html,
            ][..],
            Audience::Browser,
        ),
        (
            "navigate, odd Accept",
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("accept", "*/*"),
            ],
            Audience::Browser,
        ),
        (
            "navigate, no dest",
            &[("sec-fetch-mode", "navigate")],
            Audience::Browser,
        ),
        (
            "document, no mode",
            &[("sec-fetch-dest", "document")],
            Audience::Browser,
        ),
        ("old browser", &[html], Audience::Browser),
        (
            "Android WebView",
            &[html, ("x-requested-with", "com.example.app")],
            Audience::Browser,
        ),
        (
            "iframe",
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), html],
            Audience::Program,
        ),
        (
            "embed",
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "embed"), html],
            Audience::Program,
        ),
        (
            "fetch()",
            &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), html],
            Audience::Program,
        ),
        (
            "same-origin fetch",
            &[("sec-fetch-mode", "same-origin"), html],
            Audience::Program,
        ),
        (
            "image",
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), html],
            Audience::Program,
        ),
        (
            "WebSocket",
            &[("sec-fetch-mode", "websocket"), ("upgrade", "websocket")],
            Audience::Program,
        ),
        (
            "WebSocket, old",
            &[html, ("upgrade", "websocket")],
            Audience::Program,
        ),
        (
            "XHR",
            &[html, ("x-requested-with", "XMLHttpRequest")],
            Audience::Program,
        ),
        (
            "gRPC",
            &[html, ("content-type", "application/grpc+proto")],
            Audience::Program,
        ),
        (
            "prefetch",
            &[
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("sec-purpose", "prefetch;prerender"),
            ],
            Audience::Program,
        ),
        (
            "prefetch, Safari",
            &[html, ("purpose", "Prefetch")],
            Audience::Program,
        ),
        (
            "prefetch, Firefox",
            &[html, ("x-moz", "prefetch")],
            Audience::Program,
        ),
        ("curl", &[("accept", "*/*")], Audience::Program),
        ("nothing", &[], Audience::Program),
        (
            "EventSource",
            &[("accept", "text/event-stream")],
            Audience::Program,
        ),
        (
            "axios",
            &[("accept", "application/json, text/plain, */*")],
            Audience::Program,
        ),
    ] {
        assert_eq!(audience(&Method::GET, &map(lines)), expected, "{what}");
    }
    let navigation = map(&[
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        html,
    ]);
    assert_eq!(audience(&Method::HEAD, &navigation), Audience::Browser);
    for method in [Method::PUT, Method::OPTIONS, Method::DELETE, Method::PATCH] {
        assert_eq!(audience(&method, &navigation), Audience::Program, "{method}");
    }
}

#[test]
fn a_post_is_a_form_where_a_browser_navigates_with_it() {
    let html = ("accept", CHROME);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let (navigate, document) = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"));
    for (what, lines, expected) in [
        ("Chrome", &[navigate, document, html, form][..], Audience::Form),
        ("an old browser", &[html, form], Audience::Form),
        (
            "Android WebView",
            &[html, form, ("x-requested-with", "com.example.app")],
            Audience::Form,
        ),
        (
            "navigate, odd Accept",
            &[navigate, document, ("accept", "*/*")],
            Audience::Program,
        ),
        (
            "fetch()",
            &[
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-dest", "empty"),
                html,
                form,
            ],
            Audience::Program,
        ),
        (
            "a frame",
            &[navigate, ("sec-fetch-dest", "iframe"), html, form],
            Audience::Program,
        ),
        (
            "XHR",
            &[html, form, ("x-requested-with", "XMLHttpRequest")],
            Audience::Program,
        ),
        (
            "gRPC",
            &[html, ("content-type", "application/grpc")],
            Audience::Program,
        ),
        (
            "JSON first",
            &[("accept", "application/json, text/html")],
            Audience::Program,
        ),
        ("curl", &[("accept", "*/*"), form], Audience::Program),
        (
            "prefetch",
            &[navigate, document, html, ("purpose", "prefetch")],
            Audience::Program,
        ),
    ] {
        assert_eq!(audience(&Method::POST, &map(lines)), expected, "{what}");
    }
}

#[test]
fn html_is_asked_for_by_name_and_weight() {
    for (accept, expected) in [
        (CHROME, true),
        ("text/html", true),
        ("TEXT/HTML", true),
        ("application/xhtml+xml", true),
        ("text/*", true),
        ("text/html, application/json", true),
        ("application/json;q=0.9, text/html", true),
        ("application/json, text/html", false),
        ("text/html;q=0.5, application/json", false),
        ("text/html;q=0.5, application/problem+json;q=0.6", false),
        ("text/html;level=1;q=0.4, application/json;q=0.3", true),
        ("text/html;q=0", false),
        ("text/html;q=0.000", false),
        ("text/html;q=2", false),
        ("text/html;q=0.1234", false),
        ("text/html;q=x", false),
        ("*/*", false),
        ("text/htmlx", false),
        ("", false),
    ] {
        assert_eq!(accepts_html(&map(&[("accept", accept)])), expected, "{accept}");
    }
    assert!(
        accepts_html(&map(&[("accept", "image/png"), ("accept", "text/html")])),
        "several lines"
    );
}

#[test]
fn language_follows_the_weights() {
    for (accept, expected) in [
        ("ja", Language::Japanese),
        ("ja-JP,ja;q=0.9,en-US;q=0.8", Language::Japanese),
        ("en-US,en;q=0.9,ja;q=0.8", Language::English),
        ("en;q=0.5, JA;q=0.6", Language::Japanese),
        ("ja;q=0.5, en;q=0.5", Language::Japanese),
        ("zh-CN, ja;q=0.1", Language::Japanese),
        ("ja;q=0", Language::English),
        ("jav", Language::English),
        ("*", Language::English),
        ("de", Language::English),
        ("", Language::English),
    ] {
        assert_eq!(
            language(&map(&[("accept-language", accept)])),
            expected,
            "{accept}"
        );
    }
    assert_eq!(language(&HeaderMap::new()), Language::English);
}

//! Scripts of other origins: preflights, and what every answer tells them.

use crate::support::{Answer, Browser, Upstream, proxy};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;

const SITE: &str = "https://www.example.com";
const EVIL: &str = "https://evil.test";

const API: &str = r#"
[[route]]
path = "/api/*"
cors = { origins = ["https://www.example.com", "https://*.example.org"], credentials = true, headers = ["Content-Type", "X-Trace"], expose = ["X-Total"] }
"#;

async fn send(browser: &mut Browser, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let url = format!("https://app.example.com{path}").parse().unwrap();
    browser.send(method, url, fields, Bytes::new()).await
}

fn asks<'a>(origin: &'a str, method: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("origin", origin),
        ("access-control-request-method", method),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-site"),
        ("accept", "*/*"),
    ]
}

/// What an answer says about CORS: whose script may read it, and whether with credentials.
fn says(answer: &Answer) -> (Option<&str>, Option<&str>) {
    for name in ["access-control-allow-origin", "access-control-allow-credentials"] {
        assert!(answer.headers.get_all(name).iter().count() <= 1, "{answer:?}");
    }
    (
        answer.header("access-control-allow-origin"),
        answer.header("access-control-allow-credentials"),
    )
}

fn varies_by_origin(answer: &Answer) -> bool {
    let lines = answer.headers.get_all("vary").iter();
    lines
        .flat_map(|line| line.to_str().unwrap().split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("origin"))
}

const TO_SITE: (Option<&str>, Option<&str>) = (Some(SITE), Some("true"));
const TO_NOBODY: (Option<&str>, Option<&str>) = (None, None);

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_answers_preflights_and_the_app_sees_none() {
    let world = proxy().section(API).start().await;
    let mut browser = world.browser();
    let mut fields = asks(SITE, "PUT");
    fields.push(("access-control-request-headers", "content-type,x-trace"));
    let answer = send(&mut browser, "OPTIONS", "/api/x", &fields).await;
    assert_eq!((answer.status, says(&answer)), (204, TO_SITE), "{answer:?}");
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET, HEAD, POST, PUT, PATCH, DELETE")
    );
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("content-type, x-trace")
    );
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    assert!(varies_by_origin(&answer) && answer.set_cookies().is_empty());
    fields[0].1 = "https://any.name.example.org";
    let answer = send(&mut browser, "OPTIONS", "/api/x", &fields).await;
    assert_eq!(says(&answer).0, Some("https://any.name.example.org"));
    for (what, fields) in [
        ("origin", asks(EVIL, "PUT")),
        ("origin", asks("null", "PUT")),
        ("origin", asks("https://www.example.com.evil.test", "PUT")),
        ("origin", asks("http://www.example.com", "PUT")),
        ("origin", asks("https://app.example.com", "PUT")),
        ("method", asks(SITE, "PURGE")),
        (
            "headers",
            [
                asks(SITE, "PUT"),
                vec![("access-control-request-headers", "authorization")],
            ]
            .concat(),
        ),
    ] {
        let answer = send(&mut browser, "OPTIONS", "/api/x", &fields).await;
        assert_eq!(
            (answer.status, says(&answer)),
            (403, TO_NOBODY),
            "{fields:?} {answer:?}"
        );
        assert!(
            answer.body.contains(what) && varies_by_origin(&answer),
            "{answer:?}"
        );
    }
    assert!(world.upstream.seen().is_empty());
    // An OPTIONS that is no preflight is a request like any other, and so is one with a session.
    for fields in [
        vec![("origin", SITE)],
        vec![("access-control-request-method", "GET")],
    ] {
        assert_eq!(send(&mut browser, "OPTIONS", "/api/x", &fields).await.status, 401);
    }
    let mut signed_in = world.signed_in("plain").await;
    world.upstream.forget();
    assert_eq!(
        send(&mut signed_in, "OPTIONS", "/api/x", &asks(SITE, "PUT"))
            .await
            .status,
        200
    );
    assert_eq!(world.upstream.only().method, "OPTIONS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_falls_under_the_route_of_what_it_asks_about() {
    let world = proxy()
        .section("[[route]]\npath = \"/a/*\"\nmethods = [\"GET\"]\ncors = { origins = \"https://read.example.com\" }")
        .section("[[route]]\npath = \"/a/*\"\nmethods = [\"PUT\"]\ncors = { origins = \"https://write.example.com\" }")
        .section("[[route]]\npath = \"/a/*\"\nmethods = [\"DELETE\"]\ncors = \"pass\"")
        .section("[[route]]\npath = \"/a/*\"\nmethods = [\"OPTIONS\"]\naccess = { any_role = [\"admin\"] }")
        .start()
        .await;
    let mut browser = world.browser();
    for (method, origin, status) in [
        ("GET", "https://read.example.com", 204),
        ("GET", "https://write.example.com", 403),
        ("PUT", "https://write.example.com", 204),
        ("PUT", "https://read.example.com", 403),
        ("DELETE", "https://read.example.com", 200),
        ("PATCH", "https://read.example.com", 401),
        ("OPTIONS", "https://read.example.com", 401),
    ] {
        let answer = send(&mut browser, "OPTIONS", "/a/x", &asks(origin, method)).await;
        assert_eq!(answer.status, status, "{method} {origin} {answer:?}");
    }
    assert_eq!(
        world.upstream.only().header("access-control-request-method"),
        Some("DELETE")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_that_passes_passes_as_nobodys() {
    let world = proxy()
        .section("[[route]]\npath = \"/api/*\"\naccess = { any_role = [\"admin\"] }\ncors = \"pass\"")
        .section("[[route]]\npath = \"/closed/*\"\naccess = { any_role = [\"admin\"] }")
        .start()
        .await;
    let mut fields = asks(EVIL, "DELETE");
    fields.push(("x-user-sub", "someone"));
    let answer = send(&mut world.browser(), "OPTIONS", "/api/x?y", &fields).await;
    assert_eq!(
        (answer.status, says(&answer)),
        (200, TO_NOBODY),
        "the app's own answer: {answer:?}"
    );
    let seen = world.upstream.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("OPTIONS", "/api/x?y")
    );
    assert_eq!(seen.header("origin"), Some(EVIL));
    for name in ["x-user-sub", "cookie"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    world.upstream.forget();
    let ordinary: &[(&str, &str, &[(&str, &str)])] = &[
        ("another method", "GET", &asks(SITE, "GET")),
        ("a closed route", "OPTIONS", &[]),
        (
            "no origin",
            "OPTIONS",
            &[("access-control-request-method", "GET")],
        ),
        (
            "an override",
            "OPTIONS",
            &[&asks(SITE, "GET")[..], &[("x_method_override", "GET")]].concat(),
        ),
        (
            "a cookie",
            "OPTIONS",
            &[&asks(SITE, "GET")[..], &[("cookie", "a=b")]].concat(),
        ),
        (
            "a token",
            "OPTIONS",
            &[&asks(SITE, "GET")[..], &[("authorization", "Bearer x")]].concat(),
        ),
    ];
    for (what, method, fields) in ordinary {
        let answer = send(&mut world.browser(), method, "/api/x", fields).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
    }
    let url = "https://app.example.com/api/x".parse().unwrap();
    let with_body = world
        .browser()
        .send("OPTIONS", url, &asks(SITE, "GET"), Bytes::from("x"))
        .await;
    assert_eq!(with_body.status, 401, "a body");
    // With a session it is a request of its user's: judged by the rule, and told who asks.
    let mut user = world.signed_in("plain").await;
    let mut admin = world.signed_in("admin").await;
    world.upstream.forget();
    let answer = send(&mut user, "OPTIONS", "/api/x", &asks(SITE, "GET")).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(world.upstream.seen().is_empty());
    let answer = send(&mut admin, "OPTIONS", "/api/x", &asks(SITE, "GET")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(world.upstream.only().header("x-user-sub").is_some());
    world.upstream.forget();
    for path in ["/closed/x", "/api/../closed/x", "/api/..%2fclosed/x", "/api//x"] {
        let answer = send(&mut world.browser(), "OPTIONS", path, &asks(SITE, "GET")).await;
        assert!(matches!(answer.status, 400 | 401), "{path}: {answer:?}");
    }
    assert!(world.upstream.seen().is_empty());
}

/// An app with a CORS policy of its own, by path.
async fn app() -> Upstream {
    Upstream::answering(|seen| {
        let answer = Response::builder()
            .header("access-control-allow-origin", "*")
            .header("access-control-allow-origin", "https://evil.test")
            .header("access-control-allow-credentials", "true")
            .header("access-control-expose-headers", "x-secret")
            .header("vary", "accept-encoding")
            .status(if seen.target.contains("missing") { 404 } else { 200 });
        answer.body(Full::from("the app's")).unwrap()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_route_says_the_same_once() {
    let app = app().await;
    let world = proxy()
        .upstream(app)
        .section(API)
        .section("[[route]]\npath = \"/api/admin/*\"\naccess = { any_role = [\"admin\"] }\ncors = { origins = \"https://www.example.com\", credentials = true }")
        .section("[[route]]\npath = \"/open/*\"\naccess = \"public\"\ncors = { origins = \"*\" }")
        .start()
        .await;
    let mut nobody = world.browser();
    let mut user = world.signed_in("plain").await;
    for (status, path, signed_in) in [
        (200, "/api/x", true),
        (404, "/api/missing", true),
        (401, "/api/x", false),
        (403, "/api/admin/x", true),
    ] {
        for (origin, expected) in [
            (Some(SITE), TO_SITE),
            (Some(EVIL), TO_NOBODY),
            (Some("null"), TO_NOBODY),
            (None, TO_NOBODY),
        ] {
            let fields: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
            let browser = if signed_in { &mut user } else { &mut nobody };
            let answer = send(browser, "GET", path, &fields).await;
            assert_eq!(
                (answer.status, says(&answer)),
                (status, expected),
                "{path} {origin:?} {answer:?}"
            );
            assert!(varies_by_origin(&answer), "{path} {origin:?} {answer:?}");
            assert_ne!(answer.header("access-control-expose-headers"), Some("x-secret"));
        }
    }
    let answer = send(&mut user, "GET", "/api/x", &[("origin", SITE)]).await;
    assert_eq!(answer.header("access-control-expose-headers"), Some("X-Total"));
    // What is for everybody is the same for all, and never with credentials.
    for origin in [SITE, EVIL, "null"] {
        let answer = send(&mut user, "GET", "/open/x", &[("origin", origin)]).await;
        assert_eq!(says(&answer), (Some("*"), None), "{answer:?}");
        assert!(!varies_by_origin(&answer));
    }
    // Other routes are as the app has them.
    let answer = send(&mut user, "GET", "/other", &[("origin", SITE)]).await;
    assert_eq!(
        answer
            .headers
            .get_all("access-control-allow-origin")
            .iter()
            .count(),
        2
    );
    // A navigation gets the fields too, and its redirect as ever.
    let mut browser = world.browser();
    browser.fields = vec![("origin".to_owned(), SITE.to_owned())];
    let answer = browser.navigate("/api/x").await;
    assert_eq!((answer.status, says(&answer)), (302, TO_SITE));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_app_and_of_the_session_can_be_read_too() {
    // Takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (upstream, status) in [
        ("http://127.0.0.1:1".to_owned(), 502),
        (format!("http://{}", silent.local_addr().unwrap()), 504),
    ] {
        let world = proxy()
            .upstream_url(upstream)
            .section(API)
            .section("[limits]\nupstream_response_timeout = \"200ms\"")
            .start()
            .await;
        let mut browser = world.browser();
        browser.sign_in("plain", "/").await;
        let answer = send(&mut browser, "GET", "/api/x", &[("origin", SITE)]).await;
        assert_eq!((answer.status, says(&answer)), (status, TO_SITE), "{answer:?}");
        // After a re-check, whose answer is made on another way.
        world.hand.advance(300);
        let answer = send(&mut browser, "GET", "/api/x", &[("origin", SITE)]).await;
        assert_eq!((answer.status, says(&answer)), (status, TO_SITE), "{answer:?}");
        assert_eq!(world.logto.counts().refreshes, 1);
        world.logto.suspend("plain");
        world.hand.advance(300);
        let answer = send(&mut browser, "GET", "/api/x", &[("origin", SITE)]).await;
        assert_eq!((answer.status, says(&answer)), (401, TO_SITE), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_counted_by_their_route() {
    let world = proxy().section(API).start().await;
    send(&mut world.browser(), "OPTIONS", "/api/x", &asks(SITE, "PUT")).await;
    send(&mut world.browser(), "OPTIONS", "/api/x", &asks(EVIL, "PUT")).await;
    let metrics = world.health("/metrics").await.1;
    for status in ["2xx", "4xx"] {
        let line = format!("{{route=\"/api/*\",decision=\"preflight\",status=\"{status}\"}} 1");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

//! Paths, hosts and methods: what policy judged is what the upstream gets, or nothing is sent.

use crate::support::{proxy, raw};

/// Targets that some server would read as `/admin` or as another path than it seems.
const AMBIGUOUS: &[&str] = &[
    "/public/../admin",
    "/public/./x",
    "/public/..",
    "/public/..;/admin",
    "/public;/admin",
    "/public/%2e%2e/admin",
    "/public/%2E%2e/admin",
    "/public/.%2e/admin",
    "/public/%252e%252e/admin",
    "/public/%2f..%2fadmin",
    "/public%2fx",
    "/public/%5c..%5cadmin",
    "/public\\..\\admin",
    "/public//admin",
    "//public/x",
    "//evil.test/x",
    "/\\evil.test",
    "/public/%00/../admin",
    "/public/%00",
    "/public/%0a",
    "/public/%zz",
    "/public/%",
    "/public/%e9",
    "/public/%c0%ae%c0%ae/admin",
    "/public/%3b",
    "/public/%3fx",
    "/public/%23x",
    "/public/\u{e9}",
    "/public/{x}",
    "/public/a|b",
];

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_paths_are_refused_for_everybody() {
    let world = proxy().route("/public/*", "public").start().await;
    let browser = world.signed_in("admin").await;
    for target in AMBIGUOUS {
        for cookies in [String::new(), format!("Cookie: {}\r\n", browser.cookie_field())] {
            let answer = world
                .raw(format!(
                    "GET {target} HTTP/1.1\r\nHost: app.example.com\r\n{cookies}\r\n"
                ))
                .await;
            assert_eq!(raw::status(&answer), 400, "{target}: {answer}");
            assert_eq!(world.upstream.seen().len(), 0, "{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_path_never_gets_an_open_answer() {
    let world = proxy()
        .route("/public/*", "public")
        .route("/exact", "public")
        .start()
        .await;
    for target in [
        "/",
        "/admin",
        "/publicity",
        "/Public/x",
        "/PUBLIC/x",
        "/%70ubli/x",
        "/exact/",
        "/Exact",
        "/exact/below",
        "/admin?/public/x",
        "/admin?x=/public/",
        "/x/public/y",
    ] {
        let answer = world
            .raw(format!(
                "GET {target} HTTP/1.1\r\nHost: app.example.com\r\nX-Original-URL: /public/x\r\n\r\n"
            ))
            .await;
        assert_eq!(raw::status(&answer), 401, "{target}: {answer}");
        assert_eq!(world.upstream.seen().len(), 0, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_targets_arrive_byte_for_byte() {
    let world = proxy().route("/public/*", "public").start().await;
    for target in [
        "/public",
        "/public/",
        "/public/a%20b?c=%2F..%2F&d=//x;y\\z%00",
        "/public/%E3%81%82?q=%zz",
        "/public/~user/@x:y,z!$&'()*+=",
        "/%70ublic/encoded-letter",
        "/public/file.tar.gz?..",
        "/public/...",
    ] {
        world.upstream.forget();
        let answer = world
            .raw(format!("GET {target} HTTP/1.1\r\nHost: app.example.com\r\n\r\n"))
            .await;
        assert_eq!(raw::status(&answer), 200, "{target}: {answer}");
        assert_eq!(world.upstream.only().target, target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_forms_of_the_target_are_refused_and_absolute_form_needs_its_host() {
    let world = proxy().route("/*", "public").start().await;
    for (line, fields, status) in [
        (
            "GET http://app.example.com/x HTTP/1.1",
            "Host: app.example.com\r\n",
            200,
        ),
        (
            "GET http://evil.test/x HTTP/1.1",
            "Host: app.example.com\r\n",
            400,
        ),
        (
            "GET http://user@app.example.com/x HTTP/1.1",
            "Host: app.example.com\r\n",
            400,
        ),
        (
            "GET ftp://app.example.com/x HTTP/1.1",
            "Host: app.example.com\r\n",
            400,
        ),
        (
            "GET javascript:alert(1) HTTP/1.1",
            "Host: app.example.com\r\n",
            400,
        ),
        ("GET x HTTP/1.1", "Host: app.example.com\r\n", 400),
        (
            "GET app.example.com:443 HTTP/1.1",
            "Host: app.example.com\r\n",
            400,
        ),
        ("OPTIONS * HTTP/1.1", "Host: app.example.com\r\n", 400),
        (
            "CONNECT app.example.com:443 HTTP/1.1",
            "Host: app.example.com:443\r\n",
            405,
        ),
        ("TRACE /x HTTP/1.1", "Host: app.example.com\r\n", 405),
        ("GET /x HTTP/1.1", "", 400),
        ("GET /x HTTP/1.0", "", 400),
        (
            "GET /x HTTP/1.1",
            "Host: app.example.com\r\nHost: app.example.com\r\n",
            400,
        ),
        (
            "GET /x HTTP/1.1",
            "Host: app.example.com\r\nhost: evil.test\r\n",
            400,
        ),
        ("GET /x HTTP/1.1", "Host: a@b\r\n", 400),
        ("GET /x HTTP/1.1", "Host: a/b?c\r\n", 400),
        ("GET /x HTTP/1.1", "Host: a b\r\n", 400),
        ("GET /x HTTP/1.1", "Host: a, b\r\n", 400),
        ("GET /x HTTP/1.1", "Host: \r\n", 400),
        ("GET /x HTTP/1.1", "Host: [::1]:8080\r\n", 200),
    ] {
        world.upstream.forget();
        let answer = world.raw(format!("{line}\r\n{fields}\r\n")).await;
        assert_eq!(raw::status(&answer), status, "{line} {fields:?}: {answer}");
        assert_eq!(
            world.upstream.seen().len(),
            usize::from(status == 200),
            "{line} {fields:?}"
        );
        if status != 200 {
            assert!(
                answer.to_ascii_lowercase().contains("connection: close"),
                "{line}: {answer}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_kept_rewritten_or_replaced_as_configured() {
    for (setting, expected) in [
        ("", "app.example.com"),
        ("upstream_host = \"keep\"", "app.example.com"),
        ("upstream_host = \"inner.example.com\"", "inner.example.com"),
    ] {
        let world = proxy().top(setting).route("/*", "public").start().await;
        world
            .raw("GET /x HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
            .await;
        assert_eq!(world.upstream.only().header("host"), Some(expected));
    }
    let world = proxy()
        .top("upstream_host = \"rewrite\"")
        .route("/*", "public")
        .start()
        .await;
    world
        .raw("GET /x HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
        .await;
    assert_eq!(
        world.upstream.only().header("host"),
        Some(world.upstream.address.to_string().as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_fields_are_the_proxys_own_unless_the_peer_is_trusted() {
    let stated = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: other.example.com\r\nX-Request-Id: theirs\r\n";
    let stranger = proxy().route("/*", "public").start().await;
    stranger
        .raw(format!(
            "GET /x HTTP/1.1\r\nHost: app.example.com\r\n{stated}\r\n"
        ))
        .await;
    let seen = stranger.upstream.only();
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("app.example.com"));
    assert_eq!(seen.header("x-forwarded-port"), Some("443"));
    assert_ne!(seen.header("x-request-id"), Some("theirs"));

    let trusted = proxy()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .route("/*", "public")
        .start()
        .await;
    trusted
        .raw(format!(
            "GET /x HTTP/1.1\r\nHost: app.example.com\r\n{stated}\r\n"
        ))
        .await;
    let seen = trusted.upstream.only();
    assert_eq!(seen.header("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some("other.example.com"));
    assert_eq!(seen.header("x-request-id"), Some("theirs"));
}

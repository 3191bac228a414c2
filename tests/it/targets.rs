//! Request targets: what two parties could read differently is refused, all else is forwarded byte for byte.

use crate::support::{World, get, proxy, request};

/// The most tempting set-up: everything open but one path.
async fn world() -> World {
    proxy()
        .route("/*", "public")
        .route("/public/*", "public")
        .route("/admin/*", "authenticated")
        .start()
        .await
}

/// Targets that some server, proxy or framework reads as another path.
const AMBIGUOUS: &[&str] = &[
    "/public/../admin",
    "/public/./../admin",
    "/./admin",
    "/admin/.",
    "/public/..",
    "/public/..;/admin",
    "/public/;/admin",
    "/;x/admin",
    "/admin;x",
    "/admin;jsessionid=1/x",
    "/public/%2e%2e/admin",
    "/public/%2E%2E/admin",
    "/public/.%2e/admin",
    "/public/%2e./admin",
    "/%2e/admin",
    "/admin%2e",
    "/public/%252e%252e/admin",
    "/public/%25252e%25252e/admin",
    "/public/..%2fadmin",
    "/public/..%2Fadmin",
    "/public%2f..%2fadmin",
    "/public%2Fadmin",
    "/%2fadmin",
    "/%2Fadmin",
    "/%252fadmin",
    "/public/..%5cadmin",
    "/public\\..\\admin",
    "/\\admin",
    "\\admin",
    "/%5cadmin",
    "/%255cadmin",
    "//admin",
    "///admin",
    "/public//admin",
    "/admin//",
    "/public//../admin",
    "//evil.test/admin",
    "/public/%00/../admin",
    "/admin%00",
    "/admin%00.css",
    "/public/%0a/admin",
    "/public%0d%0a/admin",
    "/admin%09",
    "/admin%7f",
    "/admin%3b",
    "/admin%3bx",
    "/admin%3f",
    "/admin%23",
    "/admin%23/public",
    "/public/%",
    "/public/%2",
    "/public/%zz",
    "/public/%u002e%u002e/admin",
    "/public/%c0%ae%c0%ae/admin",
    "/public/%c0%af/admin",
    "/public/%e0%80%af/admin",
    "/public/%ff",
    "/public/%c2%85/admin",
    "/public/%ef%bc%8f/../admin",
    "/public/{x}",
    "/public/a|b",
    "/public/a^b",
    "/public/\"x\"",
    "/public/<x>",
    "/public/`x`",
    "/public/caf\u{e9}",
    "/\u{ff0f}admin",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_path_is_refused_for_everyone_on_every_route() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for target in AMBIGUOUS {
        for fields in [&[][..], &[("Cookie", cookies.as_str())][..]] {
            for method in ["GET", "POST", "OPTIONS"] {
                let reply = world.refused(request(method, target, fields), 400).await;
                assert!(!reply.has("location") && !reply.has("set-cookie"), "{target}");
            }
        }
        let query = format!("{target}?x=1");
        world.refused(request("GET", &query, &[]), 400).await;
    }
    assert!(world.upstream.seen().is_empty(), "{:?}", world.upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_bytes_that_are_no_text_are_refused() {
    let world = world().await;
    for bytes in [
        &b"GET /public/\xff HTTP/1.1\r\nHost: app.example.com\r\n\r\n"[..],
        b"GET /public/\xc0\xae\xc0\xae/admin HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        b"GET /public/\x00 HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        b"GET /public/\x7f HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        b"GET /public/\x0badmin HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        b"GET /public /admin HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        b"GET  /admin HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
    ] {
        world.refused(bytes, 400).await;
    }
    assert!(world.upstream.seen().is_empty(), "{:?}", world.upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_target_arrives_byte_for_byte() {
    let world = world().await;
    let mut wire = world.wire().await;
    for target in [
        "/",
        "/?",
        "/public/",
        "/public/a.b/..c/d..",
        "/public/...",
        "/public/.well-known/x",
        "/public/%41%62",
        "/public/%c3%a9%E3%81%82",
        "/public/%20x%7ey",
        "/public/a:b@c!$&'()*+,=~-_",
        "/public/x?next=https://other.test//a/../b\\c;d&e=%2e%2e%2f%00%zz",
        "/public/x?%",
        "/public/x??y=?z",
        "/public/x?a={b}|c^d`e",
        "/Public/UPPER",
        "/public/x?=&&=",
        "/public/%5Bx%5D[y]",
    ] {
        world.upstream.forget();
        wire.send(get(target)).await;
        assert_eq!(wire.reply().await.status, 200, "{target}");
        assert_eq!(world.upstream.only().target, target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn escaped_letters_are_judged_as_what_they_spell() {
    let world = proxy()
        .route("/*", "public")
        .route("/admin/*", "authenticated")
        .route("/caf\u{e9}", "authenticated")
        .start()
        .await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for closed in [
        "/%61dmin",
        "/%61%64%6D%69%6e",
        "/admi%6e/users",
        "/%61dmin?x",
        "/caf%C3%A9",
        "/%63af%c3%a9",
    ] {
        world.upstream.forget();
        assert_eq!(world.ask(get(closed)).await.status, 401, "{closed}");
        assert!(world.upstream.seen().is_empty(), "{closed}");
        let reply = world.ask(request("GET", closed, &[("Cookie", &cookies)])).await;
        assert_eq!(reply.status, 200, "{closed}");
        assert_eq!(world.upstream.only().target, closed, "forwarded as it came");
    }
    let reply = world.ask(get("/.logto/%75ser")).await;
    assert_eq!(reply.json()["isAuthenticated"], false, "own endpoints too");
}

#[tokio::test(flavor = "multi_thread")]
async fn absolute_form_is_judged_by_its_path_and_forwarded_in_origin_form() {
    let world = world().await;
    for (target, expected) in [
        ("http://app.example.com/public/x?y", "/public/x?y"),
        ("https://app.example.com/public/x", "/public/x"),
        ("http://APP.example.com", "/"),
        ("http://app.example.com?x=1", "/?x=1"),
    ] {
        world.upstream.forget();
        assert_eq!(world.ask(get(target)).await.status, 200, "{target}");
        let seen = world.upstream.only();
        assert_eq!(seen.target, expected);
        assert_eq!(seen.header("host"), Some("app.example.com"));
    }
    world.upstream.forget();
    assert_eq!(world.ask(get("http://app.example.com/admin")).await.status, 401);
    for target in [
        "http://app.example.com/public/../admin",
        "http://app.example.com//admin",
        "http://other.example.com/public/x",
        "http://app.example.com:81/public/x",
        "http://user@app.example.com/public/x",
        "http://user:pass@app.example.com/public/x",
        "ftp://app.example.com/public/x",
        "ws://app.example.com/public/x",
        "javascript:alert(1)",
        "file:///public/x",
        "http:///public/x",
        "http:/public/x",
    ] {
        world.refused(get(target), 400).await;
    }
    assert!(world.upstream.seen().is_empty(), "{:?}", world.upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_forms_are_refused() {
    let world = world().await;
    for (method, target, status) in [
        ("GET", "app.example.com:80", 400),
        ("GET", "app.example.com", 400),
        ("GET", "public", 400),
        ("GET", "?x", 400),
        ("GET", "*", 400),
        ("OPTIONS", "*", 400),
        ("CONNECT", "app.example.com:443", 405),
        ("CONNECT", "/public/x", 405),
        ("TRACE", "/public/x", 405),
        ("PRI", "*", 400),
    ] {
        world.refused(request(method, target, &[]), status).await;
    }
    assert!(world.upstream.seen().is_empty(), "{:?}", world.upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_is_cut_before_anyone_judges_or_forwards() {
    let world = world().await;
    for (target, expected) in [
        ("/public/x#/../../admin", "/public/x"),
        ("/public/x?y#z", "/public/x?y"),
    ] {
        world.upstream.forget();
        let reply = world.ask(get(target)).await;
        if reply.status == 200 {
            assert_eq!(world.upstream.only().target, expected, "{target}");
        } else {
            assert_eq!(reply.status, 400, "{target}");
        }
    }
    world.upstream.forget();
    for target in ["/admin#/public/x", "/admin#"] {
        let status = world.ask(get(target)).await.status;
        assert!(matches!(status, 400 | 401), "{target}: {status}");
    }
    assert!(world.upstream.seen().is_empty());
}

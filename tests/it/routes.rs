//! Which path is open to whom: public, optional and authenticated routes, exact and by prefix.

use crate::support::{World, proxy, request};

const RULES: &[(&str, &str)] = &[
    ("/", "public"),
    ("/health", "public"),
    ("/assets/*", "public"),
    ("/assets/private/*", "authenticated"),
    ("/assets/private/logo.svg", "optional"),
    ("/maybe/*", "optional"),
    ("/admin/*", "authenticated"),
];

async fn world() -> World {
    let rules = RULES.iter();
    rules
        .fold(proxy(), |proxy, (path, access)| proxy.route(path, access))
        .start()
        .await
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Public,
    Optional,
    Authenticated,
}
use Expected::{Authenticated, Optional, Public};

const PATHS: &[(&str, Expected)] = &[
    ("/", Public),
    ("/?next=/admin", Public),
    ("/health", Public),
    ("/health/", Authenticated),
    ("/health/x", Authenticated),
    ("/healthy", Authenticated),
    ("/Health", Authenticated),
    ("/HEALTH", Authenticated),
    ("/assets", Public),
    ("/assets/", Public),
    ("/assets/a/b.css?x=1", Public),
    ("/assetsx", Authenticated),
    ("/assets-old/a", Authenticated),
    ("/assets/private", Authenticated),
    ("/assets/private/", Authenticated),
    ("/assets/private/x", Authenticated),
    ("/assets/private/logo.svg", Optional),
    ("/assets/private/logo.svg/x", Authenticated),
    ("/assets/Private/x", Authenticated),
    ("/Assets/a", Authenticated),
    ("/maybe", Optional),
    ("/maybe/x", Optional),
    ("/admin", Authenticated),
    ("/admin/x", Authenticated),
    ("/admin?/assets/", Authenticated),
    ("/anything/else", Authenticated),
    ("/.logto", Authenticated),
    ("/.logto/", Authenticated),
    ("/.logto/unknown", Authenticated),
    ("/.logto/user/", Authenticated),
    ("/.Logto/user", Authenticated),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_path_is_open_to_whom_its_most_specific_route_says() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for (path, expected) in PATHS {
        world.upstream.forget();
        let anonymous = world.ask(request("GET", path, &[])).await;
        if *expected == Authenticated {
            assert_eq!(anonymous.status, 401, "{path}");
            assert!(world.upstream.seen().is_empty(), "{path} went through");
        } else {
            assert_eq!(anonymous.status, 200, "{path}");
            assert_eq!(world.upstream.only().header("x-user-sub"), None, "{path}");
        }
        world.upstream.forget();
        let signed_in = world.ask(request("GET", path, &[("Cookie", &cookies)])).await;
        assert_eq!(signed_in.status, 200, "{path}");
        let seen = world.upstream.only();
        assert_eq!(seen.target, *path);
        let told = (*expected != Public).then_some("adminuser001");
        assert_eq!(seen.header("x-user-sub"), told, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_method_opens_nothing() {
    let world = world().await;
    for method in [
        "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "M-SEARCH",
    ] {
        for path in ["/admin/x", "/else"] {
            let mut wire = world.wire().await;
            wire.send(request(method, path, &[("Content-Length", "0")])).await;
            let reply = match method {
                "HEAD" => wire.reply_to_head().await,
                _ => wire.reply().await,
            };
            assert_eq!(reply.status, 401, "{method} {path}");
        }
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_session_opens_a_closed_route() {
    let world = world().await;
    for (name, value) in [
        ("Authorization", "Bearer junk"),
        ("Authorization", "Basic YWRtaW46YWRtaW4="),
        ("X-Forwarded-Uri", "/health"),
        ("X-Original-URL", "/health"),
        ("X-Rewrite-URL", "/health"),
        ("X-Forwarded-Prefix", "/health"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Forwarded-Host", "localhost"),
        ("User-Agent", "kube-probe/1.30"),
        ("User-Agent", "GoogleHC/1.0"),
        ("X-User-Sub", "adminuser001"),
        ("Cookie", "__Host-logto=1"),
        ("Cookie", "__Host-logto="),
        ("Cookie", "logto=1; __Host-logto=AQAAAAAAAAAA"),
        ("Upgrade", "h2c"),
        ("Access-Control-Request-Method", "GET"),
    ] {
        let reply = world.ask(request("GET", "/admin/x", &[(name, value)])).await;
        assert_eq!(reply.status, 401, "{name}: {value}");
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unauthenticated_program_gets_401_in_json_and_nothing_to_keep() {
    let world = world().await;
    let reply = world.ask(request("GET", "/admin/x?secret=1", &[])).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.field("content-type"), Some("application/json"));
    assert!(reply.field("cache-control").unwrap().contains("no-store"));
    assert!(reply.field("www-authenticate").is_some());
    assert!(!reply.has("set-cookie"));
    let document = reply.json();
    assert_eq!(document["error"], "unauthenticated");
    let url = document["sign_in_url"].as_str().unwrap();
    assert!(url.starts_with("https://app.example.com/.logto/sign-in"), "{url}");
    assert!(!reply.text().contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_navigation_is_redirected_and_everything_else_gets_401() {
    let world = world().await;
    let html = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    let navigate = ("Sec-Fetch-Mode", "navigate");
    let document = ("Sec-Fetch-Dest", "document");
    let cases: &[(&str, &[(&str, &str)], u16)] = &[
        ("GET", &[html, navigate, document], 302),
        ("GET", &[html], 302),
        ("GET", &[("Accept", "text/html")], 302),
        ("GET", &[("Accept", "application/json, text/html;q=0.1")], 401),
        ("GET", &[("Accept", "*/*")], 401),
        ("GET", &[], 401),
        (
            "GET",
            &[html, ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
            401,
        ),
        (
            "GET",
            &[html, ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")],
            401,
        ),
        ("GET", &[html, navigate, ("Sec-Fetch-Dest", "empty")], 401),
        (
            "GET",
            &[html, navigate, document, ("Sec-Purpose", "prefetch")],
            401,
        ),
        ("GET", &[html, ("X-Requested-With", "XMLHttpRequest")], 401),
        ("GET", &[html, ("Content-Type", "application/grpc")], 401),
        ("POST", &[html, navigate, document, ("Content-Length", "0")], 401),
        ("DELETE", &[html], 401),
    ];
    for (method, fields, status) in cases {
        let reply = world.ask(request(method, "/admin/x", fields)).await;
        assert_eq!(reply.status, *status, "{method} {fields:?}");
        if *status == 302 {
            assert!(reply.field("cache-control").unwrap().contains("no-store"));
        } else {
            assert!(!reply.has("set-cookie"), "{method} {fields:?}");
        }
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_insist_on_401_or_on_the_redirect() {
    let world = proxy()
        .section("[[route]]\npath = \"/api/*\"\nunauthenticated = \"401\"\n")
        .section("[[route]]\npath = \"/page/*\"\nunauthenticated = \"redirect\"\n")
        .start()
        .await;
    let html = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")];
    assert_eq!(world.ask(request("GET", "/api/x", &html)).await.status, 401);
    assert_eq!(world.ask(request("GET", "/page/x", &[])).await.status, 302);
}

//! What the upstream is told about the client: replaced for strangers, appended for trusted proxies.

use crate::support::{Seen, World, proxy, request};

const FAMILY: &[(&str, &str)] = &[
    ("X-Forwarded-For", "198.51.100.1, 203.0.113.7"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "stated.example.com"),
    ("X-Forwarded-Port", "8443"),
    ("Forwarded", "for=198.51.100.1"),
    ("X-Real-IP", "198.51.100.1"),
    ("X-Original-URL", "/admin"),
    ("X-Rewrite-URL", "/admin"),
    ("X-Forwarded-Prefix", "/admin"),
    ("X-Forwarded-Server", "x"),
    ("X-Forwarded-Uri", "/admin"),
    ("X-Forwarded-Method", "DELETE"),
    ("X-Original-Method", "DELETE"),
    ("X-Request-Id", "stated-id"),
    (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    ("tracestate", "vendor=1"),
];

async fn untrusting() -> World {
    proxy().route("/*", "public").start().await
}

async fn trusting() -> World {
    proxy()
        .route("/*", "public")
        .top("trusted_proxies = [\"127.0.0.0/8\", \"203.0.113.0/24\"]")
        .start()
        .await
}

async fn seen_with(world: &World, fields: &[(&str, &str)]) -> Seen {
    world.upstream.forget();
    assert_eq!(world.ask(request("GET", "/x", fields)).await.status, 200);
    world.upstream.only()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_states_is_replaced() {
    let world = untrusting().await;
    let seen = seen_with(&world, FAMILY).await;
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("app.example.com"));
    assert_eq!(seen.header("x-forwarded-port"), Some("443"));
    for gone in [
        "forwarded",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-prefix",
        "x-forwarded-server",
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-original-method",
        "tracestate",
    ] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_ne!(seen.header("x-request-id"), Some("stated-id"));
    assert!(
        !seen
            .header("traceparent")
            .unwrap()
            .contains("0af7651916cd43dd8448eb211c80319c")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trusted_proxy_states_is_kept_and_appended_to() {
    let world = trusting().await;
    let seen = seen_with(&world, FAMILY).await;
    assert_eq!(
        seen.header("x-forwarded-for"),
        Some("198.51.100.1, 203.0.113.7, 127.0.0.1")
    );
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some("stated.example.com"));
    assert_eq!(seen.header("x-forwarded-port"), Some("8443"));
    let lines: Vec<_> = seen.headers.get_all("forwarded").iter().collect();
    assert_eq!(lines, ["for=198.51.100.1", "for=127.0.0.1"]);
    assert_eq!(seen.header("x-request-id"), Some("stated-id"));
    assert_eq!(
        seen.header("traceparent"),
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    );
    assert_eq!(seen.header("tracestate"), Some("vendor=1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_target_than_the_judged_one_is_nobodys_to_state() {
    for world in [untrusting().await, trusting().await] {
        // A trusted proxy sets few of these, and hands on what its own client says.
        for name in [
            "X-Original-URL",
            "X-Original-URI",
            "X-Original-Path",
            "X-Original-Host",
            "X-Original-Method",
            "X-Rewrite-URL",
            "X-Rewrite-URI",
            "X-Forwarded-Uri",
            "X-Forwarded-Path",
            "X-Forwarded-Method",
            "X-Envoy-Original-Path",
            "X-Envoy-Original-Host",
            "X-Host",
            "X-HTTP-Host-Override",
        ] {
            let seen = seen_with(&world, &[(name, "/admin")]).await;
            assert_eq!(seen.header(name), None, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_spellings_are_dropped_from_everyone() {
    for world in [untrusting().await, trusting().await] {
        let seen = seen_with(
            &world,
            &[
                ("X_Forwarded_For", "198.51.100.9"),
                ("X.Forwarded.Proto", "gopher"),
                ("X_Forwarded_Host", "evil.test"),
                ("X_Original_URL", "/admin"),
                ("X_Request_Id", "evil"),
                ("X_Real_IP", "198.51.100.9"),
            ],
        )
        .await;
        for (name, value) in &seen.headers {
            let name = name.as_str();
            assert!(!name.contains(['_', '.']), "{name}: {value:?}");
        }
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(seen.header("x-forwarded-host"), Some("app.example.com"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_statements_of_a_trusted_proxy_are_replaced() {
    let world = trusting().await;
    let seen = seen_with(
        &world,
        &[
            ("X-Forwarded-Proto", "https, http"),
            ("X-Forwarded-Host", "a b"),
            ("X-Forwarded-Port", "http"),
            ("X-Request-Id", "spaces are odd"),
            (
                "traceparent",
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            ),
            ("tracestate", "vendor=1"),
        ],
    )
    .await;
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("app.example.com"));
    assert_eq!(seen.header("x-forwarded-port"), Some("443"));
    assert_eq!(
        seen.header("tracestate"),
        None,
        "it belonged to a trace that is not kept"
    );
    let id = seen.header("x-request-id").unwrap();
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_lines_of_a_list_count_as_one() {
    let world = trusting().await;
    let seen = seen_with(
        &world,
        &[
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Forwarded-For", "203.0.113.7"),
        ],
    )
    .await;
    assert_eq!(
        seen.header("x-forwarded-for"),
        Some("198.51.100.1, 203.0.113.7, 127.0.0.1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_an_identifier_of_its_own() {
    let world = untrusting().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let seen = seen_with(&world, &[]).await;
        let trace = seen.header("traceparent").unwrap();
        assert!(trace.starts_with("00-") && trace.len() == 55, "{trace}");
        ids.insert(seen.header("x-request-id").unwrap().to_owned());
    }
    assert_eq!(ids.len(), 20);
}

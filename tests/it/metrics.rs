//! `/metrics` on the health listener says what happened, in a bounded number of series.

use crate::support::wire::HANDSHAKE;
use crate::support::{RawUpstream, Reply, Upstream, Wire, World, eventually, get, proxy, request};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use std::collections::BTreeSet;

async fn scrape(world: &World) -> Reply {
    let mut wire = Wire::connect(world.admin.unwrap()).await;
    wire.send(get("/metrics")).await;
    wire.reply().await
}

/// The value of one sample, named as it stands in the text; `None` when there is no such sample.
async fn sample(world: &World, name: &str) -> Option<f64> {
    let text = scrape(world).await.text();
    let line = text
        .lines()
        .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    Some(line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn requests(route: &str, decision: &str, status: &str) -> String {
    format!("logto_proxy_requests_total{{route=\"{route}\",decision=\"{decision}\",status=\"{status}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_openmetrics_on_the_health_listener_alone() {
    let world = proxy().route("/open/*", "public").start().await;
    world.ask(get("/open/x")).await;
    let reply = scrape(&world).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.field("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = reply.text();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    // Every sample belongs to a family that was announced before it, and no family comes twice.
    let mut families = BTreeSet::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(announced) = line.strip_prefix("# TYPE ") {
            let name = announced.split(' ').next().unwrap().to_owned();
            assert!(families.insert(name), "{line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_total", "_info", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(name);
            assert!(name.starts_with("logto_proxy_"), "{line}");
            assert!(families.contains(family), "{line}");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
    let version = format!(
        "logto_proxy_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    assert!(text.lines().any(|line| line == version), "{text}");
    let mut wire = Wire::connect(world.admin.unwrap()).await;
    wire.send(request("POST", "/metrics", &[("Content-Length", "0")]))
        .await;
    assert_eq!(wire.reply().await.status, 405);
    assert_eq!(
        world.ask(get("/metrics")).await.status,
        401,
        "browsers do not get it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route_decision_and_status() {
    let upstream = Upstream::answering(|seen| {
        let status = if seen.target.contains("missing") { 404 } else { 200 };
        Response::builder()
            .status(status)
            .body(Full::new(Bytes::new()))
            .unwrap()
    })
    .await;
    let world = proxy()
        .upstream(upstream)
        .route("/open/*", "public")
        .route("/exact", "public")
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    for number in 0..30 {
        world.ask(get(&format!("/open/{number}?q={number}"))).await;
    }
    world.ask(get("/open/missing")).await;
    world.ask(get("/exact")).await;
    browser.fetch("/page").await;
    browser.fetch("/.logto/user").await;
    world.ask(get("/closed")).await;
    world.browser().navigate("/closed").await;
    world.ask(get("/a/%2e%2e/b%2f")).await;
    for (name, expected) in [
        (requests("/open/*", "forward", "2xx"), 30.0),
        (requests("/open/*", "forward", "4xx"), 1.0),
        (requests("/exact", "forward", "2xx"), 1.0),
        // Where the sign-in led, and the page.
        (requests("/*", "forward", "2xx"), 2.0),
        (requests("/*", "sign_in", "4xx"), 1.0),
        (requests("/*", "sign_in", "3xx"), 1.0),
        (requests("user", "endpoint", "2xx"), 1.0),
        (requests("callback", "endpoint", "3xx"), 1.0),
        (requests("-", "reject", "4xx"), 1.0),
        (
            "logto_proxy_upstream_response_duration_seconds_count".to_owned(),
            34.0,
        ),
    ] {
        assert_eq!(sample(&world, &name).await, Some(expected), "{name}");
    }
    let text = scrape(&world).await.text();
    let routes: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split("route=\"").nth(1)?.split('"').next())
        .collect();
    let bounded = BTreeSet::from(["-", "/*", "/exact", "/open/*", "callback", "sign_in", "user"]);
    assert_eq!(routes, bounded, "no client makes series");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_outlast_a_reload_and_a_new_route_has_its_own() {
    let world = proxy()
        .route("/a/*", "public")
        .route("/b/*", "public")
        .start()
        .await;
    let since = "logto_proxy_config_in_force_timestamp_seconds";
    let started = sample(&world, since).await.unwrap();
    world.ask(get("/a/1")).await;
    world.ask(get("/b/1")).await;
    world.hand.advance(100);
    // Other places in the table for the routes that stay.
    let text = world.text.replace("path = \"/a/*\"", "path = \"/c/*\"");
    world
        .reload(&format!(
            "{text}\n[[route]]\npath = \"/a/deeper/*\"\naccess = \"public\"\n"
        ))
        .await;
    for path in ["/b/1", "/c/1", "/a/deeper/1"] {
        assert_eq!(world.ask(get(path)).await.status, 200);
    }
    for (route, expected) in [("/a/*", 1.0), ("/b/*", 2.0), ("/c/*", 1.0), ("/a/deeper/*", 1.0)] {
        assert_eq!(
            sample(&world, &requests(route, "forward", "2xx")).await,
            Some(expected),
            "{route}"
        );
    }
    assert!(sample(&world, since).await.unwrap() >= started + 100.0);
    let applied = "logto_proxy_config_reloads_total{outcome=\"applied\"}";
    assert_eq!(sample(&world, applied).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_counted_while_it_is_open() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await;
        wire.is_cut().await;
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let (connections, websockets) = ("logto_proxy_open_connections", "logto_proxy_open_websockets");
    eventually("the connections of the start are closed", || async {
        sample(&world, connections).await == Some(0.0)
    })
    .await;
    let idle = [world.wire().await, world.wire().await];
    let mut socket = world.wire().await;
    socket.send(request("GET", "/socket", HANDSHAKE)).await;
    assert!(socket.head().await.0.contains("101"));
    eventually("all are open", || async {
        sample(&world, connections).await == Some(3.0) && sample(&world, websockets).await == Some(1.0)
    })
    .await;
    drop((idle, socket));
    eventually("all are closed", || async {
        sample(&world, connections).await == Some(0.0) && sample(&world, websockets).await == Some(0.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_answer_is_counted_by_upstream_and_reason() {
    let world = proxy()
        .upstream_url("http://127.0.0.1:9")
        .route("/*", "public")
        .start()
        .await;
    assert_eq!(world.ask(get("/x")).await.status, 502);
    let refused = "logto_proxy_upstream_failures_total{upstream=\"http://127.0.0.1:9\",reason=\"refused\"}";
    assert_eq!(sample(&world, refused).await, Some(1.0));
    assert_eq!(sample(&world, &requests("/*", "forward", "5xx")).await, Some(1.0));
    let answered = "logto_proxy_upstream_response_duration_seconds_count";
    assert_eq!(sample(&world, answered).await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_of_the_store_and_does_not_depend_on_it() {
    let world = proxy().start().await;
    let (status, body) = world.health("/readyz").await;
    let document: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &document["store"]["kind"]), (200, &"memory".into()));
    assert_eq!(document["store"]["available"], true);

    // Nothing listens there.
    let away = proxy()
        .section("[store]\nkind = \"redis\"\nurl = \"redis://:hidden@127.0.0.1:1\"")
        .start()
        .await;
    eventually("the store is known to be away", || async {
        let (status, body) = away.health("/readyz").await;
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(!body.contains("hidden"), "{body}");
        status == 200 && document["store"]["kind"] == "redis" && document["store"]["available"] == false
    })
    .await;
    assert_eq!(sample(&away, "logto_proxy_store_available").await, Some(0.0));
}

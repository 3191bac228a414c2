//! Every size and every wait has a limit.

use crate::support::wire::HANDSHAKE;
use crate::support::{RawUpstream, Wire, World, get, proxy, request};
use std::time::Duration;

async fn limited(limits: &str) -> World {
    proxy()
        .route("/*", "public")
        .section(&format!("[limits]\n{limits}"))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_too_many_bytes_is_a_431() {
    let world = limited("header_bytes = 16384\n").await;
    let value = "v".repeat(16_000);
    assert_eq!(
        world
            .ask(request("GET", "/x", &[("X-Large", &value)]))
            .await
            .status,
        200
    );
    for size in [16_400, 20_000, 40_000, 200_000] {
        let value = "v".repeat(size);
        world
            .refused(request("GET", "/x", &[("X-Large", &value)]), 431)
            .await;
    }
    let many: Vec<(String, String)> = (0..60).map(|n| (format!("X-{n}"), "v".repeat(300))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    world.refused(request("GET", "/x", &many), 431).await;
    assert_eq!(world.upstream.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_fields_are_a_431() {
    // Not the usual upstream: that has a limit of its own, and gets a few fields more than the client sent.
    for (limits, maximum) in [("", 100), ("headers = 20\n", 20)] {
        let upstream = RawUpstream::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        let world = proxy()
            .upstream_url(upstream.url())
            .route("/*", "public")
            .section(&format!("[limits]\n{limits}"))
            .start()
            .await;
        let fields = vec![("X-Field", "v"); maximum];
        // The Host field counts too.
        let most = world.ask(request("GET", "/x", &fields[1..])).await;
        assert_eq!(most.status, 200, "{maximum}");
        world.refused(request("GET", "/x", &fields), 431).await;
        world
            .refused(request("GET", "/x", &vec![("X-Field", "v"); 1000]), 431)
            .await;
        assert_eq!(upstream.connections(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_target_is_a_414() {
    let world = limited("target_bytes = 1024\n").await;
    let target = |length: usize| format!("/{}", "p".repeat(length - 1));
    assert_eq!(world.ask(get(&target(1024))).await.status, 200);
    world.refused(get(&target(1025)), 414).await;
    world.refused(get(&format!("/?{}", "q".repeat(1023))), 414).await;
    world.refused(get(&target(65_000)), 414).await;
    let world = limited("").await;
    assert_eq!(world.ask(get(&target(8192))).await.status, 200);
    world.refused(get(&target(8193)), 414).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_is_a_413_whether_or_not_it_says_how_long_it_is() {
    let world = limited("body_bytes = 1000\n").await;
    let sized = |length: usize| {
        let mut bytes = request("POST", "/x", &[("Content-Length", &length.to_string())]);
        bytes.extend(vec![b'x'; length]);
        bytes
    };
    let chunked = |chunks: &[usize]| {
        let mut bytes = request("POST", "/x", &[("Transfer-Encoding", "chunked")]);
        for size in chunks {
            bytes.extend(format!("{size:x}\r\n{}\r\n", "x".repeat(*size)).into_bytes());
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    };
    assert_eq!(world.ask(sized(1000)).await.status, 200);
    assert_eq!(world.ask(chunked(&[400, 600])).await.status, 200);
    assert_eq!(world.upstream.seen().len(), 2);
    world.upstream.forget();
    world.refused(sized(1001), 413).await;
    world.refused(chunked(&[1001]), 413).await;
    world.refused(chunked(&[400, 400, 400]), 413).await;
    assert!(world.upstream.seen().is_empty(), "no whole request arrived");
    let declared = request(
        "POST",
        "/x",
        &[("Content-Length", "5000"), ("Expect", "100-continue")],
    );
    world.refused(declared, 413).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_header_and_an_idle_connection_are_cut() {
    let world = limited("header_timeout = \"1s\"\nidle_timeout = \"2s\"\n").await;
    let begun = tokio::time::Instant::now();
    let mut silent = world.wire().await;
    let mut half = world.wire().await;
    half.send("GET /x HTTP/1.1\r\nHost: app.example.com\r\nX-Slow: ")
        .await;
    let mut second_half = world.wire().await;
    second_half.send(get("/x")).await;
    assert_eq!(second_half.reply().await.status, 200);
    second_half.send("GET /y").await;
    let mut idle = world.wire().await;
    idle.send(get("/x")).await;
    assert_eq!(idle.reply().await.status, 200);
    let mut trickle = world.wire().await;
    let trickling = tokio::spawn(async move {
        trickle.send("GET /x HTTP/1.1\r\n").await;
        for _ in 0..60 {
            if !trickle.is_silent_for(Duration::from_millis(100)).await {
                return true;
            }
            trickle.send("X: y\r\n").await;
        }
        false
    });
    for (name, wire) in [
        ("silent", &mut silent),
        ("half", &mut half),
        ("second", &mut second_half),
    ] {
        wire.is_cut().await;
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
    assert!(trickling.await.unwrap(), "a byte now and then does not buy time");
    idle.is_cut().await;
    let taken = begun.elapsed();
    assert!(
        taken >= Duration::from_secs(2) && taken < Duration::from_secs(6),
        "{taken:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_limit_cuts_a_slow_answer() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        tokio::time::sleep(Duration::from_millis(3500)).await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .section("[limits]\nheader_timeout = \"1s\"\nidle_timeout = \"1s\"\n")
        .start()
        .await;
    assert_eq!(world.ask(get("/x")).await.text(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_and_tunnels_count() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            .await;
        wire.is_closed().await;
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .section("[limits]\nconnections = 2\n")
        .start()
        .await;
    let mut tunnels = Vec::new();
    for _ in 0..2 {
        let mut wire = world.wire().await;
        wire.send(request("GET", "/socket", HANDSHAKE)).await;
        let (status, _) = wire.head().await;
        assert!(status.contains("101"), "{status}");
        tunnels.push(wire);
    }
    let mut third = world.wire().await;
    third.send(get("/.logto/user")).await;
    assert!(
        third.is_silent_for(Duration::from_millis(500)).await,
        "served beyond the limit"
    );
    tunnels.pop();
    assert_eq!(third.reply().await.status, 200, "served when there is room again");
}

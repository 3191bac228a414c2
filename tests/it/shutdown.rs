//! Stopping loses nothing that was begun.

use crate::support::program::Setup;
use crate::support::wire::HANDSHAKE;
use crate::support::{RawUpstream, Wire, World, eventually, get, proxy, raw, request};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// An app that answers when told, in two halves: what is begun is finished.
async fn slow() -> (RawUpstream, Arc<Notify>) {
    let finish = Arc::new(Notify::new());
    let told = Arc::clone(&finish);
    let upstream = RawUpstream::start(move |mut wire: Wire, _| {
        let told = Arc::clone(&told);
        async move {
            let (line, _) = wire.head().await;
            if line.contains("/socket") {
                wire.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                )
                .await;
                wire.is_closed().await;
            } else if line.contains("/slow") {
                told.notified().await;
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
                    .await;
                told.notified().await;
                wire.send("half").await;
            } else {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                wire.is_closed().await;
            }
        }
    })
    .await;
    (upstream, finish)
}

/// A close frame with status 1001 (RFC 6455 §7.4.1).
const GOING_AWAY: &[u8] = b"\x88\x17\x03\xe9the proxy is stopping";

async fn before(upstream: &RawUpstream, shutdown: &str) -> World {
    proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .section(&format!("[shutdown]\n{shutdown}"))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_finish_idle_connections_close_and_new_ones_are_refused() {
    let (upstream, finish) = slow().await;
    let world = before(&upstream, "timeout = \"20s\"").await;
    let mut busy = world.wire().await;
    busy.send(get("/slow")).await;
    eventually("the slow request arrived", || async { upstream.open() == 1 }).await;
    // Two, one for each worker: when both are closed, both workers know.
    let mut idle = [world.wire().await, world.wire().await];
    for idle in &mut idle {
        idle.send(get("/quick")).await;
        assert_eq!(idle.reply().await.status, 200);
    }

    world.stop.cancel();
    for idle in &mut idle {
        assert!(idle.is_closed().await, "an idle connection is closed at once");
    }
    let address = world.address;
    eventually("new connections are refused", || async {
        TcpStream::connect(address).await.is_err()
    })
    .await;
    finish.notify_one();
    let (status, fields) = busy.head().await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(
        fields
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("connection") && value == "close"),
        "{fields:?}"
    );
    assert!(!world.running.is_finished(), "it waits for the rest of the body");
    finish.notify_one();
    assert_eq!(busy.take(8).await, b"halfhalf");
    assert!(busy.is_closed().await);
    assert!(
        world.running.await.unwrap().unwrap(),
        "everything was done in time"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_closed() {
    let (upstream, _finish) = slow().await;
    let world = before(&upstream, "timeout = \"20s\"").await;
    let mut wire = world.wire().await;
    wire.send(request("GET", "/socket", HANDSHAKE)).await;
    assert!(wire.head().await.0.contains("101"));
    let begun = tokio::time::Instant::now();
    world.stop.cancel();
    assert_eq!(wire.take(25).await, GOING_AWAY);
    assert!(wire.is_closed().await);
    assert!(world.running.await.unwrap().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    eventually("the app's side is closed", || async { upstream.open() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_does_not_wait_for_a_slow_request() {
    let (upstream, finish) = slow().await;
    let world = before(&upstream, "timeout = \"20s\"").await;
    let mut socket = world.wire().await;
    socket.send(request("GET", "/socket", HANDSHAKE)).await;
    assert!(socket.head().await.0.contains("101"));
    let mut busy = world.wire().await;
    busy.send(get("/slow")).await;
    eventually("the slow request arrived", || async { upstream.open() == 2 }).await;
    world.stop.cancel();
    assert_eq!(socket.take(25).await, GOING_AWAY, "while a request is in flight");
    assert!(socket.is_closed().await);
    finish.notify_one();
    finish.notify_one();
    assert_eq!(busy.reply().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_is_given_up_after_the_timeout() {
    let (upstream, _finish) = slow().await;
    let world = before(&upstream, "timeout = \"500ms\"").await;
    let mut busy = world.wire().await;
    busy.send(get("/slow")).await;
    let mut half = world.wire().await;
    half.send("GET /x HTTP/1.1\r\nHost: app.exam").await;
    eventually("the slow request arrived", || async { upstream.open() == 1 }).await;
    let begun = tokio::time::Instant::now();
    world.stop.cancel();
    let in_time = world.running.await.unwrap().unwrap();
    assert!(!in_time, "it says that something was cut off");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(busy.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn during_the_delay_it_serves_on_but_is_not_ready() {
    let (upstream, _finish) = slow().await;
    let world = before(&upstream, "delay = \"1s\"\ntimeout = \"5s\"").await;
    let admin = world.admin.unwrap();
    let health = |path: &'static str| async move {
        let mut wire = Wire::connect(admin).await;
        wire.send(get(path)).await;
        wire.reply().await.status
    };
    // Logto's keys may still be on their way.
    eventually("readyz turns 200", || async { health("/readyz").await == 200 }).await;
    world.stop.cancel();
    eventually("readyz turns 503", || async { health("/readyz").await == 503 }).await;
    assert_eq!(health("/livez").await, 200);
    assert_eq!(world.ask(get("/quick")).await.status, 200, "still served");
    assert!(world.running.await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_obeys_sigterm_and_ends_with_0() {
    let (upstream, finish) = slow().await;
    let setup = Setup::valid(
        &format!("upstream = \"{}\"", upstream.url()),
        "[[route]]\npath = \"/*\"\naccess = \"public\"\n[shutdown]\ntimeout = \"5s\"\n",
    );
    let running = setup.serve();
    let mut busy = Wire::connect(running.address()).await;
    busy.send(get("/slow?token=s3cr3t")).await;
    eventually("the slow request arrived", || async { upstream.open() == 1 }).await;
    running.terminate();
    let address = running.address();
    eventually("new connections are refused", || async {
        TcpStream::connect(address).await.is_err()
    })
    .await;
    finish.notify_one();
    finish.notify_one();
    let reply = busy.reply().await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "halfhalf"));
    let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "");
    let access = ended
        .stdout
        .lines()
        .find(|line| line.contains("\"path\":\"/slow\""))
        .unwrap();
    let record: serde_json::Value = serde_json::from_str(access).unwrap();
    assert_eq!(
        (record["status"].as_u64(), record["method"].as_str()),
        (Some(200), Some("GET"))
    );
    assert!(!ended.stdout.contains("s3cr3t"), "queries are not logged");
}

#[tokio::test]
async fn a_request_that_waits_in_the_queue_of_the_socket_is_served_too() {
    let world = proxy().route("/*", "public").start().await;
    // Nothing is awaited here, so that the proxy, which accepts on the same thread, finds all of it at once.
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(world.address).unwrap();
            stream.write_all(&get("/x")).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    world.stop.cancel();
    for stream in waiting {
        let mut stream = TcpStream::from_std(stream).unwrap();
        let answer = raw::read_some(&mut stream).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(world.running.await.unwrap().unwrap());
}

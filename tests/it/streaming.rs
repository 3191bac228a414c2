//! Bodies stream: at once, with back-pressure, to their true end.

use crate::support::{RawUpstream, Wire, eventually, get, proxy, request};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// More than any buffers on the way hold together.
const LARGE: usize = 64 * 1024 * 1024;
const PIECE: usize = 256 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one_as_the_app_sends_them() {
    let (next, mut wanted) = mpsc::channel::<String>(1);
    let wanted = Arc::new(tokio::sync::Mutex::new(Some({
        let (sender, receiver) = mpsc::channel::<String>(1);
        tokio::spawn(async move {
            while let Some(event) = wanted.recv().await {
                let _ = sender.send(event).await;
            }
        });
        receiver
    })));
    let upstream = RawUpstream::start(move |mut wire: Wire, _| {
        let wanted = Arc::clone(&wanted);
        async move {
            wire.head().await;
            wire.send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            )
            .await;
            let mut events = wanted.lock().await.take().unwrap();
            while let Some(event) = events.recv().await {
                wire.send(format!("{:x}\r\n{event}\r\n", event.len())).await;
            }
            wire.send("0\r\n\r\n").await;
        }
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut wire = world.wire().await;
    wire.send(get("/events")).await;
    let (status, fields) = wire.head().await;
    assert_eq!(status, "HTTP/1.1 200 OK", "the head comes before the first event");
    assert!(fields.iter().any(|(_, value)| value == "text/event-stream"));
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        // The next is sent only when this one has arrived.
        next.send(event.clone()).await.unwrap();
        assert_eq!(wire.chunk().await.unwrap(), event.into_bytes());
    }
    drop(next);
    assert_eq!(wire.chunk().await.unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_waits_for_a_slow_app_and_arrives_whole() {
    let read = Arc::new(Notify::new());
    let total = Arc::new(AtomicUsize::new(0));
    let (begin, counted) = (Arc::clone(&read), Arc::clone(&total));
    let upstream = RawUpstream::start(move |mut wire: Wire, _| {
        let (begin, counted) = (Arc::clone(&begin), Arc::clone(&counted));
        async move {
            wire.head().await;
            begin.notified().await;
            while counted.load(Ordering::SeqCst) < LARGE {
                let piece = wire.take(PIECE).await;
                assert!(!piece.is_empty(), "the body ended early");
                counted.fetch_add(piece.len(), Ordering::SeqCst);
            }
            wire.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut wire = world.wire().await;
    let length = LARGE.to_string();
    wire.send(request("PUT", "/big", &[("Content-Length", &length)]))
        .await;
    let body = vec![b'x'; LARGE];
    // Nobody reads, so what is taken is what the buffers on the way hold.
    let taken = wire.send_for(&body, Duration::from_millis(700)).await;
    assert!(
        taken < LARGE / 2,
        "{taken} bytes were taken without anybody reading"
    );
    read.notify_one();
    wire.send(&body[taken..]).await;
    assert_eq!(wire.reply().await.status, 201);
    assert_eq!(total.load(Ordering::SeqCst), LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_download_waits_for_a_slow_client_and_arrives_whole() {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let upstream = RawUpstream::start(move |mut wire: Wire, _| {
        let counted = Arc::clone(&counted);
        async move {
            wire.head().await;
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"))
                .await;
            let piece = vec![b'y'; PIECE];
            for _ in 0..LARGE / PIECE {
                wire.send(&piece).await;
                counted.fetch_add(PIECE, Ordering::SeqCst);
            }
        }
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut wire = world.wire().await;
    wire.send(get("/big")).await;
    let (status, _) = wire.head().await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let mut before = usize::MAX;
    eventually("the app is held back", || {
        let now = written.load(Ordering::SeqCst);
        let is_still = std::mem::replace(&mut before, now) == now;
        async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            is_still
        }
    })
    .await;
    assert!(
        before < LARGE / 2,
        "{before} bytes were taken without anybody reading"
    );
    let mut received = 0;
    while received < LARGE {
        let piece = wire.take(PIECE).await;
        assert!(!piece.is_empty(), "the body ended early");
        assert!(piece.iter().all(|byte| *byte == b'y'));
        received += piece.len();
    }
    assert_eq!(written.load(Ordering::SeqCst), LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_to_continue_before_the_decision() {
    let world = proxy().route("/open/*", "public").start().await;
    let expecting = |path: &str| {
        request(
            "POST",
            path,
            &[("Expect", "100-continue"), ("Content-Length", "5")],
        )
    };
    let mut wire = world.wire().await;
    wire.send(expecting("/closed")).await;
    assert_eq!(wire.reply().await.status, 401, "the first answer is the last");
    assert!(wire.is_closed().await);

    let mut wire = world.wire().await;
    wire.send(expecting("/open/../closed")).await;
    assert_eq!(wire.reply().await.status, 400);
    assert!(wire.is_closed().await);

    let mut wire = world.wire().await;
    wire.send(expecting("/open/x")).await;
    assert_eq!(wire.reply().await.status, 100);
    wire.send("hello").await;
    assert_eq!(wire.reply().await.status, 200);
    let seen = world.upstream.only();
    assert_eq!(seen.body, "hello");
    assert_eq!(seen.header("expect"), None, "the proxy has met it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_apps_own_connection_stays_there() {
    let upstream = RawUpstream::saying(
        "HTTP/1.1 200 OK\r\nConnection: X-Internal, keep-alive\r\nConnection: X-Other\r\nKeep-Alive: timeout=5\r\n\
         X-Internal: 1\r\nX-Other: 2\r\nX-Kept: 3\r\nProxy-Connection: keep-alive\r\nProxy-Authenticate: Basic\r\n\
         Trailer: X-User-Sub\r\nTE: trailers\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nX-User-Sub: x\r\nSet-Cookie: __Host-logto=x\r\n\r\n",
    )
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let reply = world.ask(get("/x")).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert!(reply.complete && reply.trailers.is_empty(), "{reply:?}");
    assert_eq!(reply.field("x-kept"), Some("3"));
    for gone in [
        "x-internal",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "trailer",
        "te",
        "upgrade",
        "connection",
    ] {
        assert!(!reply.has(gone), "{gone}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_head_keeps_the_length_it_announces() {
    let upstream = RawUpstream::saying("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n").await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut wire = world.wire().await;
    wire.send(request("HEAD", "/x", &[])).await;
    let reply = wire.reply_to_head().await;
    assert_eq!(
        (reply.status, reply.field("content-length")),
        (200, Some("12345"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_without_a_body_leave_the_connection_in_order() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        for status in ["304 Not Modified", "204 No Content", "205 Reset Content"] {
            wire.head().await;
            wire.send(format!(
                "HTTP/1.1 {status}\r\nETag: \"x\"\r\n{}\r\n",
                if status.starts_with("205") {
                    "Content-Length: 0\r\n"
                } else {
                    ""
                }
            ))
            .await;
        }
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut wire = world.wire().await;
    for status in [304, 204, 205] {
        wire.send(get("/x")).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.field("etag")), (status, Some("\"x\"")));
        assert_eq!(reply.text(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interim_answer_does_not_end_the_exchange() {
    let upstream = RawUpstream::saying(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut wire = world.wire().await;
    wire.send(get("/x")).await;
    let mut reply = wire.reply().await;
    if reply.status == 103 {
        reply = wire.reply().await;
    }
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_cannot_set_or_clear_the_proxys_cookies() {
    let upstream = RawUpstream::saying(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: __Host-logto=stolen; Path=/; Secure\r\n\
         Set-Cookie: __Host-logto.1=x\r\nSet-Cookie:  __Host-logto =; Max-Age=0\r\nSet-Cookie: b=2\r\n\
         Content-Length: 0\r\n\r\n",
    )
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let reply = world.ask(get("/x")).await;
    let set: Vec<&str> = reply
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(set, ["a=1; Path=/", "b=2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_apps_work_within_a_second() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        // A slow answer: the script runs until the proxy hangs up.
        assert!(wire.is_closed().await, "the proxy never hung up");
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut wire = world.wire().await;
        wire.send(get("/slow")).await;
        clients.push(wire);
    }
    eventually("all requests arrived", || async { upstream.open() == 20 }).await;
    let left = tokio::time::Instant::now();
    drop(clients);
    eventually("the app's connections end", || async { upstream.open() == 0 }).await;
    assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
}

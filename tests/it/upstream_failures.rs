//! An app that is away, slow, broken or breaks off: who is told what, and what is tried again.

use crate::support::{RawUpstream, Reply, Wire, World, get, proxy, request};
use std::time::Duration;

async fn before(url: String, limits: &str) -> World {
    proxy()
        .upstream_url(url)
        .route("/*", "public")
        .section(&format!("[limits]\n{limits}"))
        .start()
        .await
}

/// An address that nobody listens on.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn assert_json_failure(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.field("content-type"), Some("application/json"));
    assert!(reply.field("cache-control").unwrap().contains("no-store"));
    let document = reply.json();
    assert!(document["error"].is_string());
    assert_eq!(document["request_id"].as_str().unwrap().len(), 32, "{document}");
    assert!(
        !reply.text().contains("127.0.0.1"),
        "addresses are nobody's business: {document}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_away_is_a_502_at_once_with_a_page_for_people() {
    let world = before(nobody().await, "").await;
    let begun = tokio::time::Instant::now();
    assert_json_failure(&world.ask(get("/x")).await, 502);
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    let html = [("Accept", "text/html"), ("Accept-Language", "ja")];
    let reply = world.ask(request("GET", "/x?secret=1", &html)).await;
    assert_eq!(reply.status, 502);
    assert!(reply.field("content-type").unwrap().starts_with("text/html"));
    assert!(
        reply
            .field("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    let page = reply.text();
    assert!(page.contains("lang=\"ja\"") && !page.contains("secret"), "{page}");
    let id = page
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| word.len() == 32);
    assert!(id.is_some(), "no request id: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_answers_are_a_502() {
    for garbage in [
        "",
        "\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 99999 x\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n bad: fold\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Half: ",
    ] {
        let upstream = RawUpstream::saying(garbage).await;
        let world = before(upstream.url(), "").await;
        let reply = world.ask(get("/x")).await;
        assert_eq!(reply.status, 502, "{garbage:?}: {reply:?}");
        assert_json_failure(&reply, 502);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_answer_in_time_is_a_504() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        wire.is_closed().await;
    })
    .await;
    let world = before(upstream.url(), "upstream_response_timeout = \"300ms\"").await;
    let begun = tokio::time::Instant::now();
    assert_json_failure(&world.ask(get("/x")).await, 504);
    let taken = begun.elapsed();
    assert!(
        taken >= Duration::from_millis(300) && taken < Duration::from_millis(1300),
        "{taken:?}"
    );
    assert_eq!(upstream.connections(), 1, "a timeout is not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_no_time_limit_once_it_has_begun() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        wire.send("cd").await;
    })
    .await;
    let world = before(upstream.url(), "upstream_response_timeout = \"200ms\"").await;
    let reply = world.ask(get("/x")).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "abcd"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_never_a_clean_end() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nhalf",
    ] {
        let upstream = RawUpstream::saying(answer).await;
        let world = before(upstream.url(), "").await;
        let mut wire = world.wire().await;
        wire.send(get("/x")).await;
        let reply = wire.reply().await;
        assert!(!reply.complete, "{answer:?} looks whole: {reply:?}");
        assert!("half".starts_with(&reply.text()), "{reply:?}");
        assert!(wire.is_closed().await);
    }
}

/// Answers the first request of the first connection, then reads the second and hangs up.
async fn stale_after_one() -> RawUpstream {
    RawUpstream::start(|mut wire: Wire, number| async move {
        loop {
            let (line, fields) = wire.head().await;
            let length = fields
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.parse().unwrap());
            wire.take(length).await;
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Connection: {number}\r\n\r\n{}",
                if line.starts_with("HEAD") { 0 } else { line.len() },
                if line.starts_with("HEAD") { "" } else { &line },
            ))
            .await;
            if number == 0 {
                // The next request is taken and not answered.
                wire.head().await;
                return;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_connection_is_tried_again_once_when_nothing_can_be_done_twice() {
    for (method, body, status, connections) in [
        ("GET", "", 200, 2),
        ("HEAD", "", 200, 2),
        ("OPTIONS", "", 200, 2),
        ("DELETE", "", 200, 2),
        ("POST", "", 502, 1),
        ("POST", "hello", 502, 1),
        ("PATCH", "hello", 502, 1),
        ("PUT", "hello", 502, 1),
        ("GET", "hello", 502, 1),
        ("PROPFIND", "", 502, 1),
    ] {
        let upstream = stale_after_one().await;
        // One worker, so that both requests find the same pool.
        let world = before(upstream.url(), "").await;
        let mut wire = world.wire().await;
        wire.send(get("/first")).await;
        assert_eq!(wire.reply().await.status, 200);
        let length = body.len().to_string();
        let fields = [("Content-Length", length.as_str())];
        let fields = if body.is_empty() { &[][..] } else { &fields };
        wire.send(request(method, "/second", fields)).await;
        wire.send(body).await;
        let reply = match method {
            "HEAD" => wire.reply_to_head().await,
            _ => wire.reply().await,
        };
        assert_eq!(reply.status, status, "{method} {body:?}: {reply:?}");
        assert_eq!(upstream.connections(), connections, "{method} {body:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_connection_that_fails_is_not_tried_again() {
    let upstream = RawUpstream::saying("").await;
    let world = before(upstream.url(), "").await;
    assert_eq!(world.ask(get("/x")).await.status, 502);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_more_than_one_answer_on_it_is_not_used_again() {
    let upstream = RawUpstream::start(|mut wire: Wire, number| async move {
        wire.head().await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
        wire.send(format!(
            "{answer}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        ))
        .await;
        wire.is_closed().await;
    })
    .await;
    let world = before(upstream.url(), "").await;
    let mut wire = world.wire().await;
    for number in 0..5 {
        wire.send(get("/x")).await;
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.text()), (200, number.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_to_an_upload_arrives_and_nothing_is_mixed_up() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        let (line, _) = wire.head().await;
        if line.starts_with("POST") {
            wire.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
                .await;
        } else {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let world = before(upstream.url(), "").await;
    let mut wire = world.wire().await;
    wire.send(request("POST", "/x", &[("Content-Length", "10000000")]))
        .await;
    let reply = wire.reply().await;
    assert_eq!((reply.status, reply.text().as_str()), (413, "big"));
    assert_eq!(world.ask(get("/y")).await.text(), "ok");
}

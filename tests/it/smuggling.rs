//! Framing: where one message ends and the next begins is never a matter of opinion.

use crate::support::{World, get, proxy, request};

async fn world() -> World {
    proxy().route("/*", "public").start().await
}

/// A POST with these framing fields and this body, a second request behind it.
fn message(version: &str, framing: &str, body: &str) -> String {
    format!(
        "POST /first {version}\r\nHost: app.example.com\r\n{framing}\r\n{body}\
         GET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
    )
}

const REFUSED: &[(&str, &str, &str)] = &[
    // Both lengths, in either order.
    (
        "HTTP/1.1",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
    ),
    (
        "HTTP/1.1",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "0\r\n\r\n",
    ),
    (
        "HTTP/1.1",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "0\r\n\r\n",
    ),
    // Transfer codings that are not the one `chunked`.
    ("HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
    (
        "HTTP/1.1",
        "Transfer-Encoding: chunked, identity\r\n",
        "0\r\n\r\n",
    ),
    (
        "HTTP/1.1",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
    ),
    (
        "HTTP/1.1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "0\r\n\r\n",
    ),
    (
        "HTTP/1.1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
    ),
    ("HTTP/1.1", "Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding: identity\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding:\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    ("HTTP/1.1", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    ("HTTP/1.0", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    // Lengths that are no plain number.
    ("HTTP/1.1", "Content-Length: +5\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: -5\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 0005\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5, 5\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5;x\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5 5\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 0x5\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5.0\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: \"5\"\r\n", "hello"),
    ("HTTP/1.1", "Content-Length:\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: five\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
    (
        "HTTP/1.1",
        "Content-Length: 5\r\nX: y\r\ncontent-length: 5\r\n",
        "hello",
    ),
    ("HTTP/1.1", "Content-Length: 9223372036854775808\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 18446744073709551616\r\n", "hello"),
    ("HTTP/1.1", "Content-Length : 5\r\n", "hello"),
    ("HTTP/1.1", "Content-Length:\r\n 5\r\n", "hello"),
    ("HTTP/1.0", "Content-Length: 05\r\n", "hello"),
    // Field lines that parsers disagree about.
    ("HTTP/1.1", " Content-Length: 5\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5\r\n: empty\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5\r\nNo-Colon\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5\r\nX: a\rb\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5\r\nX: a\0b\r\n", "hello"),
    ("HTTP/1.1", "Content-Length: 5\r\nX(y): z\r\n", "hello"),
    ("HTTP/2.0", "Content-Length: 5\r\n", "hello"),
    ("HTTP/1.2", "Content-Length: 5\r\n", "hello"),
    ("HTTP/9", "Content-Length: 5\r\n", "hello"),
];

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_framing_is_refused_and_ends_the_connection() {
    let world = world().await;
    for (version, framing, body) in REFUSED {
        world.refused(message(version, framing, body), 400).await;
    }
    assert!(world.upstream.seen().is_empty(), "{:#?}", world.upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_the_same_with_a_session_and_on_a_closed_route() {
    let world = proxy().start().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for (version, framing, body) in REFUSED.iter().take(13) {
        let framing = format!("Cookie: {cookies}\r\n{framing}");
        world.refused(message(version, &framing, body), 400).await;
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_chunk_is_the_clients_fault_and_ends_the_connection() {
    let world = world().await;
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff0\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
        "5;x\rhello\r\n0\r\n\r\n",
    ] {
        world.upstream.forget();
        let message = message("HTTP/1.1", "Transfer-Encoding: chunked\r\n", body);
        world.refused(message, 400).await;
        let seen = world.upstream.seen();
        assert!(
            seen.iter().all(|seen| seen.target != "/smuggled"),
            "{body:?}: {seen:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_body_arrives_whole_and_framed_in_one_way() {
    let world = world().await;
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (method, framing, body, expected, length) in [
        ("POST", "Content-Length: 5\r\n", "hello", "hello", Some("5")),
        ("POST", "Content-Length: 0\r\n", "", "", Some("0")),
        (
            "POST",
            chunked,
            "5\r\nhello\r\n3;ext=1\r\n!!!\r\n0\r\n\r\n",
            "hello!!!",
            None,
        ),
        (
            "POST",
            "Transfer-Encoding: CHUNKED\r\n",
            "1\r\nx\r\n0\r\n\r\n",
            "x",
            None,
        ),
        ("GET", "Content-Length: 5\r\n", "hello", "hello", Some("5")),
        ("GET", chunked, "5\r\nhello\r\n0\r\n\r\n", "hello", None),
        ("DELETE", "Content-Length: 5\r\n", "hello", "hello", Some("5")),
        ("PROPFIND", chunked, "5\r\nhello\r\n0\r\n\r\n", "hello", None),
        ("GET", "", "", "", None),
        // A nominated Content-Length stays what it is.
        (
            "POST",
            "Connection: Content-Length\r\nContent-Length: 5\r\n",
            "hello",
            "hello",
            Some("5"),
        ),
        (
            "POST",
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
            "1\r\nx\r\n0\r\n\r\n",
            "x",
            None,
        ),
    ] {
        world.upstream.forget();
        let mut wire = world.wire().await;
        wire.send(format!(
            "{method} /x HTTP/1.1\r\nHost: app.example.com\r\n{framing}\r\n{body}"
        ))
        .await;
        assert_eq!(wire.reply().await.status, 200, "{method} {framing}");
        let seen = world.upstream.only();
        assert_eq!(seen.body, expected, "{method} {framing}");
        assert_eq!(seen.header("content-length"), length, "{method} {framing}");
        let coding = (framing.to_lowercase().contains("chunked")).then_some("chunked");
        assert_eq!(seen.header("transfer-encoding"), coding, "{method} {framing}");
        wire.send(get("/next")).await;
        assert_eq!(
            wire.reply().await.status,
            200,
            "the next request is where it seems to be"
        );
        assert_eq!(world.upstream.last().target, "/next");
        assert_eq!(world.upstream.last().body, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order_and_each_is_judged() {
    let world = proxy().route("/open/*", "public").start().await;
    let mut wire = world.wire().await;
    let mut bytes = Vec::new();
    for target in ["/open/1", "/closed", "/open/2", "/.logto/user", "/open/3"] {
        bytes.extend(get(target));
    }
    wire.send(bytes).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(wire.reply().await.status);
    }
    assert_eq!(statuses, [200, 401, 200, 200, 200]);
    let targets: Vec<String> = world
        .upstream
        .seen()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    assert_eq!(targets, ["/open/1", "/open/2", "/open/3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_body_was_read_ends_the_connection() {
    let world = proxy().start().await;
    let smuggled = "GET /.logto/user HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    let navigation = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    for (head, status) in [
        ("POST /closed HTTP/1.1\r\n".to_owned(), 401),
        ("GET /closed HTTP/1.1\r\n".to_owned(), 401),
        (format!("GET /closed HTTP/1.1\r\n{navigation}"), 302),
        ("POST /.logto/user HTTP/1.1\r\n".to_owned(), 405),
        ("GET /.logto/user HTTP/1.1\r\n".to_owned(), 200),
        (format!("GET /.logto/sign-in HTTP/1.1\r\n{navigation}"), 302),
    ] {
        for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
            let mut wire = world.wire().await;
            wire.send(format!("{head}Host: app.example.com\r\n{framing}\r\n\r\n"))
                .await;
            let reply = wire.reply().await;
            assert_eq!(reply.status, status, "{head} {framing}");
            wire.send(smuggled).await;
            assert!(
                wire.is_closed().await,
                "{head} {framing}: the connection stays open"
            );
            assert!(reply.says_close(), "{head} {framing}: {reply:?}");
        }
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_expectation_of_100_is_met() {
    let world = world().await;
    for expect in ["200-ok", "100-continue, x", "", "100-continue;q=1"] {
        world
            .refused(
                request("POST", "/x", &[("Expect", expect), ("Content-Length", "5")]),
                417,
            )
            .await;
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_no_number_holds_is_refused() {
    let world = world().await;
    let mut wire = world.wire().await;
    // The largest 64-bit number means something else inside hyper, which refuses it with a status of its own.
    let framing = format!("Content-Length: {}\r\n", u64::MAX);
    wire.send(message("HTTP/1.1", &framing, "hello")).await;
    assert!(matches!(wire.reply().await.status, 400 | 431));
    assert!(wire.is_closed().await);
    assert!(world.upstream.seen().is_empty());
}

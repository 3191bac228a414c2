//! Where one message ends and the next begins is never a matter of opinion.

use crate::support::{proxy, raw};

/// Raw requests that the spec refuses: what is wrong, field lines, body.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "TE that is not one chunked",
        "Transfer-Encoding: gzip, chunked\r\n",
        "0\r\n\r\n",
    ),
    (
        "TE twice",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
    ),
    (
        "chunked twice",
        "Transfer-Encoding: chunked, chunked\r\n",
        "0\r\n\r\n",
    ),
    (
        "empty list member",
        "Transfer-Encoding: ,chunked\r\n",
        "0\r\n\r\n",
    ),
    ("unknown coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    (
        "vertical tab before chunked",
        "Transfer-Encoding: \x0bchunked\r\n",
        "0\r\n\r\n",
    ),
    ("signed length", "Content-Length: +5\r\n", "hello"),
    ("padded length", "Content-Length: 0005\r\n", "hello"),
    ("negative length", "Content-Length: -1\r\n", ""),
    ("list of lengths", "Content-Length: 5, 5\r\n", "hello"),
    (
        "differing lengths",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "hello!",
    ),
    ("enormous length", "Content-Length: 18446744073709551616\r\n", ""),
    ("hexadecimal length", "Content-Length: 0x5\r\n", "hello"),
    ("space before the colon", "Content-Length : 5\r\n", "hello"),
    ("folded line", "X-A: 1\r\n  folded\r\n", ""),
    ("bare CR", "X-A: 1\rX-B: 2\r\n", ""),
    ("NUL", "X-A: a\0b\r\n", ""),
    ("empty name", ": x\r\n", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let world = proxy().route("/*", "public").start().await;
    for (what, fields, body) in REFUSED {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
        let answer = world
            .raw(format!(
                "POST /x HTTP/1.1\r\nHost: app.example.com\r\n{fields}\r\n{body}{smuggled}"
            ))
            .await;
        assert_eq!(raw::status(&answer), 400, "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
        assert_eq!(world.upstream.seen().len(), 0, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transfer_encoding_in_http_1_0_is_refused() {
    let world = proxy().route("/*", "public").start().await;
    let answer = world
        .raw("POST /x HTTP/1.0\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        .await;
    assert_eq!(raw::status(&answer), 400);
    assert_eq!(world.upstream.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn length_beside_chunked_never_splits_a_message_in_two() {
    let world = proxy().route("/*", "public").start().await;
    let answer = world
        .raw(
            "POST /x HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n",
        )
        .await;
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "the connection ends: {answer}"
    );
    for seen in world.upstream.seen() {
        assert_eq!((seen.target.as_str(), &seen.body[..]), ("/x", &b"hello"[..]));
        assert!(seen.header("content-length").is_none() || seen.header("transfer-encoding").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_chunk_is_the_clients_fault_and_ends_the_connection() {
    let world = proxy().route("/*", "public").start().await;
    for chunk in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "zz\r\n",
        "fffffffffffffffff\r\n",
        "5\nhello\r\n0\r\n\r\n",
    ] {
        let answer = world
            .raw(format!(
                "POST /x HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}\
                 GET /smuggled HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
            ))
            .await;
        assert_eq!(raw::status(&answer), 400, "{chunk:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{chunk:?}");
        assert!(
            world
                .upstream
                .seen()
                .iter()
                .all(|seen| seen.target != "/smuggled"),
            "{chunk:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_body_was_read_ends_the_connection() {
    let world = proxy().start().await;
    for framing in [
        "Content-Length: 50\r\n\r\nGET /smuggled",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let answer = world
            .raw(format!(
                "POST /closed HTTP/1.1\r\nHost: app.example.com\r\n{framing}"
            ))
            .await;
        assert_eq!(raw::status(&answer), 401);
        assert!(
            answer.to_ascii_lowercase().contains("connection: close"),
            "{answer}"
        );
    }
    assert_eq!(world.upstream.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_arrive_framed_anew() {
    let world = proxy().route("/*", "public").start().await;
    for (method, framing) in [
        ("POST", "Content-Length: 5\r\n\r\nhello"),
        (
            "POST",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        ),
        (
            "POST",
            "Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        ("GET", "Content-Length: 5\r\n\r\nhello"),
        (
            "DELETE",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
    ] {
        world.upstream.forget();
        let answer = world
            .raw(format!(
                "{method} /x HTTP/1.1\r\nHost: app.example.com\r\n{framing}"
            ))
            .await;
        assert_eq!(raw::status(&answer), 200, "{method} {framing:?}: {answer}");
        assert_eq!(world.upstream.only().body, "hello", "{method} {framing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let world = proxy().route("/*", "public").start().await;
    let one = "GET /one HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    let two =
        "POST /two HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
    let answer = world.raw(format!("{one}{two}")).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
    assert!(answer.find("GET /one") < answer.find("POST /two"));
}

//! WebSockets: tunnelled when asked for properly and agreed to, and never otherwise.

use crate::support::wire::HANDSHAKE;
use crate::support::{RawUpstream, Wire, World, eventually, proxy, request};
use futures_util::{SinkExt as _, StreamExt as _};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

/// An app that sends every message back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else {
                    return;
                };
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() || message.is_binary() {
                        let _ = socket.send(message).await;
                    }
                }
            });
        }
    });
    address
}

async fn world() -> World {
    proxy()
        .upstream_url(format!("http://{}", echo().await))
        .route("/public/*", "public")
        .start()
        .await
}

async fn connect(world: &World, path: &str, cookies: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://app.example.com{path}")
        .into_client_request()
        .unwrap();
    let headers = request.headers_mut();
    headers.insert("origin", world.origin.parse().unwrap());
    if !cookies.is_empty() {
        headers.insert("cookie", cookies.parse().unwrap());
    }
    let stream = TcpStream::connect(world.address).await.unwrap();
    Ok(client_async(request, stream).await?.0)
}

/// The cookies of a signed-in user, without asking the upstream for anything but WebSockets.
async fn cookies(world: &World) -> String {
    let mut browser = world.browser();
    let page = browser.to_sign_in_page("/.logto/sign-in").await;
    let callback = browser.choose(&page, "admin").await;
    browser.open(callback.location()).await;
    browser.cookie_field()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_signed_in_user_go_there_and_back() {
    let world = world().await;
    let cookies = cookies(&world).await;
    let mut socket = connect(&world, "/socket", &cookies).await.unwrap();
    for message in [
        Message::text("hello"),
        Message::text("\u{3053}\u{3093}\u{306b}\u{3061}\u{306f}"),
        Message::binary(vec![0; 300_000]),
        Message::text(""),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_))) | None));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_a_closed_route_answers_401() {
    let world = world().await;
    for path in ["/socket", "/.logto/x"] {
        match connect(&world, path, "").await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 401),
            other => panic!("{path}: {other:?}"),
        }
    }
    let mut fields = HANDSHAKE.to_vec();
    fields.extend([("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")]);
    let reply = world.ask(request("GET", "/socket", &fields)).await;
    assert_eq!(reply.status, 401, "a handshake is never redirected");
    assert!(connect(&world, "/public/socket", "").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_handshake_is_refused() {
    let world = world().await;
    let cookies = cookies(&world).await;
    let with = |name: &str, value: Option<&'static str>| {
        let mut fields: Vec<(&str, &str)> = vec![("Cookie", &cookies)];
        fields.extend(HANDSHAKE.iter().filter(|(field, _)| *field != name));
        let name = HANDSHAKE.iter().find(|(field, _)| *field == name).unwrap().0;
        fields.extend(value.map(|value| (name, value)));
        request("GET", "/socket", &fields)
    };
    for (name, value, status) in [
        ("Sec-WebSocket-Version", Some("8"), 426),
        ("Sec-WebSocket-Version", Some("12"), 426),
        ("Sec-WebSocket-Version", Some("13, 8"), 426),
        ("Sec-WebSocket-Version", None, 426),
        ("Sec-WebSocket-Key", Some("short"), 400),
        ("Sec-WebSocket-Key", None, 400),
        ("Connection", Some("keep-alive"), 400),
        ("Origin", Some("https://evil.test"), 403),
        ("Origin", Some("null"), 403),
        ("Origin", Some("http://app.example.com"), 403),
        ("Origin", Some("https://app.example.com.evil.test"), 403),
    ] {
        let reply = world.refused(with(name, value), status).await;
        if status == 426 {
            assert_eq!(reply.field("sec-websocket-version"), Some("13"));
        }
    }
    let mut fields = HANDSHAKE.to_vec();
    fields.push(("Origin", "https://app.example.com"));
    world
        .refused(request("GET", "/public/socket", &fields), 403)
        .await;
    world
        .refused(request("POST", "/public/socket", HANDSHAKE), 400)
        .await;
    let mut fields = HANDSHAKE.to_vec();
    fields.push(("Content-Length", "5"));
    world
        .refused(request("GET", "/public/socket", &fields), 400)
        .await;
    assert!(
        connect(&world, "/socket", &cookies).await.is_ok(),
        "the unbroken one passes"
    );
    assert_eq!(
        world.ask(with("Origin", None)).await.status,
        101,
        "no browser, no origin"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_upgrades_are_plain_requests() {
    let world = proxy().route("/*", "public").start().await;
    for upgrade in [
        "h2c",
        "H2C",
        "h2c, websocket",
        "websocket, h2c",
        "TLS/1.0",
        "websocket/13",
        "foo",
    ] {
        world.upstream.forget();
        let fields = [
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", upgrade),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ];
        let mut wire = world.wire().await;
        wire.send(request("GET", "/x", &fields)).await;
        assert_eq!(wire.reply().await.status, 200, "{upgrade}");
        let seen = world.upstream.only();
        for gone in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(seen.header(gone), None, "{upgrade}: {gone}");
        }
        // HTTP goes on, so nothing was tunnelled.
        wire.send(request("GET", "/next", &[])).await;
        assert_eq!(wire.reply().await.status, 200, "{upgrade}");
        assert_eq!(world.upstream.last().target, "/next");
    }
    let mut wire = world.wire().await;
    wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(wire.is_closed().await, "HTTP/2 is not spoken here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_protocols_that_nobody_asked_for_is_a_bad_answer() {
    for (fields, answer) in [
        (
            &[][..],
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        (
            &[("Connection", "upgrade"), ("Upgrade", "h2c")][..],
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        ),
        (
            HANDSHAKE,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        ),
        (
            HANDSHAKE,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        ),
        (HANDSHAKE, "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    ] {
        let upstream = RawUpstream::saying(answer).await;
        let world = proxy()
            .upstream_url(upstream.url())
            .route("/*", "public")
            .start()
            .await;
        let mut wire = world.wire().await;
        wire.send(request("GET", "/x", fields)).await;
        assert_eq!(wire.reply().await.status, 502, "{fields:?} {answer:?}");
        wire.send("tunnelled bytes").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_handshake_is_an_ordinary_answer_and_http_goes_on() {
    let world = proxy().route("/*", "public").start().await;
    let mut wire = world.wire().await;
    wire.send(request("GET", "/x", HANDSHAKE)).await;
    assert_eq!(wire.reply().await.status, 200);
    wire.send(request("GET", "/.logto/user", &[])).await;
    let reply = wire.reply().await;
    assert_eq!(
        reply.json()["isAuthenticated"],
        false,
        "answered here, not tunnelled"
    );
    assert_eq!(world.upstream.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_sent_right_behind_either_handshake_are_kept() {
    let upstream = RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst",
        )
        .await;
        let early = wire.take(5).await;
        wire.send(early).await;
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut wire = world.wire().await;
    let mut bytes = request("GET", "/x", HANDSHAKE);
    bytes.extend_from_slice(b"early");
    wire.send(bytes).await;
    let (status, _) = wire.head().await;
    assert!(status.starts_with("HTTP/1.1 101"), "{status}");
    assert_eq!(wire.take(10).await, b"firstearly");
    assert!(wire.is_closed().await, "the app's end is passed on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_tunnel() {
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
        .start()
        .await;
    let mut wire = world.wire().await;
    wire.send(request("GET", "/x", HANDSHAKE)).await;
    wire.head().await;
    drop(wire);
    eventually("the tunnel ends", || async {
        upstream.connections() == 1 && upstream.open() == 0
    })
    .await;
}

//! Whatever is in flight of a session ends with it, within a second: never as if it were whole.

use crate::support::proxy::APP_ID;
use crate::support::wire::HANDSHAKE;
use crate::support::{RawUpstream, Wire, World, eventually, proxy, request};
use futures_util::{SinkExt as _, StreamExt as _};
use logto_proxy::session::{Cause, Effect, Notice, Scope};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::{WebSocketStream, client_async};

/// What the promise allows.
const SECOND: Duration = Duration::from_secs(1);
/// More than any buffers on the way hold together.
const LARGE: usize = 256 * 1024 * 1024;

/// An app whose every answer lasts until the proxy hangs up.
async fn app() -> RawUpstream {
    RawUpstream::start(|mut wire: Wire, _| async move {
        let (line, fields) = wire.head().await;
        let path = line.split(' ').nth(1).unwrap().to_owned();
        match path.as_str() {
            "/events" | "/public/events" => {
                wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                    .await;
            }
            "/download" => {
                wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"))
                    .await;
                let piece = [b'x'; 64 * 1024];
                while wire.send_for(&piece, Duration::from_secs(20)).await == piece.len() {}
            }
            "/socket" | "/public/socket" => wire.send(switching(&fields)).await,
            "/half" => {
                // A frame of five bytes, of which two come.
                wire.send([switching(&fields).as_bytes(), b"\x81\x05he"].concat())
                    .await;
            }
            _ => {}
        }
        wire.lasts().await;
    })
    .await
}

fn switching(fields: &[(String, String)]) -> String {
    let key = fields
        .iter()
        .find(|(name, _)| name == "sec-websocket-key")
        .unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.1.as_bytes())
    )
}

async fn world(app: &RawUpstream) -> World {
    proxy()
        .upstream_url(app.url())
        .route("/public/*", "public")
        .session("lifetime = \"1h\"")
        .start()
        .await
}

/// The cookies of a signed-in user, without asking the app for anything.
async fn cookies(world: &World, persona: &str) -> String {
    let mut browser = world.browser();
    let callback = browser.to_callback(persona, "/.logto/sign-in").await;
    browser.open(callback).await;
    browser.cookie_field()
}

/// The session is over for another reason than its age.
async fn revoke(world: &World, cookies: &str) {
    let mut wire = world.wire().await;
    wire.send(request("GET", "/.logto/user", &[("Cookie", cookies)]))
        .await;
    let subject = wire.reply().await.json()["claims"]["sub"]
        .as_str()
        .unwrap()
        .to_owned();
    let now = world.clock.now();
    let notice = Notice {
        scope: Scope::Subject {
            subject,
            except: None,
        },
        effect: Effect::End(Cause::Suspended),
        at: now,
        until: now.plus(Duration::from_secs(3_600)),
    };
    assert!(world.revocations.apply(&notice));
}

async fn begin(world: &World, cookies: &str, path: &str) -> Wire {
    let mut wire = world.wire().await;
    wire.send(request("GET", path, &[("Cookie", cookies)])).await;
    wire
}

async fn socket(world: &World, cookies: &str, path: &str) -> WebSocketStream<TcpStream> {
    let mut request = format!("ws://app.example.com{path}")
        .into_client_request()
        .unwrap();
    let headers = request.headers_mut();
    headers.insert("origin", world.origin.parse().unwrap());
    headers.insert("cookie", cookies.parse().unwrap());
    let stream = TcpStream::connect(world.address).await.unwrap();
    client_async(request, stream).await.unwrap().0
}

async fn close_code(socket: &mut WebSocketStream<TcpStream>) -> u16 {
    loop {
        if let Message::Close(close) = socket.next().await.unwrap().unwrap() {
            return close.unwrap().code.into();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_breaks_off_and_only_that_of_the_session() {
    let app = app().await;
    let world = world(&app).await;
    let (admin, plain) = (cookies(&world, "admin").await, cookies(&world, "plain").await);
    let mut silent = begin(&world, &admin, "/events").await;
    let mut others = begin(&world, &plain, "/events").await;
    let mut public = begin(&world, &admin, "/public/events").await;
    for wire in [&mut silent, &mut others, &mut public] {
        wire.head().await;
        assert_eq!(wire.chunk().await.unwrap(), b"first");
    }
    assert_eq!(app.open(), 3);
    let revoked = Instant::now();
    revoke(&world, &admin).await;
    assert_eq!(silent.chunk().await, None, "no last chunk");
    assert!(revoked.elapsed() < SECOND, "{:?}", revoked.elapsed());
    eventually("the app's side is closed", || async { app.open() == 2 }).await;
    assert!(others.is_silent_for(SECOND).await, "another user's goes on");
    assert!(
        public.is_silent_for(Duration::from_millis(10)).await,
        "needs no session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_its_answer_is_answered_401() {
    let app = app().await;
    let world = world(&app).await;
    let cookies = cookies(&world, "admin").await;
    let mut poll = world.wire().await;
    let page = format!("{}/page?a=1", world.origin);
    poll.send(request(
        "GET",
        "/poll",
        &[("Cookie", &cookies), ("Referer", &page)],
    ))
    .await;
    let mut upload = world.wire().await;
    let fields = [("Cookie", cookies.as_str()), ("Content-Length", "100000")];
    upload.send(request("POST", "/upload", &fields)).await;
    upload.send(vec![b'x'; 1000]).await;
    let mut handshake = HANDSHAKE.to_vec();
    handshake.push(("Cookie", &cookies));
    let mut socket = world.wire().await;
    socket.send(request("GET", "/never", &handshake)).await;
    eventually("all are waiting", || async { app.open() == 3 }).await;
    let revoked = Instant::now();
    revoke(&world, &cookies).await;
    let mut pages = Vec::new();
    for wire in [&mut poll, &mut upload, &mut socket] {
        let reply = wire.reply().await;
        assert_eq!((reply.status, reply.says_close()), (401, true), "{reply:?}");
        let document = reply.json();
        assert_eq!(document["error"], "unauthenticated");
        pages.push(document["sign_in_url"].as_str().unwrap().to_owned());
        assert!(wire.is_closed().await);
    }
    assert!(revoked.elapsed() < SECOND, "{:?}", revoked.elapsed());
    assert!(pages[0].ends_with("redirect=%2Fpage%3Fa%3D1"), "{pages:?}");
    assert!(pages[1].ends_with("redirect=%2F"), "{pages:?}");
    eventually("the app's side is closed", || async { app.open() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_breaks_off_whether_or_not_the_client_reads() {
    let app = app().await;
    let world = world(&app).await;
    let cookies = cookies(&world, "admin").await;
    let mut reading = begin(&world, &cookies, "/download").await;
    let mut stalled = begin(&world, &cookies, "/download").await;
    reading.head().await;
    stalled.head().await;
    let reader = tokio::spawn(async move {
        let mut received = 0;
        loop {
            let piece = reading.take(64 * 1024).await.len();
            if piece == 0 {
                return received;
            }
            received += piece;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let revoked = Instant::now();
    revoke(&world, &cookies).await;
    eventually("the app's sides are closed", || async { app.open() == 0 }).await;
    assert!(revoked.elapsed() < SECOND, "{:?}", revoked.elapsed());
    assert!(reader.await.unwrap() < LARGE);
    // What the system had taken still comes; then it is over.
    assert!(stalled.take(LARGE).await.len() < LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_closed_with_1008_between_frames_and_just_ends_within_one() {
    let app = app().await;
    let world = world(&app).await;
    let cookies = cookies(&world, "admin").await;
    let mut half = world.wire().await;
    let mut handshake = HANDSHAKE.to_vec();
    handshake.push(("Cookie", &cookies));
    half.send(request("GET", "/half", &handshake)).await;
    half.head().await;
    assert_eq!(half.take(4).await, b"\x81\x05he");
    let mut idle = socket(&world, &cookies, "/socket").await;
    let mut public = socket(&world, &cookies, "/public/socket").await;
    idle.send(Message::text("hello")).await.unwrap();
    let revoked = Instant::now();
    revoke(&world, &cookies).await;
    assert_eq!(close_code(&mut idle).await, 1008);
    assert!(half.is_closed().await);
    assert!(revoked.elapsed() < SECOND, "{:?}", revoked.elapsed());
    eventually("the app's side is closed", || async { app.open() == 1 }).await;
    public.send(Message::text("hello")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_the_lifetime_of_its_session() {
    let app = app().await;
    let world = world(&app).await;
    let cookies = cookies(&world, "admin").await;
    let mut socket = socket(&world, &cookies, "/socket").await;
    let mut events = begin(&world, &cookies, "/events").await;
    events.head().await;
    assert_eq!(events.chunk().await.unwrap(), b"first");
    let mut poll = begin(&world, &cookies, "/poll").await;
    world.hand.advance(3_590);
    assert!(events.is_silent_for(SECOND).await, "ten seconds are left");
    world.hand.advance(10);
    let over = Instant::now();
    assert_eq!(close_code(&mut socket).await, 1008);
    assert_eq!(events.chunk().await, None);
    assert_eq!(poll.reply().await.status, 401);
    assert!(over.elapsed() < SECOND, "{:?}", over.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_began_before_the_refresh_token_changed_never_spends_the_old_one() {
    let app = app().await;
    let world = proxy()
        .upstream_url(app.url())
        .session("idle_timeout = \"10m\"")
        // It changes at the first re-check, and not again.
        .client(|client| client.refresh_token_ttl = Duration::from_secs(400))
        .start()
        .await;
    let cookies = cookies(&world, "admin").await;
    world.logto.update_client(APP_ID, |client| {
        client.refresh_token_ttl = Duration::from_secs(86_400);
    });
    let mut events = begin(&world, &cookies, "/events").await;
    events.head().await;
    assert_eq!(events.chunk().await.unwrap(), b"first");
    for refreshes in 1..=4 {
        world.hand.advance(301);
        eventually("a re-check", async || world.logto.counts().refreshes >= refreshes).await;
        assert!(events.is_silent_for(SECOND).await, "still there");
    }
    assert_eq!(world.logto.counts().rotations, 1);
    assert_eq!(world.logto.grants_revoked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_told_that_the_proxy_stops_while_requests_go_on() {
    let app = app().await;
    let world = proxy()
        .upstream_url(app.url())
        .route("/*", "public")
        .start()
        .await;
    // One for each worker.
    let mut both = [
        begin(&world, "", "/events").await,
        begin(&world, "", "/events").await,
    ];
    for events in &mut both {
        events.head().await;
        assert_eq!(events.chunk().await.unwrap(), b"first");
    }
    let mut socket = socket(&world, "a=b", "/socket").await;
    world.stop.cancel();
    assert_eq!(close_code(&mut socket).await, 1001);
    for events in &mut both {
        assert!(events.is_silent_for(Duration::from_millis(50)).await);
    }
    assert!(!world.running.is_finished(), "requests are served on");
}

//! A WebSocket alone, without any further request, keeps its session confirmed, and nothing that is learnt there is lost.

use crate::support::wire::HANDSHAKE;
use crate::support::{Browser, RawUpstream, Wire, World, eventually, proxy, request};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// `session.recheck`, seconds.
const RECHECK: i64 = 300;

/// An app with a WebSocket that says nothing, and events after the first.
pub async fn lasting() -> RawUpstream {
    RawUpstream::start(|mut wire: Wire, _| async move {
        while let Some((_, fields)) = wire.next_head().await {
            let key = fields.iter().find(|(name, _)| name == "sec-websocket-key");
            let Some((_, key)) = key else {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                continue;
            };
            let accept = derive_accept_key(key.as_bytes());
            wire.send(format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            ))
            .await;
            wire.is_silent_for(Duration::from_secs(60)).await;
            return;
        }
    })
    .await
}

async fn socket(world: &World, browser: &Browser) -> Wire {
    let cookie = browser.cookie_field();
    let mut fields = HANDSHAKE.to_vec();
    fields.push(("Cookie", &cookie));
    let mut wire = world.wire().await;
    wire.send(request("GET", "/socket", &fields)).await;
    assert!(wire.head().await.0.contains("101"));
    wire
}

async fn until_refreshes(world: &World, count: u64) {
    eventually("the stream's session is confirmed", || async {
        world.logto.counts().refreshes >= count
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_alone_has_its_session_confirmed_and_ends_with_it() {
    let app = lasting().await;
    let world = proxy().upstream_url(app.url()).start().await;
    let browser = world.signed_in("plain").await;
    let mut socket = socket(&world, &browser).await;
    world.hand.advance(RECHECK);
    until_refreshes(&world, 1).await;
    assert!(socket.is_silent_for(Duration::from_millis(300)).await);
    world.logto.suspend("plain");
    world.hand.advance(RECHECK);
    let begun = Instant::now();
    assert_eq!(socket.take(2).await[0], 0x88, "a close frame");
    socket.is_cut().await;
    let took = begun.elapsed();
    println!("suspended without a webhook: the WebSocket ended {took:?} after the re-check was due");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(world.logto.counts().refreshes, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_for_a_websocket_is_not_lost_for_the_browser() {
    let app = lasting().await;
    let world = proxy()
        .upstream_url(app.url())
        .client(|client| client.refresh_token_ttl = Duration::from_secs(2_000))
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    let mut socket = socket(&world, &browser).await;
    // Past 70 % of the token's life: it is replaced, and known to nobody but the proxy.
    world.hand.advance(1_500);
    until_refreshes(&world, 1).await;
    assert_eq!(world.logto.counts().rotations, 1);
    for count in 2..4 {
        world.hand.advance(RECHECK);
        until_refreshes(&world, count).await;
    }
    world.hand.advance(RECHECK - 10);
    assert_eq!(
        browser.fetch("/").await.status,
        200,
        "with the cookie from before"
    );
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/").await.status, 200);
    assert_eq!(world.logto.grants_revoked(), 0);
    assert!(socket.is_silent_for(Duration::from_millis(300)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_of_a_websocket_begins_with_its_last_confirmation() {
    let app = lasting().await;
    let world = proxy()
        .upstream_url(app.url())
        .session("recheck_grace = \"10m\"")
        .start()
        .await;
    let browser = world.signed_in("plain").await;
    let mut socket = socket(&world, &browser).await;
    for count in 1..4 {
        world.hand.advance(RECHECK);
        until_refreshes(&world, count).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    world.stop_provider().await;
    world.hand.advance(RECHECK);
    assert!(
        socket.is_silent_for(Duration::from_secs(4)).await,
        "it was confirmed five minutes ago"
    );
    world.hand.advance(600);
    assert_eq!(socket.take(2).await[0], 0x88, "the grace is over");
    let answer = world
        .browser()
        .send(
            "GET",
            format!("{}/", world.origin).parse().unwrap(),
            &[],
            Bytes::new(),
        )
        .await;
    assert_eq!(answer.status, 401);
}

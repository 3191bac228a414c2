//! A session that ends at one replica is over at the others within milliseconds: copied cookies and open WebSockets too.

use crate::support::proxy::APP_ID;
use crate::support::{Answer, Browser, Fleet, RawUpstream, Redis, Wire, World, drill, eventually, ms, proxy};
use futures_util::StreamExt as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What the promise allows.
const SECOND: Duration = Duration::from_secs(1);

/// Two replicas before an app whose WebSockets last until the proxy hangs up.
async fn two(redis: &Redis, sid: bool) -> (Fleet, RawUpstream) {
    let app = RawUpstream::start(|mut wire: Wire, _| async move {
        let (_, fields) = wire.head().await;
        match fields.iter().find(|(name, _)| name == "sec-websocket-key") {
            Some((_, key)) => {
                let key = derive_accept_key(key.as_bytes());
                wire.send(format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {key}\r\n\r\n")).await;
                wire.lasts().await;
            }
            None => wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await,
        }
    })
    .await;
    let (url, app_url) = (redis.url(), app.url());
    let fleet = Fleet::start(2, move |_| {
        proxy()
            .section(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\""))
            .upstream_url(app_url.clone())
            .back_channel_logout(sid)
    })
    .await;
    for world in &fleet.worlds {
        eventually("Redis is reached", || async {
            world.health("/readyz").await.1.contains("\"available\":true")
        })
        .await;
    }
    (fleet, app)
}

/// The same browser's copy at one replica.
fn at(browser: &Browser, address: SocketAddr) -> Browser {
    let mut copy = browser.clone();
    copy.move_to(address);
    copy
}

/// Opens a WebSocket; tells its close code and when it came.
async fn socket(world: &World, browser: &Browser) -> JoinHandle<(u16, Instant)> {
    let mut request = "ws://app.example.com/socket".into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("origin", world.origin.parse().unwrap());
    headers.insert("cookie", browser.cookie_field().parse().unwrap());
    let stream = TcpStream::connect(world.address).await.unwrap();
    let mut socket = client_async(request, stream).await.unwrap().0;
    tokio::spawn(async move {
        loop {
            if let Message::Close(close) = socket.next().await.unwrap().unwrap() {
                return (close.unwrap().code.into(), Instant::now());
            }
        }
    })
}

/// When a copied cookie was first refused.
fn refusal(browser: &Browser, address: SocketAddr) -> JoinHandle<Instant> {
    let mut copy = at(browser, address);
    tokio::spawn(async move {
        while copy.is_signed_in().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Instant::now()
    })
}

/// Watches both replicas, ends the session in some way, and says how long each effect took.
async fn measured(name: &str, fleet: &Fleet, victim: &Browser, end: impl AsyncFnOnce()) {
    let mut sockets = Vec::new();
    let mut refusals = Vec::new();
    for world in &fleet.worlds {
        sockets.push(socket(world, victim).await);
    }
    for world in &fleet.worlds {
        refusals.push(refusal(victim, world.address));
    }
    let begun = Instant::now();
    end().await;
    let answered = ms(begun);
    for (place, (socket, refusal)) in ["same replica", "other replica"]
        .iter()
        .zip(sockets.into_iter().zip(refusals))
    {
        let (code, closed) = socket.await.unwrap();
        let refused = refusal.await.unwrap();
        assert_eq!(code, 1008);
        let (closed, refused) = (closed.duration_since(begun), refused.duration_since(begun));
        assert!(
            closed < SECOND && refused < SECOND,
            "{name}, {place}: {closed:?}, {refused:?}"
        );
        drill(
            &format!("{name}, {place}"),
            format!(
                "cookie refused after {} ms, WebSocket closed (1008) after {} ms; answered after {answered}",
                refused.as_millis(),
                closed.as_millis()
            ),
        );
    }
}

async fn post_form(browser: &mut Browser, form: &[(&str, &str)]) -> Answer {
    let url = "https://app.example.com/.logto/sessions/revoke".parse().unwrap();
    browser.submit(url, form).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_at_one_replica_ends_copies_and_streams_at_the_other() {
    let Some(redis) = Redis::start() else { return };
    let (fleet, _app) = two(&redis, true).await;
    let browser = fleet.signed_in("plain").await;
    let other = fleet.signed_in("plain").await;
    let mut leaving = at(&browser, fleet.addresses()[0]);
    measured("sign-out", &fleet, &browser, async || {
        assert_eq!(leaving.navigate("/.logto/sign-out").await.status, 303);
    })
    .await;
    for address in fleet.addresses() {
        assert!(
            at(&other, address).is_signed_in().await,
            "another session of the user"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_page_ends_all_others_everywhere() {
    let Some(redis) = Redis::start() else { return };
    let (fleet, _app) = two(&redis, true).await;
    let mut here = at(&fleet.signed_in("plain").await, fleet.addresses()[0]);
    let there = fleet.signed_in("plain").await;
    let list = here.fetch("/.logto/sessions").await.json();
    let token = list["formToken"].as_str().unwrap().to_owned();
    measured(
        "all others ended on the page of sessions",
        &fleet,
        &there,
        async || {
            let answer = post_form(&mut here, &[("token", &token), ("others", "yes")]).await;
            assert_eq!(answer.status, 303);
        },
    )
    .await;
    for address in fleet.addresses() {
        assert!(at(&here, address).is_signed_in().await, "the one that asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_used_at_one_replica_is_ended_by_name_at_the_other() {
    let Some(redis) = Redis::start() else { return };
    let (fleet, _app) = two(&redis, true).await;
    let there = fleet.signed_in("plain").await;
    let mut here = at(&fleet.signed_in("plain").await, fleet.addresses()[1]);
    eventually("both are listed", || {
        let mut asking = here.clone();
        async move {
            asking.fetch("/.logto/sessions").await.json()["sessions"]
                .as_array()
                .unwrap()
                .len()
                == 2
        }
    })
    .await;
    let list = here.fetch("/.logto/sessions").await.json();
    let named = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|session| session["isCurrent"] == false)
        .unwrap();
    let (id, token) = (
        named["id"].as_str().unwrap().to_owned(),
        list["formToken"].as_str().unwrap().to_owned(),
    );
    let mut fleet = fleet;
    fleet.worlds.reverse();
    measured(
        "one session ended on the page of sessions",
        &fleet,
        &there,
        async || {
            assert_eq!(
                post_form(&mut here, &[("token", &token), ("session", &id)])
                    .await
                    .status,
                303
            );
        },
    )
    .await;
    assert!(here.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_channel_logout_with_a_sid_ends_that_session_everywhere() {
    let Some(redis) = Redis::start() else { return };
    let (fleet, _app) = two(&redis, true).await;
    let other = fleet.signed_in("plain").await;
    let browser = fleet.signed_in("plain").await;
    let logto = &fleet.first().logto;
    measured("back-channel logout with sid", &fleet, &browser, async || {
        assert_eq!(logto.send_logout(APP_ID, "plain").await, Ok(200));
    })
    .await;
    for address in fleet.addresses() {
        assert!(
            at(&other, address).is_signed_in().await,
            "of another session at Logto"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_channel_logout_without_a_sid_ends_all_of_the_user_everywhere() {
    let Some(redis) = Redis::start() else { return };
    let (fleet, _app) = two(&redis, false).await;
    let other = fleet.signed_in("plain").await;
    let browser = fleet.signed_in("plain").await;
    let stranger = fleet.signed_in("admin").await;
    let logto = &fleet.first().logto;
    measured("back-channel logout without sid", &fleet, &browser, async || {
        assert_eq!(logto.send_logout(APP_ID, "plain").await, Ok(200));
    })
    .await;
    for address in fleet.addresses() {
        assert!(!at(&other, address).is_signed_in().await, "all of the user");
        assert!(at(&stranger, address).is_signed_in().await, "nobody else's");
    }
}

//! Upgrades: only the one asked for, and then every byte.

use super::*;
use crate::clock::monotonic;
use crate::stop::{Reason, Stop};
use crate::upstream::{TunnelStats, join};
use tokio::sync::oneshot;

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn handshake() -> Request<Body> {
    let mut request = get();
    request
        .headers_mut()
        .insert("upgrade", "websocket".parse().unwrap());
    request
        .headers_mut()
        .insert("connection", "Upgrade".parse().unwrap());
    request
}

/// A server that joins its client to the pool's upstream, and what the tunnel carried once it has ended.
async fn tunnel_front(pool: Pool, stop: Stop) -> (SocketAddr, oneshot::Receiver<TunnelStats>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ended, stats) = oneshot::channel();
    let ended = Arc::new(Mutex::new(Some(ended)));
    Tasks::new().spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (pool, stop, ended) = (pool.clone(), stop.clone(), Arc::clone(&ended));
            async move {
                let client = hyper::upgrade::on(&mut request);
                let mut response = pool.send(handshake()).await.unwrap();
                let upstream = hyper::upgrade::on(&mut response);
                Tasks::new().spawn(async move {
                    let stats = join(client, upstream, stop).await;
                    let _ = ended.lock().unwrap().take().unwrap().send(stats);
                });
                Ok::<_, Infallible>(response)
            }
        });
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
    });
    (address, stats)
}

async fn connected(front: SocketAddr, early: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(front).await.unwrap();
    let mut hello =
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec();
    hello.extend_from_slice(early);
    client.write_all(&hello).await.unwrap();
    assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 101"));
    client
}

#[tokio::test]
async fn a_tunnel_carries_every_byte_early_ones_too_and_respects_half_close() {
    let upstream = raw(|_, mut stream| async move {
        let head = read_head(&mut stream).await.unwrap();
        assert!(head.contains("upgrade: websocket"), "{head}");
        stream
            .write_all(format!("{SWITCHING}early").as_bytes())
            .await
            .unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        stream.write_all(&received).await.unwrap();
    })
    .await;
    let pool = upstream.pool();
    let (front, stats) = tunnel_front(pool.clone(), Stop::new()).await;
    let mut client = connected(front, b"first ").await;
    let mut early = [0; 5];
    client.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early");
    assert_eq!((pool.open_connections(), pool.idle_connections()), (0, 0));

    client.write_all(&[b'x'; 100_000]).await.unwrap();
    client.shutdown().await.unwrap();
    let mut echo = Vec::new();
    client.read_to_end(&mut echo).await.unwrap();
    assert!(echo.starts_with(b"first x") && echo.len() == 100_006);
    let expected = TunnelStats {
        from_client: 100_006,
        from_upstream: 100_011,
    };
    assert_eq!(stats.await.unwrap(), expected);
    eventually("the upstream sees the end", || upstream.open() == 0).await;
}

/// An app that says `first` behind its handshake and keeps what it hears until its peer hangs up.
async fn listening(first: &'static [u8]) -> (Raw, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&heard);
    let upstream = raw(move |_, mut stream| {
        let keep = Arc::clone(&keep);
        async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(SWITCHING.as_bytes()).await.unwrap();
            stream.write_all(first).await.unwrap();
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes).await;
            *keep.lock().unwrap() = bytes;
        }
    })
    .await;
    (upstream, heard)
}

/// Takes the mask off a client's frame of up to 125 bytes (RFC 6455 §5.3).
fn unmasked(frame: &[u8]) -> Vec<u8> {
    assert_eq!(frame[1] & 0x80, 0x80, "masked");
    let (key, payload) = frame[2..].split_at(4);
    let payload = payload
        .iter()
        .zip(key.iter().cycle())
        .map(|(byte, key)| byte ^ key);
    [frame[0], frame[1] & 0x7f].into_iter().chain(payload).collect()
}

const OVER: &[u8] = b"\x88\x15\x03\xf0the session is over";
const STOPPING: &[u8] = b"\x88\x17\x03\xe9the proxy is stopping";

#[tokio::test]
async fn a_tunnel_that_is_stopped_between_frames_ends_with_a_close_frame_to_each_side() {
    for (reason, farewell) in [(Reason::SessionOver, OVER), (Reason::ProxyStopping, STOPPING)] {
        let (upstream, heard) = listening(b"\x81\x02hi").await;
        let stop = Stop::new();
        let (front, stats) = tunnel_front(upstream.pool(), stop.clone()).await;
        // A masked frame, its payload split from its head.
        let mut client = connected(front, b"\x81\x82\0\0\0\0h").await;
        let mut hi = [0; 4];
        client.read_exact(&mut hi).await.unwrap();
        client.write_all(b"o").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let stopped = monotonic();
        stop.stop(reason);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, farewell);
        drop(client);
        let expected = TunnelStats {
            from_client: 8,
            from_upstream: 4,
        };
        assert_eq!(stats.await.unwrap(), expected);
        assert!(stopped.elapsed() < Duration::from_secs(1));
        eventually("the upstream sees the end", || upstream.open() == 0).await;
        let heard = heard.lock().unwrap();
        let (frame, close) = heard.split_at(8);
        assert_eq!(frame, b"\x81\x82\0\0\0\0ho");
        assert_eq!(unmasked(close), farewell);
    }
}

#[tokio::test]
async fn a_tunnel_that_is_stopped_within_a_frame_just_ends() {
    let (upstream, heard) = listening(b"\x81\x05hi").await;
    let stop = Stop::new();
    let (front, stats) = tunnel_front(upstream.pool(), stop.clone()).await;
    let mut client = connected(front, b"\x81\x82\0\0").await;
    let mut hi = [0; 4];
    client.read_exact(&mut hi).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.stop(Reason::SessionOver);
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(stats.await.unwrap().from_client, 4);
    eventually("the upstream sees the end", || upstream.open() == 0).await;
    assert_eq!(*heard.lock().unwrap(), b"\x81\x82\0\0");
}

#[tokio::test]
async fn nothing_follows_the_apps_own_close_frame() {
    let (upstream, _) = listening(b"\x88\x02\x03\xe8").await;
    let stop = Stop::new();
    let (front, _stats) = tunnel_front(upstream.pool(), stop.clone()).await;
    let mut client = connected(front, b"").await;
    let mut close = [0; 4];
    client.read_exact(&mut close).await.unwrap();
    stop.stop(Reason::SessionOver);
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_tunnel_that_is_stopped_before_it_begins_ends_with_a_close_frame_too() {
    let (upstream, _) = listening(b"").await;
    let stop = Stop::new();
    stop.stop(Reason::SessionOver);
    let (front, stats) = tunnel_front(upstream.pool(), stop).await;
    let mut client = connected(front, b"").await;
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, OVER);
    drop(client);
    assert_eq!(stats.await.unwrap(), TunnelStats::default());
}

#[tokio::test]
async fn a_tunnel_that_is_stopped_does_not_wait_for_those_who_neither_read_nor_hang_up() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(SWITCHING.as_bytes()).await.unwrap();
        // One frame after the other, more than anybody reads.
        let frame = [&[0x82, 126, 0x40, 0][..], &[0; 0x4000]].concat();
        while stream.write_all(&frame).await.is_ok() {}
    })
    .await;
    let stop = Stop::new();
    let (front, stats) = tunnel_front(upstream.pool(), stop.clone()).await;
    let _client = connected(front, b"").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopped = monotonic();
    stop.stop(Reason::SessionOver);
    stats.await.unwrap();
    assert!(
        stopped.elapsed() < Duration::from_millis(900),
        "{:?}",
        stopped.elapsed()
    );
    eventually("the upstream sees the end", || upstream.open() == 0).await;
}

#[tokio::test]
async fn a_tunnel_ends_when_a_side_vanishes() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(SWITCHING.as_bytes()).await.unwrap();
        while stream.write_all(b"tick").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let (front, stats) = tunnel_front(upstream.pool(), Stop::new()).await;
    drop(connected(front, b"").await);
    tokio::time::timeout(Duration::from_secs(1), stats)
        .await
        .unwrap()
        .unwrap();
    eventually("the upstream sees the end", || upstream.open() == 0).await;
}

#[tokio::test]
async fn a_client_that_talks_to_nobody_is_cut_off() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.write_all(SWITCHING.as_bytes()).await.unwrap();
    })
    .await;
    let (front, mut stats) = tunnel_front(upstream.pool(), Stop::new()).await;
    let mut client = connected(front, b"").await;
    for _ in 0..100 {
        let _ = client.write_all(b"anybody there?").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        if stats.try_recv().is_ok() {
            return;
        }
    }
    panic!("the tunnel outlived its upstream");
}

#[tokio::test]
async fn an_upgrade_nobody_asked_for_is_no_answer() {
    let other = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    let both = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n";
    let twice = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n";
    let unnamed = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    for (request, answer) in [
        (get(), SWITCHING),
        (post("body"), SWITCHING),
        (handshake(), other),
        (handshake(), both),
        (handshake(), twice),
        (handshake(), unnamed),
    ] {
        let upstream = answering(answer.as_bytes()).await;
        let pool = upstream.pool();
        let error = pool.send(request).await.err().unwrap();
        assert!(matches!(error, UpstreamError::BadResponse { .. }), "{error:?}");
        eventually("the connection is gone", || upstream.open() == 0).await;
        assert_eq!(pool.open_connections(), 0);
    }
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let upstream = answering(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno").await;
    let pool = upstream.pool();
    for _ in 0..2 {
        let (status, body) = fetch(&pool, handshake()).await.unwrap();
        assert_eq!((status.as_u16(), body.as_str()), (426, "no"));
    }
    assert_eq!(upstream.accepted(), 1);
}

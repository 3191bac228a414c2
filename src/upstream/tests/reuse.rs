//! When a connection is used again, and when never.

use super::*;
use crate::upstream::{Pools, UpstreamId, Upstreams};

const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Two requests over an upstream that answers so; how many connections that took.
async fn connections_for(answer: &'static [u8]) -> usize {
    let upstream = answering(answer).await;
    let pool = upstream.pool();
    for _ in 0..2 {
        fetch(&pool, get()).await.unwrap();
    }
    upstream.accepted()
}

#[tokio::test]
async fn a_complete_answer_leaves_its_connection_for_the_next_request() {
    for answer in [
        SIZED,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        assert_eq!(connections_for(answer).await, 1, "{}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn a_closing_or_outdated_answer_does_not() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"[..],
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ] {
        assert_eq!(connections_for(answer).await, 2, "{}", answer.escape_ascii());
    }
}

#[tokio::test]
async fn an_answer_ends_with_its_connection_where_nothing_else_says_so() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end")
            .await
            .unwrap();
    })
    .await;
    let pool = upstream.pool();
    for _ in 0..2 {
        assert_eq!(fetch(&pool, get()).await.unwrap().1, "to the end");
    }
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn surplus_bytes_never_become_the_next_answer() {
    let upstream = raw(|number, mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            let answer: &[u8] = if number == 1 {
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
            } else {
                SIZED
            };
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let pool = upstream.pool();
    for _ in 0..3 {
        assert_eq!(fetch(&pool, get()).await.unwrap().1, "ok");
    }
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn late_surplus_bytes_close_an_unused_connection() {
    let upstream = raw(|_, mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            stream.write_all(SIZED).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
                .await;
        }
    })
    .await;
    let pool = upstream.pool();
    for _ in 0..2 {
        assert_eq!(fetch(&pool, get()).await.unwrap().1, "ok");
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn an_abandoned_answer_closes_its_connection() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nfirst")
            .await
            .unwrap();
        assert!(read_head(&mut stream).await.is_none(), "no second request");
    })
    .await;
    let pool = upstream.pool();
    let mut response = pool.send(get()).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(pool.open_connections(), 1);
    drop(response);
    eventually("the upstream sees the end", || upstream.open() == 0).await;
    assert_eq!((pool.open_connections(), pool.idle_connections()), (0, 0));
}

#[tokio::test]
async fn an_early_answer_arrives_and_closes_its_connection() {
    for keeps_open in [true, false] {
        let upstream = raw(move |_, mut stream| async move {
            let head = read_head(&mut stream).await.unwrap();
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            stream
                .write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge")
                .await
                .unwrap();
            if keeps_open {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let pool = upstream.pool();
        let front = front(pool.clone()).await;
        let mut upload = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..200 {
            upload.extend_from_slice(b"4000\r\n");
            upload.extend_from_slice(&[b'x'; 0x4000]);
            upload.extend_from_slice(b"\r\n");
        }
        let mut client = TcpStream::connect(front).await.unwrap();
        let (mut receive, mut send) = client.split();
        let mut answer = [0; 1024];
        let (received, _) = tokio::join!(receive.read(&mut answer), send.write_all(&upload));
        let answer = String::from_utf8_lossy(&answer[..received.unwrap()]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        eventually("the connection is gone", || upstream.open() == 0).await;
        assert_eq!((pool.open_connections(), pool.idle_connections()), (0, 0));
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_an_upload_spoils_the_connection_even_if_the_upload_ends_well() {
    let upstream = raw(|_, mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
                .await
                .unwrap();
            let mut upload = [0; 10];
            if stream.read_exact(&mut upload).await.is_ok() {
                stream.write_all(b"k").await.unwrap();
            }
        }
    })
    .await;
    let pool = upstream.pool();
    let mut client = TcpStream::connect(front(pool.clone()).await).await.unwrap();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        .await
        .unwrap();
    assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 200"));
    client.write_all(b"0123456789").await.unwrap();
    let mut body = [0; 2];
    client.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"ok");
    eventually("the connection is gone", || pool.open_connections() == 0).await;
}

#[tokio::test]
async fn the_pool_keeps_no_more_than_it_may_and_nothing_too_long() {
    let upstream = answering(SIZED).await;
    let mut settings = settings(upstream.address);
    settings.max_idle = 3;
    settings.idle_timeout = Duration::from_millis(300);
    let pool = pool(settings);
    let fetches = (0..10).map(|_| fetch(&pool, get()));
    futures_util::future::join_all(fetches).await;
    assert_eq!(upstream.accepted(), 10);
    assert_eq!(pool.idle_connections(), 3);
    eventually("the unused are closed", || upstream.open() == 0).await;
    assert_eq!((pool.open_connections(), pool.idle_connections()), (0, 0));
}

#[tokio::test]
async fn a_closed_pool_leaves_no_task_behind() {
    let upstream = answering(SIZED).await;
    let tasks = Tasks::new();
    let pool = Pool::new(Arc::new(settings(upstream.address)), tasks.clone());
    fetch(&pool, get()).await.unwrap();
    assert_eq!(pool.idle_connections(), 1);
    let in_flight = pool.send(get()).await.unwrap();
    pool.shut_down();
    fetch(&pool, get()).await.unwrap();
    drop(in_flight);
    tokio::time::timeout(Duration::from_millis(200), tasks.drained())
        .await
        .unwrap();
    assert_eq!((pool.open_connections(), tasks.running()), (0, 0));
}

#[tokio::test]
async fn an_upstream_that_is_gone_keeps_no_connection_and_the_others_theirs() {
    let (stays, goes) = (answering(SIZED).await, answering(SIZED).await);
    let tasks = Tasks::new();
    let mut before = Upstreams::new(settings(stays.address));
    let gone = before.add(settings(goes.address));
    let before = Arc::new(before);
    let pools = Pools::new(&before, &tasks);
    for id in [UpstreamId::default(), gone] {
        fetch(pools.of(id), get()).await.unwrap();
        assert_eq!(pools.of(id).idle_connections(), 1);
    }
    let after = Upstreams::new(settings(stays.address)).after(&before);
    let next = pools.followed_by(&after, &tasks);
    eventually("the connection is closed", || goes.open() == 0).await;
    // Whoever still holds the former ones leaves none behind either.
    fetch(pools.of(gone), get()).await.unwrap();
    eventually("the connection is closed", || goes.open() == 0).await;
    assert_eq!(next.of(UpstreamId::default()).idle_connections(), 1);
    fetch(next.of(UpstreamId::default()), get()).await.unwrap();
    assert_eq!(stays.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_on_several_threads_too() {
    let upstream = answering(SIZED).await;
    let pool = upstream.pool();
    let tasks = Tasks::new();
    let fetches = (0..8).map(|_| {
        let pool = pool.clone();
        tasks.spawn(async move {
            for _ in 0..50 {
                assert_eq!(fetch(&pool, get()).await.unwrap().1, "ok");
            }
        })
    });
    for outcome in futures_util::future::join_all(fetches).await {
        outcome.unwrap();
    }
}

/// A pool with one unused connection that meets `fate` while our worker is busy elsewhere, so that nobody knows yet.
async fn pool_with_doomed_connection(fate: fn(std::net::TcpStream)) -> Pool {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pool = pool(settings(listener.local_addr().unwrap()));
    let (idle, is_idle) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        assert!(first.read(&mut [0; 4096]).unwrap() > 0);
        first.write_all(SIZED).unwrap();
        is_idle.recv().unwrap();
        fate(first);
        let (mut second, _) = listener.accept().unwrap();
        assert!(second.read(&mut [0; 4096]).unwrap() > 0);
        second.write_all(SIZED).unwrap();
        listener.accept().unwrap();
    });
    fetch(&pool, get()).await.unwrap();
    assert_eq!(pool.idle_connections(), 1);
    idle.send(()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(pool.idle_connections(), 1);
    pool
}

fn closes(stream: std::net::TcpStream) {
    drop(stream);
}

fn sends_surplus(mut stream: std::net::TcpStream) {
    std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").unwrap();
    std::mem::forget(stream);
}

#[tokio::test]
async fn a_request_that_cannot_be_repeated_never_meets_a_connection_that_ended_unnoticed() {
    for fate in [closes as fn(_), sends_surplus] {
        let pool = pool_with_doomed_connection(fate).await;
        assert_eq!(fetch(&pool, post("body")).await.unwrap().1, "ok");
    }
}

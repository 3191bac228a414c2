//! Every wait has an end, and only the right one.

use super::*;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_millis(400);

fn impatient(address: SocketAddr) -> Pool {
    let mut settings = settings(address);
    settings.response_header_timeout = LIMIT;
    settings.request_body_timeout = LIMIT;
    pool(settings)
}

fn now() -> Instant {
    crate::clock::monotonic()
}

async fn silent() -> Raw {
    raw(|_, mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

#[tokio::test]
async fn a_silent_upstream_is_given_up_at_the_limit() {
    let upstream = silent().await;
    let pool = impatient(upstream.address);
    let begun = now();
    let error = pool.send(get()).await.err().unwrap();
    assert!(matches!(error, UpstreamError::ResponseTimeout), "{error:?}");
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(
        begun.elapsed() >= LIMIT && begun.elapsed() < LIMIT * 2,
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(upstream.accepted(), 1, "a timeout is no reason to repeat");
    eventually("the upstream sees the end", || upstream.open() == 0).await;
}

#[tokio::test]
async fn the_limit_holds_on_a_used_connection_and_is_not_repeated() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let pool = impatient(upstream.address);
    fetch(&pool, get()).await.unwrap();
    let error = pool.send(get()).await.err().unwrap();
    assert!(matches!(error, UpstreamError::ResponseTimeout), "{error:?}");
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn interim_answers_do_not_extend_the_limit() {
    let upstream = raw(|_, mut stream| async move {
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
            tokio::time::sleep(LIMIT / 8).await;
        }
    })
    .await;
    let error = tokio::time::timeout(LIMIT * 3, impatient(upstream.address).send(get()))
        .await
        .unwrap()
        .err()
        .unwrap();
    assert!(matches!(error, UpstreamError::ResponseTimeout), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_has_begun_may_take_its_time() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            .await
            .unwrap();
        for byte in [b"o", b"k"] {
            tokio::time::sleep(LIMIT * 2).await;
            stream.write_all(byte).await.unwrap();
        }
    })
    .await;
    assert_eq!(fetch(&impatient(upstream.address), get()).await.unwrap().1, "ok");
}

#[tokio::test]
async fn a_slow_upload_is_not_the_upstreams_fault() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        stream.read_exact(&mut [0; 8]).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
    })
    .await;
    let mut client = TcpStream::connect(front(impatient(upstream.address)).await)
        .await
        .unwrap();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..8 {
        tokio::time::sleep(LIMIT / 3).await;
        client.write_all(b"x").await.unwrap();
    }
    assert!(read_head(&mut client).await.unwrap().starts_with("HTTP/1.1 204"));
}

#[tokio::test]
async fn a_stalled_upload_is_the_clients_fault() {
    let upstream = silent().await;
    let answer = talk(
        front(impatient(upstream.address)).await,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.ends_with("request_body_timeout"),
        "{answer}"
    );
    eventually("the upstream sees the end", || upstream.open() == 0).await;
}

#[tokio::test]
async fn an_upstream_that_takes_no_more_of_an_upload_is_given_up() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        tokio::time::sleep(LIMIT * 10).await;
    })
    .await;
    let large = request(Method::POST).map(|_| Body::full(vec![b'x'; 20_000_000]));
    let begun = now();
    let error = impatient(upstream.address).send(large).await.err().unwrap();
    assert!(matches!(error, UpstreamError::ResponseTimeout), "{error:?}");
    assert!(begun.elapsed() < LIMIT * 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_abandoned_request_is_cancelled_at_once() {
    let upstream = silent().await;
    let pool = upstream.pool();
    for request in [
        get(),
        post("body"),
        request(Method::POST).map(|_| Body::full(vec![b'x'; 20_000_000])),
    ] {
        let before = upstream.accepted();
        let _ = tokio::time::timeout(Duration::from_millis(50), pool.send(request)).await;
        assert_eq!(upstream.accepted(), before + 1);
        let begun = now();
        eventually("the upstream sees the end", || upstream.open() == 0).await;
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
    assert_eq!(pool.open_connections(), 0);
}

//! Repeating, and not repeating, what failed; what the client is told.

use super::*;
use crate::upstream::Fault;

/// An upstream that answers the first request of its first connection, and closes at the second having sent `rest`.
async fn stale_after_one(seen: &Seen, rest: &'static [u8]) -> Raw {
    let seen = seen.clone();
    raw(move |number, mut stream| {
        let seen = seen.clone();
        async move {
            let mut served = 0;
            while let Some(head) = read_head(&mut stream).await {
                seen.push(head.split(' ').next().unwrap());
                served += 1;
                if number == 1 && served == 2 {
                    stream.write_all(rest).await.unwrap();
                    return;
                }
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await
                    .unwrap();
            }
        }
    })
    .await
}

async fn second_request(
    request: Request<Body>,
    rest: &'static [u8],
) -> (Result<StatusCode, UpstreamError>, Seen) {
    let seen = Seen::default();
    let upstream = stale_after_one(&seen, rest).await;
    let pool = upstream.pool();
    fetch(&pool, super::request(Method::OPTIONS)).await.unwrap();
    (fetch(&pool, request).await.map(|(status, _)| status), seen)
}

#[tokio::test]
async fn an_idempotent_request_without_body_is_repeated_once_on_a_fresh_connection() {
    for method in [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::PUT,
        Method::DELETE,
    ] {
        let (outcome, seen) = second_request(request(method.clone()), b"").await;
        assert_eq!(outcome.unwrap(), StatusCode::OK);
        assert_eq!(seen.all(), ["OPTIONS", method.as_str(), method.as_str()]);
    }
}

#[tokio::test]
async fn nothing_else_is_repeated() {
    let with_body = request(Method::PUT).map(|_| Body::full("body"));
    for request in [
        request(Method::POST),
        request(Method::PATCH),
        post("body"),
        with_body,
    ] {
        let method = request.method().clone();
        let (outcome, seen) = second_request(request, b"").await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, UpstreamError::Reset(_)), "{error:?}");
        assert_eq!(
            (error.status(), error.fault()),
            (StatusCode::BAD_GATEWAY, Fault::Upstream)
        );
        assert_eq!(seen.all(), ["OPTIONS", method.as_str()]);
    }
}

#[tokio::test]
async fn nothing_is_repeated_once_a_byte_was_answered() {
    for rest in [
        &b"H"[..],
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ] {
        let (outcome, seen) = second_request(get(), rest).await;
        outcome.unwrap_err();
        assert_eq!(seen.all(), ["OPTIONS", "GET"]);
    }
}

#[tokio::test]
async fn a_fresh_connection_is_not_tried_again() {
    let upstream = raw(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
    })
    .await;
    let error = upstream.pool().send(get()).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Reset(_)), "{error:?}");
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn an_upstream_that_closes_unused_connections_costs_no_get_and_doubles_no_post() {
    // Closes unannounced, at once or a moment later, so that requests meet connections in every state of closing.
    let posts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&posts);
    let upstream = raw(move |number, mut stream| {
        let posts = Arc::clone(&counter);
        async move {
            for _ in 0..number % 5 + 1 {
                let Some(head) = read_head(&mut stream).await else {
                    return;
                };
                if head.starts_with("POST") {
                    posts.fetch_add(1, Ordering::SeqCst);
                }
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .unwrap();
            }
            if number % 2 == 0 {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
    })
    .await;
    let pool = upstream.pool();
    let mut answered = 0;
    let mut failed = 0;
    for round in 0..3_000 {
        if round % 3 == 0 {
            match fetch(&pool, request(Method::POST)).await {
                Ok(_) => answered += 1,
                Err(UpstreamError::Reset(_)) => failed += 1,
                Err(error) => panic!("{error:?}"),
            }
        } else {
            assert_eq!(fetch(&pool, get()).await.unwrap().1, "ok");
        }
    }
    let arrived = posts.load(Ordering::SeqCst);
    assert!(arrived >= answered && arrived <= answered + failed);
    assert_eq!(answered + failed, 1_000);
}

#[tokio::test]
async fn a_truncated_answer_is_an_error_and_no_clean_end() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    ] {
        let upstream = raw(move |_, mut stream| async move {
            read_head(&mut stream).await.unwrap();
            stream.write_all(answer).await.unwrap();
        })
        .await;
        let pool = upstream.pool();
        let response = pool.send(get()).await.unwrap();
        response.into_body().collect().await.unwrap_err();
        assert_eq!(pool.idle_connections(), 0);

        let seen = talk(front(pool).await, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(seen.contains("half") && !seen.ends_with("0\r\n\r\n"), "{seen}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = pool(settings(listener.local_addr().unwrap()));
    drop(listener);
    let error = tokio::time::timeout(Duration::from_millis(50), pool.send(get()))
        .await
        .unwrap()
        .err()
        .unwrap();
    assert!(matches!(error, UpstreamError::Refused(_)), "{error:?}");
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_malformed_request_body_is_the_clients_fault() {
    let upstream = raw(|_, mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let pool = upstream.pool();
    let answer = talk(
        front(pool.clone()).await,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.ends_with("request_body"),
        "{answer}"
    );
    eventually("the upstream sees the end", || upstream.open() == 0).await;
    assert_eq!(pool.open_connections(), 0);
}

#[tokio::test]
async fn ten_thousand_abandoned_requests_leave_nothing_behind() {
    let upstream = raw(|_, mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let tasks = Tasks::new();
    let pool = Pool::new(Arc::new(settings(upstream.address)), tasks.clone());
    for round in 0..200_u64 {
        let requests = (0..50).map(|_| pool.send(if round % 2 == 0 { get() } else { post("body") }));
        let patience = Duration::from_millis(round % 4);
        let _ = tokio::time::timeout(patience, futures_util::future::join_all(requests)).await;
    }
    eventually("the upstream sees all ends", || upstream.open() == 0).await;
    assert_eq!((pool.open_connections(), pool.idle_connections()), (0, 0));
    eventually("no task is left", || tasks.running() == 0).await;
}

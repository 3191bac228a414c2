//! What goes out, and which answers are not believed.

use super::*;

/// Sends a request to an upstream that reads `expected` and says what it read.
async fn sent(request: Request<Body>) -> String {
    let seen = Seen::default();
    let notes = seen.clone();
    let upstream = raw(move |_, mut stream| {
        let notes = notes.clone();
        async move {
            let mut text = read_head(&mut stream).await.unwrap();
            let mut rest = [0; 1024];
            let wait = Duration::from_millis(50);
            while let Ok(Ok(read)) = tokio::time::timeout(wait, stream.read(&mut rest)).await {
                text.push_str(std::str::from_utf8(&rest[..read]).unwrap());
                if read == 0 {
                    break;
                }
            }
            notes.push(text);
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
        }
    })
    .await;
    fetch(&upstream.pool(), request).await.unwrap();
    seen.all().remove(0)
}

#[tokio::test]
async fn requests_are_framed_from_their_bodies_and_speak_http_1_1() {
    let mut request = get();
    *request.version_mut() = ::http::Version::HTTP_10;
    request
        .headers_mut()
        .insert("content-length", "7".parse().unwrap());
    request
        .headers_mut()
        .insert("transfer-encoding", "gzip, chunked".parse().unwrap());
    assert_eq!(
        sent(request).await,
        "GET /path?query HTTP/1.1\r\nhost: app.example\r\n\r\n"
    );

    let mut request = post("body");
    request
        .headers_mut()
        .insert("content-length", "70".parse().unwrap());
    request
        .headers_mut()
        .append("content-length", "7".parse().unwrap());
    let text = sent(request).await;
    assert!(text.ends_with("content-length: 4\r\n\r\nbody"), "{text}");

    let text = sent(super::request(Method::POST)).await;
    assert!(text.ends_with("content-length: 0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_streamed_body_reaches_the_upstream_whatever_the_method() {
    for method in ["GET", "POST", "DELETE"] {
        let seen = Seen::default();
        let notes = seen.clone();
        let upstream = raw(move |_, mut stream| {
            let notes = notes.clone();
            async move {
                read_head(&mut stream).await.unwrap();
                let mut body = [0; 14];
                stream.read_exact(&mut body).await.unwrap();
                notes.push(std::str::from_utf8(&body).unwrap());
                stream
                    .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                    .await
                    .unwrap();
            }
        })
        .await;
        let request = format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-user-sub\r\nConnection: close\r\n\r\n\
             4\r\nbody\r\n0\r\nX-User-Sub: admin\r\n\r\n"
        );
        let answer = talk(front(upstream.pool()).await, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        assert_eq!(seen.all(), ["4\r\nbody\r\n0\r\n\r\n"]);
    }
}

#[tokio::test]
async fn ambiguous_and_unparsable_answers_are_refused() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 02\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "hello",
    ] {
        let upstream = answering(answer.as_bytes()).await;
        let pool = upstream.pool();
        let error = pool.send(get()).await.err().unwrap();
        assert!(
            matches!(error, UpstreamError::BadResponse { .. }),
            "{answer}: {error:?}"
        );
        assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
        eventually("the connection is gone", || upstream.open() == 0).await;
    }
}

#[tokio::test]
async fn an_answer_to_head_has_a_length_and_no_body() {
    let upstream = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
    let pool = upstream.pool();
    for _ in 0..2 {
        let response = pool.send(request(Method::HEAD)).await.unwrap();
        assert_eq!(response.headers()["content-length"], "1000");
        assert!(
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
    }
    assert_eq!(upstream.accepted(), 1);
}

use super::*;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

/// Sends raw bytes to a hyper server and returns the body it reads. `open` keeps the connection from ending.
async fn incoming(raw: &str, open: bool) -> Incoming {
    let (mut near, far) = tokio::io::duplex(65536);
    near.write_all(raw.as_bytes()).await.unwrap();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let service = service_fn(move |request: ::http::Request<Incoming>| {
        let _ = sender.send(request.into_body());
        std::future::pending::<Result<::http::Response<Full<Bytes>>, Infallible>>()
    });
    crate::tasks::Tasks::new().spawn(async move {
        let _ = hyper::server::conn::http1::Builder::new()
            .half_close(true)
            .serve_connection(TokioIo::new(far), service)
            .await;
    });
    if open {
        crate::tasks::Tasks::new().spawn(async move {
            let _open = near;
            std::future::pending::<()>().await;
        });
    } else {
        drop(near);
    }
    receiver.recv().await.expect("a request")
}

const CHUNKED: &str =
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-user-sub\r\n\r\n";

#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<BodyEnd>>>);

impl Ends {
    fn watch(&self, body: Body) -> Body {
        let ends = self.clone();
        body.on_end(move |end| ends.0.lock().unwrap().push(end))
    }

    fn take(&self) -> Vec<BodyEnd> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn ended(bytes: u64, outcome: Outcome) -> Vec<BodyEnd> {
    vec![BodyEnd { bytes, outcome }]
}

#[tokio::test]
async fn whole_bodies_know_their_size() {
    assert!(Body::empty().is_empty());
    assert!(Body::full("").is_empty());
    assert_eq!(Body::empty().size_hint().exact(), Some(0));
    let body = Body::full("hello");
    assert!(!body.is_empty());
    assert_eq!(body.size_hint().exact(), Some(5));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn streams_keep_their_announced_size() {
    let body = Body::streamed(
        incoming(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
            true,
        )
        .await,
    );
    assert_eq!(body.size_hint().exact(), Some(5));
    assert!(!body.is_empty());
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");

    let body = Body::streamed(incoming("GET / HTTP/1.1\r\nhost: a\r\n\r\n", true).await);
    assert!(body.is_empty());
    assert_eq!(body.size_hint().exact(), Some(0));

    let body = Body::streamed(incoming(&format!("{CHUNKED}0\r\n\r\n"), true).await);
    assert_eq!(body.size_hint().exact(), None);
}

#[tokio::test]
async fn trailers_are_dropped() {
    let raw = format!("{CHUNKED}5\r\nhello\r\n0\r\nx-user-sub: admin\r\n\r\n");
    let direct = incoming(&raw, true).await.collect().await.unwrap();
    assert!(direct.trailers().is_some(), "hyper passes them");
    let ends = Ends::default();
    let through = ends
        .watch(Body::streamed(incoming(&raw, true).await))
        .collect()
        .await
        .unwrap();
    assert!(through.trailers().is_none());
    assert_eq!(through.to_bytes(), "hello");
    assert_eq!(ends.take(), ended(5, Outcome::Complete));
}

#[tokio::test]
async fn the_end_is_told_once_and_truly() {
    let ends = Ends::default();
    drop(ends.watch(Body::empty()));
    assert_eq!(ends.take(), ended(0, Outcome::Complete));
    drop(ends.watch(Body::full("hello")));
    assert_eq!(ends.take(), ended(0, Outcome::Abandoned));

    let mut body = ends.watch(Body::full("hello"));
    assert!(body.frame().await.is_some());
    assert_eq!(
        ends.take(),
        ended(5, Outcome::Complete),
        "with the last frame: hyper asks no more"
    );
    assert!(body.frame().await.is_none());
    drop(body);
    assert_eq!(ends.take(), vec![]);

    let announced = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello";
    let mut body = ends.watch(Body::streamed(incoming(announced, true).await));
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(ends.take(), vec![]);
    drop(body);
    assert_eq!(ends.take(), ended(5, Outcome::Abandoned));
}

#[tokio::test]
async fn a_broken_body_is_an_error_and_says_which() {
    let ends = Ends::default();
    let cut = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello";
    let mut body = ends.watch(Body::streamed(incoming(cut, false).await));
    assert!(body.frame().await.unwrap().is_ok());
    assert!(matches!(body.frame().await, Some(Err(BodyError::Incomplete(_)))));
    assert!(!body.is_end_stream(), "a cut body never looks whole");
    assert_eq!(ends.take(), ended(5, Outcome::Failed));

    for chunk in [
        "zz\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "fffffffffffffffff\r\n",
        "5\r\nhelloX\r\n",
    ] {
        let result = Body::streamed(incoming(&format!("{CHUNKED}{chunk}0\r\n\r\n"), true).await)
            .collect()
            .await;
        assert!(matches!(result, Err(BodyError::Malformed(_))), "{chunk:?}");
    }
}

#[tokio::test]
async fn a_limit_cuts_the_stream() {
    let raw = format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n");
    let body = Body::streamed(incoming(&raw, true).await).with_limit(5);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
    let ends = Ends::default();
    let body = ends
        .watch(Body::streamed(incoming(&raw, true).await))
        .with_limit(4);
    assert!(matches!(body.collect().await, Err(BodyError::TooLarge)));
    assert_eq!(ends.take(), ended(0, Outcome::Failed));
}

#[tokio::test]
async fn guards_live_as_long_as_the_body() {
    let guard = Arc::new(());
    let mut body = Body::full("hello")
        .with_guard(Arc::clone(&guard))
        .with_guard(Arc::clone(&guard));
    assert_eq!(Arc::strong_count(&guard), 3);
    assert!(body.frame().await.is_some());
    assert_eq!(Arc::strong_count(&guard), 1, "ended");
    let body = Body::full("hello").with_guard(Arc::clone(&guard));
    drop(body);
    assert_eq!(Arc::strong_count(&guard), 1, "dropped");
}

#[tokio::test]
async fn reading_whole_is_bounded() {
    let announced = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(
        read_limited(incoming(announced, true).await, 5).await.unwrap(),
        "hello"
    );
    assert_eq!(
        read_limited(incoming(announced, true).await, 4).await,
        Err(ReadError::TooLarge)
    );
    // Nothing of the body need arrive for the announced length to be refused.
    let unsent = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\n";
    assert_eq!(
        read_limited(incoming(unsent, true).await, 49).await,
        Err(ReadError::TooLarge)
    );
    let chunks = format!("{CHUNKED}3\r\nhel\r\n2\r\nlo\r\n1\r\n!\r\n0\r\n\r\n");
    assert_eq!(
        read_limited(incoming(&chunks, true).await, 6).await.unwrap(),
        "hello!"
    );
    assert_eq!(
        read_limited(incoming(&chunks, true).await, 5).await,
        Err(ReadError::TooLarge)
    );
    assert_eq!(
        read_limited(incoming(unsent, false).await, 50).await,
        Err(ReadError::Failed)
    );
    assert_eq!(read_limited(Body::empty(), 0).await.unwrap(), "");
}

#[test]
fn debug_shows_no_content() {
    assert_eq!(format!("{:?}", Body::full("secret")), "Body(Full)");
}

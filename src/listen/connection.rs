//! One client connection: HTTP/1.1 until it ends.

use super::activity::{Activity, Served, Watched};
use super::worker::Worker;
use crate::http::forwarded::Peer;
use crate::request::RawRequest;
use crate::streams::ConnectionStreams;
use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// How long a drain waits for the rest of a header that has begun, or for the first of a new connection.
const HEADER_ON_ITS_WAY: Duration = Duration::from_millis(100);

/// Serves a connection until it closes or the worker drains. A drained connection finishes the request it is
/// serving and says `Connection: close`.
pub(super) async fn serve(
    worker: Arc<Worker>,
    stream: Watched,
    peer: Peer,
    activity: Arc<Activity>,
    streams: ConnectionStreams,
) {
    let settings = worker.settings();
    let service = service_fn(|message| {
        let serving = activity.serve();
        let ambiguous_framing = activity.take_ambiguous_framing();
        let raw = RawRequest {
            message,
            peer,
            ambiguous_framing,
        };
        let answer = worker.answer(raw, &streams);
        answer.map(|response| Ok::<_, Infallible>(response.map(|body| Served::new(body, serving))))
    });
    // The deadline for a header is the watchdog's, so hyper's own is off: it would also cut idle connections.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .half_close(false)
        .max_headers(settings.maximum_headers)
        .max_buf_size(settings.buffer_bytes)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = match worker.draining().run_until_cancelled(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            // One that was only just accepted is polled first: hyper would close it without looking for its request.
            let begun = poll_fn(|context| match connection.as_mut().poll(context) {
                Poll::Pending if activity.awaits_header() => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
            });
            match timeout(HEADER_ON_ITS_WAY, begun).await {
                Ok(Some(ended)) => ended,
                Ok(None) | Err(_) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client connection ended early");
    }
}

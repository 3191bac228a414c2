//! A whole request: read by hyper, through the gate, to an app over loopback TCP, and back.
//!
//! Client, proxy and app share one thread, so the figure is the sum of the three. Client and app do next to nothing.

use crate::fixture::{Fixture, PEER};
use divan::Bencher;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use logto_proxy::request::RawRequest;
use logto_proxy::streams::Streams;
use logto_proxy::tasks::Tasks;
use logto_proxy::telemetry::Metrics;
use logto_proxy::upstream::Pools;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;

const ANSWER_BYTES: usize = 1024;

#[divan::bench]
fn request(bencher: Bencher<'_, '_>) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let fixture = Fixture::before(listener.local_addr().unwrap().port());
    let tasks = Tasks::new();
    let mut client = fixture.runtime.block_on(async {
        let listener = TcpListener::from_std(listener).unwrap();
        drop(tasks.spawn(serve_app(listener)));
        let (client, server) = tokio::io::duplex(64 * 1024);
        drop(tasks.spawn(serve_proxy(&fixture, server, tasks.clone())));
        client
    });
    let mut head = "GET /area-0/files/report?page=2 HTTP/1.1\r\n".to_owned();
    for (name, value) in &fixture.headers {
        write!(head, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    head.push_str("\r\n");
    let mut buffer = vec![0; 16 * 1024];
    bencher.bench_local(|| {
        fixture.runtime.block_on(async {
            client.write_all(head.as_bytes()).await.unwrap();
            read_message(&mut client, &mut buffer, ANSWER_BYTES).await
        })
    });
}

/// The client's connection, served as the listener serves it.
fn serve_proxy(
    fixture: &Fixture,
    connection: DuplexStream,
    tasks: Tasks,
) -> impl Future<Output = ()> + Send + use<> {
    let gate = Arc::clone(&fixture.gate);
    let pools = Pools::new(&fixture.gate.upstreams, &tasks);
    let streams = Streams::new(Metrics::new()).connection();
    async move {
        let service = service_fn(|message| {
            let raw = RawRequest {
                ambiguous_framing: false,
                message,
                peer: PEER,
            };
            let answer = Arc::clone(&gate).pass(raw, &pools, &streams);
            async { Ok::<_, Infallible>(answer.await) }
        });
        http1::Builder::new()
            .serve_connection(TokioIo::new(connection), service)
            .await
            .unwrap();
    }
}

/// Answers every request on one connection with the same kibibyte.
async fn serve_app(listener: TcpListener) {
    let (mut connection, _) = listener.accept().await.unwrap();
    connection.set_nodelay(true).unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {ANSWER_BYTES}\r\n\r\n{}",
        "x".repeat(ANSWER_BYTES)
    );
    let mut buffer = vec![0; 16 * 1024];
    while read_message(&mut connection, &mut buffer, 0).await {
        connection.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// Reads a header and a body of known length; says whether there was one.
async fn read_message(
    connection: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    body_bytes: usize,
) -> bool {
    let mut filled = 0;
    loop {
        let read = connection.read(buffer.get_mut(filled..).unwrap()).await.unwrap();
        if read == 0 {
            return false;
        }
        filled += read;
        let end = buffer
            .get(..filled)
            .and_then(|bytes| bytes.windows(4).position(|four| four == b"\r\n\r\n"));
        if end.is_some_and(|end| filled >= end + 4 + body_bytes) {
            return true;
        }
    }
}

//! The pool against real upstreams: hyper's server, and raw sockets that do what no server should.

mod failures;
mod framing;
mod limits;
mod reuse;
mod transports;
mod tunnels;

use super::{Address, Pool, Settings, UpstreamError};
use crate::http::body::Body;
use crate::tasks::Tasks;
use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An upstream whose every connection is played by a script.
struct Raw {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Raw {
    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn pool(&self) -> Pool {
        pool(settings(self.address))
    }
}

/// Plays `script` with each connection and its number, counted from 1.
async fn raw<F, Fut>(script: F) -> Raw
where
    F: Fn(usize, TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Raw {
        address: listener.local_addr().unwrap(),
        accepted: Arc::default(),
        open: Arc::default(),
    };
    let (accepted, open) = (Arc::clone(&upstream.accepted), Arc::clone(&upstream.open));
    let script = Arc::new(script);
    Tasks::new().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = accepted.fetch_add(1, Ordering::SeqCst) + 1;
            open.fetch_add(1, Ordering::SeqCst);
            let (script, open) = (Arc::clone(&script), Arc::clone(&open));
            Tasks::new().spawn(async move {
                script(number, stream).await;
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    upstream
}

/// An upstream that gives the same bytes to every request head, on connections that it keeps open.
async fn answering(answer: &'static [u8]) -> Raw {
    raw(move |_, mut stream| async move {
        while read_head(&mut stream).await.is_some() {
            stream.write_all(answer).await.unwrap();
        }
    })
    .await
}

/// Reads up to the empty line; `None` at the end of the stream.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}

fn settings(address: SocketAddr) -> Settings {
    Settings::new(Address::Tcp {
        host: address.ip().to_string(),
        port: address.port(),
    })
}

fn pool(settings: Settings) -> Pool {
    Pool::new(Arc::new(settings), Tasks::new())
}

fn request(method: Method) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri("/path?query")
        .header("host", "app.example")
        .body(Body::empty())
        .unwrap()
}

fn get() -> Request<Body> {
    request(Method::GET)
}

fn post(body: &'static str) -> Request<Body> {
    request(Method::POST).map(|_| Body::full(Bytes::from_static(body.as_bytes())))
}

/// Sends, and reads the answer's body to its end.
async fn fetch(pool: &Pool, request: Request<Body>) -> Result<(StatusCode, String), UpstreamError> {
    let (head, body) = pool.send(request).await?.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Ok((head.status, String::from_utf8(body.to_vec()).unwrap()))
}

/// A server that hands every request to the pool, and tells the client an error's label.
async fn front(pool: Pool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Tasks::new().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let pool = pool.clone();
            Tasks::new().spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let pool = pool.clone();
                    async move {
                        let request = request.map(Body::streamed);
                        let response = pool.send(request).await.unwrap_or_else(|error| {
                            let mut response = Response::new(Body::full(error.label()));
                            *response.status_mut() = error.status();
                            response
                        });
                        Ok::<_, Infallible>(response)
                    }
                });
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// Writes these bytes to the front and reads until it closes.
async fn talk(front: SocketAddr, bytes: &[u8]) -> String {
    let mut client = TcpStream::connect(front).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..400 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be that {what}");
}

/// What a script saw.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn push(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

//! An app behind the proxy: it notes what arrives and answers as told.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A request as the upstream got it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Seen {
    /// The value of a header, if it came exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok();
        assert!(values.next().is_none(), "{name} came twice");
        value
    }
}

type Answerer = dyn Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync;

/// A hyper server that buffers each request and answers 200 with its target unless told otherwise.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub async fn start() -> Self {
        Self::answering(|seen| {
            Response::builder()
                .header("x-upstream", "yes")
                .body(Full::from(format!(
                    "upstream saw {} {}",
                    seen.method, seen.target
                )))
                .unwrap()
        })
        .await
    }

    pub async fn answering(answer: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let upstream = Self {
            address,
            seen: Arc::clone(&seen),
        };
        let answer: Arc<Answerer> = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    let service =
                        service_fn(move |request| serve(request, Arc::clone(&seen), Arc::clone(&answer)));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        upstream
    }

    /// Everything that arrived so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request that arrived.
    pub fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "the upstream saw {seen:#?}");
        seen.remove(0)
    }

    /// The latest request that arrived.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("nothing reached the upstream")
    }

    pub fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

async fn serve(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<Answerer>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(collected) = body.collect().await else {
        return Ok(Response::builder().status(400).body(Full::default()).unwrap());
    };
    let trailers = collected.trailers().cloned();
    let request = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: collected.to_bytes(),
        trailers,
    };
    let response = answer(&request);
    seen.lock().unwrap().push(request);
    Ok(response)
}

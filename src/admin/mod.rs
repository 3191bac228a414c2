//! Health, on a listener of its own: `/livez` and `/readyz`.
//!
//! Never on the listener that browsers reach.

use crate::http::body::Body;
use crate::listen::BoundListener;
use crate::live::{ListenAddress, Live};
use crate::logto::Availability;
use crate::pages::answer;
use crate::tasks::Tasks;
use ::http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A request that asks for health is a few hundred bytes; a client gets this long to send it.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at once; a prober needs one.
const MAXIMUM_CONNECTIONS: usize = 64;

/// The health listener.
#[derive(Debug)]
pub struct Admin {
    listener: BoundListener,
    live: Arc<Live>,
}

impl Admin {
    /// Binds it.
    pub async fn bind(address: &ListenAddress, live: Arc<Live>) -> io::Result<Self> {
        let listener = BoundListener::bind(address).await?;
        Ok(Self { listener, live })
    }

    /// The address as bound.
    pub const fn address(&self) -> &ListenAddress {
        self.listener.address()
    }

    /// Answers until told to stop; it goes on through a drain, so that probers see it.
    pub async fn run(self, stop: CancellationToken) {
        let connections = Tasks::new();
        let Self { listener, live } = self;
        while let Some(accepted) = stop.run_until_cancelled(listener.accept_local()).await {
            let Ok(stream) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if connections.running() >= MAXIMUM_CONNECTIONS {
                continue;
            }
            let live = Arc::clone(&live);
            let stop = stop.clone();
            drop(connections.spawn(async move {
                let service = service_fn(move |request| {
                    let response = answer_to(&live, &request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .half_close(false)
                    .serve_connection(TokioIo::new(stream), service);
                let _ = stop.run_until_cancelled(connection).await;
            }));
        }
    }
}

fn answer_to(live: &Live, request: &Request<Incoming>) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    }
    let mut response = match crate::http::target::RequestTarget::parse(request.uri(), 1024) {
        Ok(target) if target.raw_path() == "/livez" => answer::text(StatusCode::OK, "alive\n"),
        Ok(target) if target.raw_path() == "/readyz" => readiness(live),
        _ => answer::text(StatusCode::NOT_FOUND, "not found\n"),
    };
    if *request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// 200 when sign-ins work and the proxy is not stopping, else 503 and the reason. Once Logto's metadata are
/// known, an outage there does not take the proxy out of service: signed-in users are still served.
fn readiness(live: &Live) -> Response<Body> {
    if live.is_draining() {
        return answer::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stopping" }));
    }
    match live.gate().endpoints.logto.availability() {
        Availability::Ready => answer::json(StatusCode::OK, &json!({ "status": "ready" })),
        Availability::Away { reason, since } => {
            let document = json!({ "status": "ready", "logto": reason, "since": since.as_u64() });
            answer::json(StatusCode::OK, &document)
        }
        Availability::Unavailable { reason, since } => {
            let document = json!({ "status": "not ready", "logto": reason, "since": since.as_u64() });
            answer::json(StatusCode::SERVICE_UNAVAILABLE, &document)
        }
    }
}

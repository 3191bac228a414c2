//! Health and numbers, on a listener of its own: `/livez`, `/readyz` and `/metrics`.
//!
//! Never on the listener that browsers reach.

use crate::http::body::Body;
use crate::listen::BoundListener;
use crate::live::{ListenAddress, Live};
use crate::logto::Availability;
use crate::pages::answer;
use crate::store::Health;
use crate::tasks::Tasks;
use crate::telemetry::{Metrics, metrics};
use ::http::{HeaderValue, Method, Request, Response, StatusCode, header};
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
    metrics: Metrics,
}

impl Admin {
    /// Binds it.
    pub async fn bind(address: &ListenAddress, live: Arc<Live>, metrics: Metrics) -> io::Result<Self> {
        let listener = BoundListener::bind(address).await?;
        Ok(Self {
            listener,
            live,
            metrics,
        })
    }

    /// The address as bound.
    pub const fn address(&self) -> &ListenAddress {
        self.listener.address()
    }

    /// Answers until told to stop; it goes on through a drain, so that probers see it.
    pub async fn run(self, stop: CancellationToken) {
        let connections = Tasks::new();
        let Self {
            listener,
            live,
            metrics,
        } = self;
        while let Some(accepted) = stop.run_until_cancelled(listener.accept_local()).await {
            let Ok(stream) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if connections.running() >= MAXIMUM_CONNECTIONS {
                continue;
            }
            let (live, metrics) = (Arc::clone(&live), metrics.clone());
            let stop = stop.clone();
            drop(connections.spawn(async move {
                let service = service_fn(move |request| {
                    let response = answer_to(&live, &metrics, &request);
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

fn answer_to(live: &Live, metrics: &Metrics, request: &Request<Incoming>) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    }
    let mut response = match crate::http::target::RequestTarget::parse(request.uri(), 1024) {
        Ok(target) if target.raw_path() == "/livez" => answer::text(StatusCode::OK, "alive\n"),
        Ok(target) if target.raw_path() == "/readyz" => readiness(live),
        Ok(target) if target.raw_path() == "/metrics" => numbers(metrics),
        _ => answer::text(StatusCode::NOT_FOUND, "not found\n"),
    };
    if *request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// All that is counted, in the OpenMetrics text format.
fn numbers(metrics: &Metrics) -> Response<Body> {
    let mut response = answer::text(StatusCode::OK, metrics.render());
    let media_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

/// 200 when sign-ins can work and the proxy is not stopping, else 503 and the reason. Once Logto's metadata are known, an
/// outage there does not take the proxy out of service: signed-in users are still served. Nor does one of the store. Both
/// are told of all the same.
fn readiness(live: &Live) -> Response<Body> {
    let gate = live.gate();
    let (status, mut document) = if live.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "stopping" }))
    } else {
        match gate.endpoints.logto.availability() {
            Availability::Ready => (StatusCode::OK, json!({ "status": "ready" })),
            Availability::Away { reason, since } => (
                StatusCode::OK,
                json!({ "status": "ready", "logto": reason, "since": since.as_u64() }),
            ),
            Availability::Unavailable { reason, since } => (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({ "status": "not ready", "logto": reason, "since": since.as_u64() }),
            ),
        }
    };
    if let Some(fields) = document.as_object_mut() {
        fields.insert("store".to_owned(), about_store(&gate.endpoints.store.health()));
    }
    answer::json(status, &document)
}

fn about_store(health: &Health) -> serde_json::Value {
    json!({
        "kind": health.kind,
        "available": health.available,
        "reason": health.reason,
        "since": health.since.as_u64(),
        "pending": health.pending,
    })
}

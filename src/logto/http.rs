//! The back channel: how a request to Logto is sent, and how much of an answer is read.
//!
//! Promises: every call ends within its time limit, no answer larger than 1 MiB is kept, no redirect is followed (a 307 from
//! the token endpoint would repeat the client secret elsewhere), proxy environment variables have no say, TLS is verified
//! against the web's roots plus the operator's. Every call has a connection of its own and is sent once: a replayed code makes
//! Logto revoke the whole grant, Logto closes idle connections after 5 s and a request must not race that, and a pooled
//! connection would die with the runtime that opened it. TLS sessions are resumed, which makes the handshake cheap.
//!
//! Every call passes the circuit breaker and is counted. What an answer means is for the callers to say.

use super::breaker::Breaker;
use super::error::{Call, LogtoError, LogtoErrorKind, SetupError};
use crate::clock;
use crate::telemetry::Metrics;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long a TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one call may take, from look-up to the last byte.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a refresh may take. Its answer may carry the one refresh token that is still good, so it is waited for longer than
/// a person would wait.
pub(super) const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

type Connector = HttpsConnector<HttpConnector>;

/// Sends requests to Logto, from whichever runtime asks.
#[derive(Debug)]
pub(super) struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    breaker: Arc<Breaker>,
    metrics: Metrics,
}

/// An answer that is not a 5xx or 429, wholly read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl HttpClient {
    /// Trusts the web's roots and these.
    pub(super) fn new(
        extra_roots: &[CertificateDer<'static>],
        breaker: Arc<Breaker>,
        metrics: Metrics,
    ) -> Result<Self, SetupError> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in extra_roots {
            roots
                .add(certificate.clone())
                .map_err(|_| SetupError::TrustAnchor)?;
        }
        // The provider is named here, so that no process-wide default decides.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| SetupError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        // Plain http is for loopback and internal addresses; which addresses are called is settled by `discovery`.
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self {
            client,
            breaker,
            metrics,
        })
    }

    /// What holds calls back while Logto is away.
    pub(super) const fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// Makes a call, requests and reading of the answer together, unless calls are held back; its end is counted, and told to
    /// the circuit breaker.
    pub(super) async fn call<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, LogtoError>>,
    ) -> Result<T, LogtoError> {
        self.breaker.admit(call, clock::monotonic())?;
        self.call_in_any_case(call, work).await
    }

    /// As [`Self::call`], not held back: for the repetition of a call whose answer was lost.
    pub(super) async fn call_in_any_case<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, LogtoError>>,
    ) -> Result<T, LogtoError> {
        let began = clock::monotonic();
        let result = work.await;
        let ended = clock::monotonic();
        let error = result.as_ref().err();
        self.breaker.ended(call, began, error, ended);
        let took = ended.saturating_duration_since(began);
        self.metrics.logto_call(call.name(), outcome(error), took);
        result
    }

    /// A GET for JSON, with an `Authorization` field where one is given.
    pub(super) async fn get(
        &self,
        call: Call,
        url: &Url,
        authorization: Option<HeaderValue>,
        limit: Duration,
    ) -> Result<Answer, LogtoError> {
        let mut request = request(call, Method::GET, url, Full::default())?;
        if let Some(value) = authorization {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        send(&self.client, call, request, limit).await
    }

    /// A POST of a form. Sent once, whatever happens.
    pub(super) async fn post_form(
        &self,
        call: Call,
        url: &Url,
        authorization: HeaderValue,
        form: String,
        limit: Duration,
    ) -> Result<Answer, LogtoError> {
        let mut request = request(call, Method::POST, url, Full::new(Bytes::from(form)))?;
        request.headers_mut().insert(AUTHORIZATION, authorization);
        request.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        send(&self.client, call, request, limit).await
    }
}

/// The end of a call as a metric's label.
const fn outcome(error: Option<&LogtoError>) -> &'static str {
    match error {
        None => "ok",
        Some(error) if error.is_transient() => "unavailable",
        Some(error) => match error.kind() {
            LogtoErrorKind::Refused { .. } | LogtoErrorKind::Misconfigured { .. } => "refused",
            _ => "invalid",
        },
    }
}

fn request(
    call: Call,
    method: Method,
    url: &Url,
    body: Full<Bytes>,
) -> Result<Request<Full<Bytes>>, LogtoError> {
    Request::builder()
        .method(method)
        .uri(url.as_str())
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(
            USER_AGENT,
            HeaderValue::from_static(concat!("logto-proxy/", env!("CARGO_PKG_VERSION"))),
        )
        .body(body)
        .map_err(|_| {
            LogtoError::misconfigured(call, "Logto's metadata names an address that cannot be called")
        })
}

async fn send(
    client: &Client<Connector, Full<Bytes>>,
    call: Call,
    request: Request<Full<Bytes>>,
    limit: Duration,
) -> Result<Answer, LogtoError> {
    tokio::time::timeout(limit, exchange(client, call, request))
        .await
        .unwrap_or(Err(LogtoError::new(call, LogtoErrorKind::Timeout)))
}

async fn exchange(
    client: &Client<Connector, Full<Bytes>>,
    call: Call,
    request: Request<Full<Bytes>>,
) -> Result<Answer, LogtoError> {
    let response = client.request(request).await.map_err(|error| {
        // The text of a transport error names addresses at most; the request's fields and body are not in it.
        tracing::debug!(call = call.name(), %error, cause = root_cause(&error), "a call to Logto failed");
        let kind = if error.is_connect() {
            LogtoErrorKind::Unreachable
        } else {
            LogtoErrorKind::Interrupted
        };
        LogtoError::new(call, kind)
    })?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let status = status.as_u16();
        return Err(LogtoError::new(call, LogtoErrorKind::ServerError { status }));
    }
    let body = Limited::new(response.into_body(), BODY_LIMIT)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                LogtoError::bad_answer(call, "the answer is larger than 1 MiB")
            } else {
                LogtoError::new(call, LogtoErrorKind::Interrupted)
            }
        })?
        .to_bytes();
    Ok(Answer { status, body })
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

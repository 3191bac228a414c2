//! Calls to other servers: how a request is sent, and how much of an answer is read.
//!
//! Promises: every call ends within its time limit, no more of an answer is kept than the caller allows, no redirect is
//! followed (it would carry a secret elsewhere), proxy environment variables have no say, TLS is verified against the web's
//! roots plus the operator's. Every call has a connection of its own and is sent once: an idle connection may be closed by the
//! other side at any moment, which a request must not race, and a pooled one would die with the runtime that opened it. TLS
//! sessions are resumed, which makes the handshake cheap.
//!
//! What is asked and what an answer means is for the callers to say.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::time::Duration;

/// How long a TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Who is calling.
pub const USER_AGENT: &str = concat!("logto-proxy/", env!("CARGO_PKG_VERSION"));

/// Sends requests, from whichever runtime asks.
#[derive(Debug)]
pub struct BackChannel {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// An answer that is not a 5xx or 429, wholly read.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFailure {
    /// No connection, or TLS failed: nothing was sent.
    Unreachable,
    /// The connection broke before the answer was whole. What was asked may have been done all the same.
    Interrupted,
    /// No whole answer within the time allowed.
    Timeout,
    /// The answer had a 5xx status, or 429.
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is larger than allowed.
    TooLarge,
}

/// Why no calls can be made. Found when it is made, before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupFailure {
    /// An additional trust anchor could not be used.
    TrustAnchor,
    /// The TLS library refused its own defaults.
    Tls,
}

impl BackChannel {
    /// Trusts the web's roots and these.
    ///
    /// # Errors
    /// See [`SetupFailure`].
    pub fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, SetupFailure> {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in extra_roots {
            roots
                .add(certificate.clone())
                .map_err(|_| SetupFailure::TrustAnchor)?;
        }
        // The provider is named here, so that no process-wide default decides.
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| SetupFailure::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        // Plain http is for loopback and internal addresses; which addresses are called is settled by the callers.
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self { client })
    }

    /// Sends a request once. `call` names it in the log, `limit` is for all of it, from look-up to the last byte; `most` is the
    /// largest body that is read, in bytes.
    ///
    /// # Errors
    /// See [`CallFailure`].
    pub async fn send(
        &self,
        call: &'static str,
        request: Request<Full<Bytes>>,
        limit: Duration,
        most: usize,
    ) -> Result<Answer, CallFailure> {
        tokio::time::timeout(limit, self.exchange(call, request, most))
            .await
            .unwrap_or(Err(CallFailure::Timeout))
    }

    async fn exchange(
        &self,
        call: &'static str,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<Answer, CallFailure> {
        let response = self.client.request(request).await.map_err(|error| {
            // The text of a transport error names addresses at most; the request's fields and body are not in it.
            tracing::debug!(call, %error, cause = root_cause(&error), "a call to another server failed");
            if error.is_connect() {
                CallFailure::Unreachable
            } else {
                CallFailure::Interrupted
            }
        })?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let status = status.as_u16();
            return Err(CallFailure::ServerError { status });
        }
        let body = Limited::new(response.into_body(), most)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    CallFailure::TooLarge
                } else {
                    CallFailure::Interrupted
                }
            })?
            .to_bytes();
        Ok(Answer { status, body })
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

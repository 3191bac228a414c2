//! The back channel to Logto: its calls pass the circuit breaker and are counted, and what went wrong gets Logto's words.
//!
//! How a request is sent is [`back_channel`](crate::back_channel)'s affair: once, on a connection of its own, since a replayed
//! code makes Logto revoke the whole grant and Logto closes idle connections after 5 s. No redirect is followed: a 307 from
//! the token endpoint would repeat the client secret elsewhere. What an answer means is for the callers to say.

use super::breaker::Breaker;
use super::error::{Call, LogtoError, LogtoErrorKind, SetupError};
pub(super) use crate::back_channel::Answer;
use crate::back_channel::{self, BackChannel, CallFailure, SetupFailure};
use crate::clock;
use crate::telemetry::Metrics;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long one call may take, from look-up to the last byte.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a refresh may take. Its answer may carry the one refresh token that is still good, so it is waited for longer than
/// a person would wait.
pub(super) const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Sends requests to Logto, from whichever runtime asks.
#[derive(Debug)]
pub(super) struct HttpClient {
    channel: BackChannel,
    breaker: Arc<Breaker>,
    metrics: Metrics,
}

impl HttpClient {
    /// Trusts the web's roots and these.
    pub(super) fn new(
        extra_roots: &[CertificateDer<'static>],
        breaker: Arc<Breaker>,
        metrics: Metrics,
    ) -> Result<Self, SetupError> {
        let channel = BackChannel::new(extra_roots).map_err(|failure| match failure {
            SetupFailure::TrustAnchor => SetupError::TrustAnchor,
            SetupFailure::Tls => SetupError::Tls,
        })?;
        Ok(Self {
            channel,
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
        self.send(call, request, limit).await
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
        self.send(call, request, limit).await
    }

    async fn send(
        &self,
        call: Call,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Answer, LogtoError> {
        let sent = self.channel.send(call.name(), request, limit, BODY_LIMIT).await;
        sent.map_err(|failure| {
            let kind = match failure {
                CallFailure::Unreachable => LogtoErrorKind::Unreachable,
                CallFailure::Interrupted => LogtoErrorKind::Interrupted,
                CallFailure::Timeout => LogtoErrorKind::Timeout,
                CallFailure::ServerError { status } => LogtoErrorKind::ServerError { status },
                CallFailure::TooLarge => LogtoErrorKind::BadAnswer {
                    what: "the answer is larger than 1 MiB",
                },
            };
            LogtoError::new(call, kind)
        })
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
        .header(USER_AGENT, HeaderValue::from_static(back_channel::USER_AGENT))
        .body(body)
        .map_err(|_| {
            LogtoError::misconfigured(call, "Logto's metadata names an address that cannot be called")
        })
}

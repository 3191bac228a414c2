//! Sending one request and judging what comes back.

use super::Settings;
use super::error::UpstreamError;
use super::outgoing::Outgoing;
use super::pool::{Connection, Shared};
use super::retry::Spare;
use super::wire::{Late, Wire};
use crate::http::body::Body;
use crate::tasks::Tasks;
use ::http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use ::http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use futures_util::future::{Either, FutureExt as _, ready};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// Connections to one address, made on demand and used again. Clones share them.
///
/// One a worker: it drives its connections on the runtime that polls [`Pool::send`].
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// A pool without connections yet. Its background work is counted in `tasks`.
    pub fn new(settings: Arc<Settings>, tasks: Tasks) -> Self {
        Self {
            shared: Arc::new(Shared::new(settings, tasks)),
        }
    }

    /// Sends a request and waits for the head of the answer; the body streams.
    ///
    /// The request's target is sent as it stands, so it must be in origin-form. Its version and framing fields are
    /// replaced: HTTP/1.1, framed from what is known of the body. All other fields go out as they are.
    ///
    /// Dropping the future, or the answer's body before its end, closes the connection. The answer's framing is
    /// checked; its fields are otherwise untouched. A 101 arrives only if the request asked for exactly that upgrade,
    /// and carries hyper's `OnUpgrade`.
    pub fn send(
        &self,
        mut request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, UpstreamError>> + Send + use<> {
        frame(&mut request);
        // A request stays with the pool that it was given to, whichever one takes its place meanwhile.
        let pool = self.clone();
        // What is rare is boxed, and the rest composed without `async`, which would keep a copy of each request at
        // every step: every client connection has room for this future.
        let Some(connection) = pool.shared.check_out() else {
            return Either::Right(boxed(pool.send_on_new(request)));
        };
        let Some(spare) = Spare::of(&request) else {
            return Either::Right(boxed(pool.send_once(connection, request)));
        };
        let exchange = Lease::new(connection, &pool.shared).exchange(request);
        Either::Left(exchange.then(move |result| match result {
            Ok(response) => Either::Left(ready(Ok(response))),
            Err(Failure::NeverSent { request, .. }) => Either::Right(boxed(pool.send_on_new(*request))),
            Err(Failure::Unanswered(_)) => Either::Right(boxed(pool.send_on_new(spare.into_request()))),
            Err(Failure::Final(error)) => Either::Left(ready(Err(error))),
        }))
    }

    /// Whether it is made from these very settings.
    pub fn is_made_from(&self, settings: &Arc<Settings>) -> bool {
        Arc::ptr_eq(self.shared.settings(), settings)
    }

    /// Sends what cannot be repeated, so lets the runtime look once more whether the app has closed the connection
    /// meanwhile.
    async fn send_once(
        self,
        mut connection: Connection,
        request: Request<Body>,
    ) -> Result<Response<Body>, UpstreamError> {
        tokio::task::yield_now().await;
        if !connection.sender.is_ready() {
            connection = match self.shared.check_out() {
                Some(connection) => connection,
                None => self.shared.open().await?,
            };
        }
        match Lease::new(connection, &self.shared).exchange(request).await {
            Err(Failure::NeverSent { request, .. }) => self.send_on_new(*request).await,
            result => result.map_err(Failure::into_error),
        }
    }

    async fn send_on_new(self, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        let connection = self.shared.open().await?;
        Lease::new(connection, &self.shared)
            .exchange(request)
            .await
            .map_err(Failure::into_error)
    }

    /// Closes the connections that nobody uses now.
    pub fn close_idle(&self) {
        self.shared.close_idle(false);
    }

    /// Closes the connections that nobody uses now, and each of the others when its exchange has ended. Requests can
    /// still be sent, each on a connection of its own.
    pub fn shut_down(&self) {
        self.shared.close_idle(true);
    }

    /// How many connections are open, used or not. Tunnels are not among them.
    pub fn open_connections(&self) -> usize {
        self.shared.open_connections()
    }

    /// How many connections are kept that nobody uses now.
    pub fn idle_connections(&self) -> usize {
        self.shared.idle_connections()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// Why an exchange failed, by what may be done about it.
enum Failure {
    /// Not one byte of the request was written: here it is again.
    NeverSent {
        request: Box<Request<Body>>,
        error: UpstreamError,
    },
    /// The connection ended and not one byte of an answer had arrived.
    Unanswered(UpstreamError),
    /// It must not be tried again.
    Final(UpstreamError),
}

impl Failure {
    fn into_error(self) -> UpstreamError {
        match self {
            Self::NeverSent { error, .. } | Self::Unanswered(error) | Self::Final(error) => error,
        }
    }
}

/// A connection in use. Dropped, it goes back into the pool if its exchange is complete; else it is closed at once.
struct Lease {
    connection: Option<Connection>,
    shared: Arc<Shared>,
    reusable: bool,
}

impl Lease {
    fn new(connection: Connection, shared: &Arc<Shared>) -> Self {
        Self {
            connection: Some(connection),
            shared: Arc::clone(shared),
            reusable: false,
        }
    }

    /// Hands the request to the connection now; the future waits for the head of the answer.
    fn exchange(
        mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, Failure>> + Send {
        let upgrade = request.headers().get(UPGRADE).cloned();
        let Some(Connection { sender, wire }) = &mut self.connection else {
            let none = UpstreamError::bad_response("no connection");
            return Either::Right(ready(Err(Failure::Final(none))));
        };
        let wire = Arc::clone(wire);
        wire.begin(!request.body().is_end_stream());
        let answer = sender.try_send_request(request.map(|body| Outgoing::new(body, &wire)));
        Either::Left(answer.map(move |result| self.conclude(result, &wire, upgrade.as_ref())))
    }

    /// Judges how an exchange ended.
    fn conclude(
        self,
        result: Result<Response<Incoming>, TrySendError<Request<Outgoing>>>,
        wire: &Wire,
        upgrade: Option<&HeaderValue>,
    ) -> Result<Response<Body>, Failure> {
        match wire.settle() {
            Some(Late::Upstream) => return Err(Failure::Final(UpstreamError::ResponseTimeout)),
            Some(Late::Client) => return Err(Failure::Final(UpstreamError::RequestBodyTimeout)),
            None => {}
        }
        let mut failure = match result {
            Ok(response) => return self.accept(response, wire, upgrade).map_err(Failure::Final),
            Err(failure) => failure,
        };
        let unsent = failure.take_message();
        let error = failure.into_error();
        Err(match (wire.take_body_error(), unsent) {
            (Some(error), _) => Failure::Final(UpstreamError::RequestBody(error)),
            (None, Some(request)) => Failure::NeverSent {
                request: Box::new(request.map(Outgoing::into_body)),
                error: UpstreamError::Reset(error),
            },
            (None, None) if wire.is_answered() => Failure::Final(UpstreamError::from_exchange(error)),
            (None, None) => Failure::Unanswered(UpstreamError::from_exchange(error)),
        })
    }

    /// Judges the head of an answer, and ties the connection to its body.
    fn accept(
        mut self,
        response: Response<Incoming>,
        wire: &Wire,
        upgrade: Option<&HeaderValue>,
    ) -> Result<Response<Body>, UpstreamError> {
        check_framing(response.headers())?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            check_upgrade(response.headers(), upgrade)?;
            wire.becomes_tunnel();
            // From here on the connection belongs to the `OnUpgrade` of the answer.
            self.connection = None;
            return Ok(response.map(|_| Body::empty()));
        }
        // After an answer in HTTP/1.0, hyper speaks 1.0 too, and cannot send a body of unknown length.
        self.reusable = wire.is_request_sent() && response.version() == Version::HTTP_11;
        Ok(response.map(|incoming| {
            if incoming.is_end_stream() {
                Body::empty()
            } else {
                Body::streamed(incoming).with_guard(self)
            }
        }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        // hyper is ready only after it wrote the whole request, read the whole answer, and found nothing behind it.
        if self.reusable && connection.sender.is_ready() {
            self.shared.check_in(connection);
        } else {
            connection.wire.abort();
        }
    }
}

/// On the heap, to take no room where it is waited for.
fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

/// Frames the request from its body alone (RFC 9112 §6.1, §6.2). Left to itself, hyper believes a given Content-Length
/// and drops a body of unknown length from GET and HEAD.
fn frame(request: &mut Request<Body>) {
    *request.version_mut() = Version::HTTP_11;
    let is_empty = request.body().is_end_stream();
    let is_sized = request.body().size_hint().exact().is_some();
    let expects_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let headers = request.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    if is_empty && expects_body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    } else if !is_empty && !is_sized {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Refuses framing that another reader could read differently (RFC 9112 §6.3).
fn check_framing(headers: &HeaderMap) -> Result<(), UpstreamError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), lengths.next()) {
        (None, None) => return Ok(()),
        (Some(_), Some(_)) => {
            return Err(UpstreamError::bad_response(
                "it has both Transfer-Encoding and Content-Length",
            ));
        }
        (Some(coding), None) if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            return Err(UpstreamError::bad_response(
                "its Transfer-Encoding is not `chunked`",
            ));
        }
        (None, Some(length)) if !is_plain_number(length.as_bytes()) => {
            return Err(UpstreamError::bad_response("its Content-Length is not a number"));
        }
        _ => {}
    }
    if codings.next().is_some() || lengths.next().is_some() {
        return Err(UpstreamError::bad_response("a framing field is repeated"));
    }
    Ok(())
}

/// Digits without a leading zero: no sign, no list, no space (RFC 9112 §6.3 rule 5).
fn is_plain_number(text: &[u8]) -> bool {
    match text {
        [b'0'] => true,
        [b'0', ..] | [] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

/// A 101 must name the protocol that was asked for, and that alone (RFC 9110 §7.8).
fn check_upgrade(headers: &HeaderMap, asked: Option<&HeaderValue>) -> Result<(), UpstreamError> {
    let Some(asked) = asked else {
        return Err(UpstreamError::bad_response("it switches protocols unasked"));
    };
    let mut named = headers.get_all(UPGRADE).iter();
    let is_asked = named
        .next()
        .is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(asked.as_bytes()));
    let is_hop = headers.get_all(CONNECTION).iter().any(|line| {
        line.as_bytes()
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    if is_asked && is_hop && named.next().is_none() {
        Ok(())
    } else {
        Err(UpstreamError::bad_response("it switches to another protocol"))
    }
}

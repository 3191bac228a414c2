//! The app that `logto-proxy dev` puts behind the proxy: it shows what an upstream gets to see.
//!
//! Promise: it believes the `X-User-*` fields and nothing else, as a real app behind the proxy would, and has a
//! path for each kind of traffic. Loopback only, like everything in development. It knows neither cookies nor
//! tokens; that it needs none is the point it makes.

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use maud::{Markup, html};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::loopback::{LoopbackListener, loopback_host};
use super::page::{Policy, page};
use super::reply::{self, Reply};
use crate::tasks::Tasks;

mod websocket;

/// How long a request's head may take, and an idle connection stays.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long answers in flight may take once the app is told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// Time between two events of `/events`.
const TICK: Duration = Duration::from_secs(1);
/// Bytes sent at once by `/bytes/{n}`.
const CHUNK_BYTES: u64 = 64 * 1024;
static CHUNK: [u8; 64 * 1024] = [b'x'; 64 * 1024];

/// A demo app bound to its address and not yet serving.
#[derive(Debug)]
pub struct DemoApp {
    listener: LoopbackListener,
    prefix: String,
}

/// What a connection needs to answer.
struct Context {
    prefix: String,
    tasks: Tasks,
    shutdown: CancellationToken,
}

impl DemoApp {
    /// Binds. `prefix` is where the proxy's own endpoints are (`/.logto`), for the links on the page. An address
    /// that is not loopback is `InvalidInput`; port 0 takes a free port.
    pub async fn bind(address: SocketAddr, prefix: impl Into<String>) -> io::Result<Self> {
        let listener = LoopbackListener::bind(address).await?;
        Ok(Self {
            listener,
            prefix: prefix.into(),
        })
    }

    /// The address bound to.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// `http://ADDRESS`, what the proxy's `upstream` is set to.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Serves until `shutdown` fires. Connections are `tasks` of their own and end within a second after it.
    pub async fn serve(self, shutdown: CancellationToken, tasks: Tasks) {
        let context = Arc::new(Context {
            prefix: self.prefix,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        });
        let connection = move |stream| connection(stream, Arc::clone(&context));
        self.listener.serve(shutdown, tasks, connection).await;
    }
}

async fn connection(stream: TcpStream, context: Arc<Context>) {
    let shutdown = context.shutdown.clone();
    let service = service_fn(move |request| {
        let context = Arc::clone(&context);
        async move { Ok::<_, Infallible>(answer(&context, request)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(SHUTDOWN_GRACE, connection).await;
        }
    }
}

fn answer(context: &Context, request: Request<Incoming>) -> Reply {
    if loopback_host(request.headers(), request.uri()).is_none() {
        return reply::text(
            StatusCode::MISDIRECTED_REQUEST,
            "This server answers to loopback names only.\n",
        );
    }
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.path())
        .to_owned();
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    match path.as_str() {
        "/" if get => home(context, request.headers()),
        "/public" if get => public(request.headers()),
        "/lab" if get => lab(request.headers()),
        path if get && (path == "/headers" || path.starts_with("/api/")) => {
            reply::json(StatusCode::OK, &received(request.headers()))
        }
        "/events" if get => events(),
        "/echo" if request.method() == Method::POST => echo(request),
        "/ws" if get => web_socket(context, request),
        path => match path.strip_prefix("/bytes/").map(str::parse) {
            Some(Ok(count)) if get => bytes_of(count),
            _ => reply::text(StatusCode::NOT_FOUND, "There is nothing here.\n"),
        },
    }
}

fn home(context: &Context, headers: &HeaderMap) -> Reply {
    let prefix = &context.prefix;
    let body = html! {
        @if let Some(subject) = user_field(headers, "x-user-sub") {
            p #greeting data-subject=(subject) { "Hello, " strong { (user_field(headers, "x-user-name").unwrap_or_else(|| subject.clone())) } "." }
            dl {
                @for (label, name) in [("Email", "x-user-email"), ("Roles", "x-user-roles"), ("Organizations", "x-user-orgs"), ("Hugging Face user", "x-user-hf-username")] {
                    @if let Some(value) = user_field(headers, name) { dt { (label) } dd { (value) } }
                }
            }
            nav { a href={ (prefix) "/sign-out" } id="sign-out" { "Sign out" } a href={ (prefix) "/user" } { "Session as JSON" } }
        } @else {
            p #greeting { "You are signed out." }
            nav { a href={ (prefix) "/sign-in" } id="sign-in" { "Sign in" } a href={ (prefix) "/sign-up" } id="sign-up" { "Sign up" } }
        }
        h2 { "What this app received" }
        (table(headers))
        nav { a href="/public" { "Public page" } a href="/lab" { "Lab" } a href="/headers" { "Headers as JSON" } a href="/events" { "Events" } }
    };
    reply::html(StatusCode::OK, page("Demo app", &body), &Policy::new().text())
}

fn public(headers: &HeaderMap) -> Reply {
    let body = html! {
        p { "Everyone may read this page." }
        @if let Some(subject) = user_field(headers, "x-user-sub") { p { "The proxy says you are " code { (subject) } "." } }
        nav { a href="/" { "Demo app" } }
    };
    reply::html(StatusCode::OK, page("Public page", &body), &Policy::new().text())
}

/// For the route of `dev` that asks for an organization at Hugging Face.
fn lab(headers: &HeaderMap) -> Reply {
    let body = html! {
        p { "Members of example-lab may read this page." }
        @if let Some(account) = user_field(headers, "x-user-hf-username") { p { "You are " code { (account) } " at Hugging Face." } }
        nav { a href="/" { "Demo app" } }
    };
    reply::html(StatusCode::OK, page("Lab", &body), &Policy::new().text())
}

/// An identity field as the proxy writes it: UTF-8 in `%XX`.
fn user_field(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn table(headers: &HeaderMap) -> Markup {
    html! {
        table #headers {
            thead { tr { th scope="col" { "Header" } th scope="col" { "Value" } } }
            tbody { @for (name, value) in headers { tr { td { (name) } td { (String::from_utf8_lossy(value.as_bytes())) } } } }
        }
    }
}

/// Field names with their values; several lines of one name stay several.
fn received(headers: &HeaderMap) -> Value {
    let mut fields = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        fields.insert(name.to_string(), json!(values));
    }
    Value::Object(fields)
}

/// Server-sent events: a number a second, for ever.
fn events() -> Reply {
    let ticks = stream::unfold(0_u64, |count| async move {
        if count > 0 {
            tokio::time::sleep(TICK).await;
        }
        let event = Bytes::from(format!(
            "id: {count}\nevent: tick\ndata: {{\"count\":{count}}}\n\n"
        ));
        Some((Ok::<_, io::Error>(Frame::data(event)), count.saturating_add(1)))
    });
    streamed("text/event-stream", StreamBody::new(ticks).boxed_unsync())
}

/// The request's body, back as it comes.
fn echo(request: Request<Incoming>) -> Reply {
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let body = request.into_body().map_err(io::Error::other).boxed_unsync();
    let mut reply = streamed("application/octet-stream", body);
    if let Some(content_type) = content_type {
        reply.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    reply
}

/// `count` bytes, never more than a chunk of them in memory.
fn bytes_of(count: u64) -> Reply {
    let chunks = stream::unfold(count, |left| async move {
        let length = usize::try_from(left.min(CHUNK_BYTES))
            .ok()
            .filter(|length| *length > 0)?;
        let chunk = Bytes::from_static(CHUNK.get(..length)?);
        Some((
            Ok::<_, io::Error>(Frame::data(chunk)),
            left.saturating_sub(CHUNK_BYTES),
        ))
    });
    let mut reply = streamed("application/octet-stream", StreamBody::new(chunks).boxed_unsync());
    reply
        .headers_mut()
        .insert(::http::header::CONTENT_LENGTH, HeaderValue::from(count));
    reply
}

fn streamed(content_type: &'static str, body: reply::Body) -> Reply {
    let mut reply = Response::new(body);
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

fn web_socket(context: &Context, mut request: Request<Incoming>) -> Reply {
    let Some(reply) = websocket::handshake(request.headers()) else {
        return reply::text(StatusCode::UPGRADE_REQUIRED, "This path speaks WebSocket 13.\n");
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let shutdown = context.shutdown.clone();
    context.tasks.spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            tokio::select! {
                _ = websocket::echo(TokioIo::new(upgraded)) => {}
                () = shutdown.cancelled() => {}
            }
        }
    });
    reply
}

#[cfg(test)]
mod tests;

//! A plain app to stand behind the proxy: it knows nothing of authentication and shows what reaches it.
//!
//! `/headers` (JSON), `/events` (three server-sent events, a moment apart), `/ws` (WebSocket echo); every other path is
//! a page that shows the path and the headers.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use logto_proxy::tasks::Tasks;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Between two events: long enough that a proxy which waits for the end of the answer is caught.
const BETWEEN_EVENTS: Duration = Duration::from_millis(700);

/// The app on a loopback port, until dropped.
pub struct App {
    address: String,
    _server: JoinSet<()>,
}

impl App {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a loopback port is free");
        let address = format!(
            "http://{}",
            listener.local_addr().expect("a bound socket has an address")
        );
        let mut server = JoinSet::new();
        server.spawn(accept(listener));
        Self {
            address,
            _server: server,
        }
    }

    /// What `upstream` is set to.
    pub fn address(&self) -> &str {
        &self.address
    }
}

async fn accept(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .with_upgrades();
        connections.spawn(async move {
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let response = match target {
        "/headers" => typed("application/json", headers_as_json(request.headers())),
        "/events" => events(),
        "/ws" => echo(request),
        _ => typed("text/html; charset=utf-8", page(target, request.headers())),
    };
    Ok(response)
}

fn typed(content_type: &str, text: String) -> Response<Body> {
    Response::builder()
        .header(CONTENT_TYPE, content_type)
        .body(Full::from(text).boxed_unsync())
        .expect("a well-formed answer")
}

fn headers_as_json(headers: &HeaderMap) -> String {
    let pairs = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), serde_json::Value::String(value))
    });
    serde_json::Value::Object(pairs.collect()).to_string()
}

fn page(target: &str, headers: &HeaderMap) -> String {
    let mut rows = String::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = write!(
            rows,
            "<tr><td>{name}</td><td>{}</td></tr>",
            value.replace('&', "&amp;").replace('<', "&lt;")
        );
    }
    let target = target.replace('&', "&amp;").replace('<', "&lt;");
    format!("<!doctype html><title>app</title><h1>{target}</h1><table>{rows}</table>")
}

fn events() -> Response<Body> {
    let frames = stream::unfold(1, |number| async move {
        if number > 1 {
            tokio::time::sleep(BETWEEN_EVENTS).await;
        }
        let event = Bytes::from(format!("data: {number}\n\n"));
        (number <= 3).then_some((Ok(Frame::data(event)), number + 1))
    });
    Response::builder()
        .header(CONTENT_TYPE, "text/event-stream")
        .body(StreamBody::new(frames).boxed_unsync())
        .expect("a well-formed answer")
}

fn echo(mut request: Request<Incoming>) -> Response<Body> {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        let mut refusal = typed("text/plain", "a WebSocket handshake was expected".to_owned());
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return refusal;
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    Tasks::new().spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, accept)
        .body(Full::default().boxed_unsync())
        .expect("a well-formed answer")
}

//! What the provider sends of its own accord: logout tokens and webhooks, to loopback and nowhere else.
//!
//! Sent once: no redirect is followed and nothing is tried again.

use ::http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use ::http::{HeaderValue, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use url::{Host, Url};

use super::control::Control;
use super::state::Shared;
use crate::clock::monotonic;

/// How many deliveries are remembered.
const REMEMBERED: usize = 100;
/// Bytes of an answer that are read; nobody looks at them.
const ANSWER_BYTES: usize = 64 * 1024;

/// One message sent, and what became of it. At Logto only its audit log would tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where it was sent.
    pub url: String,
    /// What it was.
    pub kind: DeliveryKind,
    /// The status of the answer.
    pub outcome: Result<u16, DeliveryError>,
    /// From the start to the end of the answer.
    pub took: Duration,
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A logout token (OpenID Connect Back-Channel Logout 1.0).
    LogoutToken,
    /// A webhook.
    Webhook,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Nobody has said where to send it, or nobody with that name is known.
    #[error("there is nowhere to send it, or nobody to send it about")]
    Nowhere,
    /// The URL leads away from this machine.
    #[error("the address is not loopback, and the development servers call nobody else")]
    NotLoopback,
    /// A key or a signature could not be made.
    #[error("it could not be signed")]
    NotSigned,
    /// Nothing listens there, or the connection broke.
    #[error("nobody answers")]
    Unreachable,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
}

/// A message on its way.
pub(super) struct Message {
    pub(super) kind: DeliveryKind,
    pub(super) url: String,
    pub(super) content_type: &'static str,
    pub(super) user_agent: &'static str,
    /// One field more.
    pub(super) field: Option<(&'static str, String)>,
    pub(super) body: Bytes,
    /// How long the whole exchange may take.
    pub(super) limit: Duration,
}

impl Control {
    /// Requests to this origin, such as `https://app.example.com`, go to that address in plain text: the test stands for
    /// the balancer that ends TLS. An address that is not loopback is refused when something is sent.
    pub fn route(&self, origin: &str, address: SocketAddr) {
        self.shared.state().routes.insert(origin.to_owned(), address);
    }

    /// What was sent last and what became of it, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.state().deliveries.iter().cloned().collect()
    }
}

/// Sends a message and remembers what became of it.
pub(super) async fn send(shared: &Shared, message: Message) -> Result<u16, DeliveryError> {
    let (url, kind, limit) = (message.url.clone(), message.kind, message.limit);
    let started = monotonic();
    let outcome = match destination(shared, &message.url) {
        Ok((address, url)) => tokio::time::timeout(limit, exchange(address, &url, message))
            .await
            .unwrap_or(Err(DeliveryError::TimedOut)),
        Err(error) => Err(error),
    };
    let mut state = shared.state();
    if state.deliveries.len() >= REMEMBERED {
        state.deliveries.pop_front();
    }
    state.deliveries.push_back(Delivery {
        url,
        kind,
        outcome,
        took: started.elapsed(),
    });
    outcome
}

/// The loopback address that a URL leads to.
fn destination(shared: &Shared, text: &str) -> Result<(SocketAddr, Url), DeliveryError> {
    let url = Url::parse(text).map_err(|_| DeliveryError::Nowhere)?;
    let routed = shared
        .state()
        .routes
        .get(&url.origin().ascii_serialization())
        .copied();
    let address = match routed {
        Some(address) => address,
        None if url.scheme() == "http" => {
            let ip = match url.host() {
                Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
                Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
                Some(Host::Domain("localhost")) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                _ => return Err(DeliveryError::NotLoopback),
            };
            SocketAddr::new(ip, url.port_or_known_default().unwrap_or(80))
        }
        None => return Err(DeliveryError::NotLoopback),
    };
    if !address.ip().to_canonical().is_loopback() {
        return Err(DeliveryError::NotLoopback);
    }
    Ok((address, url))
}

async fn exchange(address: SocketAddr, url: &Url, message: Message) -> Result<u16, DeliveryError> {
    let request = request(url, message).ok_or(DeliveryError::Nowhere)?;
    let stream = TcpStream::connect(address)
        .await
        .map_err(|_| DeliveryError::Unreachable)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| DeliveryError::Unreachable)?;
    let driving = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    let asking = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        // A body too long or cut short does not change what the status said.
        let _ = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        Ok::<_, hyper::Error>(status)
    };
    tokio::select! {
        status = asking => status.map_err(|_| DeliveryError::Unreachable),
        never = driving => match never {},
    }
}

fn request(url: &Url, message: Message) -> Option<Request<Full<Bytes>>> {
    let host = url.host_str()?;
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut request = Request::post(target)
        .header(HOST, authority)
        .header(CONTENT_TYPE, message.content_type)
        .header(USER_AGENT, HeaderValue::from_static(message.user_agent));
    if let Some((name, value)) = message.field {
        request = request.header(name, value);
    }
    request.body(Full::new(message.body)).ok()
}

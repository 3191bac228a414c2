//! A strict OpenID provider that behaves as Logto does, in memory, on loopback.
//!
//! Promise: where Logto refuses, so does this; where Logto has a habit that a relying party must survive
//! (silent dropping of parameters, grants shared by a browser, one pending sign-in a client), it is here too.
//! Knows nothing of the proxy. Tests steer it through [`Control`], which no request can reach.

mod access_token;
mod authorization_request;
mod authorize;
mod call;
mod client_authentication;
mod connector;
mod control;
mod delivery;
mod discovery;
mod end_session;
mod error;
mod expiring;
mod extra_parameters;
mod fault;
mod hugging_face_account;
mod id_token;
mod keys;
mod logout_token;
mod machine;
mod parameters;
mod people;
mod persona;
mod resource;
mod revocation;
mod router;
mod settings;
mod sign_in;
mod social;
mod social_account;
mod state;
mod token;
mod userinfo;
mod vault;
mod webhook;
mod wrong_signature;

#[cfg(test)]
mod tests;

pub use access_token::{AccessTokenFault, AccessTokenJwt};
pub use authorization_request::SCOPES as LOGTO_SCOPES;
pub use connector::{Connector, ProfileMap};
pub use control::{Control, Counts, KeyError};
pub use delivery::{Delivery, DeliveryError, DeliveryKind};
pub use fault::{CallbackIssuerFault, EndpointFault, Faults, IdTokenFault, Misbehaviour};
pub use logout_token::{LogoutToken, LogoutTokenFault};
pub use persona::{HuggingFaceAccount, Organization, Persona};
pub use resource::{ApiResource, ORGANIZATIONS, Permission};
pub use settings::{Client, ClientSecret, HostName, Machine, ProviderSettings};
pub use social_account::SocialAccount;
pub use vault::TokenStorage;
pub use webhook::{Hook, HookEvent, SIGNATURE_FIELD, Webhook};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::loopback::LoopbackListener;
use crate::tasks::Tasks;
use error::Failure;
use state::Shared;

/// Logto closes an idle connection after this long, which a client's pool must reckon with.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long answers in flight may take once the provider is told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// A provider bound to its address and not yet serving.
pub struct Provider {
    listener: LoopbackListener,
    shared: Arc<Shared>,
}

impl Provider {
    /// Binds and makes the first signing key. An address that is not loopback is `InvalidInput`; port 0 takes a
    /// free port.
    pub async fn bind(address: SocketAddr, settings: ProviderSettings) -> io::Result<Self> {
        let listener = LoopbackListener::bind(address).await?;
        let bound = listener.address();
        let base_url = match settings.host_name {
            HostName::Address => format!("http://{bound}"),
            HostName::Localhost => format!("http://localhost:{}", bound.port()),
        };
        let shared = Shared::new(settings, bound, base_url).map_err(io::Error::other)?;
        Ok(Self {
            listener,
            shared: Arc::new(shared),
        })
    }

    /// The provider of a control again, after it was shut down: on the same address, and it remembers everything.
    pub async fn bind_again(control: &Control) -> io::Result<Self> {
        let shared = Arc::clone(&control.shared);
        let listener = LoopbackListener::bind(shared.address).await?;
        Ok(Self { listener, shared })
    }

    /// The address bound to.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// What a relying party calls Logto's endpoint: `http://127.0.0.1:PORT` or `http://localhost:PORT`.
    pub fn base_url(&self) -> String {
        self.shared.base_url.clone()
    }

    /// The issuer: the base URL and `/oidc`.
    pub fn issuer(&self) -> String {
        self.shared.issuer.clone()
    }

    /// The hand on this provider, good for as long as it serves.
    pub fn control(&self) -> Control {
        Control {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Serves until `shutdown` fires. Connections are `tasks` of their own and end within a second after it.
    pub async fn serve(self, shutdown: CancellationToken, tasks: Tasks) {
        let shared = self.shared;
        let ending = shutdown.clone();
        let connection = move |stream| connection(stream, Arc::clone(&shared), ending.clone());
        self.listener.serve(shutdown, tasks, connection).await;
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, shutdown: CancellationToken) {
    let service = service_fn(move |request| router::serve(Arc::clone(&shared), request));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            let _ = tokio::time::timeout(SHUTDOWN_GRACE, &mut connection).await;
            return;
        }
    };
    if ended.is_err_and(|error| is_reset_on_purpose(&error)) {
        // Without lingering, closing sends RST instead of FIN.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

fn is_reset_on_purpose(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<Failure>())
        .is_some_and(|failure| *failure == Failure::Reset)
}

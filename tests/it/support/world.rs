//! A running proxy and all that is around it.

use super::{Browser, Upstream, raw};
use logto_proxy::clock::{Clock, ClockHand};
use logto_proxy::config::{self, Environment};
use logto_proxy::dev::provider::{Control, Provider};
use logto_proxy::live::{ReloadHandle, Reloaded};
use logto_proxy::session::Revocations;
use logto_proxy::tasks::Tasks;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What [`Builder::start`](super::proxy::Builder::start) made. Dropped, the proxy ends.
pub struct World {
    pub address: SocketAddr,
    pub admin: Option<SocketAddr>,
    pub upstream: Upstream,
    pub logto: Control,
    pub issuer: String,
    pub logto_url: String,
    pub clock: Clock,
    pub hand: ClockHand,
    pub origin: String,
    pub running: JoinHandle<Result<bool, logto_proxy::app::StartError>>,
    pub stop: CancellationToken,
    /// The configuration it was started with.
    pub text: String,
    pub reloads: ReloadHandle,
    pub revocations: Arc<Revocations>,
    pub(super) provider: Option<Provider>,
    pub(super) stop_provider: Arc<Mutex<CancellationToken>>,
    pub(super) _stop_on_drop: DropGuard,
}

impl World {
    /// A new browser: no cookies.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.origin, self.address)
    }

    /// A browser that has signed in as a persona.
    pub async fn signed_in(&self, persona: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(persona, "/.logto/sign-in").await;
        assert!(answer.status < 400, "signed in: {answer:?}");
        self.upstream.forget();
        browser
    }

    /// Sends bytes and returns all that comes back until the proxy closes or is silent.
    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        raw::exchange(self.address, bytes.as_ref()).await
    }

    /// Puts another configuration in force.
    pub async fn reload(&self, text: &str) -> Reloaded {
        let read = config::parse_str("test.toml", text, Environment::new(Vec::new()));
        self.reloads.reload(read).await.unwrap()
    }

    pub fn start_provider(&mut self) {
        if let Some(provider) = self.provider.take() {
            let stop = self.stop_provider.lock().unwrap().clone();
            tokio::spawn(provider.serve(stop, Tasks::new()));
        }
    }

    /// Logto goes down, until [`World::restart_provider`].
    pub async fn stop_provider(&self) {
        self.stop_provider.lock().unwrap().cancel();
        let address = self.logto_url.trim_start_matches("http://").to_owned();
        super::eventually("Logto is down", || async {
            tokio::net::TcpStream::connect(&address).await.is_err()
        })
        .await;
    }

    /// Logto is back, on the same address, and remembers everything.
    pub async fn restart_provider(&self) {
        let provider = Provider::bind_again(&self.logto).await.unwrap();
        let stop = CancellationToken::new();
        *self.stop_provider.lock().unwrap() = stop.clone();
        tokio::spawn(provider.serve(stop, Tasks::new()));
    }

    /// Ends the proxy in good order; the rest of the world goes on.
    pub async fn shut_down(&mut self) {
        self.stop.cancel();
        assert!(matches!((&mut self.running).await, Ok(Ok(_))));
    }

    /// What the health listener answers: status and body.
    pub async fn health(&self, path: &str) -> (u16, String) {
        raw::health(self.admin.unwrap(), path).await
    }

    /// Waits until a sign-in can be begun.
    pub async fn until_ready(&self) {
        super::eventually("the proxy knows Logto", || async {
            let mut browser = self.browser();
            browser.navigate("/.logto/sign-in").await.status == 302
                && (self.admin.is_none() || self.health("/readyz").await.0 == 200)
        })
        .await;
    }
}

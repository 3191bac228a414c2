//! From a configuration to a proxy that runs until it is told to stop, and then loses nothing.

use crate::admin::Admin;
use crate::clock::Clock;
use crate::config::Config;
use crate::listen::{Acceptor, BoundListener, Workers};
use crate::live::{self, CompileError, Compiled, ListenAddress, Live, Reloader, Reloads};
use crate::store::Store;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Why the proxy could not start. Nothing is bound then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A value of the configuration that only shows to be wrong when it is put together with others.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// An address to listen on is taken, absent or forbidden.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address as configured.
        address: ListenAddress,
        /// What the system says.
        error: io::Error,
    },
    /// The system gave no thread or runtime.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// A proxy whose addresses are bound and known, not serving yet.
#[derive(Debug)]
pub struct App {
    listeners: Vec<BoundListener>,
    admin: Option<Admin>,
    live: Arc<Live>,
    workers: NonZeroUsize,
    connections: usize,
    config: Config,
    tasks: Tasks,
}

/// How long a start waits for a store that is away.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

impl App {
    /// Compiles the configuration and binds every address. The runtime that calls it carries the calls to
    /// Logto, so it has to live as long as the proxy.
    pub async fn bind(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let tasks = Tasks::on(tokio::runtime::Handle::current());
        let compiled = live::compile(config, clock, &tasks, &Metrics::new())?;
        Self::bind_compiled(compiled, tasks).await
    }

    /// Starts the store, then binds every address of a compiled configuration. `tasks` are those it was compiled with.
    pub async fn bind_compiled(compiled: Compiled, tasks: Tasks) -> Result<Self, StartError> {
        let metrics = compiled.gate.metrics.clone();
        // What other replicas ended while this one was not there is known before the first request is served, if the store can
        // be reached. Nobody is let wait for that: a balancer that finds nobody listening goes to another replica.
        let store = compiled.gate.endpoints.store.clone();
        store.start();
        let _ = tokio::time::timeout(STORE_PATIENCE, store.caught_up()).await;
        let live = Arc::new(Live::new(compiled.gate, compiled.serving));
        let mut listeners = Vec::new();
        for address in &compiled.listen {
            let bound = BoundListener::bind(address)
                .await
                .map_err(|error| StartError::Listen {
                    address: address.clone(),
                    error,
                })?;
            listeners.push(bound);
        }
        let admin = match &compiled.admin {
            None => None,
            Some(address) => match Admin::bind(address, Arc::clone(&live), metrics).await {
                Ok(admin) => Some(admin),
                Err(error) if compiled.admin_is_default => {
                    tracing::warn!(%address, %error, "no health listener; set admin.listen to choose its address");
                    None
                }
                Err(error) => {
                    let address = address.clone();
                    return Err(StartError::Listen { address, error });
                }
            },
        };
        Ok(Self {
            listeners,
            admin,
            live,
            workers: compiled.workers,
            connections: compiled.connections,
            config: compiled.config,
            tasks,
        })
    }

    /// The addresses that it listens on, as bound.
    pub fn addresses(&self) -> Vec<ListenAddress> {
        self.listeners
            .iter()
            .map(|listener| listener.address().clone())
            .collect()
    }

    /// What is known about sessions besides their cookies.
    pub fn store(&self) -> Store {
        self.live.gate().endpoints.store.clone()
    }

    /// The address of the health listener, as bound.
    pub fn admin_address(&self) -> Option<ListenAddress> {
        self.admin.as_ref().map(|admin| admin.address().clone())
    }

    /// Serves until `stop` is cancelled, putting in force what `reloads` brings. Then it drains: `/readyz` turns 503,
    /// after the delay no connection is accepted any more, requests in flight finish, tunnels are closed. Says whether
    /// all of it was done in time.
    pub async fn run(self, stop: CancellationToken, reloads: Reloads) -> Result<bool, StartError> {
        let gate = self.live.gate();
        gate.endpoints.logto.start();
        drop(gate);
        let workers = Workers::start(self.workers, &self.live)?;
        let places = Arc::new(Semaphore::new(self.connections));
        let stop_accepting = CancellationToken::new();
        let acceptors = Tasks::new();
        for listener in self.listeners {
            let acceptor = Acceptor {
                places: Arc::clone(&places),
                dealer: workers.dealer(),
                stop: stop_accepting.clone(),
            };
            drop(acceptors.spawn(acceptor.run(listener)));
        }
        let stop_admin = CancellationToken::new();
        let admins = Tasks::new();
        if let Some(admin) = self.admin {
            drop(admins.spawn(admin.run(stop_admin.clone())));
        }

        let reloader = Reloader::new(Arc::clone(&self.live), self.config);
        stop.run_until_cancelled(reloader.run(reloads)).await;
        self.live.begin_draining();
        tracing::info!("stopping");
        let serving = self.live.serving();
        tokio::time::sleep(serving.shutdown_delay).await;
        stop_accepting.cancel();
        // Only then do the workers see every connection that was accepted.
        acceptors.drained().await;
        let in_time = workers.drain(serving.shutdown_timeout).await;
        let gate = self.live.gate();
        gate.endpoints.logto.stop();
        gate.endpoints.store.stop();
        drop(gate);
        // Token calls and revocations have their own limits, well below this one.
        let settled = tokio::time::timeout(serving.shutdown_timeout, self.tasks.drained())
            .await
            .is_ok();
        stop_admin.cancel();
        admins.drained().await;
        Ok(in_time && settled)
    }
}

//! Workers: one thread, one runtime and one upstream pool each.

use super::accept::Accepted;
use super::activity::{Deadlines, Watchdog, Watched};
use super::connection;
use super::sweep;
use crate::http::body::Body;
use crate::http::forwarded::Peer;
use crate::live::{Live, WorkerSettings};
use crate::request::RawRequest;
use crate::session::Revocations;
use crate::streams::{ConnectionStreams, Streams};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::upstream::{self, Pool};
use ::http::Response;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// A connection on its way to a worker.
type Dealt = (Accepted, Peer, OwnedSemaphorePermit);

/// Deals connections out to the workers in turn.
#[derive(Debug, Clone)]
pub struct Dealer {
    queues: Arc<Vec<mpsc::UnboundedSender<Dealt>>>,
    next: Arc<AtomicUsize>,
}

impl Dealer {
    /// Gives a connection to the next worker. The number waiting is bounded by the places for connections.
    pub(super) fn deal(&self, connection: Accepted, peer: Peer, place: OwnedSemaphorePermit) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let index = turn.checked_rem(self.queues.len()).unwrap_or(0);
        if let Some(queue) = self.queues.get(index) {
            // A worker that is gone drops the connection, which closes it.
            let _ = queue.send((connection, peer, place));
        }
    }
}

/// All workers.
#[derive(Debug)]
pub struct Workers {
    dealer: Dealer,
    draining: CancellationToken,
    stopping: CancellationToken,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Workers {
    /// Starts them. Whatever is in flight of a session ends when `revocations` say so.
    pub fn start(
        count: NonZeroUsize,
        settings: WorkerSettings,
        live: &Arc<Live>,
        upstream: &Arc<upstream::Settings>,
        revocations: &Arc<Revocations>,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let draining = CancellationToken::new();
        let stopping = CancellationToken::new();
        let mut queues = Vec::new();
        let mut threads = Vec::new();
        for index in 0..count.get() {
            let (queue, connections) = mpsc::unbounded_channel();
            queues.push(queue);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let tasks = Tasks::new();
            let worker = Arc::new(Worker {
                settings,
                live: Arc::clone(live),
                pool: Pool::new(Arc::clone(upstream), tasks.clone()),
                connections: Tasks::new(),
                streams: Streams::new(metrics.clone()),
                revocations: Arc::clone(revocations),
                watchdog: Watchdog::new(Deadlines {
                    header: settings.header_timeout,
                    idle: settings.idle_timeout,
                }),
                // A child of its own: every poll of a connection takes the lock of its token.
                draining: draining.child_token(),
            });
            let stopping = stopping.clone();
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    runtime.block_on(stopping.run_until_cancelled(worker.run(connections)));
                })?;
            threads.push(thread);
        }
        let dealer = Dealer {
            queues: Arc::new(queues),
            next: Arc::default(),
        };
        Ok(Self {
            dealer,
            draining,
            stopping,
            threads,
        })
    }

    /// Where the acceptor brings connections.
    pub fn dealer(&self) -> Dealer {
        self.dealer.clone()
    }

    /// Ends tunnels, lets requests in flight finish, and gives up after `timeout`. Says whether everything finished in
    /// time.
    pub async fn drain(self, timeout: Duration) -> bool {
        self.draining.cancel();
        let Self {
            dealer,
            stopping,
            threads,
            ..
        } = self;
        drop(dealer);
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok()));
        let mut joined = std::pin::pin!(joined);
        if let Ok(finished) = tokio::time::timeout(timeout, joined.as_mut()).await {
            return finished.unwrap_or(false);
        }
        stopping.cancel();
        let _ = joined.await;
        false
    }
}

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    settings: WorkerSettings,
    live: Arc<Live>,
    pool: Pool,
    connections: Tasks,
    streams: Streams,
    revocations: Arc<Revocations>,
    watchdog: Watchdog,
    draining: CancellationToken,
}

impl Worker {
    pub(super) const fn settings(&self) -> &WorkerSettings {
        &self.settings
    }

    pub(super) const fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Serves one request under the configuration of this moment.
    pub(super) fn answer<'a>(
        &'a self,
        raw: RawRequest,
        streams: &'a ConnectionStreams,
    ) -> impl Future<Output = Response<Body>> + Send + use<'a> {
        self.live.gate().pass(raw, &self.pool, streams)
    }

    async fn run(self: Arc<Self>, mut connections: mpsc::UnboundedReceiver<Dealt>) {
        let (watchdog, sweeping) = (self.start_watchdog(), self.start_sweeping());
        while let Some(Some(dealt)) = self.draining.run_until_cancelled(connections.recv()).await {
            self.take(dealt);
        }
        // Nobody can say when a tunnel would have finished.
        self.streams.stop_tunnels();
        // What was accepted before the drain is served too.
        while let Ok(dealt) = connections.try_recv() {
            self.take(dealt);
        }
        self.connections.drained().await;
        self.streams.tunnels_ended().await;
        sweeping.abort();
        watchdog.abort();
    }

    fn start_sweeping(&self) -> AbortHandle {
        let (streams, revocations) = (self.streams.clone(), Arc::clone(&self.revocations));
        Tasks::new()
            .spawn(sweep::run(streams, revocations, Arc::clone(&self.live)))
            .abort_handle()
    }

    fn start_watchdog(self: &Arc<Self>) -> AbortHandle {
        let worker = Arc::clone(self);
        Tasks::new()
            .spawn(async move { worker.watchdog.run().await })
            .abort_handle()
    }

    fn take(self: &Arc<Self>, (connection, peer, place): Dealt) {
        let stream = match connection.register() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection was gone before it was served");
                return;
            }
        };
        let activity = self.watchdog.activity();
        let watched = Watched::new(stream, Arc::clone(&activity), place);
        let worker = Arc::clone(self);
        let serving = Arc::clone(&activity);
        let streams = self.streams.connection();
        let task = self
            .connections
            .spawn(connection::serve(worker, watched, peer, serving, streams.clone()));
        streams.served_by(task.abort_handle());
        self.watchdog.watch(&activity, task.abort_handle());
    }
}

//! Workers: one thread, one runtime and one pool for each upstream.

use super::accept::Accepted;
use super::activity::{Deadlines, Place, Watchdog, Watched};
use super::connection;
use super::sweep;
use crate::http::body::Body;
use crate::http::forwarded::Peer;
use crate::live::{Live, WorkerSettings};
use crate::request::RawRequest;
use crate::streams::{ConnectionStreams, Streams};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::upstream::{Pools, Upstreams};
use ::http::Response;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// Starts them. Whatever is in flight of a session ends when the store says so.
    pub fn start(count: NonZeroUsize, live: &Arc<Live>) -> io::Result<Self> {
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
            let gate = live.gate();
            let worker = Arc::new(Worker {
                live: Arc::clone(live),
                pools: Mutex::new(Pools::new(&gate.upstreams, &tasks)),
                pool_tasks: tasks,
                metrics: gate.metrics.clone(),
                connections: Tasks::new(),
                streams: Streams::new(gate.metrics.clone()),
                watchdog: Watchdog::new(),
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
    live: Arc<Live>,
    /// Its lock is never contended: all that a worker does, it does on one thread.
    pools: Mutex<Pools>,
    pool_tasks: Tasks,
    metrics: Metrics,
    connections: Tasks,
    streams: Streams,
    watchdog: Watchdog,
    draining: CancellationToken,
}

impl Worker {
    /// How a connection is treated that comes now.
    pub(super) fn settings(&self) -> WorkerSettings {
        self.live.serving().connections
    }

    pub(super) const fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Serves one request under the configuration of this moment.
    pub(super) fn answer<'a>(
        &self,
        raw: RawRequest,
        streams: &'a ConnectionStreams,
    ) -> impl Future<Output = Response<Body>> + Send + use<'a> {
        let gate = self.live.gate();
        let pools = self.pools_for(&gate.upstreams);
        gate.pass(raw, &pools, streams)
    }

    /// The pools made for these upstreams. What is not among them any more closes its connections: those that nobody uses
    /// now, the others when their exchanges have ended.
    fn pools_for(&self, upstreams: &Arc<Upstreams>) -> Pools {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if !pools.are_for(upstreams) {
            *pools = pools.followed_by(upstreams, &self.pool_tasks);
        }
        pools.clone()
    }

    /// Follows the configuration where no request does: an old pool must not wait for the next one to be closed.
    fn tick(&self) -> Deadlines {
        self.pools_for(&self.live.gate().upstreams);
        let settings = self.settings();
        Deadlines {
            header: settings.header_timeout,
            idle: settings.idle_timeout,
        }
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
        let streams = self.streams.clone();
        Tasks::new()
            .spawn(sweep::run(streams, Arc::clone(&self.live)))
            .abort_handle()
    }

    fn start_watchdog(self: &Arc<Self>) -> AbortHandle {
        let worker = Arc::clone(self);
        Tasks::new()
            .spawn(async move { worker.watchdog.run(|| worker.tick()).await })
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
        let place = Place {
            _permit: place,
            _open: self.metrics.connection_opened(),
        };
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

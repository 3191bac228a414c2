//! Work that outlives the request that started it.
//!
//! hyper drops a handler's future when its client leaves; a token call or a tunnel must not vanish with it.
//! Everything spawned goes through [`Tasks`], so that shutdown can wait for it. The lint table bans
//! `tokio::spawn` everywhere else.

use std::future::Future;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// A set of spawned tasks that shutdown waits for. Clones share the set.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    runtime: Option<Handle>,
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set whose tasks all run on one runtime, whichever one they are spawned from.
    pub fn on(runtime: Handle) -> Self {
        Self {
            tracker: TaskTracker::new(),
            runtime: Some(runtime),
        }
    }

    /// Runs a future to its end, whoever stops waiting for it.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.runtime {
            Some(runtime) => self.tracker.spawn_on(future, runtime),
            None => self.tracker.spawn(future),
        }
    }

    /// How many tasks are running now.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Waits until every task has ended. Tasks may still be added while it waits.
    pub async fn drained(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

//! Tunnels that outlive the request that opened them.
//!
//! hyper's graceful shutdown does not see an upgraded connection, so they are tracked here: counted, and ended
//! when the proxy stops.

use crate::tasks::Tasks;
use std::future::Future;
use tokio_util::sync::CancellationToken;

/// The open tunnels of one worker or of all. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    tasks: Tasks,
    end: CancellationToken,
}

impl Streams {
    /// No tunnels yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a tunnel; it is handed the token that tells it to end.
    pub fn spawn_tunnel<F, T>(&self, tunnel: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let future = tunnel(self.end.child_token());
        drop(self.tasks.spawn(async move {
            future.await;
        }));
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.tasks.running()
    }

    /// Ends all of them and waits until they are gone.
    pub async fn end(&self) {
        self.end.cancel();
        self.tasks.drained().await;
    }
}

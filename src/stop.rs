//! The signal that ends what a client connection is doing.
//!
//! Promises: whoever waits for it is woken at once, whoever asks later sees it, and the first reason stays. Asking costs
//! one load and waiting no allocation, since every signed-in request waits for one. Refuses to know sessions, and which
//! of them are over.

use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::task::AbortHandle;

/// Why something is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its session is over.
    SessionOver,
    /// The proxy is stopping.
    ProxyStopping,
}

/// One signal. Clones share it. One waits at a time: a request, or the tunnel it became.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    reason: AtomicU8,
    waiter: AtomicWaker,
    connection: OnceLock<AbortHandle>,
}

const RUNNING: u8 = 0;
const SESSION_OVER: u8 = 1;
const PROXY_STOPPING: u8 = 2;

impl Stop {
    /// A signal that was not given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says which task [`Stop::cut`] aborts; only the first word counts.
    pub fn cuts(&self, connection: AbortHandle) {
        let _ = self.0.connection.set(connection);
    }

    /// Gives the signal; whoever waits ends by itself. Says whether it is the first one.
    pub fn stop(&self, reason: Reason) -> bool {
        let word = match reason {
            Reason::SessionOver => SESSION_OVER,
            Reason::ProxyStopping => PROXY_STOPPING,
        };
        let is_first = self
            .0
            .reason
            .compare_exchange(RUNNING, word, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if is_first {
            self.0.waiter.wake();
        }
        is_first
    }

    /// Gives the signal and drops the connection with all that is on its way through it, whether or not the other side
    /// reads. Says whether it is the first one.
    pub fn cut(&self, reason: Reason) -> bool {
        let is_first = self.stop(reason);
        if let Some(connection) = self.0.connection.get() {
            connection.abort();
        }
        is_first
    }

    /// The signal, once it was given.
    pub fn reason(&self) -> Option<Reason> {
        match self.0.reason.load(Ordering::Acquire) {
            SESSION_OVER => Some(Reason::SessionOver),
            PROXY_STOPPING => Some(Reason::ProxyStopping),
            _ => None,
        }
    }

    /// Ready once the signal was given. Only the task that asked last is woken.
    pub fn poll_stopped(&self, context: &mut Context<'_>) -> Poll<Reason> {
        if let Some(reason) = self.reason() {
            return Poll::Ready(reason);
        }
        self.0.waiter.register(context.waker());
        // It may have been given in between.
        self.reason().map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits for the signal.
    pub fn stopped(&self) -> impl Future<Output = Reason> + Send + Unpin + '_ {
        poll_fn(|context| self.poll_stopped(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Tasks;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_one_who_waits_is_woken_and_the_first_reason_stays() {
        for _ in 0..1_000 {
            let stop = Stop::new();
            let waiting = stop.clone();
            let waiter = Tasks::new().spawn(async move { waiting.stopped().await });
            assert!(stop.stop(Reason::SessionOver));
            assert!(!stop.stop(Reason::ProxyStopping));
            let reason = timeout(Duration::from_secs(5), waiter).await.unwrap().unwrap();
            assert_eq!(reason, Reason::SessionOver);
            assert_eq!(stop.stopped().await, Reason::SessionOver, "asked later");
        }
    }

    #[tokio::test]
    async fn the_next_to_wait_is_woken_in_place_of_the_last() {
        let stop = Stop::new();
        assert!(timeout(Duration::from_millis(1), stop.stopped()).await.is_err());
        let waiting = stop.clone();
        let waiter = Tasks::new().spawn(async move { waiting.stopped().await });
        tokio::task::yield_now().await;
        stop.stop(Reason::ProxyStopping);
        assert_eq!(waiter.await.unwrap(), Reason::ProxyStopping);
    }

    #[tokio::test]
    async fn cutting_ends_the_task_that_waits_for_something_else() {
        let stop = Stop::new();
        let task = Tasks::new().spawn(std::future::pending::<()>());
        stop.cuts(task.abort_handle());
        assert!(stop.reason().is_none());
        assert!(stop.cut(Reason::SessionOver));
        assert!(task.await.unwrap_err().is_cancelled());
    }
}

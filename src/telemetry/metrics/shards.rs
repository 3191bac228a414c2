//! Counters that no two workers write in one place.
//!
//! A counter that several threads add to is passed between their processors with each request, which costs more than
//! all else that is counted. So each thread has a copy of its own, and whoever asks adds them up.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Copies. Threads beyond that many share them, which is slower and no less right.
const SHARDS: usize = 8;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The copy of this thread. Only threads that count take one, so that each worker gets its own.
    static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// Two of these never share a cache line, nor the pair of lines that processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// As many copies of some counters as there are shards.
#[derive(Debug, Default)]
pub(super) struct Shards<T>([Apart<T>; SHARDS]);

impl<T> Shards<T> {
    /// Gives this thread's copy to `count`.
    pub(super) fn on_own(&self, count: impl FnOnce(&T)) {
        if let Some(Apart(own)) = self.0.get(OWN.with(|own| *own)) {
            count(own);
        }
    }

    /// All copies, to be added up.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Apart(copy)| copy)
    }
}

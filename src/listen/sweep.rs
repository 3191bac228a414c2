//! Watches over a worker's streams: what is revoked ends at once, what has lived its time soon after.
//!
//! Promises that both are gone within a second. However many notices come at once, the streams are gone through a few
//! times a second at most.

use crate::live::Live;
use crate::session::Revocations;
use crate::streams::Streams;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How long after a sweep the next one is; revocations that come meanwhile are seen together.
const BETWEEN_SWEEPS: Duration = Duration::from_millis(200);
/// How often the time is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Runs for as long as the worker does.
pub(super) async fn run(streams: Streams, revocations: Arc<Revocations>, live: Arc<Live>) {
    let mut changes = revocations.changes();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Ok(()) = changes.changed() => {
                streams.sweep(&revocations, live.gate().clock.now());
                sleep(BETWEEN_SWEEPS).await;
            }
            _ = ticks.tick() => {
                streams.expire(live.gate().clock.now());
            }
        }
    }
}

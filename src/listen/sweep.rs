//! Watches over a worker's streams: what is revoked ends at once, what has lived its time soon after, and what Logto has not
//! confirmed for long is asked about, and judged again.
//!
//! Promises that a revocation and the end of a session close their streams within a second, and that a stream alone, without
//! any further request, does not keep a session from being re-checked, nor a token that Logto judges from being asked about as
//! often. A stream whose rule lets its caller pass no more ends. However many notices come at once, the streams are gone
//! through a few times a second at most.

use crate::bearer::{BearerError, Bearers};
use crate::live::Live;
use crate::proxy::Gate;
use crate::recheck::Outcome;
use crate::session::SessionView;
use crate::session::freshness::Freshness;
use crate::streams::Streams;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How long after a sweep the next one is; revocations that come meanwhile are seen together.
const BETWEEN_SWEEPS: Duration = Duration::from_millis(200);
/// How often the time is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How long after all sessions with streams were confirmed the next look at them is.
const BETWEEN_RECHECKS: Duration = Duration::from_secs(2);
/// Sessions, or tokens, that are asked about at once, a worker.
const RECHECKS_AT_ONCE: usize = 8;

/// Runs for as long as the worker does.
pub(super) async fn run(streams: Streams, live: Arc<Live>) {
    tokio::join!(end_what_is_over(&streams, &live), recheck(&streams, &live));
}

async fn end_what_is_over(streams: &Streams, live: &Live) {
    // The store outlasts every configuration.
    let revocations = Arc::clone(live.gate().endpoints.store.revocations());
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

async fn recheck(streams: &Streams, live: &Live) {
    loop {
        sleep(BETWEEN_RECHECKS).await;
        let gate = live.gate();
        let now = gate.clock.now();
        let due = streams.sessions_due(|view| gate.rechecks.freshness(view, now) != Freshness::Current);
        stream::iter(due)
            .for_each_concurrent(RECHECKS_AT_ONCE, |view| confirm(streams, &gate, view))
            .await;
        // Whoever confirmed them: this, or a request that became a stream itself.
        streams.end_unfit(|view, rule| gate.still_passes(view, rule));
        if let Some(bearers) = &gate.bearers {
            ask(streams, &gate, bearers).await;
        }
    }
}

/// Asks about the tokens of streams that were not asked about for as long as sessions are, or since something was learnt of
/// their user. One that cannot be judged now is asked about at the next look; it has an end of its own.
async fn ask(streams: &Streams, gate: &Gate, bearers: &Bearers) {
    let now = gate.clock.now();
    let revocations = gate.endpoints.store.revocations();
    let due = streams.tokens_due(|token| {
        now >= token.asked_at.plus(gate.rechecks.limits.recheck)
            || revocations.recheck_due(&token.marks(), token.asked_at)
    });
    stream::iter(due)
        .for_each_concurrent(RECHECKS_AT_ONCE, |token| async move {
            match bearers.again(&token).await {
                Ok(caller) => streams.token_asked(&token, now, |rule| {
                    rule.is_none_or(|rule| gate.token_still_passes(&caller, rule))
                }),
                Err(BearerError::Unavailable { .. }) => 0,
                Err(_) => streams.token_asked(&token, now, |_| false),
            };
        })
        .await;
}

/// A stream whose session Logto does not confirm ends with the grace, as a request would be refused then. One that ended is
/// a revocation, which the other loop sees.
async fn confirm(streams: &Streams, gate: &Gate, view: Arc<SessionView>) {
    match gate.rechecks.confirm(&view, gate.clock.now()).await {
        // With what it is now: the next look asks Logto with the newest refresh token.
        Outcome::Confirmed(session) => {
            if let Some(confirmed) = SessionView::of(&session) {
                streams.confirmed(&Arc::new(confirmed));
            }
        }
        Outcome::Kept | Outcome::Ended(_) => {}
        Outcome::Unconfirmed => {
            streams.end_sessions(|held| held.id() == view.id());
        }
        // Nothing can be asked any more. The page is renewed by its next navigation; until then the grace counts.
        Outcome::NeedsSignIn => {
            let now = gate.clock.now();
            if gate.rechecks.freshness(&view, now) == Freshness::Overdue {
                streams.end_sessions(|held| held.id() == view.id());
            }
        }
    }
}

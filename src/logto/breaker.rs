//! The circuit breaker in front of the back channel: while Logto is away, calls fail at once instead of waiting.
//!
//! Promises: three outages in a row hold calls back; from then on Logto is asked by one probe every four seconds, whatever the
//! traffic; an answer, however slow and whatever it says, means that Logto is there. Recovery is told by the background task's
//! fetch of the metadata; where no such task runs, the first call after the pause is the probe. After a recovery that only
//! the metadata told of, one further outage is enough, so that a Logto whose token endpoint alone fails is not pestered.
//!
//! It knows no addresses and sends nothing. Fetches of metadata and keys have a pacing of their own and are never held back.

use super::error::{Call, LogtoError, LogtoErrorKind};
use crate::clock::{Clock, UnixSeconds};
use crate::telemetry::Metrics;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Outages in a row that open the circuit.
const MOST_FAILURES: u32 = 3;
/// Least time between the beginnings of two probes.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(4);
/// After this long without a probe, calls no longer rely on the background task: its runtime may be gone.
const PROBE_OVERDUE: Duration = Duration::from_secs(12);

/// Where the circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Calls pass.
    Closed,
    /// Calls fail at once.
    Open,
    /// Calls pass, but only the metadata were seen to work since the circuit was open.
    Probation,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Outages in a row while closed.
    failures: u32,
    /// When the circuit opened, and the outage that was met last.
    outage: Option<(UnixSeconds, LogtoError)>,
    last_probe: Option<Instant>,
    /// When Logto last answered. An outage of a call that began before says nothing about the time since.
    answered: Option<Instant>,
    /// The log says that Logto is away.
    told: bool,
    /// The circuit opened again out of probation, so the metadata prove little.
    relapsed: bool,
}

/// One circuit for all calls to one Logto.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
    opened: Notify,
    /// A background task probes.
    attended: AtomicBool,
    clock: Clock,
    metrics: Metrics,
}

impl Breaker {
    pub(super) fn new(clock: Clock, metrics: Metrics) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Closed,
                failures: 0,
                outage: None,
                last_probe: None,
                answered: None,
                told: false,
                relapsed: false,
            }),
            opened: Notify::new(),
            attended: AtomicBool::new(false),
            clock,
            metrics,
        }
    }

    /// Says whether a background task probes, and with it whose state the gauge shows: an attended breaker's.
    pub(super) fn set_attended(&self, attended: bool) {
        self.attended.store(attended, Ordering::Relaxed);
        if attended {
            self.metrics.logto_circuit_open(self.is_open());
        }
    }

    /// Whether calls are held back.
    pub(super) fn is_open(&self) -> bool {
        self.state().phase == Phase::Open
    }

    /// Since when calls are held back, and the outage met last.
    pub(super) fn outage(&self) -> Option<(UnixSeconds, LogtoError)> {
        let state = self.state();
        state.outage.clone().filter(|_| state.phase == Phase::Open)
    }

    /// Ends when the circuit has opened since this was last waited for.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Whether a call may be made now. Metadata and keys always may.
    pub(super) fn admit(&self, call: Call, now: Instant) -> Result<(), LogtoError> {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return Ok(());
        }
        if is_probe(call) {
            state.last_probe = Some(now);
            return Ok(());
        }
        let pause = if self.attended.load(Ordering::Relaxed) {
            PROBE_OVERDUE
        } else {
            PROBE_INTERVAL
        };
        let rests = |last: Instant| now.saturating_duration_since(last) < pause;
        if state.last_probe.is_some_and(rests) {
            return Err(LogtoError::new(call, LogtoErrorKind::Away));
        }
        state.last_probe = Some(now);
        Ok(())
    }

    /// Takes notice of how a call ended that began at a moment.
    pub(super) fn ended(&self, call: Call, began: Instant, error: Option<&LogtoError>, now: Instant) {
        let mut state = self.state();
        match error.filter(|error| error.is_transient()) {
            Some(error) => {
                if state.answered.is_some_and(|answered| began < answered) {
                    return;
                }
                match state.phase {
                    Phase::Closed => {
                        state.failures = state.failures.saturating_add(1);
                        if state.failures >= MOST_FAILURES {
                            self.open(&mut state, error, now);
                        }
                    }
                    Phase::Probation => {
                        state.relapsed = true;
                        self.open(&mut state, error, now);
                    }
                    Phase::Open => {
                        if let Some((_, last)) = &mut state.outage {
                            *last = error.clone();
                        }
                    }
                }
            }
            None => {
                state.answered = Some(now);
                if !is_probe(call) {
                    state.failures = 0;
                    state.relapsed = false;
                    self.let_through(&mut state, Phase::Closed);
                } else if state.phase == Phase::Open {
                    self.let_through(&mut state, Phase::Probation);
                }
            }
        }
    }

    fn open(&self, state: &mut State, error: &LogtoError, now: Instant) {
        state.phase = Phase::Open;
        state.failures = 0;
        state.outage = Some((self.clock.now(), error.clone()));
        state.last_probe = Some(now);
        if !state.told {
            state.told = true;
            tracing::warn!(%error, "Logto is away; calls to it are held back until it answers");
        }
        self.show(true);
        self.opened.notify_one();
    }

    fn let_through(&self, state: &mut State, phase: Phase) {
        if state.phase == Phase::Open {
            self.show(false);
        }
        state.phase = phase;
        if state.told && !state.relapsed {
            state.told = false;
            tracing::info!("Logto is reachable again");
        }
    }

    /// After a reload two breakers live for a while; the gauge is the newer one's.
    fn show(&self, open: bool) {
        if self.attended.load(Ordering::Relaxed) {
            self.metrics.logto_circuit_open(open);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The calls that have a pacing of their own, and change nothing.
const fn is_probe(call: Call) -> bool {
    matches!(call, Call::Discovery | Call::Keys)
}

//! What is in flight of which session or token: requests that wait for their answer, answers on their way, WebSockets.
//!
//! Promises that whatever was let pass because of a session ends when that session does: a request without an answer is
//! told so, an answer is cut short so that nobody takes it for whole, a WebSocket is closed. Stops a sign-out, a
//! suspension or the end of a session's life from leaving an open stream behind, to a client that does not read as well.
//! Refuses to know why a session is over; it is told, and looks.
//!
//! A bearer token is to a caller what a session is to a user. What was let pass by a rule ends too when its caller does not
//! fulfil that any more; whoever sweeps judges, and is told by what.
//!
//! One for each worker: its lock is contended by nobody but the sweep.
//!
//! hyper's graceful shutdown does not see an upgraded connection, so all WebSockets are noted here, without a session too,
//! and ended when the proxy stops.

mod again;
mod ground;

use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use crate::session::{Revocations, SessionView};
use crate::stop::{Reason, Stop};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
pub use ground::{Ground, Rule, TokenGround};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// All that is in flight on one worker. Clones share it.
#[derive(Debug, Clone)]
pub struct Streams(Arc<Shared>);

/// What is in flight on one client connection: one request at a time. Clones share it.
#[derive(Debug, Clone)]
pub struct ConnectionStreams {
    streams: Streams,
    stop: Stop,
}

/// A request, its answer or the tunnel it became, for as long as this is kept.
#[derive(Debug)]
pub struct InFlight {
    streams: Streams,
    place: usize,
    stop: Stop,
}

#[derive(Debug)]
struct Shared {
    flights: Mutex<Flights>,
    tunnels: Tasks,
    metrics: Metrics,
}

/// Places for flights; those left are taken again. There are never more than client connections.
#[derive(Debug, Default)]
struct Flights {
    places: Vec<Option<Flight>>,
    free: Vec<usize>,
    is_stopping: bool,
}

#[derive(Debug)]
struct Flight {
    kind: Kind,
    stop: Stop,
    held: Option<Held>,
}

/// What a flight depends on.
#[derive(Debug)]
struct Held {
    ground: Ground,
    until: UnixSeconds,
    rule: Option<Rule>,
    /// When the session was confirmed by which it was judged.
    judged_by: UnixSeconds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing was answered yet.
    Request,
    /// The head of the answer was handed on.
    Response,
    /// A tunnel.
    WebSocket,
}

impl Streams {
    /// Nothing in flight yet.
    pub fn new(metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            flights: Mutex::default(),
            tunnels: Tasks::new(),
            metrics,
        }))
    }

    /// For a new client connection.
    pub fn connection(&self) -> ConnectionStreams {
        ConnectionStreams {
            streams: self.clone(),
            stop: Stop::new(),
        }
    }

    /// Ends what is in flight of sessions and tokens that are revoked, or past the end that [`ConnectionStreams::admit`] was told.
    /// Says how many it ended; each is counted once.
    pub fn sweep(&self, revocations: &Revocations, now: UnixSeconds) -> usize {
        self.end_where(|held| now >= held.until || revocations.ended(&held.ground.marks()).is_some())
    }

    /// As [`Streams::sweep`], for the end that was told alone.
    pub fn expire(&self, now: UnixSeconds) -> usize {
        self.end_where(|held| now >= held.until)
    }

    /// Ends what is in flight of the sessions that `is_over` names.
    pub fn end_sessions(&self, is_over: impl Fn(&SessionView) -> bool) -> usize {
        self.end_where(|held| held.ground.session().is_some_and(|view| is_over(view)))
    }

    /// The sessions in flight, each once, that are due for another look. Of several requests of a session the one that was
    /// confirmed last counts.
    pub fn sessions_due(&self, is_due: impl Fn(&SessionView) -> bool) -> Vec<Arc<SessionView>> {
        let flights = self.lock();
        let mut due: HashMap<_, &Arc<SessionView>> = HashMap::new();
        for view in flights.sessions().filter(|view| is_due(view)) {
            let latest = due.entry(view.id()).or_insert(view);
            if view.checked_at() > latest.checked_at() {
                *latest = view;
            }
        }
        if !due.is_empty() {
            for view in flights.sessions().filter(|view| !is_due(view)) {
                due.remove(&view.id());
            }
        }
        due.into_values().cloned().collect()
    }

    /// Notes that a session in flight was confirmed, and as what: from now on its age, and what Logto is asked with, are of
    /// this one.
    pub fn confirmed(&self, session: &Arc<SessionView>) {
        let mut flights = self.lock();
        let is_older =
            |view: &SessionView| view.id() == session.id() && view.checked_at() < session.checked_at();
        for held in flights.flights_mut().filter_map(|flight| flight.held.as_mut()) {
            if held.ground.session().is_some_and(|view| is_older(view)) {
                held.ground = Ground::Session(Arc::clone(session));
            }
        }
    }

    /// How many requests, answers and tunnels are in flight of sessions, and tunnels without one.
    pub fn in_flight(&self) -> usize {
        let flights = self.lock();
        flights.places.len().saturating_sub(flights.free.len())
    }

    /// Runs a tunnel; it is handed the signal that ends it. `in_flight` is the request that it grew from, where that
    /// depends on a session.
    pub fn spawn_tunnel<F, T>(&self, in_flight: Option<InFlight>, tunnel: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        // Not the connection's own signal: that one would keep its task's memory for as long as the tunnel lives.
        let stop = Stop::new();
        let open = match in_flight {
            Some(in_flight) => in_flight.into_tunnel(&stop),
            None => self.enter(Kind::WebSocket, &stop, None),
        };
        if self.lock().is_stopping {
            stop.stop(Reason::ProxyStopping);
        }
        let counted = self.0.metrics.websocket_opened();
        let running = tunnel(stop);
        drop(self.0.tunnels.spawn(async move {
            running.await;
            drop((open, counted));
        }));
    }

    /// Ends all tunnels, those that are yet to come too: the proxy is stopping.
    pub fn stop_tunnels(&self) {
        let mut flights = self.lock();
        flights.is_stopping = true;
        let stops: Vec<Stop> = flights
            .flights_mut()
            .filter(|flight| flight.kind == Kind::WebSocket)
            .map(|flight| flight.stop.clone())
            .collect();
        drop(flights);
        for stop in stops {
            stop.stop(Reason::ProxyStopping);
        }
    }

    /// Waits until all tunnels are gone.
    pub async fn tunnels_ended(&self) {
        self.0.tunnels.drained().await;
    }

    fn end_where(&self, mut is_over: impl FnMut(&mut Held) -> bool) -> usize {
        let over: Vec<(Kind, Stop)> = self
            .lock()
            .flights_mut()
            .filter_map(|flight| flight.held.as_mut().is_some_and(&mut is_over).then_some(flight))
            .map(|flight| (flight.kind, flight.stop.clone()))
            .collect();
        let mut ended = 0_usize;
        for (kind, stop) in over {
            let is_first = match kind {
                Kind::Response => stop.cut(Reason::SessionOver),
                Kind::Request | Kind::WebSocket => stop.stop(Reason::SessionOver),
            };
            if is_first {
                self.0.metrics.stream_ended(kind.as_str());
                ended = ended.saturating_add(1);
            }
        }
        if ended > 0 {
            tracing::info!(streams = ended, "streams and requests ended with their sessions");
        }
        ended
    }

    fn enter(&self, kind: Kind, stop: &Stop, held: Option<Held>) -> InFlight {
        let flight = Flight {
            kind,
            stop: stop.clone(),
            held,
        };
        InFlight {
            place: self.lock().put(flight),
            streams: self.clone(),
            stop: stop.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Flights> {
        self.0.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionStreams {
    /// Says which task serves the connection; it is aborted when an answer must be cut.
    pub fn served_by(&self, task: AbortHandle) {
        self.stop.cuts(task);
    }

    /// Notes a request that is forwarded because of a session or a token, which is over at `until` at the latest, and by a rule. Whoever
    /// checked it against the revocations must not have waited for anything since: what is revoked from now on is seen by the
    /// next sweep.
    pub fn admit(&self, ground: Ground, until: UnixSeconds, rule: Option<Rule>) -> InFlight {
        let held = Held {
            judged_by: ground
                .session()
                .map_or(UnixSeconds::default(), |view| view.checked_at()),
            ground,
            until,
            rule,
        };
        self.streams.enter(Kind::Request, &self.stop, Some(held))
    }

    /// As [`Streams::spawn_tunnel`].
    pub fn spawn_tunnel<F, T>(&self, in_flight: Option<InFlight>, tunnel: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.streams.spawn_tunnel(in_flight, tunnel);
    }
}

impl InFlight {
    /// Given when the session is over.
    pub const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The head of the answer is handed on: from now on the end of the session cuts the connection. Nothing less would
    /// do, since a client that does not read keeps hyper from asking for more of the body, and from ending.
    pub fn answering(&self) {
        self.change(|flight| flight.kind = Kind::Response);
    }

    fn into_tunnel(mut self, stop: &Stop) -> Self {
        self.change(|flight| {
            flight.kind = Kind::WebSocket;
            flight.stop = stop.clone();
        });
        if let Some(reason) = self.stop.reason() {
            stop.stop(reason);
        }
        self.stop = stop.clone();
        self
    }

    fn change(&self, change: impl FnOnce(&mut Flight)) {
        if let Some(Some(flight)) = self.streams.lock().places.get_mut(self.place) {
            change(flight);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Bound to a name, so that the session is wiped after the lock is gone.
        let _flight = self.streams.lock().take(self.place);
    }
}

impl Flights {
    fn put(&mut self, flight: Flight) -> usize {
        if let Some(place) = self.free.pop()
            && let Some(free) = self.places.get_mut(place)
        {
            *free = Some(flight);
            return place;
        }
        self.places.push(Some(flight));
        self.places.len().saturating_sub(1)
    }

    fn take(&mut self, place: usize) -> Option<Flight> {
        let flight = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        Some(flight)
    }

    fn flights_mut(&mut self) -> impl Iterator<Item = &mut Flight> {
        self.places.iter_mut().flatten()
    }

    fn sessions(&self) -> impl Iterator<Item = &Arc<SessionView>> {
        self.places
            .iter()
            .flatten()
            .filter_map(|flight| flight.held.as_ref()?.ground.session())
    }

    fn tokens(&self) -> impl Iterator<Item = (&TokenGround, &SecretText)> {
        self.places
            .iter()
            .flatten()
            .filter_map(|flight| flight.held.as_ref()?.ground.presented())
    }

    fn has_rules(&self) -> bool {
        let mut held = self
            .places
            .iter()
            .flatten()
            .filter_map(|flight| flight.held.as_ref());
        held.any(|held| held.rule.is_some())
    }
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::WebSocket => "websocket",
        }
    }
}

#[cfg(test)]
mod tests;

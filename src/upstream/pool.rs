//! The connections of one worker: the unused ones, and a register of all that live, for the tick.
//!
//! One task a pool wakes a few times a second while any connection lives. It ends exchanges whose deadline passed and
//! closes what was unused for too long, so that no request needs a timer of its own.

use super::Settings;
use super::connect::Connector;
use super::error::UpstreamError;
use super::outgoing::Outgoing;
use super::stream::Stream;
use super::wire::{CoarseClock, Limits, Wire};
use crate::tasks::Tasks;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// An open connection that somebody may send a request on.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Outgoing>,
    pub(super) wire: Arc<Wire>,
}

/// What the handles of one pool share. Its locks are held for a few instructions, never over a wait.
pub(super) struct Shared {
    connector: Connector,
    tasks: Tasks,
    clock: Arc<CoarseClock>,
    limits: Arc<Limits>,
    max_idle: usize,
    idle: Mutex<Idle>,
    register: Mutex<Register>,
    closing: Arc<Notify>,
}

#[derive(Default)]
struct Idle {
    /// The most recently used last.
    connections: Vec<(Connection, u64)>,
    closed: bool,
}

#[derive(Default)]
struct Register {
    wires: HashMap<u64, Arc<Wire>>,
    next: u64,
    ticking: bool,
}

impl Shared {
    pub(super) fn new(settings: Arc<Settings>, tasks: Tasks) -> Self {
        Self {
            clock: Arc::new(CoarseClock::start()),
            limits: Arc::new(Limits::new(&settings)),
            max_idle: settings.max_idle,
            connector: Connector::new(settings),
            tasks,
            idle: Mutex::default(),
            register: Mutex::default(),
            closing: Arc::default(),
        }
    }

    /// What its connections are made by.
    pub(super) const fn settings(&self) -> &Arc<Settings> {
        self.connector.settings()
    }

    /// An unused connection, the most recently used first. Those found closed or too old are let go.
    pub(super) fn check_out(&self) -> Option<Connection> {
        let now = self.clock.now();
        let mut idle = self.idle();
        while let Some((connection, since)) = idle.connections.pop() {
            if connection.sender.is_ready() && now.saturating_sub(since) < self.limits.idle {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection on which both messages are complete; closes it when there are enough.
    pub(super) fn check_in(&self, connection: Connection) {
        let now = self.clock.now();
        let mut idle = self.idle();
        if !idle.closed && idle.connections.len() < self.max_idle {
            idle.connections.push((connection, now));
        }
    }

    /// Makes a new connection and has it driven by a task of its own.
    pub(super) async fn open(self: &Arc<Self>) -> Result<Connection, UpstreamError> {
        let transport = self.connector.connect().await?;
        self.clock.refresh();
        let wire = Arc::new(Wire::new(Arc::clone(&self.clock), Arc::clone(&self.limits)));
        let stream = TokioIo::new(Stream::new(transport, Arc::clone(&wire)));
        let (sender, driver) = http1::Builder::new()
            .handshake(stream)
            .await
            .map_err(UpstreamError::Reset)?;
        let registered = self.register_wire(&wire);
        let driver = self.tasks.spawn(async move {
            let _registered = registered;
            // Whoever sent the request is told what went wrong; there is nobody else to tell.
            let _ = driver.with_upgrades().await;
        });
        wire.driven_by(driver.abort_handle());
        Ok(Connection { sender, wire })
    }

    /// Closes every unused connection; with `for_good`, those in use too as soon as they are no longer.
    pub(super) fn close_idle(&self, for_good: bool) {
        let unused = {
            let mut idle = self.idle();
            idle.closed |= for_good;
            std::mem::take(&mut idle.connections)
        };
        drop(unused);
        if for_good && self.open_connections() == 0 {
            self.closing.notify_one();
        }
    }

    /// How many connections live, used or unused.
    pub(super) fn open_connections(&self) -> usize {
        self.register().wires.len()
    }

    /// How many connections are kept unused.
    pub(super) fn idle_connections(&self) -> usize {
        self.idle().connections.len()
    }

    fn register_wire(self: &Arc<Self>, wire: &Arc<Wire>) -> Registered {
        let (key, must_tick) = {
            let mut register = self.register();
            let key = register.next;
            register.next = key.wrapping_add(1);
            register.wires.insert(key, Arc::clone(wire));
            (key, !std::mem::replace(&mut register.ticking, true))
        };
        if must_tick {
            let period = Duration::from_millis(self.limits.tick);
            self.tasks
                .spawn(tick(Arc::downgrade(self), Arc::clone(&self.closing), period));
        }
        Registered {
            shared: Arc::downgrade(self),
            key,
        }
    }

    /// One tick. Says whether there will be a next.
    fn sweep(&self) -> bool {
        let now = self.clock.refresh();
        let expired = {
            let mut idle = self.idle();
            let (kept, expired) = std::mem::take(&mut idle.connections)
                .into_iter()
                .partition::<Vec<_>, _>(|(connection, since)| {
                    connection.sender.is_ready() && now.saturating_sub(*since) < self.limits.idle
                });
            idle.connections = kept;
            expired
        };
        drop(expired);
        let (late, must_tick) = {
            let mut register = self.register();
            let late: Vec<_> = register
                .wires
                .values()
                .filter(|wire| wire.is_late(now))
                .cloned()
                .collect();
            register.ticking = !register.wires.is_empty();
            (late, register.ticking)
        };
        for wire in late {
            wire.abort();
        }
        must_tick
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.closing.notify_one();
    }
}

/// Takes a connection out of the register when its task ends, however it ends.
struct Registered {
    shared: Weak<Shared>,
    key: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let (wire, is_last) = {
            let mut register = shared.register();
            let wire = register.wires.remove(&self.key);
            (wire, register.wires.is_empty())
        };
        drop(wire);
        if is_last && shared.idle().closed {
            shared.closing.notify_one();
        }
    }
}

async fn tick(pool: Weak<Shared>, closing: Arc<Notify>, period: Duration) {
    loop {
        let _ = tokio::time::timeout(period, closing.notified()).await;
        let Some(shared) = pool.upgrade() else { return };
        if !shared.sweep() {
            return;
        }
    }
}

//! The configuration as it is in force.
//!
//! [`compile`] turns a [`Config`](crate::config::Config) into a [`Gate`], whole or not at all; [`Live`] holds
//! the one that new requests take; a [`Reloader`] replaces it. Nothing below this module knows the configuration's
//! types.

mod compile;
mod error;
mod lasting;
mod organizations;
mod parts;
mod reload;
mod routes;
mod serving;
mod store;
mod tokens;
mod upstreams;
mod watch;

pub use compile::{Compiled, admin_address, compile};
pub use error::CompileError;
pub use reload::{ReloadHandle, Reloaded, Reloader, Reloads, logging, reloads};
pub use serving::{ListenAddress, Serving, WorkerSettings};
pub use watch::FileWatch;

use crate::proxy::Gate;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is in force now.
#[derive(Debug)]
pub struct Live {
    gate: ArcSwap<Gate>,
    serving: ArcSwap<Serving>,
    draining: AtomicBool,
}

impl Live {
    /// Puts the first gate in force.
    pub fn new(gate: Gate, serving: Serving) -> Self {
        Self {
            gate: ArcSwap::from_pointee(gate),
            serving: ArcSwap::from_pointee(serving),
            draining: AtomicBool::new(false),
        }
    }

    /// The gate for a request that begins now. The request keeps it to its end.
    pub fn gate(&self) -> Arc<Gate> {
        self.gate.load_full()
    }

    /// How connections are treated from now on.
    pub fn serving(&self) -> Serving {
        **self.serving.load()
    }

    /// Puts another gate in force. Requests that have begun keep theirs.
    fn replace(&self, gate: Gate, serving: Serving) {
        self.gate.store(Arc::new(gate));
        self.serving.store(Arc::new(serving));
    }

    /// Says that the proxy is stopping.
    pub fn begin_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the proxy is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

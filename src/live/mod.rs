//! The configuration as it is in force.
//!
//! [`compile`] turns a [`Config`](crate::config::Config) into a [`Gate`], whole or not at all; [`Live`] holds
//! the one that new requests take. Nothing below this module knows the configuration's types.

mod compile;
mod error;
mod serving;
mod store;

pub use compile::{Compiled, admin_address, compile};
pub use error::CompileError;
pub use serving::{ListenAddress, WorkerSettings};

use crate::proxy::Gate;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is in force now.
#[derive(Debug)]
pub struct Live {
    gate: ArcSwap<Gate>,
    draining: AtomicBool,
}

impl Live {
    /// Puts the first gate in force.
    pub fn new(gate: Gate) -> Self {
        Self {
            gate: ArcSwap::from_pointee(gate),
            draining: AtomicBool::new(false),
        }
    }

    /// The gate for a request that begins now. The request keeps it to its end.
    pub fn gate(&self) -> Arc<Gate> {
        self.gate.load_full()
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

//! Accepting connections and handing their requests to the gate.
//!
//! One acceptor deals connections out to the workers in turn; each worker is a thread with a runtime, an
//! upstream pool and a watchdog of its own, so nothing that is written is shared on the way of a request.

mod accept;
mod activity;
mod connection;
mod stream;
mod sweep;
mod worker;

pub use accept::{Acceptor, BoundListener};
pub use worker::Workers;

//! The promises of the proxy, kept against the strict stand-in for Logto and raw sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

mod forwarded;
mod hosts;
mod limits;
mod routes;
mod sign_in;
mod smuggling;
mod spoofing;
mod streaming;
mod targets;
mod upstream_failures;
mod websocket;

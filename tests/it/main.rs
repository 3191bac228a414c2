//! The promises of the proxy, kept against the strict stand-in for Logto and raw sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod support;

mod command_line;
mod forwarded;
mod hosts;
mod limits;
mod properties;
mod routes;
mod shutdown;
mod sign_in;
mod smuggling;
mod spoofing;
mod streaming;
mod targets;
mod unix_sockets;
mod upstream_failures;
mod websocket;

//! The promises of the proxy, kept against the strict stand-in for Logto and raw sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod documents;
mod layering;
mod support;

mod sign_in;

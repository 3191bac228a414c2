//! The harness: a proxy between a strict stand-in for Logto and an upstream, a browser with a cookie jar, and
//! raw sockets. Everything binds to port 0; nothing sleeps for a fixed time.

pub mod balancer;
pub mod browser;
pub mod fleet;
pub mod load;
pub mod program;
pub mod proxy;
pub mod raw;
pub mod raw_upstream;
pub mod redis;
pub mod upstream;
pub mod wire;
pub mod world;

pub use balancer::Balancer;
pub use browser::{Answer, Browser};
pub use fleet::{Fleet, Processes};
pub use load::{Load, drill, drill_time, ms};
pub use proxy::proxy;
pub use raw_upstream::RawUpstream;
pub use redis::Redis;
pub use upstream::{Seen, Upstream};
pub use wire::{Reply, Wire, get, request};
pub use world::World;

use std::future::Future;
use std::time::Duration;

/// Asks again and again until the answer is yes; fails the test after ten seconds.
pub async fn eventually<F, R>(what: &str, mut question: F)
where
    F: FnMut() -> R,
    R: Future<Output = bool>,
{
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !question().await {
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

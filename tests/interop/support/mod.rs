//! Building blocks of the interoperability tests: real programs started and ended, pages visited, conditions awaited.

pub mod app;
#[path = "../../it/support/balancer.rs"]
pub mod balancer;
pub mod chromium;
pub mod example;
pub mod front;
pub mod oidc_provider;
pub mod ports;
pub mod process;
pub mod proxy;
#[path = "../../it/support/redis.rs"]
pub mod redis;
pub mod replicas;
pub mod runner;
pub mod setting;
pub mod socket;
pub mod visitor;
pub mod wait;
pub mod webhook;

//! Building blocks of the interoperability tests: real programs started and ended, pages visited, conditions awaited.

pub mod app;
pub mod chromium;
pub mod oidc_provider;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod runner;
pub mod visitor;
pub mod wait;

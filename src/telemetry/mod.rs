//! Logging: JSON lines for machines, readable lines for people; and what is counted.

mod log;
pub mod metrics;

pub use log::{LogFormat, change_logging, start_logging};
pub use metrics::Metrics;

//! Logging: JSON lines for machines, readable lines for people; and what is counted.

pub mod metrics;

pub use metrics::Metrics;

use std::io::IsTerminal as _;

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// Readable.
    Pretty,
}

/// Starts logging to standard output, everything from `level` up. A second call changes nothing.
pub fn start(format: LogFormat, level: tracing::Level) {
    let json = match format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !std::io::stdout().is_terminal(),
    };
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_target(false);
    // Ok: a subscriber was set. Err: there was one already, as in tests.
    let _ = if json {
        subscriber.json().flatten_event(true).try_init()
    } else {
        subscriber.with_ansi(std::io::stdout().is_terminal()).try_init()
    };
}

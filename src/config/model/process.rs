//! Bounds, logging, the end, and the proxy's own pages.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;
use url::Url;

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Bytes of a request's header; at least 8192.
    pub header_bytes: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a request target; at most `header_bytes`.
    pub target_bytes: usize,
    /// Bytes of the session cookie's chunks together.
    pub cookie_bytes: usize,
    /// A request's header must have arrived within this time.
    pub header_timeout: Duration,
    /// A connection without a request is closed after this time.
    pub idle_timeout: Duration,
    /// Connections open at once.
    pub connections: NonZeroUsize,
    /// A connection to the upstream must stand within this time.
    pub upstream_connect_timeout: Duration,
    /// The upstream's response header must have arrived within this time.
    pub upstream_response_timeout: Duration,
    /// Sign-ins an address may begin in a minute; `None`: no limit.
    pub sign_ins_per_minute: Option<NonZeroU32>,
    /// Bytes of a request's body; `None`: no limit.
    pub body_bytes: Option<NonZeroU64>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: tracing::Level,
    /// Whether each request gets a line.
    pub access: bool,
    /// How the user's ID is written.
    pub subject: SubjectLog,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// JSON.
    Json,
    /// For people.
    Pretty,
}

/// `log.subject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectLog {
    /// As it is.
    Plain,
    /// Its hash.
    Hash,
    /// Not at all.
    Off,
}

/// `[shutdown]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long new connections are still accepted; may be zero.
    pub delay: Duration,
    /// How long requests in flight may take to finish; may be zero.
    pub timeout: Duration,
}

/// `[pages]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagesConfig {
    /// Name of the app; the host of `public_url` where none is given.
    pub title: String,
    /// Where people find help: `https:`, `http:` or `mailto:`.
    pub support_url: Option<Url>,
}

//! The log: where its lines go, how they look, and from which level up. Format and level may change while it runs.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

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

impl LogFormat {
    fn is_json(self) -> bool {
        match self {
            Self::Json => true,
            Self::Pretty => false,
            Self::Auto => !std::io::stdout().is_terminal(),
        }
    }
}

/// The level in force, once logging has started.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();
/// The format in force.
static IS_JSON: AtomicBool = AtomicBool::new(true);

/// Starts logging to standard output, everything from `level` up. A second call changes nothing.
pub fn start_logging(format: LogFormat, level: Level) {
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines {
            json: Format::default().with_target(false).json().flatten_event(true),
            pretty: Format::default().with_target(false),
        })
        .with_ansi(std::io::stdout().is_terminal());
    // An error says that there is a subscriber already, as in tests; that one stays.
    if tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_ok()
    {
        IS_JSON.store(format.is_json(), Ordering::Relaxed);
        let _ = LEVEL.set(handle);
    }
}

/// Changes format and level from the next line on. Does nothing where logging was not started.
pub fn change_logging(format: LogFormat, level: Level) {
    let Some(handle) = LEVEL.get() else {
        return;
    };
    IS_JSON.store(format.is_json(), Ordering::Relaxed);
    let level = LevelFilter::from_level(level);
    // Changing it makes every log statement of the program look anew whether it is wanted.
    if handle.with_current(|current| *current != level).unwrap_or(false) {
        // The subscriber is there for as long as the process.
        let _ = handle.modify(|current| *current = level);
    }
}

/// Writes each line in the format of that moment.
struct Lines {
    json: Format<Json>,
    pretty: Format<Full>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if IS_JSON.load(Ordering::Relaxed) {
            self.json.format_event(context, writer, event)
        } else {
            self.pretty.format_event(context, writer, event)
        }
    }
}

//! What is counted, for `/metrics` of the admin listener.
//!
//! Labels are fixed words and the patterns of configured routes, never anything a client sent, so that nobody outside
//! can add series. Clones share their counters. There is one for a process, and it outlives every configuration.

mod latency;
mod requests;
mod shards;
#[cfg(test)]
mod tests;

pub use requests::{Fate, RequestCounter};

use latency::Latency;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use requests::Requests;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// Upper bounds of the buckets of a call's duration, in seconds.
const CALL_SECONDS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The media type of what [`Metrics::render`] writes (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All counters.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Arc<Requests>,
    upstream_seconds: Arc<Latency>,
    upstream_failures: Family<[(&'static str, String); 2], Counter>,
    open_connections: Gauge,
    open_websockets: Gauge,
    config_reloads: Counters<1>,
    config_in_force_since: Gauge,
    sign_ins: Counters<2>,
    rechecks: Counters<1>,
    sessions_ended: Counters<1>,
    notices: Counters<3>,
    back_channel_logouts: Counters<1>,
    webhooks: Counters<2>,
    cookies_refused: Counters<1>,
    bearer_tokens: Counters<2>,
    streams_ended: Counters<1>,
    hugging_face_checks: Counters<1>,
    logto_calls: Counters<2>,
    logto_seconds: Family<Labels<1>, Histogram, fn() -> Histogram>,
    store_available: Gauge,
    logto_circuit_open: Gauge,
}

fn call_histogram() -> Histogram {
    Histogram::new(CALL_SECONDS)
}

/// Counts among what is open until it is dropped.
#[derive(Debug)]
pub struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("logto_proxy");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version of this program", Info::new(version));
        let requests: Arc<Requests> = Arc::default();
        registry.register_collector(Box::new(requests::Shown(Arc::clone(&requests))));
        let upstream_seconds: Arc<Latency> = Arc::default();
        registry.register_collector(Box::new(latency::Shown {
            name: "upstream_response_duration_seconds",
            help: "Time from sending a request to the app to the header of its response",
            latency: Arc::clone(&upstream_seconds),
        }));
        let upstream_failures = Family::default();
        registry.register(
            "upstream_failures",
            "Requests that got no answer from the app, by upstream and reason",
            upstream_failures.clone(),
        );
        let open_connections = Gauge::default();
        registry.register(
            "open_connections",
            "Client connections that are open, those of WebSockets included",
            open_connections.clone(),
        );
        let open_websockets = Gauge::default();
        registry.register(
            "open_websockets",
            "WebSockets that are open",
            open_websockets.clone(),
        );
        let config_reloads = Counters::default();
        registry.register(
            "config_reloads",
            "Times that the configuration was read again, by outcome",
            config_reloads.clone(),
        );
        let config_in_force_since = Gauge::default();
        registry.register(
            "config_in_force_timestamp_seconds",
            "When the configuration in force was put in force, in seconds since 1970",
            config_in_force_since.clone(),
        );
        let sign_ins = Counters::default();
        registry.register("sign_ins", "Sign-ins by event and reason", sign_ins.clone());
        let rechecks = Counters::default();
        registry.register(
            "rechecks",
            "Re-checks of sessions with Logto by outcome",
            rechecks.clone(),
        );
        let sessions_ended = Counters::default();
        registry.register(
            "sessions_ended",
            "Sessions found over, by cause",
            sessions_ended.clone(),
        );
        let notices = Counters::default();
        registry.register(
            "notices",
            "Revocations and calls for a re-check, by scope, effect and origin",
            notices.clone(),
        );
        let back_channel_logouts = Counters::default();
        registry.register(
            "back_channel_logouts",
            "Logout tokens received, by outcome",
            back_channel_logouts.clone(),
        );
        let webhooks = Counters::default();
        registry.register(
            "webhooks",
            "Webhooks received, by event and outcome",
            webhooks.clone(),
        );
        let cookies_refused = Counters::default();
        registry.register(
            "session_cookies_refused",
            "Session cookies that open no session, by reason",
            cookies_refused.clone(),
        );
        let bearer_tokens = Counters::default();
        registry.register(
            "bearer_tokens",
            "Bearer tokens presented, by kind and outcome",
            bearer_tokens.clone(),
        );
        let streams_ended = Counters::default();
        registry.register(
            "streams_ended",
            "Streams and requests in flight that were cut because their session was over, by kind",
            streams_ended.clone(),
        );
        let hugging_face_checks = Counters::default();
        registry.register(
            "hugging_face_checks",
            "Questions which Hugging Face organizations a user is in, by outcome",
            hugging_face_checks.clone(),
        );
        let logto_calls = Counters::default();
        registry.register(
            "logto_calls",
            "Calls to Logto by endpoint and outcome",
            logto_calls.clone(),
        );
        let logto_seconds = Family::new_with_constructor(call_histogram as fn() -> Histogram);
        registry.register(
            "logto_call_duration_seconds",
            "Duration of calls to Logto by endpoint",
            logto_seconds.clone(),
        );
        let store_available = Gauge::default();
        registry.register(
            "store_available",
            "Whether the store of revocations can be reached (1) or not (0)",
            store_available.clone(),
        );
        store_available.set(1);
        let logto_circuit_open = Gauge::default();
        registry.register(
            "logto_circuit_open",
            "Whether calls to Logto are held back because it is away (1)",
            logto_circuit_open.clone(),
        );
        Self(Arc::new(Inner {
            registry,
            requests,
            upstream_seconds,
            upstream_failures,
            open_connections,
            open_websockets,
            config_reloads,
            config_in_force_since,
            sign_ins,
            rechecks,
            sessions_ended,
            notices,
            back_channel_logouts,
            webhooks,
            cookies_refused,
            bearer_tokens,
            streams_ended,
            hugging_face_checks,
            logto_calls,
            logto_seconds,
            store_available,
            logto_circuit_open,
        }))
    }

    /// The counter of requests under this name: a route's pattern, or an endpoint's word. Find it once and keep it; the
    /// same name always gives the same counter.
    pub fn requests_of(&self, name: &str) -> RequestCounter {
        self.0.requests.of(name)
    }

    /// The counter of messages that are refused before they have a route.
    pub fn rejected_requests(&self) -> RequestCounter {
        self.0.requests.of_rejects()
    }

    /// The app's answer began this long after its request was sent.
    pub fn upstream_answered(&self, took: Duration) {
        self.0.upstream_seconds.observe(took);
    }

    /// A request got no answer from the app at this address of the configuration.
    pub fn upstream_failed(&self, upstream: &str, reason: &'static str) {
        let labels = [("upstream", upstream.to_owned()), ("reason", reason.to_owned())];
        self.0.upstream_failures.get_or_create(&labels).inc();
    }

    /// A client connection is open until the guard is dropped.
    pub fn connection_opened(&self) -> Open {
        Open::new(&self.0.open_connections)
    }

    /// A WebSocket is open until the guard is dropped.
    pub fn websocket_opened(&self) -> Open {
        Open::new(&self.0.open_websockets)
    }

    /// The configuration was read again: it was `applied`, is `unchanged`, or was `refused`.
    pub fn config_reload(&self, outcome: &'static str) {
        self.0.config_reloads.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A configuration was put in force at this moment, in seconds since the Unix epoch.
    pub fn config_in_force(&self, since: u64) {
        self.0
            .config_in_force_since
            .set(i64::try_from(since).unwrap_or(i64::MAX));
    }

    /// A sign-in was `started`, `finished` or `failed`; `reason` is empty or the problem's word.
    pub fn sign_in(&self, event: &'static str, reason: &'static str) {
        self.0
            .sign_ins
            .get_or_create(&[("event", event), ("reason", reason)])
            .inc();
    }

    /// A re-check of a session came to an end, or its earlier result was used again.
    pub fn recheck(&self, outcome: &'static str) {
        self.0.rechecks.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A session that was presented is over before its time.
    pub fn session_ended(&self, cause: &'static str) {
        self.0.sessions_ended.get_or_create(&[("cause", cause)]).inc();
    }

    /// A notice was applied. `effect` is its cause or `recheck`; `origin` is `here` or `replica`.
    pub fn notice(&self, scope: &'static str, effect: &'static str, origin: &'static str) {
        let labels = [("scope", scope), ("effect", effect), ("origin", origin)];
        self.0.notices.get_or_create(&labels).inc();
    }

    /// A logout token was accepted, or refused by the named check.
    pub fn back_channel_logout(&self, outcome: &'static str) {
        self.0
            .back_channel_logouts
            .get_or_create(&[("outcome", outcome)])
            .inc();
    }

    /// A webhook of a known event, or `other`, was accepted, ignored, or refused by the named check.
    pub fn webhook(&self, event: &'static str, outcome: &'static str) {
        self.0
            .webhooks
            .get_or_create(&[("event", event), ("outcome", outcome)])
            .inc();
    }

    /// Session cookies opened no session.
    pub fn cookie_refused(&self, reason: &'static str) {
        self.0.cookies_refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// A caller presented a bearer token.
    pub fn bearer(&self, kind: &'static str, outcome: &'static str) {
        self.0
            .bearer_tokens
            .get_or_create(&[("kind", kind), ("outcome", outcome)])
            .inc();
    }

    /// A `websocket`, a `response` or a `request` was cut because its session was over.
    pub fn stream_ended(&self, kind: &'static str) {
        self.0.streams_ended.get_or_create(&[("kind", kind)]).inc();
    }

    /// It was asked which Hugging Face organizations a user is in.
    pub fn hugging_face_check(&self, outcome: &'static str) {
        self.0
            .hugging_face_checks
            .get_or_create(&[("outcome", outcome)])
            .inc();
    }

    /// A call to Logto ended: `ok`, `refused`, `unavailable` or `invalid`.
    pub fn logto_call(&self, endpoint: &'static str, outcome: &'static str, took: Duration) {
        self.0
            .logto_calls
            .get_or_create(&[("endpoint", endpoint), ("outcome", outcome)])
            .inc();
        self.0
            .logto_seconds
            .get_or_create(&[("endpoint", endpoint)])
            .observe(took.as_secs_f64());
    }

    /// Whether the store can be reached.
    pub fn store_available(&self, available: bool) {
        self.0.store_available.set(i64::from(available));
    }

    /// Whether calls to Logto are held back.
    pub fn logto_circuit_open(&self, open: bool) {
        self.0.logto_circuit_open.set(i64::from(open));
    }

    /// All of it in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics")
    }
}

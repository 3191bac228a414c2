//! Requests by route, by what was decided, and by class of status.
//!
//! The counters of a route are found once, when a configuration is compiled. Counting a request then is one addition
//! to a number that no other thread writes: no look-up, no lock, no allocation.

use super::shards::Shards;
use ::http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Names that get counters of their own in the life of the process; all further ones share those of [`OTHERS`].
/// Only reloads with ever new routes come this far.
const MAXIMUM_NAMES: usize = 1_000;
const OTHERS: &str = "others";

/// The name under which refused messages are counted; they have no route.
const NO_ROUTE: &str = "-";

/// What was decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Refused as it stood: no route, no caller.
    Rejected,
    /// Answered by one of the proxy's own endpoints.
    Endpoint,
    /// It needs a session first.
    SignIn,
    /// It is known who sent it, and they may not.
    Refused,
    /// Forwarded.
    Forwarded,
    /// A CORS preflight that was answered for the app.
    Preflight,
}

const FATES: [Fate; 6] = [
    Fate::Rejected,
    Fate::Endpoint,
    Fate::SignIn,
    Fate::Refused,
    Fate::Forwarded,
    Fate::Preflight,
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Fate {
    /// A fixed word, for the log and for `/metrics`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "reject",
            Self::Endpoint => "endpoint",
            Self::SignIn => "sign_in",
            Self::Refused => "refuse",
            Self::Forwarded => "forward",
            Self::Preflight => "preflight",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Rejected => 0,
            Self::Endpoint => 1,
            Self::SignIn => 2,
            Self::Refused => 3,
            Self::Forwarded => 4,
            Self::Preflight => 5,
        }
    }
}

/// By fate and class.
type Table = [[AtomicU64; CLASSES.len()]; FATES.len()];

/// Counts the requests of one route, or of one endpoint. A copy counts to the same numbers.
#[derive(Clone, Copy)]
pub struct RequestCounter(&'static Shards<Table>);

impl RequestCounter {
    /// One more request has its answer.
    pub fn count(self, fate: Fate, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        self.0.on_own(|table| {
            if let Some(count) = table.get(fate.index()).and_then(|classes| classes.get(class)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    fn total(self, fate: Fate, class: usize) -> u64 {
        let counts = self
            .0
            .iter()
            .filter_map(|table| table.get(fate.index())?.get(class));
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl fmt::Debug for RequestCounter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RequestCounter")
    }
}

/// The counters of all names.
#[derive(Debug, Default)]
pub(super) struct Requests {
    by_name: Mutex<BTreeMap<String, RequestCounter>>,
}

impl Requests {
    /// The counters of a name: those it had before, if it had any.
    pub(super) fn of(&self, name: &str) -> RequestCounter {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = by_name.get(name) {
            return *counter;
        }
        let name = if by_name.len() < MAXIMUM_NAMES {
            name
        } else {
            OTHERS
        };
        // They are counted on for as long as the process lives. A handle that counted its holders would be written by
        // every worker with each request.
        *by_name
            .entry(name.to_owned())
            .or_insert_with(|| RequestCounter(Box::leak(Box::default())))
    }

    /// The counters of messages that are refused before they have a route.
    pub(super) fn of_rejects(&self) -> RequestCounter {
        self.of(NO_ROUTE)
    }
}

/// Shows them as one family. What never happened is left out: most routes see few of all combinations.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<Requests>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests answered, by route, decision and class of status";
        let mut family = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        let by_name = self.0.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        for (route, counter) in by_name.iter() {
            for fate in FATES {
                for (class, status) in CLASSES.into_iter().enumerate() {
                    let total = counter.total(fate, class);
                    if total > 0 {
                        let labels = [
                            ("route", route.as_str()),
                            ("decision", fate.as_str()),
                            ("status", status),
                        ];
                        ConstCounter::new(total).encode(family.encode_family(&labels)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_counters_and_threads_add_up() {
        let requests = Arc::new(Requests::default());
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        requests.of("/*").count(Fate::Forwarded, StatusCode::OK);
                    }
                });
            }
        });
        assert_eq!(requests.of("/*").total(Fate::Forwarded, 1), 10_000);
        assert_eq!(requests.of("/*").total(Fate::SignIn, 1), 0);
        assert_eq!(requests.of("/other").total(Fate::Forwarded, 1), 0);
    }

    #[test]
    fn no_status_and_no_number_of_names_is_too_much() {
        let requests = Requests::default();
        for status in [100, 199, 200, 404, 599, 999] {
            let status = StatusCode::from_u16(status).unwrap();
            requests.of("/*").count(Fate::Forwarded, status);
        }
        assert_eq!(requests.of("/*").total(Fate::Forwarded, 0), 2);
        for number in 0..2 * MAXIMUM_NAMES {
            requests
                .of(&format!("/{number}"))
                .count(Fate::Forwarded, StatusCode::OK);
        }
        assert!(requests.by_name.lock().unwrap().len() <= MAXIMUM_NAMES + 1);
        assert!(requests.of(OTHERS).total(Fate::Forwarded, 1) >= 1_000);
        assert_eq!(requests.of("/1").total(Fate::Forwarded, 1), 1);
    }
}

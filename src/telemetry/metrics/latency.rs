//! How long something took, in buckets, counted without a lock.

use super::shards::Shards;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds; one more bucket has no bound.
const BOUNDS: [u64; 12] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000,
];

#[derive(Debug, Default)]
struct Cells {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// A histogram of durations.
#[derive(Debug, Default)]
pub(super) struct Latency(Shards<Cells>);

impl Latency {
    pub(super) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().take_while(|bound| micros > **bound).count();
        self.0.on_own(|cells| {
            if let Some(count) = cells.buckets.get(bucket) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            cells.micros.fetch_add(micros, Ordering::Relaxed);
        });
    }

    /// Bounds in seconds with what fell into each bucket alone, and the sum in seconds.
    fn read(&self) -> (Vec<(f64, u64)>, f64) {
        let bounds = BOUNDS
            .iter()
            .map(|bound| Duration::from_micros(*bound).as_secs_f64());
        let buckets = bounds
            .chain([f64::INFINITY])
            .enumerate()
            .map(|(index, bound)| {
                let counts = self.0.iter().filter_map(|cells| cells.buckets.get(index));
                (bound, counts.map(|count| count.load(Ordering::Relaxed)).sum())
            })
            .collect();
        let micros = self.0.iter().map(|cells| cells.micros.load(Ordering::Relaxed));
        let micros = micros.fold(0_u64, u64::wrapping_add);
        (buckets, Duration::from_micros(micros).as_secs_f64())
    }
}

/// Shows a histogram under a name.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) latency: Arc<Latency>,
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Histogram)?;
        let (buckets, sum) = self.latency.read();
        let count = buckets.iter().map(|(_, count)| count).sum();
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let latency = Latency::default();
        for micros in [0, 500, 501, 30_000_000, 30_000_001] {
            latency.observe(Duration::from_micros(micros));
        }
        latency.observe(Duration::MAX);
        let (buckets, _) = latency.read();
        let counts: Vec<u64> = buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        let sum = Latency::default();
        sum.observe(Duration::from_millis(1_500));
        assert!((sum.read().1 - 1.5).abs() < 1e-9);
    }
}

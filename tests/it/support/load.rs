//! Browsers that go on asking at a given rate while something goes wrong, and what they saw of it.

use super::Browser;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// One request: when it began, how long it took, its status. `None` when there was no whole answer.
pub type Sample = (Instant, Duration, Option<u16>);

/// A load that runs until it is ended.
pub struct Load {
    stop: CancellationToken,
    users: Vec<JoinHandle<(Browser, Vec<Sample>)>>,
}

/// What became of all requests.
pub struct Figures {
    pub samples: Vec<Sample>,
    /// The browsers as they were left.
    pub browsers: Vec<Browser>,
}

impl Load {
    /// So many requests a second in all, each on a connection of its own, dealt out to these browsers.
    pub fn start(browsers: Vec<Browser>, per_second: u32) -> Self {
        let stop = CancellationToken::new();
        let count = u32::try_from(browsers.len()).unwrap();
        let period = Duration::from_secs(1) * count / per_second;
        let users = browsers
            .into_iter()
            .map(|browser| tokio::spawn(ask_on(browser, period, stop.clone())))
            .collect();
        Self { stop, users }
    }

    /// Lets the last requests finish.
    pub async fn end(self) -> Figures {
        self.stop.cancel();
        let mut figures = Figures {
            samples: Vec::new(),
            browsers: Vec::new(),
        };
        for user in self.users {
            let (browser, samples) = user.await.unwrap();
            figures.browsers.push(browser);
            figures.samples.extend(samples);
        }
        figures
    }
}

async fn ask_on(mut browser: Browser, period: Duration, stop: CancellationToken) -> (Browser, Vec<Sample>) {
    let mut samples = Vec::new();
    let mut turns = interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(turns.tick()).await.is_some() {
        let begun = Instant::now();
        let asked = tokio::time::timeout(Duration::from_secs(20), browser.try_fetch("/")).await;
        let status = asked.ok().and_then(Result::ok).map(|answer| answer.status);
        samples.push((begun, begun.elapsed(), status));
    }
    (browser, samples)
}

impl Figures {
    /// How many got anything but 200.
    pub fn failed(&self) -> usize {
        self.failures().len()
    }

    /// What those that failed got instead.
    pub fn failures(&self) -> Vec<Option<u16>> {
        let statuses = self.samples.iter().map(|(_, _, status)| *status);
        statuses.filter(|status| *status != Some(200)).collect()
    }

    /// For people: how many, how many failed, how long they took between two moments.
    pub fn between(&self, from: Instant, to: Instant) -> String {
        let mut times: Vec<Duration> = self
            .samples
            .iter()
            .filter(|(begun, ..)| (from..to).contains(begun))
            .map(|(_, took, _)| *took)
            .collect();
        times.sort_unstable();
        let part = |percent: usize| {
            times
                .get(times.len() * percent / 100)
                .copied()
                .unwrap_or_default()
        };
        format!(
            "{} requests, p50 {:.1} ms, p99 {:.1} ms",
            times.len(),
            part(50).as_secs_f64() * 1e3,
            part(99).as_secs_f64() * 1e3
        )
    }
}

/// How long a drill lasts: three seconds, or as `LOGTO_PROXY_DRILL_SECONDS` says.
pub fn drill_time() -> Duration {
    let told = std::env::var("LOGTO_PROXY_DRILL_SECONDS").ok();
    Duration::from_secs(told.and_then(|text| text.parse().ok()).unwrap_or(3))
}

/// Prints a figure, so that all can be collected with `--nocapture`.
#[allow(clippy::print_stdout, reason = "figures are for whoever asks for them")]
pub fn drill(name: &str, figure: impl std::fmt::Display) {
    println!("drill: {name}: {figure}");
}

/// Milliseconds since then, for people.
pub fn ms(since: Instant) -> String {
    format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3)
}

//! Putting another configuration in force while requests are served.
//!
//! Promises: a configuration is applied whole or not at all; a request keeps the gate it began with, so nothing in
//! flight notices; one that is wrong changes nothing and says why. Refuses to know when to read the configuration and
//! from where: it is handed what was read.

use super::compile::compile_again;
use super::{Compiled, Live};
use crate::config::{self, Config, ConfigErrors};
use crate::telemetry::{self, LogFormat};
use std::fmt;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What became of a configuration that was read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// It is in force.
    Applied,
    /// It says what the one in force says.
    Unchanged,
    /// It is wrong; the one before stays in force.
    Refused,
}

impl Reloaded {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// A configuration that was read, or what is wrong with it.
type Read = Result<Config, ConfigErrors>;

struct Request {
    read: Read,
    outcome: oneshot::Sender<Reloaded>,
}

/// Hands configurations over to be put in force. Clones hand over to the same proxy.
#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::Sender<Request>);

/// Where the configurations of a [`ReloadHandle`] arrive.
#[derive(Debug)]
pub struct Reloads(mpsc::Receiver<Request>);

/// A handle and where it leads.
pub fn reloads() -> (ReloadHandle, Reloads) {
    let (sender, receiver) = mpsc::channel(1);
    (ReloadHandle(sender), Reloads(receiver))
}

impl ReloadHandle {
    /// Hands over what was read and waits until it is in force or refused; `None` when the proxy stops.
    pub async fn reload(&self, read: Read) -> Option<Reloaded> {
        let (outcome, answer) = oneshot::channel();
        self.0.send(Request { read, outcome }).await.ok()?;
        answer.await.ok()
    }
}

impl Reloads {
    /// None will come.
    pub fn none() -> Self {
        reloads().1
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Request")
    }
}

/// Puts configurations in force, one after the other.
#[derive(Debug)]
pub struct Reloader {
    live: Arc<Live>,
    /// What the proxy was started with.
    started: Config,
    /// What is in force now, but for what needs a restart.
    in_force: Config,
}

impl Reloader {
    /// For a proxy that was started with this configuration, which is in force.
    pub fn new(live: Arc<Live>, config: Config) -> Self {
        let gate = live.gate();
        gate.metrics.config_in_force(gate.clock.now().as_u64());
        Self {
            live,
            started: config.clone(),
            in_force: config,
        }
    }

    /// Puts in force what arrives; goes on when nothing can arrive any more.
    pub async fn run(mut self, mut reloads: Reloads) {
        while let Some(Request { read, outcome }) = reloads.0.recv().await {
            // Whoever asked may have left; the configuration is in force all the same.
            let _ = outcome.send(self.reload(read));
        }
        std::future::pending().await
    }

    fn reload(&mut self, read: Read) -> Reloaded {
        let outcome = match read {
            Ok(config) if config == self.in_force => Reloaded::Unchanged,
            Ok(config) => self.apply(config),
            Err(errors) => refuse(errors),
        };
        self.live.gate().metrics.config_reload(outcome.as_str());
        outcome
    }

    fn apply(&mut self, config: Config) -> Reloaded {
        let old = self.live.gate();
        let Compiled { gate, serving, .. } = match compile_again(&config, &self.in_force, &old) {
            Ok(compiled) => compiled,
            Err(error) => return refuse(format_args!("error: {error}")),
        };
        // Does nothing for a client that moved over.
        gate.endpoints.logto.start();
        let since = gate.clock.now().as_u64();
        gate.metrics.config_in_force(since);
        self.live.replace(gate, serving);
        let (format, level) = logging(&config);
        telemetry::change_logging(format, level);
        tracing::info!("the configuration was read again and is in force");
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let waiting = need_restart(&self.started, &config);
        if !waiting.is_empty() {
            tracing::warn!(
                keys = waiting.join(", "),
                "these changes need a restart; all others are in force"
            );
        }
        self.in_force = config;
        Reloaded::Applied
    }
}

fn refuse(why: impl fmt::Display) -> Reloaded {
    tracing::error!("the configuration was read again and is wrong; the one before stays in force\n{why}");
    Reloaded::Refused
}

/// Format and level of the log.
pub fn logging(config: &Config) -> (LogFormat, tracing::Level) {
    let format = match config.log.format {
        config::LogFormat::Auto => LogFormat::Auto,
        config::LogFormat::Json => LogFormat::Json,
        config::LogFormat::Pretty => LogFormat::Pretty,
    };
    (format, config.log.level)
}

/// The keys that differ and only count when the proxy starts: addresses are bound and threads started then.
fn need_restart(started: &Config, now: &Config) -> Vec<&'static str> {
    let is_other = [
        ("listen", started.listen != now.listen),
        ("workers", started.workers != now.workers),
        ("admin.listen", started.admin != now.admin),
        ("store", started.store != now.store),
        (
            "limits.connections",
            started.limits.connections != now.limits.connections,
        ),
    ];
    is_other
        .into_iter()
        .filter_map(|(key, is_other)| is_other.then_some(key))
        .collect()
}

//! `logto-proxy run`: serve until SIGTERM or SIGINT, and follow the configuration.

use super::follow::follow;
use super::output::complain;
use super::{ConfigFlags, FAILED, WRONG_SETUP};
use crate::app::{App, StartError};
use crate::clock::Clock;
use crate::config::{self, Config, Environment, Source};
use crate::live;
use crate::tasks::Tasks;
use crate::telemetry;
use std::io;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Where the configuration that the flags name comes from.
fn source(flags: &ConfigFlags) -> Source {
    let mut source = Source::new(&flags.config, Environment::of_process());
    source.overrides.clone_from(&flags.overrides);
    source
}

/// Reads the configuration that the flags name, or prints what is wrong with it.
pub(super) fn load(flags: &ConfigFlags) -> Result<Config, ExitCode> {
    load_from(&source(flags))
}

fn load_from(source: &Source) -> Result<Config, ExitCode> {
    config::load(source).map_err(|errors| {
        complain(errors);
        ExitCode::from(WRONG_SETUP)
    })
}

/// The runtime of everything but the requests themselves, which have workers of their own. Its tasks run on the thread that
/// blocks on it; a scheduler for many threads would cost memory for nothing.
pub(super) fn control_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A token that is cancelled by the first SIGTERM or SIGINT.
pub(super) fn stop_on_signals() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let signalled = stop.clone();
    drop(crate::tasks::Tasks::new().spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signalled.cancel();
    }));
    Ok(stop)
}

/// The exit code for a proxy that could not start.
pub(super) fn start_failed(error: &StartError) -> ExitCode {
    complain(format_args!("error: {error}"));
    match error {
        StartError::Compile(_) | StartError::Listen { .. } => ExitCode::from(WRONG_SETUP),
        StartError::System(_) => ExitCode::from(FAILED),
    }
}

/// Serves.
pub(super) fn run(flags: &ConfigFlags) -> ExitCode {
    let source = source(flags);
    let config = match load_from(&source) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let (format, level) = live::logging(&config);
    telemetry::start_logging(format, level);
    super::process::prepare();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match control_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return start_failed(&error.into()),
    };
    let served: Result<bool, StartError> = runtime.block_on(async {
        // From here on SIGHUP ends nothing.
        let hangups = signal(SignalKind::hangup())?;
        let app = App::bind(&config, Clock::system()).await?;
        let stop = stop_on_signals()?;
        let (handle, reloads) = live::reloads();
        let following = Tasks::new().spawn(follow(source, config.files, handle, hangups));
        for address in app.addresses() {
            tracing::info!(%address, public_url = %config.public_url, "listening");
        }
        if let Some(address) = app.admin_address() {
            tracing::info!(%address, "health listener");
        }
        tracing::info!(
            store = config.store.in_words(),
            "store of sessions that have ended"
        );
        let served = app.run(stop, reloads).await;
        following.abort();
        served
    });
    match served {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            tracing::warn!("some requests were still in flight when shutdown.timeout ended");
            ExitCode::SUCCESS
        }
        Err(error) => start_failed(&error),
    }
}

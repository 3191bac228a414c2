//! `logto-proxy run`: serve until SIGTERM or SIGINT.

use super::output::complain;
use super::{ConfigFlags, FAILED, WRONG_SETUP};
use crate::app::{App, StartError};
use crate::clock::Clock;
use crate::config::{self, Config, Environment, Source};
use crate::telemetry;
use std::io;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Reads the configuration that the flags name, or prints what is wrong with it.
pub(super) fn load(flags: &ConfigFlags) -> Result<Config, ExitCode> {
    let mut source = Source::new(&flags.config, Environment::of_process());
    source.overrides.clone_from(&flags.overrides);
    config::load(&source).map_err(|errors| {
        complain(errors);
        ExitCode::from(WRONG_SETUP)
    })
}

/// The runtime of everything but the requests themselves, which have workers of their own.
pub(super) fn control_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()
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
    let config = match load(flags) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let format = match config.log.format {
        config::LogFormat::Auto => telemetry::LogFormat::Auto,
        config::LogFormat::Json => telemetry::LogFormat::Json,
        config::LogFormat::Pretty => telemetry::LogFormat::Pretty,
    };
    telemetry::start(format, config.log.level);
    super::process::prepare();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match control_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return start_failed(&error.into()),
    };
    let served: Result<bool, StartError> = runtime.block_on(async {
        let app = App::bind(&config, Clock::system()).await?;
        let stop = stop_on_signals()?;
        for address in app.addresses() {
            tracing::info!(%address, public_url = %config.public_url, "listening");
        }
        if let Some(address) = app.admin_address() {
            tracing::info!(%address, "health listener");
        }
        app.run(stop).await
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

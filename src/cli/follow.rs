//! When to read the configuration again: on SIGHUP, and when a file that it is made from has changed.

use crate::config::{self, Source};
use crate::live::{FileWatch, ReloadHandle, Reloaded};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::time::{MissedTickBehavior, interval};

/// Time between two looks at the files; a change is read after two that agree.
const LOOK: Duration = Duration::from_secs(2);

/// Reads the configuration again whenever there is reason to, and hands it over; ends when the proxy stops. `files` are
/// those that the one in force was read from.
pub(super) async fn follow(source: Source, files: Vec<PathBuf>, handle: ReloadHandle, mut hangups: Signal) {
    let mut watch = FileWatch::new(files);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_asked = tokio::select! {
            Some(()) = hangups.recv() => true,
            _ = looks.tick() => false,
        };
        // A file system that hangs must not hold up anything else.
        let source = source.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let read = if is_asked {
                watch.about_to_read();
                true
            } else {
                watch.look()
            };
            let read = read.then(|| config::load(&source));
            (watch, read)
        });
        let Ok((seen, read)) = looking.await else {
            return;
        };
        watch = seen;
        let Some(read) = read else {
            continue;
        };
        let named = match &read {
            Ok(config) => config.files.clone(),
            Err(errors) => errors.files().to_vec(),
        };
        match handle.reload(read).await {
            None => return,
            Some(Reloaded::Refused) => {
                // Those of the configuration in force, and those that would put the new one right.
                let files: BTreeSet<PathBuf> = watch.files().iter().cloned().chain(named).collect();
                watch.watch(files.into_iter().collect());
            }
            Some(outcome) => {
                if is_asked && outcome == Reloaded::Unchanged {
                    tracing::info!("the configuration was read again and says what it said before");
                }
                watch.watch(named);
            }
        }
    }
}

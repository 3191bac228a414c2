//! A store in one file.
use super::condition::{Condition, Health};
use super::error::{OpenError, StoreError};
use super::local::Local;
use super::published::Published;
use super::records::SessionRecord;
use super::settings::Settings;
use crate::clock::UnixSeconds;
use crate::session::Notice;
use crate::session::session::SessionId;
use crate::tasks::Tasks;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(super) struct FileStore {
    condition: Condition,
}

impl FileStore {
    pub(super) fn open(_: &Path, _: &Settings, local: Arc<Local>) -> Result<Self, OpenError> {
        Ok(Self {
            condition: Condition::present("file", local.clock.clone(), local.metrics.clone()),
        })
    }
    pub(super) fn start(&self, _: &Tasks, _: &CancellationToken) {}
    pub(super) async fn keep_notice(&self, _: Notice) -> Result<(), StoreError> {
        Ok(())
    }
    pub(super) fn note(&self, _: SessionRecord, _: Vec<SessionId>) {}
    pub(super) async fn keep_result(
        &self,
        _: SessionId,
        _: &Published,
        _: Duration,
    ) -> Result<(), StoreError> {
        Ok(())
    }
    pub(super) fn health(&self) -> Health {
        self.condition.health(0)
    }
    pub(super) fn knows_since(&self) -> Option<UnixSeconds> {
        None
    }
}

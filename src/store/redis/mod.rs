//! A store that replicas share.
use super::condition::{Condition, Health};
use super::error::{OpenError, StoreError};
use super::lease::Turn;
use super::local::Local;
use super::published::Published;
use super::records::SessionRecord;
use super::replay::Use;
use super::settings::Settings;
use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use crate::session::Notice;
use crate::session::SessionId;
use crate::tasks::Tasks;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(super) struct RedisStore {
    condition: Condition,
}

impl RedisStore {
    pub(super) fn open(
        _: &SecretText,
        _: &[CertificateDer<'static>],
        _: &Settings,
        local: Arc<Local>,
        _: Tasks,
        _: CancellationToken,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            condition: Condition::awaited("redis", local.clock.clone(), local.metrics.clone()),
        })
    }
    pub(super) fn start(&self) {}
    pub(super) async fn caught_up(&self) {}
    pub(super) async fn tell(&self, _: Notice) -> Result<(), StoreError> {
        Ok(())
    }
    pub(super) fn health(&self) -> Health {
        self.condition.health(0)
    }
    pub(super) fn note(&self, _: SessionRecord) {}
    pub(super) async fn records_of(&self, _: &str) -> Result<Vec<SessionRecord>, StoreError> {
        Err(StoreError::Away)
    }
    pub(super) async fn first_use(&self, _: &'static str, _: Use, _: Duration) -> bool {
        true
    }
    pub(super) async fn begin_recheck(&self, _: SessionId, _: UnixSeconds, _: Duration) -> Turn {
        Turn::Alone
    }
    pub(super) async fn result(&self, _: SessionId) -> Option<Published> {
        None
    }
    pub(super) fn keep_result(&self, _: SessionId, _: &Published, _: Duration) {}
}

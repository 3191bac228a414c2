//! A store in a Redis or Valkey that replicas share.
//!
//! Promises that a notice is in force here before anything is sent, reaches the other replicas at once while the Redis is
//! there, and without a gap when it comes back; and that nothing waits for a Redis that is away. Refuses to be the
//! authority: each replica holds the whole set and fills a Redis that lost its memory; whoever can write to it can end
//! sessions but make none, since results are sealed. The URL holds the password and is never shown.

pub(super) mod address;
mod connect;
mod fault;
mod follow;
mod keys;
mod link;
mod outbox;
mod recheck;
mod sessions;
mod shared;
mod stream;
mod trim;
mod writes;

use self::address::Address;
use self::follow::millis;
use self::keys::Keys;
use self::outbox::Outbox;
use self::shared::Shared;
use self::writes::Writes;
use super::condition::{Condition, Health};
use super::error::{OpenError, StoreError};
use super::lease::Turn;
use super::local::Local;
use super::published::{Published, until};
use super::records::SessionRecord;
use super::replay::Use;
use super::settings::Settings;
use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use crate::session::{Notice, OLDEST_TOKEN, SessionId};
use crate::tasks::Tasks;
use rustls::pki_types::CertificateDer;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a publisher waits for the Redis to acknowledge. The notice stays queued all the same.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(1);
/// What is in the stream is kept this much longer than it counts, for clocks that differ.
const KEEP_LONGER: Duration = Duration::from_secs(3600);

/// A store in Redis.
pub(super) struct RedisStore {
    shared: Arc<Shared>,
    address: Arc<Address>,
    caught_up: watch::Sender<bool>,
    lifetime: Duration,
}

impl RedisStore {
    /// Reads the URL. The Redis is not contacted before [`Self::start`].
    pub(super) fn open(
        url: &SecretText,
        extra_roots: &[CertificateDer<'static>],
        settings: &Settings,
        local: Arc<Local>,
        tasks: Tasks,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        let address = Arc::new(Address::read(url, extra_roots)?);
        let condition = Condition::awaited("redis", local.clock.clone(), local.metrics.clone());
        let shared = Arc::new(Shared {
            keys: Keys::of(&settings.namespace),
            keep: settings.lifetime.max(OLDEST_TOKEN).saturating_add(KEEP_LONGER),
            most_notices: settings.most_notices,
            local,
            condition,
            outbox: Outbox::new(),
            writes: Writes::new(),
            tasks,
            stop,
            began: AtomicU64::new(0),
            connection: Mutex::new(None),
        });
        Ok(Self {
            shared,
            address,
            caught_up: watch::Sender::new(false),
            lifetime: settings.lifetime,
        })
    }

    /// Connects, and stays connected.
    pub(super) fn start(&self) {
        let (shared, address) = (Arc::clone(&self.shared), Arc::clone(&self.address));
        let work = link::run(shared, address, self.caught_up.clone());
        self.shared.tasks.spawn(work);
    }

    /// Waits for the first complete reading.
    pub(super) async fn caught_up(&self) {
        // The sender is ours: it is not dropped before.
        let _ = self.caught_up.subscribe().wait_for(|caught_up| *caught_up).await;
    }

    /// Tells the other replicas.
    pub(super) async fn tell(&self, notice: Notice) -> Result<(), StoreError> {
        let delivered = self.shared.outbox.push(&notice);
        if self.shared.condition.available() {
            // No answer in time: it stays queued.
            let _ = timeout(ACKNOWLEDGEMENT, delivered).await;
        }
        Ok(())
    }

    pub(super) fn health(&self) -> Health {
        self.shared.condition.health(self.shared.outbox.len())
    }

    /// When the Redis began to remember, while sessions from before can still be alive.
    pub(super) fn knows_since(&self) -> Option<UnixSeconds> {
        let began = UnixSeconds::new(self.shared.began.load(Ordering::Relaxed));
        let now = self.shared.local.clock.now();
        (now < began.plus(self.lifetime)).then_some(began)
    }

    pub(super) fn note(&self, record: SessionRecord) {
        self.shared.writes.note(record);
    }

    pub(super) async fn records_of(&self, subject: &str) -> Result<Vec<SessionRecord>, StoreError> {
        let mut connection = self.shared.connection().ok_or(StoreError::Away)?;
        sessions::read(&self.shared, &mut connection, subject)
            .await
            .map_err(|_| StoreError::Away)
    }

    /// Whether nobody has used it yet, as far as can be known.
    pub(super) async fn first_use(&self, kind: &'static str, used: Use, keep: Duration) -> bool {
        let Some(mut connection) = self.shared.connection() else {
            return true;
        };
        let mut command = redis::cmd("SET");
        command
            .arg(self.shared.keys.used(kind, used))
            .arg(1)
            .arg("NX")
            .arg("PX")
            .arg(millis(keep));
        let answer = command.query_async::<Option<String>>(&mut connection);
        !matches!(recheck::step(answer).await, Ok(None))
    }

    pub(super) async fn begin_recheck(
        &self,
        session: SessionId,
        newer_than: UnixSeconds,
        patience: Duration,
    ) -> Turn {
        recheck::begin(&self.shared, session, newer_than, patience).await
    }

    pub(super) async fn result(&self, session: SessionId) -> Option<Published> {
        recheck::read_result(&self.shared, session).await
    }

    pub(super) fn keep_result(&self, session: SessionId, result: &Published, keep: Duration) {
        let until = until(keep, self.shared.local.clock.now());
        self.shared.writes.keep_result(session, result.clone(), until);
    }
}

//! Following the stream of notices, without a gap.
//!
//! A replica reads on from the last entry it has seen. It first makes sure that the stream is still the one it saw: that
//! the Redis has not lost its memory (a random value that everyone remembers is unchanged), and that the last entry it
//! knows of is still there (a primary that took over may lack the newest). If it is not, it reads everything and adds
//! what is in force here but missing there. So a Redis that comes back empty is filled again by whoever knows.

use super::fault::Fault;
use super::outbox;
use super::shared::Shared;
use super::stream::{EntryId, Page};
use super::trim::{self, TRIM};
use crate::clock::monotonic;
use crate::hex::hex;
use crate::session::{Notice, Revocations};
use redis::Value;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long one reading waits for a notice.
pub(super) const BLOCK: Duration = Duration::from_secs(2);
/// Entries in one reading.
const MOST_AT_ONCE: usize = 1_000;
/// How often it is made sure that the stream is the same.
const CHECK: Duration = Duration::from_secs(2);
/// Replicas that find the stream lost do not all fill it in the same moment.
const SPREAD: Duration = Duration::from_millis(300);

/// How far one replica has read. It outlives connections.
pub(super) struct Follower {
    seen: EntryId,
    epoch: Option<String>,
    checked: Instant,
    trimmed: Option<Instant>,
    /// It has not yet caught up once.
    is_new: bool,
    warned: bool,
}

impl Follower {
    pub(super) fn new() -> Self {
        Self {
            seen: EntryId::default(),
            epoch: None,
            checked: monotonic(),
            trimmed: None,
            is_new: true,
            warned: false,
        }
    }

    /// Reads what was missed and delivers what waits. Afterwards all that the Redis knows is in force here, and all that
    /// is in force here is in the Redis. What can be read is in force also where nothing can be written.
    pub(super) async fn catch_up(
        &mut self,
        shared: &Shared,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), Fault> {
        let mut epoch = epoch(shared, connection).await?;
        if epoch.is_none() {
            self.seen = EntryId::default();
            self.read_on(shared, connection, None).await?;
            epoch = Some(new_epoch(shared, connection).await?);
        }
        let is_same = self.epoch == epoch && self.last_known_is_there(shared, connection).await?;
        let overflowed = shared.outbox.take_overflowed();
        if is_same && !overflowed {
            self.read_on(shared, connection, None).await?;
            shared.outbox.drain(connection, &shared.keys, shared.keep).await?;
        } else {
            // Half done is not done: all of it again.
            self.epoch = None;
            self.compare(shared, connection).await?;
            self.epoch = epoch;
        }
        let mut lasts = redis::cmd("EXPIRE");
        lasts.arg(&shared.keys.epoch).arg(shared.keep.as_secs().max(1));
        let _: u8 = lasts.query_async(connection).await?;
        let began = self
            .epoch
            .as_deref()
            .and_then(|epoch| epoch.split('-').next()?.parse().ok());
        shared.began.store(began.unwrap_or_default(), Ordering::Relaxed);
        self.is_new = false;
        self.checked = monotonic();
        Ok(())
    }

    /// Reads everything, and adds what is in force here but missing there.
    async fn compare(
        &mut self,
        shared: &Shared,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), Fault> {
        self.seen = EntryId::default();
        shared.outbox.forget_delivered();
        let there = Revocations::new(shared.most_notices);
        self.read_on(shared, connection, Some(&there)).await?;
        shared.outbox.drain(connection, &shared.keys, shared.keep).await?;
        if !self.is_new {
            sleep(random_part_of(SPREAD)).await;
        }
        self.read_on(shared, connection, Some(&there)).await?;
        let mut missing = shared.local.revocations.notices();
        missing.retain(|notice| there.apply(notice));
        add_all(shared, connection, &missing).await
    }

    /// Deletes what nobody needs any more, now and then.
    async fn trim_now_and_then(
        &mut self,
        shared: &Shared,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), Fault> {
        if self.trimmed.is_some_and(|trimmed| trimmed.elapsed() < TRIM) {
            return Ok(());
        }
        self.trimmed = Some(monotonic());
        trim::expired(shared, connection).await?;
        if trim::is_too_long(shared, connection).await? {
            self.read_on(shared, connection, None).await?;
            // All up to here is in force here.
            add_all(shared, connection, &shared.local.revocations.notices()).await?;
            trim::before(shared, connection, self.seen.next()).await?;
        }
        Ok(())
    }

    /// Reads whatever comes, until the Redis fails.
    pub(super) async fn follow(
        &mut self,
        shared: &Shared,
        mut reads: MultiplexedConnection,
        mut commands: MultiplexedConnection,
    ) -> Fault {
        loop {
            let step = async {
                let page = self.read_page(shared, &mut reads, Some(BLOCK)).await?;
                self.absorb(shared, page, None);
                if self.checked.elapsed() >= CHECK {
                    self.catch_up(shared, &mut commands).await?;
                    self.trim_now_and_then(shared, &mut commands).await?;
                }
                Ok(())
            };
            if let Err(fault) = step.await {
                return fault;
            }
        }
    }

    async fn last_known_is_there(
        &self,
        shared: &Shared,
        connection: &mut MultiplexedConnection,
    ) -> Result<bool, Fault> {
        let last = self.seen.max(shared.outbox.last_delivered().unwrap_or_default());
        if last == EntryId::default() {
            return Ok(true);
        }
        let found: StreamRangeReply = redis::cmd("XRANGE")
            .arg(&shared.keys.notices)
            .arg(last.to_string())
            .arg(last.to_string())
            .query_async(connection)
            .await?;
        Ok(!found.ids.is_empty())
    }

    /// Reads to the end of the stream, without waiting.
    async fn read_on(
        &mut self,
        shared: &Shared,
        connection: &mut MultiplexedConnection,
        copy: Option<&Revocations>,
    ) -> Result<(), Fault> {
        loop {
            let page = self.read_page(shared, connection, None).await?;
            if page.last.is_none() {
                return Ok(());
            }
            self.absorb(shared, page, copy);
        }
    }

    async fn read_page(
        &self,
        shared: &Shared,
        connection: &mut MultiplexedConnection,
        block: Option<Duration>,
    ) -> Result<Page, Fault> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(MOST_AT_ONCE);
        if let Some(block) = block {
            command.arg("BLOCK").arg(millis(block));
        }
        command
            .arg("STREAMS")
            .arg(&shared.keys.notices)
            .arg(self.seen.to_string());
        let answer: Value = command.query_async(connection).await?;
        Page::read(&answer)
    }

    /// Puts what was read in force. What a replica reads when it begins is not news to count.
    fn absorb(&mut self, shared: &Shared, page: Page, copy: Option<&Revocations>) {
        let now = shared.local.clock.now();
        for notice in page.notices {
            let notice = notice.learnt_by(now);
            if self.is_new {
                shared.local.revocations.apply(&notice);
            } else {
                shared.local.apply(&notice, "replica");
            }
            if let Some(copy) = copy {
                copy.apply(&notice);
            }
        }
        if page.unknown > 0 && !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                entries = page.unknown,
                "the stream of notices has entries that this version does not know: another replica is newer"
            );
        }
        self.seen = self.seen.max(page.last.unwrap_or_default());
    }
}

/// When the memory of the Redis began, and a random value: both are lost with it.
async fn epoch(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<Option<String>, Fault> {
    let mut command = redis::cmd("GET");
    command.arg(&shared.keys.epoch);
    Ok(command.query_async(connection).await?)
}

/// Makes that value, unless another replica was faster.
async fn new_epoch(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<String, Fault> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Fault::of("the system gave no random bytes"))?;
    let value = format!("{}-{}", shared.local.clock.now().as_u64(), hex(&random));
    let mut make = redis::cmd("SET");
    make.arg(&shared.keys.epoch).arg(value);
    make.arg("NX").arg("EX").arg(shared.keep.as_secs().max(1));
    let _: Option<String> = make.query_async(connection).await?;
    epoch(shared, connection).await?.ok_or(Fault::CLOSED)
}

/// Adds notices to the stream.
async fn add_all(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    notices: &[Notice],
) -> Result<(), Fault> {
    let json = notices
        .iter()
        .filter_map(|notice| serde_json::to_vec(notice).ok());
    let json: Vec<Vec<u8>> = json.collect();
    for batch in json.chunks(MOST_AT_ONCE) {
        outbox::add(connection, &shared.keys, batch, shared.keep).await?;
    }
    Ok(())
}

/// Whole milliseconds, as the Redis counts time; at least one.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// A random part of a duration, so that replicas do not act in step.
pub(super) fn random_part_of(duration: Duration) -> Duration {
    let mut byte = [0; 1];
    // Without random bytes: all of it.
    let part = getrandom::fill(&mut byte).map_or(u32::from(u8::MAX), |()| u32::from(byte[0]));
    duration.saturating_mul(part) / u32::from(u8::MAX)
}

//! Deleting entries of the stream that nobody needs any more.
//!
//! By the clock of the Redis alone: a replica whose own clock is wrong must not delete what others need. And by number:
//! whoever signs in and out for ever must not fill the memory of the Redis.

use super::fault::Fault;
use super::shared::Shared;
use super::stream::EntryId;
use redis::aio::MultiplexedConnection;
use std::time::Duration;

/// How often.
pub(super) const TRIM: Duration = Duration::from_secs(600);

/// Deletes entries that are older than the longest session.
pub(super) async fn expired(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<(), Fault> {
    let (seconds, _): (u64, u64) = redis::cmd("TIME").query_async(connection).await?;
    let oldest = seconds.saturating_sub(shared.keep.as_secs());
    before(shared, connection, EntryId::at(oldest.saturating_mul(1_000))).await
}

/// Whether there are so many entries that most of them must be contained in others, or given up by every replica.
pub(super) async fn is_too_long(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
) -> Result<bool, Fault> {
    let mut length = redis::cmd("XLEN");
    length.arg(&shared.keys.notices);
    let length: usize = length.query_async(connection).await?;
    Ok(length > shared.most_notices.saturating_mul(3))
}

/// Deletes the entries before this one.
pub(super) async fn before(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    first: EntryId,
) -> Result<(), Fault> {
    let mut trim = redis::cmd("XTRIM");
    trim.arg(&shared.keys.notices).arg("MINID").arg(first.to_string());
    let _: u64 = trim.query_async(connection).await?;
    Ok(())
}

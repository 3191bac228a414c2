//! One re-check of a session at a time over all replicas: the lease and the result.

use super::fault::Fault;
use super::follow::millis;
use super::shared::Shared;
use crate::clock::{UnixSeconds, monotonic};
use crate::session::SessionId;
use crate::store::lease::{LONGEST_LEASE, Lease, Publication, Turn};
use crate::store::published::Published;
use redis::aio::MultiplexedConnection;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long a lease lasts without being renewed, and how often it is. A replica that dies is replaced within three
/// seconds: so long Logto forgives a second use of a refresh token.
const LEASE: Duration = Duration::from_secs(2);
const RENEWAL: Duration = Duration::from_millis(500);
/// How long a step may take before it goes on as if the Redis were away.
pub(super) const STEP: Duration = Duration::from_millis(300);
/// How long one that waits waits before it looks again: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(25);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

/// Makes a lease that is ours, or nobody's any more since the Redis lost its memory, last on. 0: it is another's.
const RENEW: &str = r"
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
if not holder then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1 end
return 0";

/// Lets a lease go if it is ours.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// Keeps a result unless a newer one is kept, and for as long as the one whose place it takes.
const KEEP: &str = r"
local function at(value)
  local seconds = 0
  for place = 1, 8 do seconds = seconds * 256 + (value:byte(place) or 0) end
  return seconds
end
local kept = redis.call('GET', KEYS[1])
if kept and at(kept) > at(ARGV[1]) then return 0 end
local keep = math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[1], ARGV[1], 'PX', string.format('%.0f', keep))
return 1";

/// Asks for a turn.
pub(super) async fn begin(
    shared: &Arc<Shared>,
    session: SessionId,
    newer_than: UnixSeconds,
    patience: Duration,
) -> Turn {
    let mut token = [0; 16];
    if getrandom::fill(&mut token).is_err() {
        return Turn::Alone;
    }
    let token = crate::hex::hex(&token);
    let deadline = monotonic() + patience;
    let mut look = FIRST_LOOK;
    loop {
        if shared.stop.is_cancelled() {
            return Turn::Stopping;
        }
        let Some(mut connection) = shared.connection() else {
            return Turn::Alone;
        };
        // Who holds the lease publishes before letting it go: if we get it, a result is seen now or there is none.
        let taken: Result<(Option<String>, Option<Vec<u8>>), Fault> = step(
            redis::pipe()
                .cmd("SET")
                .arg(shared.keys.lease(session))
                .arg(&token)
                .arg("NX")
                .arg("PX")
                .arg(millis(LEASE))
                .cmd("GET")
                .arg(shared.keys.result(session))
                .query_async(&mut connection),
        )
        .await;
        let Ok((lease, result)) = taken else {
            return Turn::Alone;
        };
        let is_held = lease.is_some();
        let newer = result
            .and_then(|bytes| Published::from_bytes(&bytes))
            .filter(|result| result.checked_at > newer_than);
        if let Some(result) = newer {
            if is_held {
                drop(hold(shared, session, token));
            }
            return Turn::Done(result);
        }
        if is_held {
            return Turn::Lead(hold(shared, session, token));
        }
        let left = deadline.saturating_duration_since(monotonic());
        if left.is_zero() {
            return Turn::Alone;
        }
        sleep(look.min(left)).await;
        look = look.saturating_mul(2).min(LONGEST_LOOK);
    }
}

/// The result that is kept for a session.
pub(super) async fn read_result(shared: &Shared, session: SessionId) -> Option<Published> {
    let mut connection = shared.connection()?;
    let mut command = redis::cmd("GET");
    command.arg(shared.keys.result(session));
    let result: Option<Vec<u8>> = step(command.query_async(&mut connection)).await.ok()?;
    Published::from_bytes(&result?)
}

/// Keeps a result, unless a newer one is kept.
pub(super) async fn write_result(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    session: SessionId,
    result: &Published,
    keep: Duration,
) -> Result<(), Fault> {
    let _: u8 = redis::cmd("EVAL")
        .arg(KEEP)
        .arg(1)
        .arg(shared.keys.result(session))
        .arg(result.to_bytes())
        .arg(millis(keep))
        .query_async(connection)
        .await?;
    Ok(())
}

/// A step that a caller waits for.
pub(super) async fn step<T>(answer: impl Future<Output = Result<T, redis::RedisError>>) -> Result<T, Fault> {
    match timeout(STEP, answer).await {
        Ok(answer) => answer.map_err(Fault::from),
        Err(_) => Err(Fault::SLOW),
    }
}

fn hold(shared: &Arc<Shared>, session: SessionId, token: String) -> Lease {
    let (holder, publication) = oneshot::channel();
    let holding = held(Arc::clone(shared), session, token, publication);
    let task = shared.tasks.spawn(holding);
    Lease {
        session,
        local: Arc::clone(&shared.local),
        holder,
        task: task.abort_handle(),
    }
}

/// Renews a lease until its holder publishes or drops it, then lets it go.
async fn held(
    shared: Arc<Shared>,
    session: SessionId,
    token: String,
    publication: oneshot::Receiver<Publication>,
) {
    let lease = shared.keys.lease(session);
    let renew = script(RENEW, &lease, &token, Some(LEASE));
    let renewals = async {
        loop {
            sleep(RENEWAL).await;
            if let Some(mut connection) = shared.connection()
                && matches!(step(renew.query_async::<u8>(&mut connection)).await, Ok(0))
            {
                // Another has it by now, which is no longer to be helped; the result still counts.
                return std::future::pending::<()>().await;
            }
        }
    };
    let publication = tokio::select! {
        biased;
        publication = publication => publication.ok(),
        () = renewals => None,
        () = sleep(LONGEST_LEASE) => None,
        () = shared.stop.cancelled() => None,
    };
    if let Some(publication) = publication {
        publish(&shared, session, publication).await;
    }
    if let Some(mut connection) = shared.connection() {
        // Unheard: the lease ends by itself soon.
        let release = script(RELEASE, &lease, &token, None);
        let _ = step(release.query_async::<u8>(&mut connection)).await;
    }
}

/// Keeps the result of whoever led. If the Redis does not take it now, it gets it when it is back: others would spend the
/// refresh token of before.
async fn publish(shared: &Shared, session: SessionId, publication: Publication) {
    let Publication { result, keep, kept } = publication;
    let written = match shared.connection() {
        Some(mut connection) => {
            let writing = write_result(shared, &mut connection, session, &result, keep);
            timeout(STEP, writing).await.is_ok_and(|written| written.is_ok())
        }
        None => false,
    };
    if !written {
        let until = crate::store::published::until(keep, shared.local.clock.now());
        shared.writes.keep_result(session, result, until);
    }
    // Its holder may have stopped waiting; that is no fault.
    let _ = kept.send(());
}

fn script(text: &str, key: &str, token: &str, lasts: Option<Duration>) -> redis::Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(1).arg(key).arg(token);
    if let Some(lasts) = lasts {
        command.arg(millis(lasts));
    }
    command
}

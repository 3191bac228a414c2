//! The sessions of each user: a hash under the digest of who it is, a field for each session.

use super::fault::Fault;
use super::shared::Shared;
use crate::clock::UnixSeconds;
use crate::session::SessionId;
use crate::store::records::{self, MOST_OF_A_SUBJECT, SessionRecord};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// A record without what its place says: who the user is, and which session.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    signed_in_at: UnixSeconds,
    last_seen: UnixSeconds,
    expires_at: UnixSeconds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
}

/// Writes one session. The hash goes when its last session expires; the least recent of too many goes at once.
pub(super) async fn write(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    record: &SessionRecord,
) -> Result<(), Fault> {
    let stored = Stored {
        sid: record.sid.clone(),
        signed_in_at: record.signed_in_at,
        last_seen: record.last_seen,
        expires_at: record.expires_at,
        address: record.address,
        agent: record.agent.clone(),
    };
    let Ok(json) = serde_json::to_vec(&stored) else {
        return Ok(());
    };
    let key = shared.keys.sessions(&record.subject);
    let ends = record.expires_at.as_u64();
    let (count,): (usize,) = redis::pipe()
        .cmd("HSET")
        .arg(&key)
        .arg(record.id.to_string())
        .arg(json)
        .ignore()
        // Where there is no end yet, `GT` would take that for endless.
        .cmd("EXPIREAT")
        .arg(&key)
        .arg(ends)
        .arg("NX")
        .ignore()
        .cmd("EXPIREAT")
        .arg(&key)
        .arg(ends)
        .arg("GT")
        .ignore()
        .cmd("HLEN")
        .arg(&key)
        .query_async(connection)
        .await?;
    if count > MOST_OF_A_SUBJECT {
        let mut live = read(shared, connection, &record.subject).await?;
        records::sort(&mut live);
        live.truncate(MOST_OF_A_SUBJECT);
        let all: Vec<String> = redis::cmd("HKEYS").arg(&key).query_async(connection).await?;
        let kept = |field: &String| live.iter().any(|record| record.id.to_string() == *field);
        let gone: Vec<String> = all.into_iter().filter(|field| !kept(field)).collect();
        if !gone.is_empty() {
            let _: usize = redis::cmd("HDEL")
                .arg(&key)
                .arg(gone)
                .query_async(connection)
                .await?;
        }
    }
    Ok(())
}

/// A user's sessions that have not expired.
pub(super) async fn read(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    subject: &str,
) -> Result<Vec<SessionRecord>, Fault> {
    let fields: HashMap<String, Vec<u8>> = redis::cmd("HGETALL")
        .arg(shared.keys.sessions(subject))
        .query_async(connection)
        .await?;
    let now = shared.local.clock.now();
    let record = |(id, json): (String, Vec<u8>)| {
        let id: SessionId = id.parse().ok()?;
        let stored: Stored = serde_json::from_slice(&json).ok()?;
        (now < stored.expires_at).then(|| SessionRecord {
            id,
            subject: subject.to_owned(),
            sid: stored.sid,
            signed_in_at: stored.signed_in_at,
            last_seen: stored.last_seen,
            expires_at: stored.expires_at,
            address: stored.address,
            agent: stored.agent,
        })
    };
    Ok(fields.into_iter().filter_map(record).collect())
}

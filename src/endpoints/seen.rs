//! Where and with what a session is used, for its user to recognise on the page of sessions. Decides nothing.

use crate::clock::UnixSeconds;
use crate::request::CleanRequest;
use crate::session::Session;
use crate::store::SessionRecord;
use ::http::header;
use std::net::IpAddr;

/// What a request shows of its client.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its address, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
    /// Its `User-Agent`, as long as it came; the store keeps the start of it.
    pub agent: Option<String>,
}

impl Seen {
    /// Looks at a request.
    pub fn of(request: &CleanRequest) -> Self {
        let agent = request.headers().get(header::USER_AGENT);
        Self {
            address: request.client().address,
            agent: agent.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        }
    }

    /// The record of a session that was used here now.
    pub fn record(&self, session: &Session, now: UnixSeconds) -> SessionRecord {
        SessionRecord {
            id: session.id(),
            subject: session.subject().to_owned(),
            sid: session.sid().map(str::to_owned),
            signed_in_at: session.signed_in_at(),
            last_seen: now,
            expires_at: session.expires_at(),
            address: self.address,
            agent: self.agent.clone(),
        }
    }
}

//! Who is calling, as far as the presented cookies prove it.

use super::gate::Gate;
use super::record::Record;
use super::standing::Standing;
use crate::clock::UnixSeconds;
use crate::request::CleanRequest;
use crate::session::cookie::Reason;
use crate::session::freshness::Freshness;
use crate::session::{Presented, SessionView};
use ::http::HeaderMap;
use std::sync::Arc;

/// The caller of a request.
#[derive(Debug)]
pub(super) enum Caller {
    /// No session cookie.
    Unknown,
    /// Cookies that open no session, or one that is over.
    Refused,
    /// A session within its limits, and not revoked.
    SignedIn(Arc<SessionView>),
}

/// Opens the session cookies of a request, and notes whose they are. No I/O, no lock, one AEAD.
pub(super) fn authenticate(gate: &Gate, headers: &HeaderMap, record: &mut Record) -> Caller {
    match gate.endpoints.session(headers) {
        Presented::None => Caller::Unknown,
        Presented::Invalid(reason) => {
            gate.metrics.cookie_refused(reason.as_str());
            if let Reason::Revoked(cause) = reason {
                gate.metrics.session_ended(cause.as_str());
            }
            tracing::debug!(reason = reason.as_str(), "presented cookies open no session");
            Caller::Refused
        }
        Presented::Session(view, _) => {
            record.subject(view.subject());
            Caller::SignedIn(Arc::new(view))
        }
    }
}

impl Caller {
    /// The session that has to be confirmed with Logto before it is used.
    pub(super) fn due(&self, gate: &Gate, now: UnixSeconds) -> Option<&Arc<SessionView>> {
        match self {
            Self::SignedIn(view) if gate.rechecks.freshness(view, now) != Freshness::Current => Some(view),
            _ => None,
        }
    }

    /// The caller as the cookies have it.
    pub(super) fn standing(self, gate: &Gate, request: &CleanRequest, now: UnixSeconds) -> Standing {
        match self {
            Self::Unknown => Standing::nobody(),
            Self::Refused => Standing::refused(),
            Self::SignedIn(view) => Standing::as_presented(gate, view, request, now),
        }
    }
}

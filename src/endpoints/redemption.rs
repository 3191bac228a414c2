//! From a code to a session: the token call of a callback, and what becomes of its result.
//!
//! Runs as a task of its own: once begun it is finished, whether or not the browser waits, since a code that is redeemed
//! twice costs the user every session of this grant.

use super::Endpoints;
use super::once::{Callbacks, Outcome, Ticket};
use super::sign_in_state::SignInState;
use crate::clock::{Clock, UnixSeconds};
use crate::http::body::Body;
use crate::identity::{ClaimPath, Claims, HeaderRules};
use crate::logto::{Fault, Logto, LogtoError, LogtoErrorKind, RedeemRequest, SignedIn};
use crate::pages::Problem;
use crate::request::CleanRequest;
use crate::secret::SecretText;
use crate::session::{Established, Presented, Session};
use crate::store::{SessionRecord, Store};
use ::http::{HeaderMap, header};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

fn problem_of(error: &LogtoError) -> Problem {
    if error.is_transient() {
        return Problem::Unavailable;
    }
    match (error.kind(), error.fault()) {
        (LogtoErrorKind::Refused { error }, _) if error == "access_denied" => Problem::AccessDenied,
        (_, Fault::Operator) => Problem::Misconfigured,
        (LogtoErrorKind::Refused { .. }, _) => Problem::RefusedByLogto,
        _ => Problem::NotVerified,
    }
}


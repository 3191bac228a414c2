//! The step of a permitted request in which the caller's tokens are found.
//!
//! Promises that tokens come from the session which the request passes because of: a caller without one, be it nobody or somebody
//! by a bearer token, has none, and is refused where the route insists on them of whoever is known.

use super::gate::Gate;
use super::record::Record;
use super::standing::Standing;
use crate::http::body::Body;
use crate::identity::TokenHeaders;
use crate::policy::{Permit, Route};
use crate::request::CleanRequest;
use crate::streams::ConnectionStreams;
use crate::tokens::{Absent, Found, IfWanting};
use crate::upstream::Pools;
use ::http::Response;
use std::sync::Arc;

impl Gate {
    /// Has Logto asked for tokens that the route hands on, then decides anew: the session may be another by then, or over.
    pub(super) async fn ask_for_tokens(
        self: Arc<Self>,
        clean: CleanRequest,
        standing: Standing,
        record: Record,
        pools: Pools,
        streams: &ConnectionStreams,
    ) -> Response<Body> {
        let rules = self.settings.of(self.matched(&clean).route()).tokens.clone();
        let standing = match (rules, &standing.session) {
            (Some(rules), Some(view)) => {
                let outcome = self.tokens.ask(&rules, view, self.clock.now()).await;
                standing.changed(outcome, &self, &clean, self.clock.now())
            }
            _ => standing,
        };
        self.go_on(clean, standing, record, pools, streams, IfWanting::GoWithout)
            .await
    }

    /// The tokens that go with a permitted request.
    pub(super) fn tokens_of(&self, permit: &Permit<'_>, standing: &Standing, if_wanting: IfWanting) -> Found {
        let Some(rules) = &self.settings.of(permit.route()).tokens else {
            return Found::Ready(TokenHeaders::default());
        };
        match &standing.session {
            Some(session) if permit.identity().is_some() => {
                self.tokens.find(rules, session, self.clock.now(), if_wanting)
            }
            // Known by a bearer token, which is no session to take a token from.
            None if permit.identity().is_some() && rules.insist() => Found::Refused(Absent::NotGranted),
            _ => Found::Ready(rules.without()),
        }
    }
}

/// Explains the decision id that the answer names.
pub(super) fn note_absent(clean: &CleanRequest, route: &Route, absent: &Absent) {
    tracing::info!(
        target: "logto_proxy::refusal",
        decision_id = clean.request_id().to_str().ok(),
        route = %route,
        reason = absent.as_str(),
        "a request was not forwarded for want of a token"
    );
}

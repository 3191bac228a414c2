//! A caller as the decision and the answer take it: by cookie, by bearer token, or as a re-check leaves it.

use super::gate::Gate;
use crate::bearer::BearerCaller;
use crate::clock::UnixSeconds;
use crate::endpoints::Seen;
use crate::identity::{Claims, ProjectedHeaders};
use crate::policy;
use crate::recheck::Outcome;
use crate::request::CleanRequest;
use crate::secret::SecretText;
use crate::session::{Session, SessionCookies, SessionView};
use ::http::{HeaderMap, HeaderValue, header};
use std::sync::Arc;

/// A caller as the decision and the answer take it.
#[derive(Debug)]
pub(super) struct Standing {
    /// What the upstream may be told, when there is a session that may be used.
    pub(super) identity: Option<ProjectedHeaders>,
    /// That session, as last confirmed; the cookie may be older.
    pub(super) session: Option<Arc<SessionView>>,
    /// The bearer token of a caller who came with one; there is no session then.
    pub(super) token: Option<Arc<BearerCaller>>,
    /// That token itself, where Logto can be asked about it again.
    pub(super) presented: Option<SecretText>,
    /// Session cookies that the answer sets.
    pub(super) renewal: Vec<HeaderValue>,
    /// Whether the cookies are to be taken away.
    pub(super) refused: bool,
    /// Whether a sign-in without a question may bring the session back.
    pub(super) renewable: bool,
}

impl Standing {
    pub(super) fn nobody() -> Self {
        Self {
            identity: None,
            session: None,
            token: None,
            presented: None,
            renewal: Vec::new(),
            refused: false,
            renewable: false,
        }
    }

    pub(super) fn refused() -> Self {
        Self {
            refused: true,
            ..Self::nobody()
        }
    }

    /// A caller by a bearer token. Any cookies of the request count for nothing.
    pub(super) fn by_token(gate: &Gate, caller: Arc<BearerCaller>, presented: Option<SecretText>) -> Self {
        let rules = &gate.header_rules;
        let identity = if caller.is_machine {
            rules.project_program(&caller.client_id)
        } else {
            rules.project(&caller.claims)
        };
        Self {
            identity: Some(identity),
            token: Some(caller),
            presented,
            ..Self::nobody()
        }
    }

    /// A session as its cookie has it, renewed when that is due.
    pub(super) fn as_presented(
        gate: &Gate,
        view: Arc<SessionView>,
        request: &CleanRequest,
        now: UnixSeconds,
    ) -> Self {
        let renewal = if SessionCookies::should_renew(&view, now) {
            renewed(gate, view.to_session(), request, now)
        } else {
            Vec::new()
        };
        Self {
            identity: Some(view.headers(&gate.header_rules)),
            session: Some(view),
            renewal,
            ..Self::nobody()
        }
    }

    /// What a re-check leaves of a session.
    pub(super) fn after(
        outcome: Outcome,
        gate: &Gate,
        view: Arc<SessionView>,
        request: &CleanRequest,
        now: UnixSeconds,
    ) -> Self {
        match outcome {
            Outcome::Confirmed(session) => {
                let mut session = Session::clone(&session);
                session.project(&gate.header_rules);
                Self {
                    identity: Some(session.headers().clone()),
                    session: Some(SessionView::of(&session).map_or(view, Arc::new)),
                    renewal: renewed(gate, session, request, now),
                    ..Self::nobody()
                }
            }
            Outcome::Kept => Self::as_presented(gate, view, request, now),
            Outcome::Ended(cause) => {
                gate.metrics.session_ended(cause.as_str());
                Self::refused()
            }
            // The cookies stay: Logto may confirm the session when it is back.
            Outcome::Unconfirmed => Self::nobody(),
            Outcome::NeedsSignIn => Self {
                renewable: true,
                ..Self::nobody()
            },
        }
    }

    /// What a call about its session leaves of a standing. Cookies that an earlier one brought are not lost.
    pub(super) fn changed(
        self,
        outcome: Outcome,
        gate: &Gate,
        request: &CleanRequest,
        now: UnixSeconds,
    ) -> Self {
        match (outcome, &self.session) {
            (Outcome::Kept, _) | (_, None) => self,
            (outcome, Some(view)) => Self::after(outcome, gate, Arc::clone(view), request, now),
        }
    }

    /// What Logto says of the user. Reads JSON: not for every request.
    pub(super) fn claims(&self) -> Claims {
        match (&self.session, &self.token) {
            (Some(session), _) => session.claims(),
            (None, Some(token)) => token.claims.clone(),
            (None, None) => Claims::default(),
        }
    }

    /// Who it is, for the log: the user, or a program by its application ID.
    pub(super) fn subject(&self) -> Option<&str> {
        match (&self.session, &self.token) {
            (Some(session), _) => Some(session.subject()),
            (None, token) => token.as_ref().map(|token| token.name()),
        }
    }

    /// The caller as policy takes it.
    pub(super) fn caller<'a>(&'a self, claims: &'a Claims, identity: ProjectedHeaders) -> policy::Caller<'a> {
        match (&self.session, &self.token) {
            (None, None) => policy::Caller::Nobody,
            (None, Some(token)) => token_caller(token, claims, identity),
            (Some(session), _) => policy::Caller::User(policy::User {
                subject: session.subject(),
                claims,
                scopes: None,
                organization: None,
                identity,
            }),
        }
    }

    /// Expires cookies that open nothing, on answers that are the proxy's own.
    pub(super) fn clear_refused(
        &self,
        cookies: &SessionCookies,
        request: &HeaderMap,
        answer: &mut HeaderMap,
    ) {
        if self.refused {
            for line in cookies.clear(request) {
                answer.append(header::SET_COOKIE, line);
            }
        }
    }
}

pub(super) fn token_caller<'a>(
    token: &'a BearerCaller,
    claims: &'a Claims,
    identity: ProjectedHeaders,
) -> policy::Caller<'a> {
    let organization = token.organization.as_deref();
    match &token.subject {
        Some(subject) => policy::Caller::User(policy::User {
            subject,
            claims,
            scopes: Some(&token.scopes),
            organization,
            identity,
        }),
        None => policy::Caller::Machine(policy::Machine {
            client_id: &token.client_id,
            scopes: &token.scopes,
            organization,
            identity,
        }),
    }
}

/// The cookies of a session as used now; its user will find it so on the page of sessions.
fn renewed(gate: &Gate, mut session: Session, request: &CleanRequest, now: UnixSeconds) -> Vec<HeaderValue> {
    session.project(&gate.header_rules);
    session.renew(now);
    gate.endpoints
        .store
        .note_session(Seen::of(request).record(&session, now));
    gate.cookies
        .seal(&session, request.headers())
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "a session could not be renewed");
            Vec::new()
        })
}

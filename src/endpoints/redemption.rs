//! From a code to a session: the token call of a callback, and what becomes of its result.
//!
//! Runs as a task of its own: once begun it is finished, whether or not the browser waits, since a code that is redeemed
//! twice costs the user every session of this grant.

use super::Endpoints;
use super::once::{Callbacks, Outcome, Ticket};
use super::seen::Seen;
use super::sign_in_state::SignInState;
use crate::clock::{Clock, UnixSeconds};
use crate::identity::{ClaimPath, Claims, HeaderRules};
use crate::logto::{Fault, Logto, LogtoError, LogtoErrorKind, RedeemRequest, SignedIn};
use crate::pages::Problem;
use crate::recheck::Rechecks;
use crate::request::CleanRequest;
use crate::secret::SecretText;
use crate::session::id::NoRandomness;
use crate::session::{Confirmation, Established, Presented, Session};
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

/// One code with all that its token call needs; owns everything, since it outlives the request.
pub(super) struct Redemption {
    request: RedeemRequest,
    /// The session that a silent sign-in is to confirm, as the browser presents it.
    confirms: Option<Session>,
    rechecks: Arc<Rechecks>,
    seen: Seen,
    logto: Logto,
    callbacks: Arc<Callbacks>,
    header_rules: Arc<HeaderRules>,
    kept_claims: Vec<ClaimPath>,
    clock: Clock,
    lifetime: Duration,
    store: Store,
}

impl Redemption {
    pub(super) fn new(
        endpoints: &Endpoints,
        request: &CleanRequest,
        code: SecretText,
        state: &SignInState,
    ) -> Self {
        let confirms = match (state.silent_for(), endpoints.session(request.headers())) {
            (Some(id), Presented::Session(view, _)) if view.id() == id => Some(view.to_session()),
            _ => None,
        };
        Self {
            request: RedeemRequest {
                code,
                code_verifier: state.code_verifier(),
                nonce: state.nonce.clone(),
                max_age: endpoints.sign_ins.max_age(),
            },
            confirms,
            rechecks: Arc::clone(&endpoints.rechecks),
            seen: Seen::of(request),
            logto: endpoints.logto.clone(),
            callbacks: Arc::clone(&endpoints.callbacks),
            header_rules: Arc::clone(&endpoints.header_rules),
            kept_claims: endpoints.kept_claims.clone(),
            clock: endpoints.clock.clone(),
            lifetime: endpoints.cookies.limits().lifetime,
            store: endpoints.store.clone(),
        }
    }

    /// Makes the call in a tracked task and waits for its outcome, which goes to all who share the ticket.
    pub(super) async fn start(self, endpoints: &Endpoints, ticket: Ticket) -> Outcome {
        let task = endpoints.tasks.spawn(self.run(ticket));
        task.await.unwrap_or(Err(Problem::Unavailable))
    }

    async fn run(mut self, ticket: Ticket) -> Outcome {
        // What is learnt of the user while the call is under way counts against the session that it makes.
        let asked_at = self.clock.now();
        let outcome = match self.logto.redeem(self.request.clone()).await {
            Ok(verified) => {
                let mut signed_in = verified.into_inner();
                self.update_organizations(&mut signed_in).await;
                let session = self.session(signed_in.clone(), asked_at).map(Arc::new);
                if let Ok(session) = &session {
                    self.rechecks.keep_signed_in(session, &signed_in, asked_at);
                }
                session.map_err(|_| Problem::Unavailable)
            }
            Err(error) => {
                tracing::warn!(%error, "a sign-in failed");
                if let Some(session) = self.confirms.as_ref().filter(|_| error.is_transient()) {
                    self.rechecks.sign_in_unanswered(session);
                }
                Err(problem_of(&error))
            }
        };
        let now = self.clock.now();
        if let Ok(session) = &outcome {
            self.store.note_session(self.seen.record(session, now));
        }
        self.callbacks.finish(ticket, outcome.clone(), now);
        outcome
    }

    /// What Hugging Face says of its own organizations counts from the first request on.
    async fn update_organizations(&self, signed_in: &mut SignedIn) {
        let before = self
            .confirms
            .as_ref()
            .filter(|session| is_same(session, signed_in));
        let claims = std::mem::take(&mut signed_in.claims);
        signed_in.claims = self
            .rechecks
            .with_organizations(claims, &signed_in.access_token, before.map(Session::claims))
            .await;
    }

    /// The session that was to be confirmed when it is the same user's through the same session at Logto: it keeps its id
    /// and its end. Else a new one.
    fn session(&mut self, signed_in: SignedIn, asked_at: UnixSeconds) -> Result<Session, NoRandomness> {
        let confirmed = self
            .confirms
            .take()
            .filter(|session| is_same(session, &signed_in));
        let claims = Claims::new(signed_in.claims);
        let headers = self.header_rules.project(&claims);
        let fingerprint = self.header_rules.fingerprint();
        let claims = claims.keep_only(&self.kept_claims);
        let access_token = signed_in
            .expires_in
            .map(|seconds| asked_at.plus(Duration::from_secs(seconds)))
            .map(|expires| (signed_in.access_token, expires));
        if let Some(session) = confirmed {
            return Ok(session.confirmed(Confirmation {
                at: asked_at,
                claims,
                headers,
                fingerprint,
                refresh_token: signed_in.refresh_token,
                access_token,
            }));
        }
        Session::establish(Established {
            subject: signed_in.subject,
            sid: signed_in.sid,
            claims,
            signed_in_at: asked_at,
            lifetime: self.lifetime,
            refresh_token: signed_in.refresh_token,
            access_token,
            headers,
            fingerprint,
        })
    }
}

/// Whether it is the same user's session, through the same one at Logto.
fn is_same(session: &Session, signed_in: &SignedIn) -> bool {
    session.subject() == signed_in.subject && session.sid() == signed_in.sid.as_deref()
}

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

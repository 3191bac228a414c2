//! `POST webhook`: Logto says that users were suspended, deleted or changed.
//!
//! The signature over the raw body decides, before anything in it is read; without a configured key there is no such
//! endpoint. Stops forged and old messages, and tells whoever tries nothing about the check that failed. A message
//! that was taken is taken once; Logto's own repetition after a timeout is answered like the first.

use super::Endpoints;
use super::notify::{Kept, Notifier};
use crate::http::body::{self, Body, ReadError};
use crate::logto::webhook::{self, WebhookEvent};
use crate::pages::answer;
use crate::request::CleanRequest;
use crate::session::{Cause, Effect, Scope};
use ::http::{Response, StatusCode};
use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A message carries one user or a page of changes, not files.
const MAXIMUM_BYTES: usize = 256 * 1024;
/// How long a message is remembered: twice the age at which it is refused.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// Field with the hexadecimal HMAC-SHA256 of the body (Logto: securing webhooks).
const SIGNATURE: &str = "logto-signature-sha-256";

pub(super) async fn serve(endpoints: &Endpoints, request: CleanRequest) -> Response<Body> {
    let Some(key) = &endpoints.webhook_key else {
        return answer::text(StatusCode::NOT_FOUND, "not found\n");
    };
    let mut signatures = request.headers().get_all(SIGNATURE).iter();
    let signature = match (signatures.next(), signatures.next()) {
        (Some(only), None) => Some(only.as_bytes().to_vec()),
        _ => None,
    };
    let body = match body::read_limited(request.into_parts().body, MAXIMUM_BYTES).await {
        Ok(body) => body,
        Err(ReadError::TooLarge) => {
            endpoints.metrics.webhook("unknown", "too_large");
            return answer::text(StatusCode::PAYLOAD_TOO_LARGE, "too large\n");
        }
        Err(ReadError::Failed) => return answer::text(StatusCode::BAD_REQUEST, "incomplete\n"),
    };
    let event = match webhook::read(key, signature.as_deref(), &body, endpoints.clock.now()) {
        Ok(event) => event,
        Err(refusal) => {
            tracing::warn!(reason = refusal.name(), "a webhook was refused");
            endpoints.metrics.webhook("unknown", refusal.name());
            return answer::text(StatusCode::UNAUTHORIZED, "not accepted\n");
        }
    };
    let name = event.name();
    let Some((scopes, effect)) = consequence(event) else {
        endpoints.metrics.webhook(name, "ignored");
        return answer::empty(StatusCode::NO_CONTENT);
    };
    let matters_for = match effect {
        Effect::End(_) => endpoints.cookies.limits().lifetime,
        // After that every session is due for a re-check of its own.
        Effect::Recheck => endpoints.rechecks.limits.recheck,
    };
    let notifier = Notifier::new(endpoints);
    // Once remembered it must take effect, whether or not Logto still waits for the answer.
    let task = endpoints.tasks.spawn(async move {
        let digest = Sha256::digest(&body);
        if !notifier
            .store()
            .first_use("webhook", &digest, REMEMBERED_FOR)
            .await
        {
            return Outcome::Repeated;
        }
        let all = scopes
            .into_iter()
            .map(|scope| notifier.publish(scope, effect, matters_for));
        if join_all(all).await.contains(&Kept::No) {
            Outcome::NotKept
        } else {
            Outcome::Accepted
        }
    });
    let outcome = task.await.unwrap_or(Outcome::NotKept);
    endpoints.metrics.webhook(name, outcome.as_str());
    match outcome {
        Outcome::Accepted | Outcome::Repeated => answer::empty(StatusCode::OK),
        Outcome::NotKept => answer::text(StatusCode::INTERNAL_SERVER_ERROR, "not recorded\n"),
    }
}

/// What became of a message that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// It was taken before.
    Repeated,
    /// It is in force in this process, but could not be kept.
    NotKept,
}

impl Outcome {
    /// The word for it in the metrics.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::NotKept => "not_kept",
        }
    }
}

/// What an event means for whose sessions.
fn consequence(event: WebhookEvent) -> Option<(Vec<Scope>, Effect)> {
    let all_of = |subject| Scope::Subject {
        subject,
        except: None,
    };
    match event {
        WebhookEvent::Suspended { subject } => Some((vec![all_of(subject)], Effect::End(Cause::Suspended))),
        WebhookEvent::Deleted { subject } => Some((vec![all_of(subject)], Effect::End(Cause::Deleted))),
        WebhookEvent::Changed { subjects } => {
            Some((subjects.into_iter().map(all_of).collect(), Effect::Recheck))
        }
        WebhookEvent::MembershipChanged => Some((vec![Scope::Everyone], Effect::Recheck)),
        WebhookEvent::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn withdrawn_access_ends_sessions_and_changes_have_them_confirmed() {
        let user = || "user".to_owned();
        let all = || Scope::Subject {
            subject: user(),
            except: None,
        };
        let ends = |cause| Some((vec![all()], Effect::End(cause)));
        assert_eq!(
            consequence(WebhookEvent::Suspended { subject: user() }),
            ends(Cause::Suspended)
        );
        assert_eq!(
            consequence(WebhookEvent::Deleted { subject: user() }),
            ends(Cause::Deleted)
        );
        let changed = WebhookEvent::Changed {
            subjects: vec![user(), "other".to_owned()],
        };
        let (scopes, effect) = consequence(changed).unwrap();
        assert_eq!((scopes.len(), effect), (2, Effect::Recheck));
        assert_eq!(
            consequence(WebhookEvent::MembershipChanged),
            Some((vec![Scope::Everyone], Effect::Recheck))
        );
        assert_eq!(consequence(WebhookEvent::Other), None);
    }
}

//! `POST back-channel-logout`: Logto says that a user signed out there (OpenID Connect Back-Channel Logout 1.0).
//!
//! The token alone decides; cookies, `User-Agent` and the fields of a browser mean nothing here. Stops forged tokens by
//! their proof, and a token that somebody kept from ending sessions again: each is taken once, a repeat is refused with
//! 400, since §2.6 makes the check of `jti` a step of the validation. Answered as soon as the sessions are over here.
//!
//! What went wrong stays in the log: all failures, our own too, are 400 (§2.8), and the token is never written anywhere. One
//! that cannot be judged yet is answered with 400 too, and takes effect when it can: Logto sends it once.

use super::Endpoints;
use super::notify::{Kept, Notifier};
use super::query::Parameters;
use crate::clock::Clock;
use crate::http::body::{self, Body};
use crate::logto::{LogoutToken, Logto, LogtoError, LogtoErrorKind};
use crate::pages::answer;
use crate::request::CleanRequest;
use crate::secret::SecretText;
use crate::session::{Cause, Effect, Scope};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use ::http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;
use std::time::Duration;

/// A logout token is below 2 KiB.
const MAXIMUM_FORM_BYTES: usize = 32 * 1024;
const FORM: &[u8] = b"application/x-www-form-urlencoded";
/// How far the clocks of two proxies may differ: where one refuses a token by its age, another may still take it.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Why a logout was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Not one form with one `logout_token`.
    Form,
    /// The token did not pass this check.
    Token(&'static str),
    /// It was taken before.
    Replayed,
    /// It cannot be judged now, because Logto's keys cannot be had.
    Unavailable,
    /// The sessions are over in this process, but that could not be kept.
    NotKept,
}

impl Refusal {
    /// The word for it in the metrics.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "malformed",
            Self::Token(check) => check,
            Self::Replayed => "replayed",
            Self::Unavailable => "unavailable",
            Self::NotKept => "not_kept",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Form => "exactly one logout_token is expected, as a form",
            Self::Token(_) => "the logout token is not valid",
            Self::Replayed => "the logout token was used before",
            Self::Unavailable => "the logout token cannot be verified right now",
            Self::NotKept => "the logout could not be completed",
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::NotKept | Self::Unavailable => "logout_failed",
            Self::Form | Self::Token(_) | Self::Replayed => "invalid_request",
        }
    }
}

pub(super) async fn serve(endpoints: &Endpoints, request: CleanRequest) -> Response<Body> {
    match accept(endpoints, request).await {
        Ok(()) => {
            endpoints.metrics.back_channel_logout("accepted");
            answer::empty(StatusCode::OK)
        }
        Err(refusal) => {
            endpoints.metrics.back_channel_logout(refusal.as_str());
            let document = json!({
                "error": refusal.code(),
                "error_description": refusal.description(),
            });
            answer::json(StatusCode::BAD_REQUEST, &document)
        }
    }
}

async fn accept(endpoints: &Endpoints, request: CleanRequest) -> Result<(), Refusal> {
    if !is_form(request.headers()) {
        return Err(Refusal::Form);
    }
    let form = body::read_limited(request.into_parts().body, MAXIMUM_FORM_BYTES)
        .await
        .map_err(|_| Refusal::Form)?;
    let parameters = Parameters::parse(&form).map_err(|_| Refusal::Form)?;
    let token = parameters.value("logout_token").ok_or(Refusal::Form)?;
    let logout = Logout {
        logto: endpoints.logto.clone(),
        notifier: Notifier::new(endpoints),
        clock: endpoints.clock.clone(),
        lifetime: endpoints.cookies.limits().lifetime,
        metrics: endpoints.metrics.clone(),
        tasks: endpoints.tasks.clone(),
        token: SecretText::new(token.to_owned()),
    };
    // Once its `jti` is spent it must take effect, whether or not Logto still waits for the answer.
    let task = endpoints.tasks.spawn(logout.carry_out());
    task.await.unwrap_or(Err(Refusal::NotKept))
}

/// All parameters of the type are ignored; the form has one encoding (WHATWG URL §5).
fn is_form(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    let media = value.as_bytes().split(|byte| *byte == b';').next();
    media.is_some_and(|media| media.trim_ascii().eq_ignore_ascii_case(FORM))
}

struct Logout {
    logto: Logto,
    notifier: Notifier,
    clock: Clock,
    lifetime: Duration,
    metrics: Metrics,
    tasks: Tasks,
    token: SecretText,
}

impl Logout {
    async fn carry_out(self) -> Result<(), Refusal> {
        match self.logto.verify_logout_token(self.token.expose()).await {
            Ok(token) => self.take_effect(token.into_inner()).await,
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "a logout token cannot be judged yet");
                let tasks = self.tasks.clone();
                drop(tasks.spawn(self.carry_out_later()));
                Err(Refusal::Unavailable)
            }
            Err(error) => Err(refusal_of(&error)),
        }
    }

    /// Nobody waits for the answer any more.
    async fn carry_out_later(self) {
        let proved = self.logto.verify_logout_token_later(self.token.expose()).await;
        let outcome = match proved {
            Ok(token) => match self.take_effect(token.into_inner()).await {
                Ok(()) => "accepted",
                Err(refusal) => refusal.as_str(),
            },
            Err(error) => refusal_of(&error).as_str(),
        };
        self.metrics.back_channel_logout(outcome);
    }

    async fn take_effect(&self, token: LogoutToken) -> Result<(), Refusal> {
        let keep = token
            .refused_from
            .since(self.clock.now())
            .saturating_add(CLOCK_SKEW);
        if !self
            .notifier
            .store()
            .first_use("jti", token.jti.as_bytes(), keep)
            .await
        {
            tracing::warn!("a logout token was sent again and refused");
            return Err(Refusal::Replayed);
        }
        let scope = match (token.sid, token.subject) {
            (Some(sid), _) => Scope::LogtoSession(sid),
            (None, Some(subject)) => Scope::Subject {
                subject,
                except: None,
            },
            (None, None) => return Err(Refusal::Token("sub")),
        };
        let effect = Effect::End(Cause::BackChannelLogout);
        match self.notifier.publish(scope, effect, self.lifetime).await {
            Kept::Yes | Kept::Pending => Ok(()),
            Kept::No => Err(Refusal::NotKept),
        }
    }
}

fn refusal_of(error: &LogtoError) -> Refusal {
    tracing::warn!(%error, "a logout token was refused");
    match error.kind() {
        LogtoErrorKind::InvalidToken { check } => Refusal::Token(check),
        // Its keys could not be had.
        _ => Refusal::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderValue;

    #[test]
    fn only_a_form_is_a_form() {
        let is = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            is_form(&headers)
        };
        assert!(is("application/x-www-form-urlencoded"));
        assert!(is("Application/X-WWW-Form-Urlencoded ; charset=utf-8"));
        for other in [
            "",
            "text/plain",
            "application/json",
            "application/x-www-form-urlencodedx",
        ] {
            assert!(!is(other), "{other:?}");
        }
        assert!(!is_form(&HeaderMap::new()));
    }
}

//! Finishing a sign-in: from the callback's parameters to a session cookie.
//!
//! Nothing is asked of Logto before the `state` has opened, is young enough, and belongs to this browser. No
//! page is ever shown at an address that holds a code: problems are told at a clean one.

use super::once::{Outcome, Turn};
use super::query::Parameters;
use super::return_path::ReturnPath;
use super::rounds::Rounds;
use super::sign_in_state::{SignInState, StateError};
use super::{Endpoints, set_cookies};
use crate::http::body::{self, Body};
use crate::identity::Claims;
use crate::logto::{Fault, LogtoError, LogtoErrorKind, RedeemRequest};
use crate::pages::{Problem, answer};
use crate::request::CleanRequest;
use crate::secret::SecretText;
use crate::session::{BindingHash, Established, Presented, Session};
use ::http::{Response, StatusCode, header};
use std::sync::Arc;

/// A form of a callback's parameters is a few hundred bytes.
const MAXIMUM_FORM_BYTES: usize = 16 * 1024;

/// `GET callback`.
pub(super) async fn serve(endpoints: &Endpoints, request: &CleanRequest) -> Response<Body> {
    let query = request.target().query().unwrap_or_default();
    match finish(endpoints, request, query).await {
        Ok(done) => done,
        Err((problem, return_path)) => recover(endpoints, request, problem, return_path.as_ref()),
    }
}

/// `POST callback`, for `response_mode=form_post`. The browser withholds `SameSite=Lax` cookies from a form
/// that another site posts, so the answer is one redirect to the same callback as a navigation of its own.
pub(super) async fn serve_form_post(endpoints: &Endpoints, request: CleanRequest) -> Response<Body> {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let parts = request.into_parts();
    let form = if is_form {
        body::read_limited(parts.body, MAXIMUM_FORM_BYTES).await.ok()
    } else {
        None
    };
    let known = ["code", "state", "iss", "error"];
    let parameters = form.as_deref().and_then(|form| Parameters::parse(form).ok());
    let mut location = format!("{}{}", endpoints.public_origin.as_str(), endpoints.paths.callback);
    match parameters {
        Some(parameters) => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            for name in known {
                if let Some(value) = parameters.value(name) {
                    query.append_pair(name, value);
                }
            }
            location.push('?');
            location.push_str(&query.finish());
        }
        None => location = problem_url(endpoints, Problem::BadCallback, None),
    }
    answer::redirect(StatusCode::SEE_OTHER, &location)
}

type Failure = (Problem, Option<ReturnPath>);

async fn finish(
    endpoints: &Endpoints,
    request: &CleanRequest,
    query: &str,
) -> Result<Response<Body>, Failure> {
    let nowhere = |problem| (problem, None);
    let now = endpoints.clock.now();
    let parameters = Parameters::parse(query.as_bytes()).map_err(|_| nowhere(Problem::BadCallback))?;
    let sealed = parameters.value("state").ok_or(nowhere(Problem::BadCallback))?;
    let state = SignInState::open(sealed, &endpoints.keyring, now).map_err(|error| match error {
        StateError::Foreign => nowhere(Problem::BadCallback),
        StateError::Expired => nowhere(Problem::Expired),
    })?;
    let settings = endpoints.cookies.settings();
    let browser = endpoints.binding_cookie.read(request.headers());
    if !browser.is_some_and(|browser| BindingHash::from_bytes(state.browser).matches(&browser)) {
        return Err(nowhere(Problem::OtherBrowser));
    }
    let return_path =
        ReturnPath::parse_or_root(&state.return_path, &endpoints.public_origin, &endpoints.paths);
    let fail = |problem| (problem, Some(return_path.clone()));
    // RFC 9207 §2.4: the issuer is compared whether the answer is a success or an error.
    if parameters.value("iss") != Some(endpoints.logto.issuer()) {
        return Err(fail(Problem::BadCallback));
    }
    if let Some(error) = parameters.value("error") {
        return Err(fail(match error {
            "access_denied" => Problem::AccessDenied,
            "temporarily_unavailable" | "server_error" => Problem::Unavailable,
            _ => Problem::RefusedByLogto,
        }));
    }
    let code = parameters
        .value("code")
        .ok_or_else(|| fail(Problem::BadCallback))?;
    let session = match endpoints.callbacks.begin(sealed, now) {
        Turn::First(ticket) => redeem(endpoints, ticket, SecretText::new(code.to_owned()), &state).await,
        Turn::Wait(mut outcome) => match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(Problem::AlreadyUsed)),
            Err(_) => Err(Problem::Unavailable),
        },
        Turn::Shared(outcome) => outcome,
        Turn::Spent => Err(Problem::AlreadyUsed),
    }
    .map_err(&fail)?;
    let lines = endpoints
        .cookies
        .seal(&session, request.headers())
        .map_err(|error| {
            tracing::warn!(%error, "the session does not fit into cookies");
            fail(Problem::TooLarge)
        })?;
    tracing::info!("a sign-in was completed");
    let mut response = answer::redirect(StatusCode::SEE_OTHER, &return_path.on(&endpoints.public_origin));
    set_cookies(response.headers_mut(), lines);
    let rounds = Rounds::read(request.headers(), settings, now).completed(settings, now);
    set_cookies(response.headers_mut(), rounds);
    Ok(response)
}

/// Redeems the code in a task of its own: once begun it is finished, whether or not the browser waits, since
/// a code that is redeemed twice costs the user every session of this grant.
async fn redeem(
    endpoints: &Endpoints,
    ticket: super::once::Ticket,
    code: SecretText,
    state: &SignInState,
) -> Outcome {
    let logto = endpoints.logto.clone();
    let callbacks = Arc::clone(&endpoints.callbacks);
    let header_rules = Arc::clone(&endpoints.header_rules);
    let kept_claims = endpoints.kept_claims.clone();
    let clock = endpoints.clock.clone();
    let lifetime = endpoints.cookies.limits().lifetime;
    let redeem = RedeemRequest {
        code,
        code_verifier: state.code_verifier(),
        nonce: state.nonce.clone(),
        max_age: endpoints.sign_in.max_age(),
    };
    let task = endpoints.tasks.spawn(async move {
        let outcome = match logto.redeem(redeem).await {
            Ok(verified) => {
                let signed_in = verified.into_inner();
                let claims = Claims::new(signed_in.claims);
                Session::establish(Established {
                    headers: header_rules.project(&claims),
                    fingerprint: header_rules.fingerprint(),
                    claims: claims.keep_only(&kept_claims),
                    subject: signed_in.subject,
                    sid: signed_in.sid,
                    signed_in_at: clock.now(),
                    lifetime,
                    refresh_token: signed_in.refresh_token,
                    access_token: None,
                })
                .map(Arc::new)
                .map_err(|_| Problem::Unavailable)
            }
            Err(error) => {
                tracing::warn!(%error, "a sign-in failed");
                Err(problem_of(&error))
            }
        };
        callbacks.finish(ticket, outcome.clone(), clock.now());
        outcome
    });
    task.await.unwrap_or(Err(Problem::Unavailable))
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

/// A failed callback of a browser that is signed in all the same (it used the other tab's `state`, or the
/// back button) goes on; any other is told what happened.
fn recover(
    endpoints: &Endpoints,
    request: &CleanRequest,
    problem: Problem,
    return_path: Option<&ReturnPath>,
) -> Response<Body> {
    let presented = endpoints.cookies.open(request.headers(), endpoints.clock.now());
    let root = ReturnPath::root();
    let return_path = return_path.unwrap_or(&root);
    if matches!(presented, Presented::Session(..)) {
        return answer::redirect(StatusCode::SEE_OTHER, &return_path.on(&endpoints.public_origin));
    }
    tracing::info!(problem = problem.code(), "a sign-in was not completed");
    let url = problem_url(endpoints, problem, Some(return_path));
    answer::redirect(StatusCode::SEE_OTHER, &url)
}

fn problem_url(endpoints: &Endpoints, problem: Problem, return_path: Option<&ReturnPath>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("problem", problem.code());
    if let Some(path) = return_path {
        query.append_pair("redirect", path.as_str());
    }
    let origin = endpoints.public_origin.as_str();
    format!("{origin}{}?{}", endpoints.paths.sign_in, query.finish())
}

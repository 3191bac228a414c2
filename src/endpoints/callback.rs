//! Finishing a sign-in: from the callback's parameters to a session cookie.
//!
//! Nothing is asked of Logto before the `state` has opened, is young enough, and belongs to this browser. No
//! page is ever shown at an address that holds a code: problems are told at a clean one.

use super::once::Turn;
use super::query::Parameters;
use super::redemption::Redemption;
use super::return_path::ReturnPath;
use super::rounds::Rounds;
use super::sign_in_state::{SignInState, StateError};
use super::{Endpoints, set_cookies};
use crate::http::body::{self, Body};
use crate::pages::{Problem, answer};
use crate::request::CleanRequest;
use crate::secret::SecretText;
use crate::session::SessionId;
use crate::session::{BindingHash, Presented};
use ::http::{Response, StatusCode, header};

/// A form of a callback's parameters is a few hundred bytes.
const MAXIMUM_FORM_BYTES: usize = 16 * 1024;

/// What Logto answers to `prompt=none` when it would have to ask something (OpenID Connect Core §3.1.2.6).
const NEEDS_THE_USER: &[&str] = &[
    "login_required",
    "consent_required",
    "interaction_required",
    "account_selection_required",
];

/// `GET callback`.
pub(super) async fn serve(endpoints: &Endpoints, request: &CleanRequest) -> Response<Body> {
    let query = request.target().query().unwrap_or_default();
    match finish(endpoints, request, query).await {
        Ok(done) => done,
        Err(failure) => recover(endpoints, request, &failure).await,
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

/// A sign-in that did not come to its end.
struct Failure {
    problem: Problem,
    return_path: Option<ReturnPath>,
    /// The session that a silent sign-in was to confirm.
    silent_for: Option<SessionId>,
}

impl Failure {
    /// Of a callback whose `state` is not known to be this browser's.
    const fn nowhere(problem: Problem) -> Self {
        Self {
            problem,
            return_path: None,
            silent_for: None,
        }
    }
}

async fn finish(
    endpoints: &Endpoints,
    request: &CleanRequest,
    query: &str,
) -> Result<Response<Body>, Failure> {
    let nowhere = Failure::nowhere;
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
    let return_path = endpoints.return_path(&state.return_path);
    let fail = |problem| Failure {
        problem,
        return_path: Some(return_path.clone()),
        silent_for: state.silent_for(),
    };
    // RFC 9207 §2.4: the issuer is compared whether the answer is a success or an error.
    if parameters.value("iss") != Some(endpoints.logto.issuer()) {
        return Err(fail(Problem::BadCallback));
    }
    if let Some(error) = parameters.value("error") {
        if let Some(session) = state.silent_for()
            && NEEDS_THE_USER.contains(&error)
        {
            return Ok(ask_the_user(endpoints, request, session, &return_path));
        }
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
        Turn::First(ticket) => {
            let code = SecretText::new(code.to_owned());
            Redemption::new(endpoints, request, code, &state)
                .start(endpoints, ticket)
                .await
        }
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
    endpoints.metrics.sign_in("finished", "");
    let mut response = answer::redirect(StatusCode::SEE_OTHER, &return_path.on(&endpoints.public_origin));
    set_cookies(response.headers_mut(), lines);
    let rounds = Rounds::read(request.headers(), settings, now).completed(settings, now);
    set_cookies(response.headers_mut(), rounds);
    Ok(response)
}

/// Logto cannot confirm a session without asking its user: it is taken from the browser, and the page that the browser
/// returns to begins an ordinary sign-in. A session that took its place meanwhile stays.
fn ask_the_user(
    endpoints: &Endpoints,
    request: &CleanRequest,
    session: SessionId,
    return_path: &ReturnPath,
) -> Response<Body> {
    tracing::info!("a session could not be confirmed without its user");
    endpoints.metrics.sign_in("failed", "needs_user");
    let mut response = answer::redirect(StatusCode::SEE_OTHER, &return_path.on(&endpoints.public_origin));
    let has_another = match endpoints.session(request.headers()) {
        Presented::Session(view, _) => view.id() != session,
        Presented::None | Presented::Invalid(_) => false,
    };
    if !has_another {
        set_cookies(response.headers_mut(), endpoints.cookies.clear(request.headers()));
    }
    response
}

/// A failed callback of a browser that is signed in all the same (it used the other tab's `state`, or the
/// back button) goes on; any other is told what happened. One whose session Logto does not confirm is not signed in: sent
/// back, it would come here again.
async fn recover(endpoints: &Endpoints, request: &CleanRequest, failure: &Failure) -> Response<Body> {
    let root = ReturnPath::root();
    let return_path = failure.return_path.as_ref().unwrap_or(&root);
    let has_session = matches!(endpoints.session(request.headers()), Presented::Session(..));
    let current = endpoints.current_session(request.headers()).await;
    if current.is_some() || (has_session && failure.silent_for.is_some()) {
        let mut response = answer::redirect(StatusCode::SEE_OTHER, &return_path.on(&endpoints.public_origin));
        set_cookies(
            response.headers_mut(),
            current.into_iter().flat_map(|current| current.cookies),
        );
        if failure.silent_for.is_some() {
            // Else it would be sent to Logto again at once, and for as long as this fails.
            endpoints.metrics.sign_in("failed", failure.problem.code());
            let (settings, now) = (endpoints.cookies.settings(), endpoints.clock.now());
            let rounds = Rounds::read(request.headers(), settings, now).completed(settings, now);
            set_cookies(response.headers_mut(), rounds);
        }
        return response;
    }
    tracing::info!(problem = failure.problem.code(), "a sign-in was not completed");
    endpoints.metrics.sign_in("failed", failure.problem.code());
    let url = problem_url(endpoints, failure.problem, Some(return_path));
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

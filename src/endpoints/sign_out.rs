//! Signing out: here, the refresh token, and the session at Logto.
//!
//! Stops forced sign-outs from other sites: their links get a question, their forms are refused. The way to
//! Logto uses `client_id` and the registered `post_logout_redirect_uri` without an `id_token_hint`, since a
//! hint signed with a key that was rotated out would strand the user there.

use super::notify::Notifier;
use super::query::Parameters;
use super::return_path::ReturnPath;
use super::rounds::Rounds;
use super::{Endpoints, set_cookies};
use crate::clock::UnixSeconds;
use crate::http::body::{self, Body};
use crate::http::navigation;
use crate::pages::{self, Problem, answer};
use crate::request::CleanRequest;
use crate::secret::SecretText;
use crate::session::{Cause, Effect, Presented, Purpose, Scope, SessionView};
use ::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use std::time::Duration;
use url::Url;

/// How long the browser waits for the revocation; it goes on in the background after that.
const REVOCATION_PATIENCE: Duration = Duration::from_secs(2);
/// How long the way over Logto may take for the `state` to be honoured.
const STATE_LIFETIME: Duration = Duration::from_secs(600);
const STATE_CONTEXT: &[u8] = b"after-sign-out";
const MAXIMUM_FORM_BYTES: usize = 8 * 1024;

/// `GET` and `POST sign-out`.
pub(super) async fn serve(endpoints: &Endpoints, request: CleanRequest) -> Response<Body> {
    let same_site = is_same_site(request.headers(), endpoints.public_origin.as_str());
    if *request.method() == Method::GET {
        let query = request.target().query().unwrap_or_default().as_bytes();
        let return_path = match Parameters::parse(query) {
            Ok(query) => wanted_path(endpoints, &query),
            Err(_) => return endpoints.problem(&request, Problem::BadRequest, None),
        };
        if !same_site || is_embedded(request.headers()) {
            return confirm(endpoints, &request, return_path.as_ref());
        }
        let headers = request.headers().clone();
        return end(endpoints, &headers, return_path).await;
    }
    if !same_site {
        return endpoints.problem(&request, Problem::CrossSite, None);
    }
    let parts = request.into_parts();
    let form = body::read_limited(parts.body, MAXIMUM_FORM_BYTES)
        .await
        .unwrap_or_default();
    let return_path = Parameters::parse(&form)
        .ok()
        .and_then(|form| wanted_path(endpoints, &form));
    end(endpoints, &parts.headers, return_path).await
}

fn wanted_path(endpoints: &Endpoints, parameters: &Parameters) -> Option<ReturnPath> {
    let text = parameters.value("redirect")?;
    Some(endpoints.return_path(text))
}

/// Whether the request was made by a page of this site or typed by the user. Fetch metadata decides; a
/// browser without it is judged by Origin or Referer, and a client with none of these is no browser.
fn is_same_site(headers: &HeaderMap, public_origin: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let ours = |value: &::http::HeaderValue| {
        let text = value.as_bytes();
        text.strip_prefix(public_origin.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    match (headers.get(header::ORIGIN), headers.get(header::REFERER)) {
        (Some(origin), _) => ours(origin),
        (None, Some(referer)) => ours(referer),
        (None, None) => true,
    }
}

/// Whether the browser loads this as a part of some page, such as an image that a user posted there: nobody has
/// asked to sign out. A script's request is its site's own doing.
fn is_embedded(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-dest")
        .is_some_and(|destination| !matches!(destination.as_bytes(), b"document" | b"empty"))
}

fn confirm(
    endpoints: &Endpoints,
    request: &CleanRequest,
    return_path: Option<&ReturnPath>,
) -> Response<Body> {
    let logto_origin = endpoints
        .logto
        .metadata()
        .and_then(|metadata| metadata.end_session_origin());
    let page = pages::confirm_sign_out(
        &endpoints.pages,
        navigation::language(request.headers()),
        &endpoints.paths.sign_out,
        return_path.map(ReturnPath::as_str),
        logto_origin.as_deref(),
    );
    answer::page(StatusCode::OK, page)
}

/// Ends the session, and sends the browser to Logto to end that session too.
async fn end(endpoints: &Endpoints, headers: &HeaderMap, return_path: Option<ReturnPath>) -> Response<Body> {
    let ended = end_session(endpoints, headers, return_path.as_ref()).await;
    ended.answer(endpoints, headers)
}

/// A session that was ended, and where the browser goes from there.
pub(super) struct Farewell {
    /// Logto's end of session; `None` when Logto does not answer or has no such endpoint.
    pub(super) logto: Option<Url>,
    /// What takes the session's cookies from the browser.
    pub(super) cookies: Vec<HeaderValue>,
}

impl Farewell {
    /// A redirect to Logto, or else a page that says what may have stayed.
    pub(super) fn answer(self, endpoints: &Endpoints, headers: &HeaderMap) -> Response<Body> {
        let mut response = match self.logto {
            Some(url) => answer::redirect(StatusCode::SEE_OTHER, url.as_str()),
            None => {
                let sign_in = endpoints.paths.sign_in.as_str();
                let page = pages::signed_out(&endpoints.pages, navigation::language(headers), false, sign_in);
                answer::page(StatusCode::OK, page)
            }
        };
        set_cookies(response.headers_mut(), self.cookies);
        response
    }
}

/// Ends the session of a request: at once in every process, so that no copy of its cookie is good for anything, and its
/// grant at Logto. A session that is over already has nothing to revoke.
pub(super) async fn end_session(
    endpoints: &Endpoints,
    headers: &HeaderMap,
    return_path: Option<&ReturnPath>,
) -> Farewell {
    let now = endpoints.clock.now();
    let mut is_away = endpoints.logto.is_away();
    if let Presented::Session(view, _) = endpoints.session(headers) {
        endpoints.callbacks.forget(view.id(), now);
        let (scope, effect) = (Scope::Session(view.id()), Effect::End(Cause::SignOut));
        let notifier = Notifier::new(endpoints);
        let published = notifier.publish(scope, effect, view.expires_at().since(now));
        let (_, reached) = futures_util::join!(
            published,
            revoke(endpoints, newest_refresh_token(endpoints, &view))
        );
        is_away |= !reached;
    }
    let state = return_path.and_then(|path| seal_state(endpoints, path, now));
    let after = format!("{}{}", endpoints.public_origin.as_str(), endpoints.after_sign_out);
    // A browser sent to a Logto that does not answer would be stranded there.
    let metadata = endpoints.logto.metadata().filter(|_| !is_away);
    let mut cookies = endpoints.cookies.clear(headers);
    cookies.extend(Rounds::forget(endpoints.cookies.settings()));
    Farewell {
        logto: metadata.and_then(|metadata| {
            endpoints
                .logto
                .end_session_url(&metadata, &after, state.as_deref())
        }),
        cookies,
    }
}

/// The refresh token in use, which the cookie need not know yet.
fn newest_refresh_token(endpoints: &Endpoints, view: &SessionView) -> Option<SecretText> {
    let ledger = &endpoints.rechecks.ledger;
    match ledger.newer_than(view.id(), view.checked_at()) {
        Some(session) => session.refresh_token().cloned(),
        None => view.refresh_token(),
    }
}

/// Revokes a refresh token. Says whether Logto answered in time; it is tried to its end all the same.
async fn revoke(endpoints: &Endpoints, refresh_token: Option<SecretText>) -> bool {
    let Some(token) = refresh_token else {
        return true;
    };
    let logto = endpoints.logto.clone();
    let revocation = endpoints.tasks.spawn(async move {
        let result = logto.revoke_refresh_token(&token).await;
        if let Err(error) = &result {
            tracing::warn!(%error, "the refresh token could not be revoked");
        }
        !result.is_err_and(|error| error.is_transient())
    });
    // The browser is not kept waiting for a Logto that is down; the task goes on.
    let answered = tokio::time::timeout(REVOCATION_PATIENCE, revocation).await;
    matches!(answered, Ok(Ok(true)))
}

fn seal_state(endpoints: &Endpoints, path: &ReturnPath, now: UnixSeconds) -> Option<String> {
    let plaintext = format!("{} {}", now.as_u64(), path.as_str());
    endpoints
        .keyring
        .seal(Purpose::SignOut, STATE_CONTEXT, plaintext.as_bytes())
        .ok()
}

/// A browser that comes back from Logto with a sign-out `state` of ours goes on to the path inside it.
pub(super) fn continue_after(endpoints: &Endpoints, request: &CleanRequest) -> Option<Response<Body>> {
    let query = request
        .target()
        .query()
        .filter(|query| query.contains("state="))?;
    let after_path = endpoints.after_sign_out.split('?').next().unwrap_or_default();
    if request.target().canonical_path() != Ok(after_path) || *request.method() != Method::GET {
        return None;
    }
    let parameters = Parameters::parse(query.as_bytes()).ok()?;
    let opened = endpoints
        .keyring
        .open(
            Purpose::SignOut,
            STATE_CONTEXT,
            parameters.value("state")?.as_bytes(),
        )
        .ok()?;
    let text = std::str::from_utf8(&opened.plaintext).ok()?;
    let (sealed_at, path) = text.split_once(' ')?;
    let sealed_at = UnixSeconds::new(sealed_at.parse().ok()?);
    if endpoints.clock.now().since(sealed_at) > STATE_LIFETIME {
        return None;
    }
    let path = endpoints.return_path(path);
    Some(answer::redirect(
        StatusCode::SEE_OTHER,
        &path.on(&endpoints.public_origin),
    ))
}

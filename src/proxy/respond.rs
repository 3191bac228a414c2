//! The proxy's own words on the way of a proxied request: refusals, 401, upstream failures, renewed cookies.

use super::challenge;
use super::standing::Standing;
use crate::bearer::BearerError;
use crate::endpoints::Endpoints;
use crate::http::body::Body;
use crate::http::grpc::Grpc;
use crate::http::navigation::{self, Audience, Language};
use crate::http::upgrade::Upgrade;
use crate::pages::{self, Problem, answer};
use crate::policy::{Refusal, Unauthenticated};
use crate::request::{CleanRequest, Reject};
use crate::tokens::Absent;
use crate::upstream::{Fault, UpstreamError};
use ::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

/// What a gRPC client is told where others read JSON.
const NO_SESSION: &str = "there is no valid session";

/// Answers a message that is refused as it stands, and ends the connection: where the next message on it
/// begins is anybody's guess.
pub(super) fn reject(reject: Reject) -> Response<Body> {
    let document = json!({ "error": reject.code(), "error_description": reject.to_string() });
    let mut response = answer::json(reject.status(), &document);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    match reject {
        Reject::UpgradeVersion => {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        Reject::Method => {
            let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            headers.insert(header::ALLOW, methods);
        }
        _ => {}
    }
    response
}

/// Whether a request that needs a session is sent to the sign-in: a person's navigation, unless the route says otherwise.
pub(super) fn redirects(request: &CleanRequest, unauthenticated: Unauthenticated) -> bool {
    match unauthenticated {
        Unauthenticated::Redirect => true,
        Unauthenticated::Status401 => false,
        Unauthenticated::Auto => audience(request) == Audience::Browser,
    }
}

/// Who waits for the answer.
fn audience(request: &CleanRequest) -> Audience {
    match request.upgrade() {
        Upgrade::None => navigation::audience(request.method(), request.headers()),
        _ => Audience::Program,
    }
}

/// Whether it is a person, who reads pages.
fn is_person(request: &CleanRequest) -> bool {
    matches!(audience(request), Audience::Browser | Audience::Form)
}

/// A refusal in the form that whoever asked can read; a gRPC client is told `words`.
fn in_its_form(request: &CleanRequest, mut response: Response<Body>, words: &'static str) -> Response<Body> {
    if let Some(grpc) = Grpc::of(request.method(), request.headers()) {
        grpc.reword(&mut response, words);
    }
    if *request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    close_if_body_unread(request.has_body(), response.headers_mut());
    response
}

/// Answers a request that needs a session: by the redirect, by a page for a form, or by 401 in JSON. `renewable` tells a program
/// that a navigation would bring the session back without a question.
pub(super) async fn unauthenticated(
    endpoints: &Endpoints,
    request: &CleanRequest,
    unauthenticated: Unauthenticated,
    renewable: bool,
) -> Response<Body> {
    let mut response = if redirects(request, unauthenticated) {
        endpoints.begin_sign_in(request).await
    } else if unauthenticated == Unauthenticated::Auto && audience(request) == Audience::Form {
        endpoints.form_page(request)
    } else {
        let mut response = endpoints.unauthenticated(request, renewable);
        if let Some(grpc) = Grpc::of(request.method(), request.headers()) {
            grpc.reword(&mut response, NO_SESSION);
        }
        response
    };
    close_if_body_unread(request.has_body(), response.headers_mut());
    response
}

/// Answers somebody who is known and may not pass. It says who they are and nothing of the rule; its id finds the log line
/// that does.
pub(super) fn refused(
    endpoints: &Endpoints,
    request: &CleanRequest,
    standing: &Standing,
    refusal: &Refusal<'_>,
) -> Response<Body> {
    let id = request.request_id().to_str().unwrap_or_default();
    let is_page = standing.token.is_none() && is_person(request);
    let mut response = if is_page {
        let subject = standing.session.as_ref().map_or("", |session| session.subject());
        endpoints.refused_page(request, &standing.claims(), subject)
    } else {
        let document = json!({
            "error": "forbidden",
            "error_description": "this account has no access",
            "decision_id": id,
        });
        answer::json(StatusCode::FORBIDDEN, &document)
    };
    if standing.token.is_some() {
        challenge::name_missing_scopes(response.headers_mut(), refusal);
    }
    in_its_form(request, response, "this account has no access")
}

/// Answers a request that needs a token to go on, and has none.
pub(super) fn without_token(
    endpoints: &Endpoints,
    request: &CleanRequest,
    absent: &Absent,
) -> Response<Body> {
    let problem = match absent {
        Absent::Unavailable => Problem::TokenUnavailable,
        Absent::NotGranted => Problem::TokenNotGranted,
        Absent::NeedsConsent { .. } => Problem::NeedsConsent,
    };
    let is_page = is_person(request);
    let mut response = match absent {
        Absent::NeedsConsent { target } if is_page => endpoints.consent_page(request, target),
        _ if is_page => endpoints.problem_page(request, problem, None),
        _ => {
            let mut document = json!({
                "error": problem.code(),
                "decision_id": request.request_id().to_str().unwrap_or_default(),
            });
            if let (Absent::NeedsConsent { target }, Some(members)) = (absent, document.as_object_mut()) {
                let page = endpoints.page_of(request.headers().get(header::REFERER));
                let url = endpoints.consent_url(&page, target);
                members.insert("sign_in_url".to_owned(), json!(url));
            }
            answer::json(problem.status(), &document)
        }
    };
    let headers = response.headers_mut();
    match absent {
        Absent::Unavailable => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"))),
        Absent::NotGranted => {}
        Absent::NeedsConsent { .. } => {
            let scheme = HeaderValue::from_static("Session realm=\"logto-proxy\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
    }
    in_its_form(request, response, "a token for the app is not there")
}

/// An answer that was given before the body was read ends the connection, since the rest of the body would be
/// taken for the next request.
pub(super) fn close_if_body_unread(has_body: bool, answer: &mut HeaderMap) {
    if has_body {
        answer.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Adds renewed session cookies to the upstream's answer, which from then on no shared cache may keep.
pub(super) fn apply_renewal(headers: &mut HeaderMap, renewal: Vec<HeaderValue>) {
    if renewal.is_empty() {
        return;
    }
    for line in renewal {
        headers.append(header::SET_COOKIE, line);
    }
    headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    let cache_control = headers
        .get(header::CACHE_CONTROL)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let already_private = cache_control
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|directive| {
            directive.eq_ignore_ascii_case(b"no-store") || directive.eq_ignore_ascii_case(b"private")
        });
    if !already_private {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}

/// What is needed to answer for an upstream that does not, or does not in time; taken from the request before it is sent.
#[derive(Debug)]
pub(super) struct FailureReply {
    html: bool,
    is_head: bool,
    grpc: Option<Grpc>,
    language: Language,
    referer: Option<HeaderValue>,
    request_id: HeaderValue,
    by_token: bool,
}

impl FailureReply {
    pub(super) fn of(request: &CleanRequest, by_token: bool) -> Self {
        Self {
            html: navigation::accepts_html(request.headers()),
            is_head: *request.method() == Method::HEAD,
            grpc: Grpc::of(request.method(), request.headers()),
            language: navigation::language(request.headers()),
            referer: request.headers().get(header::REFERER).cloned(),
            request_id: request.request_id().clone(),
            by_token,
        }
    }

    pub(super) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// 502, 503 or 504, or 400, 408 or 413 when the client's own body was at fault.
    pub(super) fn upstream_failed(&self, endpoints: &Endpoints, error: &UpstreamError) -> Response<Body> {
        let status = error.status();
        let by_client = error.fault() == Fault::Client;
        let problem = match status {
            StatusCode::GATEWAY_TIMEOUT => Problem::UpstreamTimeout,
            _ if by_client => Problem::Rejected,
            _ => Problem::UpstreamUnreachable,
        };
        let mut response = if self.html {
            let page = pages::problem(&endpoints.pages, self.language, problem, None, self.request_id());
            answer::page(status, page)
        } else {
            let document = json!({ "error": problem.code(), "request_id": self.request_id() });
            answer::json(status, &document)
        };
        if let Some(grpc) = self.grpc {
            grpc.reword(&mut response, "the app gave no answer");
        }
        if by_client {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }

    /// 401 as for any request without a session, or with a token that is no good: it ended while the request was waiting. The
    /// connection is closed, since the client may still be sending its body.
    pub(super) fn over(&self, endpoints: &Endpoints) -> Response<Body> {
        let mut response = if self.by_token {
            let error = BearerError::InvalidToken { check: "revoked" };
            challenge::refusal(&error, self.is_head, self.grpc)
        } else {
            let mut response = endpoints.unauthenticated_at(self.referer.as_ref(), self.is_head, false);
            if let Some(grpc) = self.grpc {
                grpc.reword(&mut response, NO_SESSION);
            }
            response
        };
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }

    /// 502 for an upgrade that nobody asked for.
    pub(super) fn bad_upgrade(&self) -> Response<Body> {
        let document =
            json!({ "error": Problem::UpstreamUnreachable.code(), "request_id": self.request_id() });
        answer::json(StatusCode::BAD_GATEWAY, &document)
    }
}

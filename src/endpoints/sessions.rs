//! `GET sessions`, the user's own sessions, and `POST sessions/revoke`, which ends one of them or all others.
//!
//! Stops other sites from ending sessions (a form needs the token of this session's own page, and must come from this very
//! origin as far as the browser says), and users from learning of each other's: only a session that the store lists
//! for this user can be named, and any other is answered like one that never was. A session that is due is confirmed first,
//! so that a copied cookie of a user who was shut out at Logto neither lists nor ends anything.

use super::notify::{Kept, Notifier};
use super::query::Parameters;
use super::seen::Seen;
use super::{CurrentSession, Endpoints, form_token, sign_out};
use crate::clock::UnixSeconds;
use crate::http::body::{self, Body};
use crate::http::navigation::{self, Audience};
use crate::http::user_agent;
use crate::pages::{self, Known, ListedSession, Problem, SessionList, answer};
use crate::request::CleanRequest;
use crate::session::{Cause, Effect, Scope, Session, SessionId};
use crate::store::SessionRecord;
use ::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::time::Duration;

/// A form of ours is a few hundred bytes.
const MAXIMUM_FORM_BYTES: usize = 8 * 1024;
/// How long the store may take to list a user's sessions.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// Says, on the way back to the page, that something was ended.
const DONE: &str = "ended=yes";

/// `GET sessions`: a page for a browser, JSON for a program.
pub(super) async fn serve(endpoints: &Endpoints, request: &CleanRequest) -> Response<Body> {
    let headers = request.headers();
    let audience = navigation::audience(request.method(), headers);
    let Some(CurrentSession { session, cookies }) = endpoints.current_session(headers).await else {
        return match audience {
            Audience::Browser => endpoints.begin_sign_in(request).await,
            Audience::Form | Audience::Program => endpoints.unauthenticated(request, false),
        };
    };
    let now = endpoints.clock.now();
    let (records, known) = listed(endpoints, &session, &Seen::of(request), now).await;
    let Some(token) = form_token::make(&endpoints.keyring, session.id(), now) else {
        return endpoints.problem(request, Problem::Unavailable, None);
    };
    let mut response = match audience {
        Audience::Browser => page(endpoints, request, session.id(), &records, known, &token),
        Audience::Form | Audience::Program => {
            let document = document(session.id(), &records, known, &token);
            answer::json(StatusCode::OK, &document)
        }
    };
    super::set_cookies(response.headers_mut(), cookies);
    response
}

/// The user's sessions, this one first, then the last used; and how much of the truth they are.
async fn listed(
    endpoints: &Endpoints,
    session: &Session,
    seen: &Seen,
    now: UnixSeconds,
) -> (Vec<SessionRecord>, Known) {
    let (mut records, known) = match of_user(endpoints, session.subject()).await {
        None => (Vec::new(), Known::OnlyThis),
        Some(records) => {
            let known = endpoints.store.knows_since().map_or(Known::All, Known::Since);
            (records, known)
        }
    };
    records.retain(|record| record.id != session.id());
    records.insert(0, seen.record(session, now));
    (records, known)
}

/// What the store knows; `None` when it cannot be asked.
async fn of_user(endpoints: &Endpoints, subject: &str) -> Option<Vec<SessionRecord>> {
    let asked = endpoints.store.sessions_of(subject);
    match tokio::time::timeout(STORE_PATIENCE, asked).await {
        Ok(Ok(records)) => Some(records),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the sessions of a user could not be listed");
            None
        }
        Err(_) => {
            tracing::warn!("the sessions of a user could not be listed in time");
            None
        }
    }
}

fn page(
    endpoints: &Endpoints,
    request: &CleanRequest,
    current: SessionId,
    records: &[SessionRecord],
    known: Known,
    form_token: &str,
) -> Response<Body> {
    let headers = request.headers();
    let sessions: Vec<ListedSession<'_>> = records
        .iter()
        .map(|record| ListedSession {
            id: record.id.to_string(),
            is_current: record.id == current,
            signed_in_at: record.signed_in_at,
            last_seen: record.last_seen,
            expires_at: record.expires_at,
            address: record.address,
            agent: record.agent.as_deref(),
        })
        .collect();
    let metadata = endpoints.logto.metadata();
    let form_origin = metadata.and_then(|metadata| metadata.end_session_origin());
    let list = SessionList {
        sessions: &sessions,
        known,
        // A link on another site must not make the page say so.
        has_ended: request.target().query() == Some(DONE)
            && headers
                .get("sec-fetch-site")
                .is_some_and(|site| site == "same-origin"),
        action: &endpoints.paths.sessions_revoke,
        form_token,
        form_origin: form_origin.as_deref(),
    };
    let page = pages::sessions(&endpoints.pages, navigation::language(headers), &list);
    let mut response = answer::page(StatusCode::OK, page);
    // With `no-referrer` a browser would send its forms with `Origin: null`, which is not this origin.
    response
        .headers_mut()
        .insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn document(current: SessionId, records: &[SessionRecord], known: Known, form_token: &str) -> Value {
    let sessions: Vec<Value> = records
        .iter()
        .map(|record| {
            let agent = record.agent.as_deref().unwrap_or_default();
            let described = user_agent::describe(agent);
            json!({
                "id": record.id,
                "isCurrent": record.id == current,
                "signedInAt": record.signed_in_at,
                "lastSeenAt": record.last_seen,
                "expiresAt": record.expires_at,
                "address": record.address,
                "browser": described.browser,
                "system": described.system,
                "userAgent": record.agent,
            })
        })
        .collect();
    json!({
        "sessions": sessions,
        "isComplete": known == Known::All,
        "knownSince": match known {
            Known::Since(moment) => Some(moment),
            Known::All | Known::OnlyThis => None,
        },
        "formToken": form_token,
    })
}

/// What a form asks for.
enum Wish {
    /// This session is to end; the text is what the form names it by.
    One(String),
    /// All but the one that asks.
    Others,
}

/// `POST sessions/revoke`: form fields `token`, and `session` with an id or `others` with `yes`.
pub(super) async fn serve_revoke(endpoints: &Endpoints, request: CleanRequest) -> Response<Body> {
    let reply = Reply::to(endpoints, &request);
    // The cookies that confirming it may give are left to the next request: an ending sets its own.
    let Some(CurrentSession { session, .. }) = endpoints.current_session(request.headers()).await else {
        return match reply.html {
            // The way to the page is the way to the sign-in.
            true => reply.back(""),
            false => endpoints.unauthenticated(&request, false),
        };
    };
    if !form_token::is_same_origin(request.headers(), endpoints.public_origin.as_str()) {
        return reply.problem(Problem::CrossSite);
    }
    let parts = request.into_parts();
    let Ok(form) = body::read_limited(parts.body, MAXIMUM_FORM_BYTES).await else {
        return reply.problem(Problem::Rejected);
    };
    let Ok(form) = Parameters::parse(&form) else {
        return reply.problem(Problem::Rejected);
    };
    let token = form.value("token").unwrap_or_default();
    if !form_token::is_valid(token, &endpoints.keyring, session.id(), endpoints.clock.now()) {
        return reply.problem(Problem::StaleForm);
    }
    let wish = match (form.value("session"), form.value("others")) {
        (Some(id), None) => Wish::One(id.to_owned()),
        (None, Some("yes")) => Wish::Others,
        _ => return reply.problem(Problem::Rejected),
    };
    match wish {
        Wish::One(id) if id.parse() == Ok(session.id()) => end_this(endpoints, &parts.headers, &reply).await,
        Wish::One(id) => end_one(endpoints, session.subject(), id.parse().ok(), &reply).await,
        Wish::Others => {
            let scope = Scope::Subject {
                subject: session.subject().to_owned(),
                except: Some(session.id()),
            };
            let lifetime = endpoints.cookies.limits().lifetime;
            publish(endpoints, scope, lifetime, &reply).await
        }
    }
}

/// To end the session that asks is to sign out.
async fn end_this(endpoints: &Endpoints, headers: &HeaderMap, reply: &Reply<'_>) -> Response<Body> {
    let farewell = sign_out::end_session(endpoints, headers, None).await;
    if reply.html {
        return farewell.answer(endpoints, headers);
    }
    let url = farewell.logto.as_ref().map(url::Url::as_str);
    let mut response = answer::json(StatusCode::OK, &json!({ "ended": true, "signOutUrl": url }));
    super::set_cookies(response.headers_mut(), farewell.cookies);
    response
}

async fn end_one(
    endpoints: &Endpoints,
    subject: &str,
    id: Option<SessionId>,
    reply: &Reply<'_>,
) -> Response<Body> {
    let Some(records) = of_user(endpoints, subject).await else {
        // The page says that the list cannot be read.
        return match reply.html {
            true => reply.back(""),
            false => reply.json(StatusCode::SERVICE_UNAVAILABLE, "sessions_unavailable"),
        };
    };
    let Some(record) = records.into_iter().find(|record| Some(record.id) == id) else {
        return reply.problem(Problem::NoSuchSession);
    };
    let left = record.expires_at.since(endpoints.clock.now());
    publish(endpoints, Scope::Session(record.id), left, reply).await
}

async fn publish(
    endpoints: &Endpoints,
    scope: Scope,
    matters_for: Duration,
    reply: &Reply<'_>,
) -> Response<Body> {
    let effect = Effect::End(Cause::SessionsPage);
    match Notifier::new(endpoints).publish(scope, effect, matters_for).await {
        Kept::Yes | Kept::Pending if reply.html => reply.back(DONE),
        Kept::Yes | Kept::Pending => answer::json(StatusCode::OK, &json!({ "ended": true })),
        Kept::No => reply.problem(Problem::NotKept),
    }
}

/// How to answer: what is needed of the request after it was taken apart.
struct Reply<'a> {
    endpoints: &'a Endpoints,
    /// Whether a person reads it.
    html: bool,
    language: navigation::Language,
    request_id: String,
}

impl<'a> Reply<'a> {
    fn to(endpoints: &'a Endpoints, request: &CleanRequest) -> Self {
        let headers = request.headers();
        Self {
            endpoints,
            // The form of a page is a navigation; the request of a script says that it is none, or asks for JSON.
            html: match headers.get("sec-fetch-mode") {
                Some(mode) => mode == "navigate",
                None => navigation::accepts_html(headers),
            },
            language: navigation::language(headers),
            request_id: request.request_id().to_str().unwrap_or_default().to_owned(),
        }
    }

    /// To the page again, so that a reload repeats nothing.
    fn back(&self, query: &str) -> Response<Body> {
        let mark = if query.is_empty() { "" } else { "?" };
        let origin = self.endpoints.public_origin.as_str();
        let url = format!("{origin}{}{mark}{query}", self.endpoints.paths.sessions);
        answer::redirect(StatusCode::SEE_OTHER, &url)
    }

    fn problem(&self, problem: Problem) -> Response<Body> {
        if !self.html {
            return self.json(problem.status(), problem.code());
        }
        let page = pages::problem(
            &self.endpoints.pages,
            self.language,
            problem,
            Some(&self.endpoints.paths.sessions),
            &self.request_id,
        );
        answer::page(problem.status(), page)
    }

    fn json(&self, status: StatusCode, error: &str) -> Response<Body> {
        let document = json!({ "error": error, "request_id": self.request_id });
        answer::json(status, &document)
    }
}

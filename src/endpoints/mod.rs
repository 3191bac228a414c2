//! The proxy's own URLs: sign-in, callback, sign-out, user, the page of sessions, and where Logto reports what happened.
//!
//! Each handler takes a clean request and gives a whole answer, `Set-Cookie` included. None of them ever
//! reaches the upstream. Whatever must not stop when an impatient browser leaves (the token call, the
//! revocation) runs as a tracked task on the control runtime.

mod back_channel_logout;
mod callback;
mod consent;
mod form_token;
pub mod forward_auth;
mod jwks;
mod notify;
mod once;
mod paths;
mod query;
mod rate;
mod redemption;
mod return_path;
mod rounds;
mod seen;
mod sessions;
mod sign_in;
mod sign_in_state;
mod sign_ins;
mod sign_out;
mod user;
mod webhook;

pub use once::Callbacks;
pub use paths::{Endpoint, EndpointPaths};
pub use rate::SignInLimiter;
pub use return_path::ReturnPath;
pub use seen::Seen;
pub use sign_in::SignInDefaults;
pub use sign_ins::SignIns;

use crate::clock::Clock;
use crate::http::body::Body;
use crate::http::forwarded::PublicOrigin;
use crate::http::navigation;
use crate::identity::{Assertions, ClaimPath, Claims, HeaderRules};
use crate::logto::Logto;
use crate::logto::webhook::WebhookKey;
use crate::pages::{self, PageSettings, Problem, answer};
use crate::recheck::{self, Rechecks};
use crate::request::{CheckForm, CleanRequest};
use crate::session::cookie::Reason;
use crate::session::freshness::Freshness;
use crate::session::{BindingCookie, KeyRing, Presented, Session, SessionCookies, SessionView};
use crate::store::Store;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use ::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use rounds::Rounds;
use serde_json::json;
use sign_in::Occasion;
use std::sync::Arc;

/// All that the endpoints need, compiled from one configuration.
#[derive(Debug)]
pub struct Endpoints {
    /// Where they are.
    pub paths: EndpointPaths,
    /// Where browsers reach the proxy.
    pub public_origin: PublicOrigin,
    /// Path, on the public origin, that Logto sends the browser back to after a sign-out.
    pub after_sign_out: String,
    /// The client of Logto.
    pub logto: Logto,
    /// Sealing and opening of everything that leaves the server.
    pub keyring: Arc<KeyRing>,
    /// The session cookies.
    pub cookies: Arc<SessionCookies>,
    /// The cookie that binds sign-ins to a browser.
    pub binding_cookie: BindingCookie,
    /// What the upstream is told, for the values that a new session carries.
    pub header_rules: Arc<HeaderRules>,
    /// The claims that a session keeps.
    pub kept_claims: Vec<ClaimPath>,
    /// Parameters of every sign-in, by route, and which ones a URL may set.
    pub sign_ins: SignIns,
    /// Title and support address of the pages.
    pub pages: PageSettings,
    /// How many sign-ins an address may begin.
    pub limiter: SignInLimiter,
    /// Callbacks under way or done.
    pub callbacks: Arc<Callbacks>,
    /// Which sessions have ended, and which there are.
    pub store: Store,
    /// What webhooks are signed with; without it none are received.
    pub webhook_key: Option<WebhookKey>,
    /// Makes identity assertions; without it there are none, and no keys of theirs.
    pub assertions: Option<Arc<Assertions>>,
    /// Asking Logto whether sessions still hold.
    pub rechecks: Arc<Rechecks>,
    /// What is counted.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// Runs work that outlives its request.
    pub tasks: Tasks,
}

/// A session that may be used now.
struct CurrentSession {
    session: Session,
    /// What to set on the answer.
    cookies: Vec<HeaderValue>,
}

impl CurrentSession {
    fn as_presented(view: &SessionView) -> Self {
        Self {
            session: view.to_session(),
            cookies: Vec::new(),
        }
    }
}

impl Endpoints {
    /// The endpoint that a request is for, if any.
    pub fn find(&self, request: &CleanRequest) -> Option<Endpoint> {
        let path = request.target().canonical_path().ok()?;
        self.paths.find(path)
    }

    /// Serves a request for one of the endpoints.
    pub async fn serve(&self, endpoint: Endpoint, request: CleanRequest) -> Response<Body> {
        let allowed = endpoint.methods();
        if !allowed
            .split(", ")
            .any(|method| request.method().as_str() == method)
        {
            let mut response = answer::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        // A speculative load shows the user nothing, and here it would cost a sign-in, a code or the session.
        if endpoint.minds_prefetch() && navigation::is_prefetch(request.headers()) {
            return answer::text(StatusCode::FORBIDDEN, "this is not to be loaded ahead\n");
        }
        match endpoint {
            Endpoint::SignIn => sign_in::serve(self, &request, false).await,
            Endpoint::SignUp => sign_in::serve(self, &request, true).await,
            Endpoint::Callback if *request.method() == Method::POST => {
                callback::serve_form_post(self, request).await
            }
            Endpoint::Callback => callback::serve(self, &request).await,
            Endpoint::SignOut => sign_out::serve(self, request).await,
            Endpoint::User => user::serve(self, &request).await,
            Endpoint::BackChannelLogout => back_channel_logout::serve(self, request).await,
            Endpoint::Webhook => webhook::serve(self, request).await,
            Endpoint::Jwks => jwks::serve(self, &request),
            Endpoint::Sessions => sessions::serve(self, &request).await,
            Endpoint::SessionsRevoke => sessions::serve_revoke(self, request).await,
        }
    }

    /// Begins a sign-in for a request that may not pass without one; the browser comes back to its target.
    pub async fn begin_sign_in(&self, request: &CleanRequest) -> Response<Body> {
        self.begin(request, Occasion::Needed).await
    }

    /// Begins a sign-in that asks the user nothing (`prompt=none`), to confirm the session of a request; the browser
    /// comes back to its target. Without a session it is an ordinary sign-in.
    ///
    /// A success confirms the session, or makes a new one when it is another user's or another session's of Logto. When
    /// Logto would have to ask, the browser comes back without a session, which begins an ordinary sign-in. On any other
    /// failure it comes back with the session that it has, and [`Self::may_sign_in_silently`] is false for half a minute.
    pub async fn begin_silent_sign_in(&self, request: &CleanRequest) -> Response<Body> {
        let occasion = match self.session(request.headers()) {
            Presented::Session(view, _) => Occasion::Silent(view.id()),
            Presented::None | Presented::Invalid(_) => Occasion::Needed,
        };
        self.begin(request, occasion).await
    }

    /// Whether a silent sign-in is worth the way: Logto is there, and the browser has not just come back from it.
    pub fn may_sign_in_silently(&self, request: &CleanRequest) -> bool {
        let rounds = Rounds::read(request.headers(), self.cookies.settings(), self.clock.now());
        !self.logto.is_away() && self.logto.metadata().is_some() && !rounds.has_any()
    }

    async fn begin(&self, request: &CleanRequest, occasion: Occasion) -> Response<Body> {
        let Some(return_path) = self.destination(request) else {
            return forward_auth::foreign_host();
        };
        // The cookie that a sign-in needs is kept by browsers for the host of the public origin alone.
        let sets_cookies =
            request.check() != Some(CheckForm::Original) && self.public_origin.has_host(request.host());
        if request.check().is_some() && !sets_cookies {
            return answer::redirect(StatusCode::FOUND, &self.sign_in_url(&return_path));
        }
        sign_in::begin(
            self,
            request,
            &return_path,
            sign_in::Wishes::of_route(self.sign_ins.of_request(request)),
            occasion,
        )
        .await
    }

    /// Where a sign-in brings the browser of a request back to: to what it asked for. `None` for a described request to a host
    /// where nobody could be signed in.
    fn destination(&self, request: &CleanRequest) -> Option<ReturnPath> {
        let target = request.target().path_and_query().as_str();
        if request.check().is_none() || self.public_origin.has_host(request.host()) {
            return Some(self.return_path(target));
        }
        let domain = self.cookies.settings().domain.as_deref()?;
        let parse = |target: &str| {
            let url = format!("{}://{}{target}", self.public_origin.scheme(), request.host());
            ReturnPath::parse_sibling(&url, &self.public_origin, domain, &self.paths)
        };
        parse(target)
            .or_else(|| parse(request.target().raw_path()))
            .or_else(|| parse("/"))
    }

    /// A place that a browser may be sent to; else the root.
    fn return_path(&self, text: &str) -> ReturnPath {
        let sibling = self
            .cookies
            .settings()
            .domain
            .as_deref()
            .filter(|_| !text.starts_with('/'))
            .and_then(|domain| ReturnPath::parse_sibling(text, &self.public_origin, domain, &self.paths));
        sibling.unwrap_or_else(|| ReturnPath::parse_or_root(text, &self.public_origin, &self.paths))
    }

    /// The session of a request, unless it is over, be it only that it was ended: the cookie of such a one opens nothing.
    pub fn session(&self, headers: &HeaderMap) -> Presented {
        let presented = self.cookies.open(headers, self.clock.now());
        let ended = match &presented {
            Presented::Session(view, _) => self.store.revocations().ended(&view.marks()),
            Presented::None | Presented::Invalid(_) => None,
        };
        match ended {
            None => presented,
            Some(cause) => Presented::Invalid(Reason::Revoked(cause)),
        }
    }

    /// The session of a request as it is now: confirmed with Logto when that is due, with the cookies to hand out then. Being
    /// looked at is not a use that keeps it alive.
    async fn current_session(&self, headers: &HeaderMap) -> Option<CurrentSession> {
        let Presented::Session(view, _) = self.session(headers) else {
            return None;
        };
        let now = self.clock.now();
        if self.rechecks.freshness(&view, now) == Freshness::Current {
            return Some(CurrentSession::as_presented(&view));
        }
        match self.rechecks.confirm(&view, now).await {
            recheck::Outcome::Kept => Some(CurrentSession::as_presented(&view)),
            recheck::Outcome::Confirmed(session) => {
                let mut session = Session::clone(&session);
                session.renew(session.renewed_at().max(view.renewed_at()));
                let cookies = self.cookies.seal(&session, headers).unwrap_or_default();
                Some(CurrentSession { session, cookies })
            }
            recheck::Outcome::Ended(_) | recheck::Outcome::Unconfirmed | recheck::Outcome::NeedsSignIn => {
                None
            }
        }
    }

    /// 401 for a program that needs a session and has none. The sign-in URL leads back to the page it runs on.
    /// `renewable`: there was one, and loading a page would bring it back without a question.
    pub fn unauthenticated(&self, request: &CleanRequest, renewable: bool) -> Response<Body> {
        let referer = request.headers().get(header::REFERER);
        self.unauthenticated_at(referer, *request.method() == Method::HEAD, renewable)
    }

    /// As [`Self::unauthenticated`], when only the Referer is left of the request.
    pub fn unauthenticated_at(
        &self,
        referer: Option<&HeaderValue>,
        is_head: bool,
        renewable: bool,
    ) -> Response<Body> {
        let mut document = json!({
            "error": "unauthenticated",
            "error_description": "there is no valid session",
            "sign_in_url": self.sign_in_url(&self.page_of(referer)),
        });
        if renewable && let Some(members) = document.as_object_mut() {
            let hint = "load a page of this site: the session is renewed without asking the user";
            members.insert("hint".to_owned(), json!(hint));
        }
        let mut response = answer::json(StatusCode::UNAUTHORIZED, &document);
        let scheme = session_scheme();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        if is_head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    /// The page for a user who may not see what they asked for: who they are, and a way to be somebody else. Logto asks for an
    /// account then, though it knows one.
    pub fn refused_page(&self, request: &CleanRequest, claims: &Claims, subject: &str) -> Response<Body> {
        let return_path = self.way_back(request);
        let another_account = format!("{}&prompt=login", self.sign_in_link(request, &return_path));
        let name = ["name", "username", "email"]
            .into_iter()
            .filter_map(|name| claims.members().get(name)?.as_str())
            .find(|name| !name.trim().is_empty());
        let page = pages::refused(
            &self.pages,
            navigation::language(request.headers()),
            name.unwrap_or(subject),
            &another_account,
            request.request_id().to_str().unwrap_or_default(),
        );
        answer::page(StatusCode::FORBIDDEN, page)
    }

    /// The page of this site whose script made a request, as far as its Referer tells; else the root.
    pub fn page_of(&self, referer: Option<&HeaderValue>) -> ReturnPath {
        let Some(referer) = referer.and_then(|value| value.to_str().ok()) else {
            return ReturnPath::root();
        };
        // What is left of another site's URL is no path, or an absolute URL that is judged as such.
        let path = referer
            .strip_prefix(self.public_origin.as_str())
            .unwrap_or(referer);
        self.return_path(path)
    }

    /// The sign-in URL that brings the browser back to a path.
    pub fn sign_in_url(&self, return_path: &ReturnPath) -> String {
        format!(
            "{}{}",
            self.public_origin.as_str(),
            self.sign_in_path(return_path)
        )
    }

    /// The same as a page may have it: a page that answers for another host needs the whole URL.
    fn sign_in_link(&self, request: &CleanRequest, return_path: &ReturnPath) -> String {
        if request.check().is_some() {
            self.sign_in_url(return_path)
        } else {
            self.sign_in_path(return_path)
        }
    }

    fn sign_in_path(&self, return_path: &ReturnPath) -> String {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("redirect", return_path.as_str())
            .finish();
        format!("{}?{query}", self.paths.sign_in)
    }

    /// Continues an after-sign-out request to the path that its sealed `state` names.
    pub fn after_sign_out(&self, request: &CleanRequest) -> Option<Response<Body>> {
        sign_out::continue_after(self, request)
    }

    /// A problem page; with a return path it offers to try again.
    fn problem(
        &self,
        request: &CleanRequest,
        problem: Problem,
        return_path: Option<&ReturnPath>,
    ) -> Response<Body> {
        let again = return_path.map(|path| self.sign_in_link(request, path));
        self.problem_page(request, problem, again.as_deref())
    }
}

/// What a 401 asks for.
const fn session_scheme() -> HeaderValue {
    HeaderValue::from_static("Session realm=\"logto-proxy\"")
}

/// Adds `Set-Cookie` lines to an answer.
fn set_cookies(headers: &mut HeaderMap, lines: impl IntoIterator<Item = HeaderValue>) {
    for line in lines {
        headers.append(header::SET_COOKIE, line);
    }
}

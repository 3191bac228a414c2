//! Pages for people whom a request could not be let pass for: a problem, and what they can do about it.

use super::{Endpoints, ReturnPath, session_scheme};
use crate::http::body::Body;
use crate::http::navigation;
use crate::pages::{self, Problem, answer};
use crate::request::CleanRequest;
use ::http::{HeaderValue, Method, Response, StatusCode, header};

impl Endpoints {
    /// The page for a user whose token at a third party is missing: a sign-in through it brings another one.
    pub fn consent_page(&self, request: &CleanRequest, target: &str) -> Response<Body> {
        let return_path = self.way_back(request);
        let link = through(&self.sign_in_link(request, &return_path), target);
        self.problem_page(request, Problem::NeedsConsent, Some(&link))
    }

    /// The sign-in URL for it, which brings the browser back to a path.
    pub fn consent_url(&self, return_path: &ReturnPath, target: &str) -> String {
        through(&self.sign_in_url(return_path), target)
    }

    /// 401 for a person whose form needs a session and has none: it is not delivered, neither now nor after a sign-in.
    pub fn form_page(&self, request: &CleanRequest) -> Response<Body> {
        let page = self.way_back(request);
        let html = pages::form_not_sent(
            &self.pages,
            navigation::language(request.headers()),
            &self.sign_in_link(request, &page),
            &page.on(&self.public_origin),
            request.request_id().to_str().unwrap_or_default(),
        );
        let mut response = answer::page(StatusCode::UNAUTHORIZED, html);
        let scheme = session_scheme();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        response
    }

    /// Where a page leads a person back to after a sign-in: to what they asked for, or where they sent a form from.
    pub(super) fn way_back(&self, request: &CleanRequest) -> ReturnPath {
        if *request.method() == Method::POST {
            return self.page_of(request.headers().get(header::REFERER));
        }
        self.destination(request).unwrap_or_else(ReturnPath::root)
    }

    /// A problem page with a link.
    pub fn problem_page(
        &self,
        request: &CleanRequest,
        problem: Problem,
        link: Option<&str>,
    ) -> Response<Body> {
        let page = pages::problem(
            &self.pages,
            navigation::language(request.headers()),
            problem,
            link,
            request.request_id().to_str().unwrap_or_default(),
        );
        let mut response = answer::page(problem.status(), page);
        let retry_after = match problem {
            Problem::Unavailable | Problem::TokenUnavailable => Some(HeaderValue::from_static("5")),
            Problem::TooMany => Some(HeaderValue::from_static("60")),
            _ => None,
        };
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// A sign-in URL through a connector. Logto asks for an account though it knows one, since it would pass over the connector
/// otherwise.
fn through(sign_in: &str, target: &str) -> String {
    format!("{sign_in}&direct_sign_in=social%3A{target}&prompt=login")
}

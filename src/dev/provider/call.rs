//! A request as handlers see it: whole, decoded, its authority known to be loopback.

use ::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use ::http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::time::Duration;

use super::super::loopback::loopback_host;
use super::super::reply::Reply;
use super::parameters::Parameters;

/// Bytes a form may have.
const FORM_BYTES: usize = 64 * 1024;

/// The provider's session. Not Logto's `_session`: cookies ignore ports, and on `localhost` the name could be the app's.
pub(super) const SESSION_COOKIE: &str = "_logto_dev_session";
/// Which browser a pending sign-in belongs to.
pub(super) const BROWSER_COOKIE: &str = "_logto_dev_interaction";

/// A request, read to its end.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    /// The request's `Host`.
    pub(super) host: String,
    pub(super) query: Parameters,
    /// Empty unless the body is a form.
    pub(super) form: Parameters,
    pub(super) has_form: bool,
}

/// Why a request is not served.
pub(super) enum Refused {
    /// `Host` is missing, repeated or not loopback.
    Host,
    /// The body is longer than a form may be, or broke off.
    Body,
}

impl Call {
    pub(super) async fn read(request: Request<Incoming>) -> Result<Self, Refused> {
        let (head, body) = request.into_parts();
        let host = loopback_host(&head.headers, &head.uri)
            .ok_or(Refused::Host)?
            .to_owned();
        let path = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.path())
            .to_owned();
        let query = Parameters::parse(head.uri.query().unwrap_or_default().as_bytes());
        let body = Limited::new(body, FORM_BYTES)
            .collect()
            .await
            .map_err(|_| Refused::Body)?
            .to_bytes();
        let has_form = is_form(&head.headers);
        let form = if has_form {
            Parameters::parse(&body)
        } else {
            Parameters::default()
        };
        let method = if head.method == Method::HEAD {
            Method::GET
        } else {
            head.method
        };
        Ok(Self {
            method,
            path,
            headers: head.headers,
            host,
            query,
            form,
            has_form,
        })
    }

    /// The query of a GET, the form of a POST.
    pub(super) fn parameters(&self) -> &Parameters {
        if self.method == Method::POST {
            &self.form
        } else {
            &self.query
        }
    }

    /// `http://` and the request's own authority, from which Logto builds discovery's endpoints.
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.host)
    }

    /// A cookie's value.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The token of an `Authorization: Bearer` field.
    pub(super) fn bearer_token(&self) -> Option<&str> {
        let value = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    }

    /// Whether a browser says that another site made this request, which none of the provider's forms allow.
    pub(super) fn is_cross_site_post(&self) -> bool {
        self.method == Method::POST
            && self
                .headers
                .get("sec-fetch-site")
                .is_some_and(|site| site != "same-origin" && site != "none")
    }

    /// Whether errors carry Logto's own members beside OAuth's.
    pub(super) fn wants_own_error_members(&self) -> bool {
        self.query.get("parse_error") != Some("false")
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| {
            media_type
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

/// Adds a cookie to an answer; `None` removes it. Plain http on loopback, hence no `Secure`.
pub(super) fn set_cookie(reply: &mut Reply, name: &str, value: Option<(&str, Duration)>) {
    let text = match value {
        Some((value, age)) => format!(
            "{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax",
            age.as_secs()
        ),
        None => format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
    };
    if let Ok(value) = HeaderValue::from_str(&text) {
        reply.headers_mut().append(SET_COOKIE, value);
    }
}

//! Cross-Origin Resource Sharing (WHATWG Fetch, "HTTP extensions"): what scripts of other sites may ask and read.
//!
//! CORS lets a browser show answers to foreign scripts; it keeps nobody out, so nothing here lets a request pass. Stops:
//! an origin that is reflected without being listed, `*` or `null` together with credentials, a list that matches by
//! prefix or suffix, an answer for one origin that a cache hands to another, and two sets of fields in one answer, of
//! which a browser takes neither.

mod origin;

pub use origin::{OriginError, OriginPattern};

use super::list_items;
use super::method_override::is_method_override;
use ::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, COOKIE, HeaderMap,
    HeaderName, HeaderValue, InvalidHeaderValue, ORIGIN, VARY,
};
use ::http::{Method, Response};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

static ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// What a route tells browsers about scripts of other origins.
#[derive(Debug)]
pub struct CorsPolicy {
    origins: Origins,
    /// As configured; methods are compared to the letter (RFC 9110 §9.1).
    methods: Vec<String>,
    /// In lower case; `None`: any.
    headers: Option<Vec<String>>,
    credentials: bool,
    /// The lists as the answers carry them.
    allow_methods: HeaderValue,
    expose: Option<HeaderValue>,
    max_age: HeaderValue,
}

/// Whose scripts.
#[derive(Debug)]
enum Origins {
    /// Everybody's.
    Any,
    /// Those of these.
    Listed(Vec<OriginPattern>),
}

/// A policy as an operator writes it.
#[derive(Debug, Clone)]
pub struct CorsRules {
    /// The origins; `None`: any, and then without credentials.
    pub origins: Option<Vec<OriginPattern>>,
    /// The methods that scripts may use.
    pub methods: Vec<String>,
    /// The fields that scripts may set; `None`: any.
    pub headers: Option<Vec<String>>,
    /// The fields of answers that scripts may read besides those that they always may.
    pub expose: Vec<String>,
    /// Whether scripts may send the user's cookies and read the answer.
    pub credentials: bool,
    /// How long a browser may go by the answer to a preflight; whole seconds.
    pub max_age: Duration,
}

/// Why rules make no policy.
#[derive(Debug, thiserror::Error)]
pub enum CorsError {
    /// Any page in the world would act for the user.
    #[error("credentials need origins that are listed by name")]
    Credentials,
    /// What no browser sends.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// A list that makes no field value.
    #[error(transparent)]
    List(#[from] InvalidHeaderValue),
}

/// A preflight as browsers send it: `OPTIONS` with one `Origin` and one method, without a body, without credentials and
/// without fields by which an app would take it for another method. What has any is an ordinary request.
#[derive(Debug, Clone, Copy)]
pub struct Preflight<'a> {
    origin: &'a HeaderValue,
    method: &'a str,
    headers: &'a HeaderMap,
}

/// What keeps a script from asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Its origin.
    #[error("this origin may not ask from a script")]
    Origin,
    /// The method that it would use.
    #[error("scripts of other origins may not use this method")]
    Method,
    /// A field that it would set.
    #[error("scripts of other origins may not set these headers")]
    Headers,
}

/// What every answer of a route with a policy carries, for the origin of one request.
#[derive(Debug)]
pub struct CorsGrant {
    policy: Arc<CorsPolicy>,
    /// The request's, where it is one that may read the answer.
    origin: Option<HeaderValue>,
}

impl<'a> Preflight<'a> {
    /// Recognises one.
    pub fn of(method: &Method, headers: &'a HeaderMap, has_body: bool) -> Option<Self> {
        if *method != Method::OPTIONS || has_body {
            return None;
        }
        if headers.contains_key(COOKIE) || headers.contains_key(AUTHORIZATION) {
            return None;
        }
        if headers.keys().any(is_method_override) {
            return None;
        }
        let asked = only(headers, &ACCESS_CONTROL_REQUEST_METHOD)?.to_str().ok()?;
        // The method is a token (RFC 9110 §5.6.2).
        Method::from_bytes(asked.as_bytes()).ok()?;
        Some(Self {
            origin: only(headers, &ORIGIN)?,
            method: asked,
            headers,
        })
    }

    /// The method of the request that is to follow.
    pub const fn asked_method(&self) -> &'a str {
        self.method
    }
}

impl CorsPolicy {
    /// Compiles rules.
    ///
    /// # Errors
    /// Credentials for any origin or for `null`, which any page can make its own.
    pub fn new(rules: CorsRules) -> Result<Self, CorsError> {
        let origins = rules.origins.map_or(Origins::Any, Origins::Listed);
        let names_nobody = match &origins {
            Origins::Any => true,
            Origins::Listed(patterns) => patterns.contains(&OriginPattern::Null),
        };
        if rules.credentials && names_nobody {
            return Err(CorsError::Credentials);
        }
        let in_lower_case = |names: Vec<String>| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self {
            origins,
            allow_methods: HeaderValue::try_from(rules.methods.join(", "))?,
            methods: rules.methods,
            headers: rules.headers.map(in_lower_case),
            credentials: rules.credentials,
            expose: match rules.expose.join(", ") {
                none if none.is_empty() => None,
                names => Some(HeaderValue::try_from(names)?),
            },
            max_age: HeaderValue::from(rules.max_age.as_secs()),
        })
    }

    /// What the answer to a preflight says.
    ///
    /// # Errors
    /// The request that would follow is not one that the script may make.
    pub fn preflight(&self, preflight: &Preflight<'_>) -> Result<HeaderMap, Forbidden> {
        let origin = self.allowed(preflight.origin).ok_or(Forbidden::Origin)?;
        if !self.methods.iter().any(|method| method == preflight.method) {
            return Err(Forbidden::Method);
        }
        let mut answer = HeaderMap::new();
        let asked: Vec<String> = list_items(preflight.headers, &ACCESS_CONTROL_REQUEST_HEADERS)
            .map(|name| HeaderName::from_bytes(name).map(|name| name.as_str().to_owned()))
            .collect::<Result<_, _>>()
            .map_err(|_| Forbidden::Headers)?;
        let allowed = |name: &String| self.headers.as_ref().is_none_or(|names| names.contains(name));
        if !asked.iter().all(allowed) {
            return Err(Forbidden::Headers);
        }
        // `*` would leave out Authorization, and mean a field of that name where there are credentials.
        let named = self.headers.as_ref().unwrap_or(&asked);
        if !named.is_empty() {
            let named = HeaderValue::try_from(named.join(", ")).map_err(|_| Forbidden::Headers)?;
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, named);
        }
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, self.allow_methods.clone());
        answer.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        self.write_origin(Some(origin), &mut answer);
        Ok(answer)
    }

    /// What a preflight gets whose request may not follow.
    pub fn refuse(&self, answer: &mut HeaderMap) {
        self.write_origin(None, answer);
    }

    /// What any other answer to a request says.
    pub fn grant(self: &Arc<Self>, request: &HeaderMap) -> CorsGrant {
        let origin = only(request, &ORIGIN).and_then(|origin| self.allowed(origin));
        CorsGrant {
            policy: Arc::clone(self),
            origin,
        }
    }

    /// The origin as the answer names it, where it may read it.
    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Listed(patterns) => {
                let covers = |pattern: &OriginPattern| pattern.covers(origin.as_bytes());
                patterns.iter().any(covers).then(|| origin.clone())
            }
        }
    }

    fn write_origin(&self, origin: Option<HeaderValue>, answer: &mut HeaderMap) {
        if matches!(self.origins, Origins::Listed(_)) {
            vary_by_origin(answer);
        }
        let Some(origin) = origin else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }
}

impl CorsGrant {
    /// An answer with it.
    pub fn on<B>(self, mut answer: Response<B>) -> Response<B> {
        self.apply(answer.headers_mut());
        answer
    }

    /// Writes it into an answer, in place of what the app says of these things.
    pub fn apply(self, answer: &mut HeaderMap) {
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            answer.remove(name);
        }
        answer.remove(&ALLOW_PRIVATE_NETWORK);
        if let (Some(_), Some(names)) = (&self.origin, &self.policy.expose) {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
        }
        self.policy.write_origin(self.origin, answer);
    }
}

/// Tells caches that the answer is for one origin, none included.
fn vary_by_origin(answer: &mut HeaderMap) {
    let is_said = list_items(answer, &VARY).any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"));
    if !is_said {
        answer.append(VARY, HeaderValue::from_static("Origin"));
    }
}

/// The value of a field that came exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

impl fmt::Display for CorsPolicy {
    /// The origins, and whether with credentials.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origins {
            Origins::Any => formatter.write_str("any origin")?,
            Origins::Listed(patterns) => {
                for (index, pattern) in patterns.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(formatter, "{comma}{pattern}")?;
                }
            }
        }
        formatter.write_str(if self.credentials { " with credentials" } else { "" })
    }
}

#[cfg(test)]
mod tests;

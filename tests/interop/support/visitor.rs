//! A browser without pages: keeps cookies, follows redirects one at a time, fills in the forms it is shown.
//!
//! Says of itself what a person's browser says when it navigates, so the proxy answers it as one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use url::Url;

/// More redirects than any sign-in takes.
const MOST_STEPS: usize = 15;

/// Host, then name, then value. Like a browser, it tells hosts apart but not ports.
type Jar = BTreeMap<String, BTreeMap<String, String>>;

/// One tab of a browser profile.
pub struct Visitor {
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: Arc<Mutex<Jar>>,
    /// Every address asked for, in order.
    pub visited: Vec<Url>,
}

/// What came back, and from where.
#[derive(Debug)]
pub struct Answer {
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Visitor {
    pub fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            cookies: Arc::default(),
            visited: Vec::new(),
        }
    }

    /// Another tab: the same cookies, connections of its own.
    pub fn tab(&self) -> Self {
        Self {
            cookies: Arc::clone(&self.cookies),
            ..Self::new()
        }
    }

    /// Somebody else with a copy of the cookies as they are now.
    pub fn copied(&self) -> Self {
        let cookies = self.jar(|jar| jar.clone());
        Self {
            cookies: Arc::new(Mutex::new(cookies)),
            ..Self::new()
        }
    }

    fn jar<T>(&self, look: impl FnOnce(&mut Jar) -> T) -> T {
        look(&mut self.cookies.lock().expect("no holder panics"))
    }

    /// The same profile with no connection open.
    pub fn reconnected(self) -> Self {
        Self {
            cookies: self.cookies,
            visited: self.visited,
            ..Self::new()
        }
    }

    /// One request, no redirect followed.
    pub async fn send(&mut self, method: Method, address: &str, content_type: &str, body: String) -> Answer {
        let fields = [
            (ACCEPT.as_str(), "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", "same-origin"),
        ];
        self.request(method, address, &fields, content_type, body).await
    }

    /// What `fetch` of a page's script asks for.
    pub async fn fetch(&mut self, address: &str) -> Answer {
        let fields = [
            (ACCEPT.as_str(), "*/*"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-site", "same-origin"),
        ];
        self.request(Method::GET, address, &fields, "", String::new())
            .await
    }

    /// One request with these fields of its own.
    pub async fn request(
        &mut self,
        method: Method,
        address: &str,
        fields: &[(&str, &str)],
        content_type: &str,
        body: String,
    ) -> Answer {
        let url = Url::parse(address).expect("an absolute address");
        let host = url.host_str().expect("an address with a host").to_owned();
        let mut request = Request::builder().method(method.clone()).uri(url.as_str());
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let cookies = self.cookie_field(&host);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, content_type);
            // Browsers say so, programs do not.
            if fields.iter().any(|(name, _)| *name == "sec-fetch-site") {
                request = request.header("origin", url.origin().ascii_serialization());
            }
        }
        let request = request.body(Full::from(body)).expect("a well-formed request");
        let response = self
            .client
            .request(request)
            .await
            .unwrap_or_else(|error| panic!("{method} {url}: {error:?}"));
        let (parts, body) = response.into_parts();
        self.remember(host, &parts.headers);
        self.visited.push(url.clone());
        let body = body
            .collect()
            .await
            .unwrap_or_else(|error| panic!("{method} {url}: {error}"))
            .to_bytes();
        Answer {
            url,
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Opens an address and follows redirects until something else comes.
    pub async fn open(&mut self, address: &str) -> Answer {
        let answer = self.send(Method::GET, address, "", String::new()).await;
        self.follow(answer).await
    }

    /// Submits a form and follows redirects.
    pub async fn submit(&mut self, address: &str, fields: &[(String, String)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let answer = self
            .send(Method::POST, address, "application/x-www-form-urlencoded", body)
            .await;
        self.follow(answer).await
    }

    /// Opens an address of the app and goes through the provider's sign-in as this persona, up to the last page.
    pub async fn sign_in(&mut self, address: &str, persona: &str) -> Answer {
        let page = self.open(address).await;
        assert!(
            page.body.contains("name=\"persona\""),
            "a sign-in page was expected: {page:?}"
        );
        let action = page.url.join("/sign-in").expect("a path joins");
        self.submit(action.as_str(), &[("persona".into(), persona.into())])
            .await
    }

    /// Does what the script of a page with one self-posting form does.
    pub async fn post_only_form(&mut self, page: &Answer) -> Answer {
        let action = between(&page.body, "action=\"", "\"").expect("a form has an action");
        let action = page.url.join(action).expect("an action is an address");
        let fields: Vec<_> = page
            .body
            .split("<input ")
            .skip(1)
            .map(|input| {
                let value = |name: &str| between(input, name, "\"").unwrap_or_default().to_owned();
                (value("name=\""), value("value=\""))
            })
            .collect();
        self.submit(action.as_str(), &fields).await
    }

    /// Names of the cookies kept for a host.
    pub fn cookie_names(&self, host: &str) -> Vec<String> {
        self.jar(|jar| {
            jar.get(host)
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect()
        })
    }

    /// What `Cookie` says to a host; empty when there is none.
    pub fn cookie_field(&self, host: &str) -> String {
        let pairs: Vec<_> = self.jar(|jar| {
            let pairs = jar.get(host).into_iter().flatten();
            pairs.map(|(name, value)| format!("{name}={value}")).collect()
        });
        pairs.join("; ")
    }

    async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..MOST_STEPS {
            let Some(location) = answer
                .headers
                .get(LOCATION)
                .filter(|_| answer.status.is_redirection())
            else {
                return answer;
            };
            let location = location.to_str().expect("a location in ASCII");
            let next = answer.url.join(location).expect("a location is an address");
            answer = self.send(Method::GET, next.as_str(), "", String::new()).await;
        }
        panic!("a redirect loop: {:?}", self.visited);
    }

    fn remember(&self, host: String, headers: &HeaderMap) {
        let mut jar = self.cookies.lock().expect("no holder panics");
        let jar = jar.entry(host).or_default();
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().expect("a cookie in ASCII");
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            let attributes = attributes.to_ascii_lowercase();
            if value.is_empty() || attributes.contains("max-age=0") || attributes.contains("01 jan 1970") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Answer {
    /// Who the app was told it is, when this is the app's `/headers`.
    pub fn user(&self) -> Option<String> {
        let headers: Value = serde_json::from_str(&self.body).ok()?;
        headers["x-user-sub"][0].as_str().map(str::to_owned)
    }

    /// Whether this is the page on which to sign in at the provider.
    pub fn is_sign_in(&self) -> bool {
        self.body.contains("name=\"persona\"")
    }

    /// The body, read as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

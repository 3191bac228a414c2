//! A browser without a screen: cookies by host, `Secure` and expiry respected, redirects on request.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use url::Url;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    pub url: Url,
}

impl Answer {
    pub fn location(&self) -> Url {
        let location = self
            .header("location")
            .unwrap_or_else(|| panic!("no redirect: {self:?}"));
        self.url.join(location).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The problem that a redirect leads to, if it does.
    pub fn problem(&self) -> Option<String> {
        let location = self.location();
        let mut query = location.query_pairs();
        query
            .find(|(name, _)| name == "problem")
            .map(|(_, code)| code.into_owned())
    }

    pub fn set_cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all("set-cookie").iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    }
}

/// A browser. Its cookies are public so that tests may tamper with them.
#[derive(Debug, Clone)]
pub struct Browser {
    origin: Url,
    /// Requests to the origin go to these in turn.
    proxies: Vec<SocketAddr>,
    turn: usize,
    /// (host, name) to value.
    pub cookies: BTreeMap<(String, String), String>,
    /// Fields added to every request.
    pub fields: Vec<(String, String)>,
}

impl Browser {
    pub fn new(origin: &str, proxy: SocketAddr) -> Self {
        Self {
            origin: Url::parse(origin).unwrap(),
            proxies: vec![proxy],
            turn: 0,
            cookies: BTreeMap::new(),
            fields: Vec::new(),
        }
    }

    /// Its requests go to this replica from now on.
    pub fn move_to(&mut self, proxy: SocketAddr) {
        self.spread_over(vec![proxy]);
    }

    /// Its requests go to one of these after the other from now on.
    pub fn spread_over(&mut self, proxies: Vec<SocketAddr>) {
        self.proxies = proxies;
    }

    /// The proxy's cookies, as a `Cookie` field has them.
    pub fn cookie_field(&self) -> String {
        let host = self.origin.host_str().unwrap();
        let ours = self.cookies.iter().filter(|((at, _), _)| at == host);
        let pairs: Vec<String> = ours.map(|((_, name), value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    pub fn cookie(&self, name: &str) -> Option<&String> {
        self.cookies
            .get(&(self.origin.host_str().unwrap().to_owned(), name.to_owned()))
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        let host = self.origin.host_str().unwrap().to_owned();
        self.cookies.insert((host, name.to_owned()), value.to_owned());
    }

    /// Whether the proxy takes its cookies for a session, right now.
    pub async fn is_signed_in(&mut self) -> bool {
        self.fetch("/.logto/user").await.json()["isAuthenticated"] == true
    }

    pub fn has_session(&self) -> bool {
        self.cookies
            .keys()
            .any(|(_, name)| name == "__Host-logto" || name == "logto")
    }

    /// A navigation, as from the address bar. Redirects are not followed.
    pub async fn navigate(&mut self, path: &str) -> Answer {
        let url = self.origin.join(path).unwrap();
        self.open(url).await
    }

    pub async fn open(&mut self, url: Url) -> Answer {
        let fields = [
            ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", "none"),
        ];
        self.send("GET", url, &fields, Bytes::new()).await
    }

    /// A script's `fetch`.
    pub async fn fetch(&mut self, path: &str) -> Answer {
        self.try_fetch(path).await.unwrap()
    }

    /// The same; an error when there is no whole answer.
    pub async fn try_fetch(&mut self, path: &str) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let fields = [
            ("accept", "*/*"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-site", "same-origin"),
        ];
        let url = self.origin.join(path).unwrap();
        self.try_send("GET", url, &fields, Bytes::new()).await
    }

    /// Sends a form of the same site.
    pub async fn submit(&mut self, url: Url, form: &[(&str, &str)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let origin = url.origin().ascii_serialization();
        let fields = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "text/html"),
            ("origin", origin.as_str()),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send("POST", url, &fields, Bytes::from(body)).await
    }

    /// Follows redirects until there is none, or until one leads to a path that `stop_before` accepts; that
    /// last redirect is then the answer.
    pub async fn follow(&mut self, mut answer: Answer, stop_before: impl Fn(&Url) -> bool) -> Answer {
        for _ in 0..12 {
            if !(300..400).contains(&answer.status) || stop_before(&answer.location()) {
                return answer;
            }
            answer = self.open(answer.location()).await;
        }
        panic!("redirected for ever: {answer:?}");
    }

    /// Goes to a path that leads to Logto and stops at Logto's sign-in page.
    pub async fn to_sign_in_page(&mut self, path: &str) -> Answer {
        let answer = self.navigate(path).await;
        let page = self.follow(answer, |_| false).await;
        assert_eq!((page.status, page.url.path()), (200, "/sign-in"), "{page:?}");
        page
    }

    /// Chooses a persona on Logto's sign-in page; the answer is the redirect to the callback, not followed.
    pub async fn choose(&mut self, page: &Answer, persona: &str) -> Answer {
        let answer = self.submit(page.url.clone(), &[("persona", persona)]).await;
        let origin = self.origin.origin();
        self.follow(answer, |url| url.origin() == origin).await
    }

    /// Goes to a path, through Logto, and stops before the callback: its URL, good for one use.
    pub async fn to_callback(&mut self, persona: &str, path: &str) -> Url {
        let page = self.to_sign_in_page(path).await;
        self.choose(&page, persona).await.location()
    }

    /// The whole way: from a path through Logto and the callback to where it leads. With a session at Logto nobody is asked.
    pub async fn sign_in(&mut self, persona: &str, path: &str) -> Answer {
        let answer = self.navigate(path).await;
        let page = self.follow(answer, |_| false).await;
        if page.url.origin() == self.origin.origin() {
            return page;
        }
        let callback = self.choose(&page, persona).await;
        let done = self.open(callback.location()).await;
        self.follow(done, |_| false).await
    }

    /// Any request, with the cookies of its host. Redirects are not followed.
    pub async fn send(&mut self, method: &str, url: Url, fields: &[(&str, &str)], body: Bytes) -> Answer {
        self.try_send(method, url, fields, body).await.unwrap()
    }

    /// The same; an error when there is no whole answer.
    async fn try_send(
        &mut self,
        method: &str,
        url: Url,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let host = url.host_str().unwrap().to_owned();
        let address = if url.origin() == self.origin.origin() {
            self.turn += 1;
            self.proxies[(self.turn - 1) % self.proxies.len()]
        } else {
            url.socket_addrs(|| None).unwrap().remove(0)
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", authority);
        let extra = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in fields.iter().copied().chain(extra) {
            request = request.header(name, value.as_bytes());
        }
        let jar: Vec<String> = self
            .cookies
            .iter()
            .filter(|((at, _), _)| *at == host)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        if !jar.is_empty() {
            request = request.header("cookie", jar.join("; ").as_bytes());
        }
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let response = sender
            .send_request(request.body(Full::new(body)).unwrap())
            .await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            url,
        };
        self.keep_cookies(&host, &answer);
        Ok(answer)
    }

    fn keep_cookies(&mut self, host: &str, answer: &Answer) {
        for line in answer.set_cookies() {
            let (pair, attributes) = line.split_once(';').unwrap_or((&line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let attributes = attributes.to_ascii_lowercase();
            let secure = attributes.contains("secure");
            if name.starts_with("__Host-") {
                assert!(
                    secure && attributes.contains("path=/") && !attributes.contains("domain"),
                    "{line}"
                );
            }
            let key = (host.to_owned(), name.to_owned());
            if attributes.contains("max-age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }
}

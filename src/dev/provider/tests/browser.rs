//! A started provider, a browser with a cookie jar, and a relying party's back channel.

use ::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use ::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;
use url::form_urlencoded::Serializer;

use super::super::{Client, ClientSecret, Control, Provider, ProviderSettings};
use crate::clock::{Clock, ClockHand};
use crate::secret::SecretText;
use crate::tasks::Tasks;

pub(super) const CALLBACK: &str = "http://127.0.0.1:9/.logto/callback";
pub(super) const AFTER: &str = "http://127.0.0.1:9/bye";
pub(super) const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";
pub(super) const SECRET: &str = "app:secret+with%signs";
pub(super) const SCOPE: &str = "openid profile email roles identities custom_data urn:logto:scope:organizations urn:logto:scope:organization_roles";

/// Puts a connection's driver on the runtime.
fn drive(future: impl Future<Output = ()> + Send + 'static) {
    drop(Tasks::new().spawn(future));
}

pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) issuer: String,
    pub(super) control: Control,
    pub(super) clock: ClockHand,
    _stop: DropGuard,
}

pub(super) fn client() -> Client {
    let mut client = Client::new("app", SecretText::new(SECRET.into()), CALLBACK);
    client.secrets.push(ClientSecret {
        text: SecretText::new("old secret".into()),
        expired: true,
    });
    client.post_logout_redirect_uris.push(AFTER.into());
    client
}

pub(super) async fn start() -> World {
    start_with(ProviderSettings::default()).await
}

pub(super) async fn start_with(settings: ProviderSettings) -> World {
    let (clock, hand) = Clock::movable();
    let settings = ProviderSettings { clock, ..settings };
    let provider = Provider::bind("127.0.0.1:0".parse().unwrap(), settings)
        .await
        .unwrap();
    let (address, issuer, control) = (provider.address(), provider.issuer(), provider.control());
    control.register(client());
    let shutdown = CancellationToken::new();
    let tasks = Tasks::new();
    drop(tasks.spawn(provider.serve(shutdown.clone(), tasks.clone())));
    World {
        address,
        issuer,
        control,
        clock: hand,
        _stop: shutdown.drop_guard(),
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn location(&self) -> &str {
        self.headers
            .get(LOCATION)
            .unwrap_or_else(|| panic!("no Location in {self:?}"))
            .to_str()
            .unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON in {self:?}"))
    }

    /// `error` of a JSON answer, with the status.
    pub(super) fn error(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["error"].as_str().unwrap_or_default().to_owned(),
        )
    }

    /// The query of the callback that the answer redirects to.
    pub(super) fn callback(&self) -> HashMap<String, String> {
        assert!(self.location().starts_with(CALLBACK), "{self:?}");
        Url::parse(self.location())
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect()
    }
}

pub(super) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    drive(async move {
        let _ = connection.await;
    });
    let response = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    })
}

pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(super) struct Browser {
    address: SocketAddr,
    pub(super) cookies: HashMap<String, String>,
}

impl Browser {
    pub(super) async fn get(&mut self, target: &str) -> Answer {
        self.request(Method::GET, target, &[], &[]).await
    }

    pub(super) async fn post(&mut self, target: &str, pairs: &[(&str, &str)]) -> Answer {
        self.request(Method::POST, target, pairs, &[]).await
    }

    pub(super) async fn request(
        &mut self,
        method: Method,
        target: &str,
        pairs: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let path = target
            .strip_prefix(&format!("http://{}", self.address))
            .unwrap_or(target);
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string());
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = send(self.address, request.body(Full::from(form(pairs))).unwrap())
            .await
            .unwrap();
        for line in answer.headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            assert!(line.contains("; HttpOnly; SameSite=Lax"), "{line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Follows the provider's own redirects until a page or another origin.
    pub(super) async fn follow(&mut self, mut answer: Answer) -> Answer {
        while answer.status == StatusCode::SEE_OTHER && !answer.location().starts_with(CALLBACK) {
            let next = answer.location().to_owned();
            answer = self.get(&next).await;
        }
        answer
    }

    /// The whole walk, as a persona; the callback's parameters.
    pub(super) async fn sign_in(&mut self, target: &str, persona: &str) -> HashMap<String, String> {
        let page = self.get(target).await;
        let page_path = page.location().to_owned();
        assert!(page_path.starts_with("/sign-in?"), "{page_path}");
        let chosen = self.post(&page_path, &[("persona", persona)]).await;
        self.follow(chosen).await.callback()
    }
}

impl World {
    pub(super) fn browser(&self) -> Browser {
        Browser {
            address: self.address,
            cookies: HashMap::new(),
        }
    }

    /// The authorization URL; a change with an empty value removes the parameter.
    pub(super) fn authorize(&self, changes: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut pairs = vec![
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", SCOPE),
            ("state", "the-state"),
            ("nonce", "the-nonce"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            pairs.retain(|(known, _)| known != name);
            if !value.is_empty() {
                pairs.push((name, value));
            }
        }
        format!("/oidc/auth?{}", form(&pairs))
    }

    /// A back-channel POST with these credentials, form-urlencoded in Basic.
    pub(super) async fn post_as(&self, id: &str, secret: &str, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let basic = format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", encode(id), encode(secret)))
        );
        self.post(path, &[("authorization", &basic)], pairs)
            .await
            .unwrap()
    }

    pub(super) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        pairs: &[(&str, &str)],
    ) -> hyper::Result<Answer> {
        let mut request = Request::post(path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(self.address, request.body(Full::from(form(pairs))).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header(HOST, self.address.to_string());
        send(self.address, request.body(Full::default()).unwrap())
            .await
            .unwrap()
    }

    /// With a bearer token.
    pub(super) async fn get_as(&self, path: &str, token: &str) -> Answer {
        let request = Request::get(path)
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, format!("Bearer {token}"));
        send(self.address, request.body(Full::default()).unwrap())
            .await
            .unwrap()
    }

    pub(super) async fn userinfo(&self, access_token: &str) -> Answer {
        self.get_as("/oidc/me", access_token).await
    }

    pub(super) async fn redeem(&self, code: &str, verifier: &str) -> Answer {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.post_as("app", SECRET, "/oidc/token", &pairs).await
    }

    pub(super) async fn refresh(&self, token: &str) -> Answer {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post_as("app", SECRET, "/oidc/token", &pairs).await
    }

    /// Signs a persona in with a fresh browser; the token answer.
    pub(super) async fn tokens_of(&self, persona: &str, changes: &[(&str, &str)]) -> Value {
        let callback = self.browser().sign_in(&self.authorize(changes), persona).await;
        let answer = self.redeem(&callback["code"], VERIFIER).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }
}

/// Header and payload of a JWT, unverified.
pub(super) fn decode(token: &str) -> (Value, Value) {
    let mut parts = token
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap_or(Value::Null));
    (parts.next().unwrap(), parts.next().unwrap())
}

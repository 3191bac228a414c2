//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4) in Logto's shape, wrong ones on request, and sending them.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use url::form_urlencoded::Serializer;

use super::control::{Control, KeyError};
use super::delivery::{self, DeliveryError, DeliveryKind, Message};
use super::error::Failure;
use super::keys::SigningKey;
use super::settings::Client;
use super::state::{Shared, random_token};
use super::wrong_signature::WrongSignature;

/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Seconds from `iat` to `exp`.
const LIFETIME: u64 = 120;
/// How long the provider waits for an application.
const LIMIT: Duration = Duration::from_millis(2_500);
const HOUR: u64 = 3_600;

/// What is wrong with a logout token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutTokenFault {
    /// Another `iss`.
    WrongIssuer,
    /// No `iss`.
    NoIssuer,
    /// Another `aud`.
    WrongAudience,
    /// `aud` lists the client and a stranger.
    ExtraAudience,
    /// No `aud`.
    NoAudience,
    /// `exp` lies an hour back.
    Expired,
    /// No `exp`.
    NoExpiry,
    /// `iat` lies an hour ahead.
    IssuedInTheFuture,
    /// `iat` lies an hour back, `exp` ahead.
    IssuedLongAgo,
    /// No `iat`.
    NoIssuedAt,
    /// No `jti`.
    NoTokenId,
    /// A `nonce`, which a logout token must not have: an ID token might pass for one.
    Nonce,
    /// No `events`.
    NoEvents,
    /// `events` has another member only.
    OtherEvent,
    /// The event is a string, not an object.
    EventNotAnObject,
    /// Neither `sub` nor `sid`.
    Nobody,
    /// `sub` is the empty string and there is no `sid`.
    EmptySubject,
    /// `typ: JWT`.
    WrongType,
    /// No `typ`, as in an ID token.
    NoType,
    /// `alg: none`, no signature.
    AlgorithmNone,
    /// HS256 keyed with the client secret.
    Hs256WithClientSecret,
    /// The signature has one bit flipped.
    BadSignature,
    /// Signed by a key that the JWK Set does not list.
    UnknownKey,
    /// Signed by a stranger's key under the `kid` of a published one.
    StolenKeyId,
    /// Three parts, none of them JSON.
    Malformed,
}

impl LogoutTokenFault {
    /// Every one of them.
    pub const ALL: [Self; 25] = [
        Self::WrongIssuer,
        Self::NoIssuer,
        Self::WrongAudience,
        Self::ExtraAudience,
        Self::NoAudience,
        Self::Expired,
        Self::NoExpiry,
        Self::IssuedInTheFuture,
        Self::IssuedLongAgo,
        Self::NoIssuedAt,
        Self::NoTokenId,
        Self::Nonce,
        Self::NoEvents,
        Self::OtherEvent,
        Self::EventNotAnObject,
        Self::Nobody,
        Self::EmptySubject,
        Self::WrongType,
        Self::NoType,
        Self::AlgorithmNone,
        Self::Hs256WithClientSecret,
        Self::BadSignature,
        Self::UnknownKey,
        Self::StolenKeyId,
        Self::Malformed,
    ];
}

/// A logout token not yet signed: right, until a test changes it.
#[derive(Clone)]
pub struct LogoutToken {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signature: Option<WrongSignature>,
    is_malformed: bool,
    client: Client,
    key: Arc<SigningKey>,
}

impl LogoutToken {
    /// For a client, about a user, made now. `sid` is in it when the client wants one.
    pub(super) fn new(
        shared: &Shared,
        client: &Client,
        subject: &str,
        sid: Option<String>,
    ) -> Result<Self, Failure> {
        let key = shared
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .current();
        let now = shared.now().as_u64();
        let claims = json!({
            "iss": shared.issuer,
            "aud": client.app_id,
            "iat": now,
            "exp": now.saturating_add(LIFETIME),
            "jti": random_token()?,
            "sub": subject,
            "events": { EVENT: {} },
        });
        let mut token = Self {
            header: Map::from_iter([
                ("alg".to_owned(), json!(key.algorithm())),
                ("kid".to_owned(), json!(key.key_id())),
                ("typ".to_owned(), json!("logout+jwt")),
            ]),
            claims: claims.as_object().cloned().unwrap_or_default(),
            signature: None,
            is_malformed: false,
            client: client.clone(),
            key,
        };
        if client.wants_session_id() {
            let sid = sid.map_or_else(random_token, Ok)?;
            token.claims.insert("sid".to_owned(), json!(sid));
        }
        Ok(token)
    }

    /// With this claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.insert(name.to_owned(), value);
        self
    }

    /// Without this claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// With this member of the header.
    #[must_use]
    pub fn header(mut self, name: &str, value: Value) -> Self {
        self.header.insert(name.to_owned(), value);
        self
    }

    /// Wrong in this way; faults add up.
    #[must_use]
    pub fn fault(mut self, fault: LogoutTokenFault) -> Self {
        let issued_at = self.claims.get("iat").and_then(Value::as_u64).unwrap_or_default();
        match fault {
            LogoutTokenFault::WrongIssuer => self.claim("iss", json!("https://other.example.com/oidc")),
            LogoutTokenFault::NoIssuer => self.without("iss"),
            LogoutTokenFault::WrongAudience => self.claim("aud", json!("another-client")),
            LogoutTokenFault::ExtraAudience => {
                let audience = json!([self.client.app_id, "another-client"]);
                self.claim("aud", audience)
            }
            LogoutTokenFault::NoAudience => self.without("aud"),
            LogoutTokenFault::Expired => self
                .claim("iat", json!(issued_at.saturating_sub(HOUR + LIFETIME)))
                .claim("exp", json!(issued_at.saturating_sub(HOUR))),
            LogoutTokenFault::NoExpiry => self.without("exp"),
            LogoutTokenFault::IssuedInTheFuture => self
                .claim("iat", json!(issued_at.saturating_add(HOUR)))
                .claim("exp", json!(issued_at.saturating_add(HOUR + LIFETIME))),
            LogoutTokenFault::IssuedLongAgo => self.claim("iat", json!(issued_at.saturating_sub(HOUR))),
            LogoutTokenFault::NoIssuedAt => self.without("iat"),
            LogoutTokenFault::NoTokenId => self.without("jti"),
            LogoutTokenFault::Nonce => self.claim("nonce", json!("a-nonce")),
            LogoutTokenFault::NoEvents => self.without("events"),
            LogoutTokenFault::OtherEvent => {
                self.claim("events", json!({"https://example.com/event/other": {}}))
            }
            LogoutTokenFault::EventNotAnObject => self.claim("events", json!({ EVENT: "yes" })),
            LogoutTokenFault::Nobody => self.without("sub").without("sid"),
            LogoutTokenFault::EmptySubject => self.without("sid").claim("sub", json!("")),
            LogoutTokenFault::WrongType => self.header("typ", json!("JWT")),
            LogoutTokenFault::NoType => {
                self.header.remove("typ");
                self
            }
            LogoutTokenFault::AlgorithmNone => self.signed(WrongSignature::None),
            LogoutTokenFault::Hs256WithClientSecret => self.signed(WrongSignature::ClientSecret),
            LogoutTokenFault::BadSignature => self.signed(WrongSignature::FlippedBit),
            LogoutTokenFault::UnknownKey => self.signed(WrongSignature::UnknownKey),
            LogoutTokenFault::StolenKeyId => self.signed(WrongSignature::StolenKeyId),
            LogoutTokenFault::Malformed => {
                self.is_malformed = true;
                self
            }
        }
    }

    fn signed(mut self, wrong: WrongSignature) -> Self {
        self.signature = Some(wrong);
        self
    }

    /// The token in compact form; twice the same token has twice the same `jti`.
    pub fn sign(&self) -> Result<String, KeyError> {
        if self.is_malformed {
            return Ok("bm90.anNvbg.eA".to_owned());
        }
        let (header, claims) = (self.header.clone(), self.claims.clone());
        match self.signature {
            Some(wrong) => wrong
                .compact(&self.key, header, claims, &self.client)
                .map_err(|_| KeyError),
            None => self
                .key
                .compact(&Value::Object(header), &Value::Object(claims))
                .map_err(|_| KeyError),
        }
    }
}

impl std::fmt::Debug for LogoutToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LogoutToken")
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// A right logout token of an application about a persona, and about the newest of its sessions when the application
    /// wants a `sid`; about a session that nobody knows when there is none. `None` without such an application or
    /// persona.
    pub fn logout_token(&self, app_id: &str, persona: &str) -> Option<LogoutToken> {
        let state = self.shared.state();
        let client = state.client(app_id)?;
        let subject = &state.persona(persona)?.id;
        let sid = state
            .newest_session(persona, self.shared.now())
            .and_then(|session| session.authorizations.get(app_id))
            .map(|authorization| authorization.sid.clone());
        LogoutToken::new(&self.shared, client, subject, sid).ok()
    }

    /// Makes that token and sends it to the application's back-channel logout URI. The status of the answer.
    pub async fn send_logout(&self, app_id: &str, persona: &str) -> Result<u16, DeliveryError> {
        let token = self
            .logout_token(app_id, persona)
            .ok_or(DeliveryError::Nowhere)?
            .sign()
            .map_err(|_| DeliveryError::NotSigned)?;
        self.send_logout_token(app_id, &token).await
    }

    /// Sends any text as a logout token.
    pub async fn send_logout_token(&self, app_id: &str, token: &str) -> Result<u16, DeliveryError> {
        let client = self.shared.state().client(app_id).cloned();
        let uri = client
            .and_then(|client| client.backchannel_logout_uri)
            .ok_or(DeliveryError::Nowhere)?;
        post(&self.shared, uri, token).await
    }
}

/// Sends a logout token as Logto does: a form, an empty `User-Agent`, one try.
pub(super) async fn post(shared: &Shared, uri: String, token: &str) -> Result<u16, DeliveryError> {
    let body = Serializer::new(String::new())
        .append_pair("logout_token", token)
        .finish();
    let message = Message {
        kind: DeliveryKind::LogoutToken,
        url: uri,
        content_type: "application/x-www-form-urlencoded;charset=UTF-8",
        user_agent: "",
        field: None,
        body: Bytes::from(body),
        limit: LIMIT,
    };
    delivery::send(shared, message).await
}

//! JWT access tokens (RFC 9068) in Logto's shape, and wrong ones on request.

use serde_json::{Map, Value, json};
use std::sync::{Arc, PoisonError};

use super::control::{Control, KeyError};
use super::error::Failure;
use super::keys::SigningKey;
use super::resource::Target;
use super::settings::Client;
use super::state::{Shared, random_token};
use super::wrong_signature::WrongSignature;

const HOUR: u64 = 3_600;

/// What is wrong with an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessTokenFault {
    /// Another `iss`.
    WrongIssuer,
    /// Another `aud`.
    WrongAudience,
    /// No `aud`.
    NoAudience,
    /// `exp` lies an hour back.
    Expired,
    /// `iat` lies an hour ahead.
    IssuedInTheFuture,
    /// `nbf` lies an hour ahead.
    NotYetValid,
    /// No `client_id`.
    NoClient,
    /// No `sub`.
    NoSubject,
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
    /// More than 16 KiB.
    Giant,
}

impl AccessTokenFault {
    /// Every one of them.
    pub const ALL: [Self; 17] = [
        Self::WrongIssuer,
        Self::WrongAudience,
        Self::NoAudience,
        Self::Expired,
        Self::IssuedInTheFuture,
        Self::NotYetValid,
        Self::NoClient,
        Self::NoSubject,
        Self::WrongType,
        Self::NoType,
        Self::AlgorithmNone,
        Self::Hs256WithClientSecret,
        Self::BadSignature,
        Self::UnknownKey,
        Self::StolenKeyId,
        Self::Malformed,
        Self::Giant,
    ];
}

/// An access token not yet signed: right, until a test changes it.
#[derive(Clone)]
pub struct AccessTokenJwt {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signature: Option<WrongSignature>,
    is_malformed: bool,
    client: Client,
    key: Arc<SigningKey>,
}

impl AccessTokenJwt {
    /// For a subject (a user, or the client itself), made now.
    pub(super) fn new(
        shared: &Shared,
        client: &Client,
        subject: &str,
        target: &Target,
    ) -> Result<Self, Failure> {
        let key = shared
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .current();
        let now = shared.now().as_u64();
        let claims = json!({
            "jti": random_token()?,
            "sub": subject,
            "iat": now,
            "exp": now.saturating_add(target.ttl.as_secs()),
            "scope": target.scopes.join(" "),
            "client_id": client.app_id,
            "iss": shared.issuer,
            "aud": target.audience,
        });
        let mut claims = claims.as_object().cloned().unwrap_or_default();
        if let Some(organization) = &target.organization {
            claims.insert("organization_id".to_owned(), json!(organization));
        }
        Ok(Self {
            header: Map::from_iter([
                ("alg".to_owned(), json!(key.algorithm())),
                ("typ".to_owned(), json!("at+jwt")),
                ("kid".to_owned(), json!(key.key_id())),
            ]),
            claims,
            signature: None,
            is_malformed: false,
            client: client.clone(),
            key,
        })
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
    pub fn fault(mut self, fault: AccessTokenFault) -> Self {
        let issued_at = self.claims.get("iat").and_then(Value::as_u64).unwrap_or_default();
        match fault {
            AccessTokenFault::WrongIssuer => self.claim("iss", json!("https://other.example.com/oidc")),
            AccessTokenFault::WrongAudience => self.claim("aud", json!("https://other.example.com/api")),
            AccessTokenFault::NoAudience => self.without("aud"),
            AccessTokenFault::Expired => self
                .claim("iat", json!(issued_at.saturating_sub(2 * HOUR)))
                .claim("exp", json!(issued_at.saturating_sub(HOUR))),
            AccessTokenFault::IssuedInTheFuture => self
                .claim("iat", json!(issued_at.saturating_add(HOUR)))
                .claim("exp", json!(issued_at.saturating_add(2 * HOUR))),
            AccessTokenFault::NotYetValid => self.claim("nbf", json!(issued_at.saturating_add(HOUR))),
            AccessTokenFault::NoClient => self.without("client_id"),
            AccessTokenFault::NoSubject => self.without("sub"),
            AccessTokenFault::WrongType => self.header("typ", json!("JWT")),
            AccessTokenFault::NoType => {
                self.header.remove("typ");
                self
            }
            AccessTokenFault::AlgorithmNone => self.signed(WrongSignature::None),
            AccessTokenFault::Hs256WithClientSecret => self.signed(WrongSignature::ClientSecret),
            AccessTokenFault::BadSignature => self.signed(WrongSignature::FlippedBit),
            AccessTokenFault::UnknownKey => self.signed(WrongSignature::UnknownKey),
            AccessTokenFault::StolenKeyId => self.signed(WrongSignature::StolenKeyId),
            AccessTokenFault::Malformed => {
                self.is_malformed = true;
                self
            }
            AccessTokenFault::Giant => self.claim("padding", json!("x".repeat(16 * 1024))),
        }
    }

    fn signed(mut self, wrong: WrongSignature) -> Self {
        self.signature = Some(wrong);
        self
    }

    /// The token in compact form.
    pub fn sign(&self) -> Result<String, KeyError> {
        self.compact().map_err(|_| KeyError)
    }

    pub(super) fn compact(&self) -> Result<String, Failure> {
        if self.is_malformed {
            return Ok("bm90.anNvbg.eA".to_owned());
        }
        let (header, claims) = (self.header.clone(), self.claims.clone());
        match self.signature {
            Some(wrong) => wrong.compact(&self.key, header, claims, &self.client),
            None => Ok(self.key.compact(&Value::Object(header), &Value::Object(claims))?),
        }
    }
}

impl std::fmt::Debug for AccessTokenJwt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("AccessTokenJwt")
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// A right access token of an audience (a resource, or `urn:logto:organization:<id>`), given to an application for a
    /// persona, or for the application itself where none is named. `None` without such an application or persona.
    pub fn access_token(
        &self,
        app_id: &str,
        persona: Option<&str>,
        audience: &str,
        scopes: &[&str],
    ) -> Option<AccessTokenJwt> {
        let state = self.shared.state();
        let client = state.client(app_id)?;
        let subject = match persona {
            Some(persona) => &state.persona(persona)?.id,
            None => app_id,
        };
        let target = Target {
            audience: audience.to_owned(),
            organization: None,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ttl: std::time::Duration::from_secs(HOUR),
        };
        AccessTokenJwt::new(&self.shared, client, subject, &target).ok()
    }
}

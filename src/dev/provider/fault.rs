//! Misbehaviour on purpose, for tests of the relying party. Set through [`super::Control`] alone: nothing that
//! arrives from the network can switch any of it on.

use std::time::Duration;

/// What goes wrong, all of it off by default.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The discovery document's endpoint.
    pub discovery: EndpointFault,
    /// The JWK Set's endpoint.
    pub jwks: EndpointFault,
    /// The token endpoint, whatever it is asked.
    pub token: EndpointFault,
    /// The token endpoint with `grant_type=authorization_code`, instead of [`Faults::token`].
    pub code_exchange: EndpointFault,
    /// The token endpoint with `grant_type=refresh_token`, instead of [`Faults::token`].
    pub refresh: EndpointFault,
    /// The userinfo endpoint.
    pub userinfo: EndpointFault,
    /// The revocation endpoint.
    pub revocation: EndpointFault,
    /// The token endpoint with a token exchange, instead of [`Faults::token`].
    pub token_exchange: EndpointFault,
    /// The introspection endpoint.
    pub introspection: EndpointFault,
    /// The Account API's endpoint of stored tokens.
    pub stored_token: EndpointFault,
    /// Hugging Face's userinfo endpoint.
    pub hugging_face_userinfo: EndpointFault,
    /// Refreshes pass over the resource and organization that they name: the access token is an opaque one.
    pub resource_passed_over: bool,
    /// The ID token of the next token answers.
    pub id_token: Option<IdTokenFault>,
    /// The ID token of refreshes alone, instead of [`Faults::id_token`].
    pub refreshed_id_token: Option<IdTokenFault>,
    /// Refreshes answer without a refresh token, which RFC 6749 §6 allows: the one sent stays good unless it was due.
    pub refresh_token_withheld: bool,
    /// Every sound authorization request comes back to the callback with this `error`.
    pub authorization_error: Option<String>,
    /// Userinfo about someone else: this `sub` instead of the right one.
    pub userinfo_subject: Option<String>,
    /// The `iss` parameter of callbacks (RFC 9207).
    pub callback_issuer: Option<CallbackIssuerFault>,
    /// Discovery's `issuer`.
    pub discovery_issuer: Option<String>,
    /// An origin such as `http://127.0.0.1:1` that discovery's endpoints lie on.
    pub endpoints_origin: Option<String>,
}

/// How an endpoint misbehaves.
#[derive(Debug, Clone, Default)]
pub struct EndpointFault {
    /// Waits this long before it looks at the request.
    pub delay: Duration,
    /// What it does instead of answering.
    pub misbehaviour: Option<Misbehaviour>,
}

impl EndpointFault {
    /// Whether anything is wrong at all.
    pub(super) fn is_set(&self) -> bool {
        self.delay > Duration::ZERO || self.misbehaviour.is_some()
    }

    /// What the next call meets; a fault that is told to happen so many times has happened once more.
    pub(super) fn take(&mut self) -> Self {
        match &mut self.misbehaviour {
            Some(Misbehaviour::Times(0, _)) => Self::default(),
            Some(Misbehaviour::Times(left, fault)) => {
                *left = left.saturating_sub(1);
                Self {
                    delay: self.delay,
                    misbehaviour: Some((**fault).clone()),
                }
            }
            _ => self.clone(),
        }
    }
}

impl From<Misbehaviour> for EndpointFault {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self {
            delay: Duration::ZERO,
            misbehaviour: Some(misbehaviour),
        }
    }
}

/// What an endpoint does instead of answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    /// This status with an OAuth error `server_error`.
    Status(u16),
    /// Resets the connection; the request was not looked at.
    Reset,
    /// Does what was asked, then resets the connection: a code is spent and nobody hears of it.
    ResetAfterProcessing,
    /// Does what was asked, sends half of the answer, then ends the connection.
    CutAnswer,
    /// Does what was asked at once and answers this much later.
    AnswerLate(Duration),
    /// 200 with a body that is not JSON.
    Garbage,
    /// 200 with JSON of at least this many bytes.
    Oversized(usize),
    /// 307 to this URL, which would repeat the secret there.
    Redirect(String),
    /// So many calls meet this fault; those after them are answered.
    Times(u64, Box<Misbehaviour>),
}

impl Misbehaviour {
    /// The same for the next `calls` calls only.
    #[must_use]
    pub fn times(self, calls: u64) -> Self {
        Self::Times(calls, Box::new(self))
    }
}

/// What is wrong with an ID token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdTokenFault {
    /// No ID token in the answer at all.
    Missing,
    /// Another `iss`.
    WrongIssuer,
    /// Another `aud`.
    WrongAudience,
    /// `aud` lists the client and a stranger.
    ExtraAudience,
    /// No `aud`.
    NoAudience,
    /// `azp` is another client.
    ForeignAuthorizedParty,
    /// Another `nonce`.
    WrongNonce,
    /// No `nonce`.
    NoNonce,
    /// `exp` lies an hour back.
    Expired,
    /// No `exp`.
    NoExpiry,
    /// `iat` lies an hour ahead.
    IssuedInTheFuture,
    /// `iat` lies a day back, `exp` ahead.
    IssuedLongAgo,
    /// No `iat`.
    NoIssuedAt,
    /// `nbf` lies an hour ahead.
    NotYetValid,
    /// No `sub`.
    NoSubject,
    /// `sub` is the empty string.
    EmptySubject,
    /// `sub` is another user; userinfo tells the right one.
    OtherSubject,
    /// Another `sid`.
    OtherSession,
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
    /// An `at_hash` of another access token.
    WrongAccessTokenHash,
    /// `typ: at+jwt`.
    WrongType,
    /// Three parts, none of them JSON.
    Malformed,
}

/// What is wrong with a callback's `iss`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackIssuerFault {
    /// Not there.
    Missing,
    /// This one instead.
    Other(String),
}

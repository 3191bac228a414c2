//! A server on loopback, on a thread of its own, that signs tokens with real keys and can be told to misbehave.

use crate::clock::Clock;
use crate::tasks::Tasks;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

pub(super) const DISCOVERY: &str = "/oidc/.well-known/openid-configuration";
pub(super) const JWKS: &str = "/oidc/jwks";
pub(super) const TOKEN: &str = "/oidc/token";
pub(super) const USERINFO: &str = "/oidc/me";
pub(super) const REVOCATION: &str = "/oidc/token/revocation";
pub(super) const INTROSPECTION: &str = "/oidc/token/introspection";
pub(super) const VAULT: &str = "/api/my-account/identities/huggingface/access-token";

/// What a path does instead of its usual answer.
#[derive(Debug, Clone)]
pub(super) enum Instead {
    Answer(u16, Value),
    Text(u16, String),
    Redirect(String),
    /// Closes the connection after the request was read.
    Reset,
    /// Never answers.
    Hang,
    /// Answers as usual, but late.
    Late(Duration),
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) form: HashMap<String, String>,
    pub(super) connection: SocketAddr,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) calls: Vec<Call>,
    pub(super) instead: HashMap<&'static str, Instead>,
    /// Used up one a call, before `instead`.
    pub(super) once: Vec<(&'static str, Instead)>,
    pub(super) metadata: Value,
    pub(super) jwks: Value,
    pub(super) tokens: Value,
    pub(super) userinfo: Value,
    pub(super) introspection: Value,
    pub(super) stored_token: Value,
}

pub(super) struct FakeLogto {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _stop: DropGuard,
}

impl FakeLogto {
    pub(super) fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap())
    }

    pub(super) fn start_on(address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            metadata: metadata(&format!("http://{address}")),
            ..State::default()
        }));
        let stop = CancellationToken::new();
        let (shared, stopped) = (Arc::clone(&state), stop.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let tasks = Tasks::new();
                let accept = async {
                    loop {
                        let (stream, peer) = listener.accept().await.unwrap();
                        let state = Arc::clone(&shared);
                        tasks.spawn(async move {
                            let service = hyper::service::service_fn(move |request| {
                                serve(Arc::clone(&state), peer, request)
                            });
                            let connection = hyper::server::conn::http1::Builder::new();
                            connection
                                .serve_connection(TokioIo::new(stream), service)
                                .await
                                .ok();
                        });
                    }
                };
                tokio::select! { () = stopped.cancelled() => {}, () = accept => {} }
            });
        });
        Self {
            address,
            state,
            _stop: stop.drop_guard(),
        }
    }

    pub(super) fn endpoint(&self) -> Url {
        Url::parse(&format!("http://{}", self.address)).unwrap()
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://{}/oidc", self.address)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn calls(&self, path: &str) -> Vec<Call> {
        self.state()
            .calls
            .iter()
            .filter(|call| call.path == path)
            .cloned()
            .collect()
    }

    /// Publishes these keys.
    pub(super) fn publish(&self, keys: &[&TestKey]) {
        self.state().jwks = json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() });
    }

    /// The next token calls give this ID token.
    pub(super) fn hand_out(&self, id_token: &str) {
        self.state().tokens = json!({
            "access_token": "the-access-token", "token_type": "Bearer", "expires_in": 3600,
            "id_token": id_token, "refresh_token": "the-refresh-token", "scope": "openid"
        });
    }

    /// The claims of an honest ID token, shaped as Logto shapes them: nulls, milliseconds, no `at_hash`.
    pub(super) fn claims(&self) -> Value {
        let now = Clock::system().now().as_u64();
        json!({
            "iss": self.issuer(), "aud": super::APP_ID, "sub": "user-1", "nonce": super::NONCE,
            "iat": now, "exp": now + 3600, "name": null, "picture": null, "username": null,
            "email": "a@example.com", "email_verified": "true", "roles": ["admin"],
            "created_at": 1_700_000_000_000_u64, "updated_at": 1_700_000_000_123_u64
        })
    }
}

pub(super) fn metadata(origin: &str) -> Value {
    json!({
        "issuer": format!("{origin}/oidc"),
        "authorization_endpoint": format!("{origin}/oidc/auth"),
        "token_endpoint": format!("{origin}{TOKEN}"),
        "userinfo_endpoint": format!("{origin}{USERINFO}"),
        "jwks_uri": format!("{origin}{JWKS}"),
        "end_session_endpoint": format!("{origin}/oidc/session/end"),
        "revocation_endpoint": format!("{origin}{REVOCATION}"),
        "introspection_endpoint": format!("{origin}{INTROSPECTION}"),
        "response_types_supported": ["code", "code id_token", "id_token", "none"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES384"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"],
        "grant_types_supported": ["implicit", "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "claims_supported": ["sub", "name", "custom_data"],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
        "code_challenge_methods_supported": ["S256"]
    })
}

async fn serve(
    state: Arc<Mutex<State>>,
    connection: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    #[allow(clippy::disallowed_methods, reason = "the stand-in is a server of its own")]
    let path = head.uri.path().to_owned();
    let field = |name| {
        head.headers
            .get(name)
            .map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned())
    };
    let (instead, usual) = {
        let mut state = state.lock().unwrap();
        state.calls.push(Call {
            path: path.clone(),
            authorization: field("authorization"),
            form: url::form_urlencoded::parse(&body).into_owned().collect(),
            connection,
        });
        let once = state.once.iter().position(|(at, _)| *at == path);
        let instead = once
            .map(|at| state.once.remove(at).1)
            .or_else(|| state.instead.get(path.as_str()).cloned());
        let usual = match path.as_str() {
            DISCOVERY => state.metadata.clone(),
            JWKS => state.jwks.clone(),
            TOKEN => state.tokens.clone(),
            USERINFO => state.userinfo.clone(),
            REVOCATION => json!({}),
            INTROSPECTION => state.introspection.clone(),
            VAULT => state.stored_token.clone(),
            _ => Value::Null,
        };
        (instead, usual)
    };
    let (status, body, location) = match instead {
        Some(Instead::Late(delay)) => {
            tokio::time::sleep(delay).await;
            (200, usual.to_string(), None)
        }
        None => (if usual.is_null() { 404 } else { 200 }, usual.to_string(), None),
        Some(Instead::Answer(status, value)) => (status, value.to_string(), None),
        Some(Instead::Text(status, text)) => (status, text, None),
        Some(Instead::Redirect(to)) => (307, String::new(), Some(to)),
        Some(Instead::Hang) => std::future::pending().await,
        // hyper's service cannot close a connection, but a panic in its task does.
        Some(Instead::Reset) => std::panic::resume_unwind(Box::new("reset")),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(to) = location {
        response.headers_mut().insert("location", to.parse().unwrap());
    }
    Ok(response)
}

pub(super) enum TestKey {
    Ec(&'static str, &'static str, &'static str, Box<EcdsaKeyPair>),
    Rsa(&'static str, &'static str, Box<RsaKeyPair>),
    Ed(&'static str, Box<Ed25519KeyPair>),
}

impl TestKey {
    pub(super) fn ec(kid: &'static str, curve: &'static str) -> Self {
        let (algorithm, parameters): (_, &'static EcdsaSigningAlgorithm) = match curve {
            "P-256" => ("ES256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            "P-384" => ("ES384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            _ => ("ES512", &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        };
        Self::Ec(
            kid,
            curve,
            algorithm,
            Box::new(EcdsaKeyPair::generate(parameters).unwrap()),
        )
    }

    pub(super) fn rsa(kid: &'static str, algorithm: &'static str) -> Self {
        let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        Self::Rsa(kid, algorithm, Box::new(pair))
    }

    pub(super) fn ed(kid: &'static str) -> Self {
        Self::Ed(kid, Box::new(Ed25519KeyPair::generate().unwrap()))
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Ec(_, _, algorithm, _) | Self::Rsa(_, algorithm, _) => algorithm,
            Self::Ed(..) => "EdDSA",
        }
    }

    pub(super) fn kid(&self) -> &'static str {
        match self {
            Self::Ec(kid, ..) | Self::Rsa(kid, ..) | Self::Ed(kid, _) => kid,
        }
    }

    /// As Logto publishes it: EC keys with `alg`, RSA keys without.
    pub(super) fn jwk(&self) -> Value {
        match self {
            Self::Ec(kid, curve, algorithm, pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "use": "sig", "kid": kid, "crv": curve, "alg": algorithm, "x": base64url(x), "y": base64url(y) })
            }
            Self::Rsa(kid, _, pair) => {
                // RSAPublicKey of 2,048 bits in DER: two headers, a zero byte, 256 bytes of modulus, then the exponent.
                let der = pair.public_key().as_ref();
                json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": base64url(&der[9..265]), "e": "AQAB" })
            }
            Self::Ed(kid, pair) => {
                json!({ "kty": "OKP", "use": "sig", "kid": kid, "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) })
            }
        }
    }

    /// A token with the usual header.
    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_with(
            &json!({ "alg": self.algorithm(), "kid": self.kid() }),
            &claims.to_string(),
        )
    }

    pub(super) fn sign_with(&self, header: &Value, claims: &str) -> String {
        let input = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.as_bytes())
        );
        let random = SystemRandom::new();
        let signature = match self {
            Self::Ec(_, _, _, pair) => pair.sign(&random, input.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed(_, pair) => pair.sign(input.as_bytes()).as_ref().to_vec(),
            Self::Rsa(_, algorithm, pair) => {
                let padding: &dyn signature::RsaEncoding = match *algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PSS_SHA256,
                };
                let mut signature = vec![0; 256];
                pair.sign(padding, &random, input.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        };
        format!("{input}.{}", base64url(&signature))
    }
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

//! ID tokens (OpenID Connect Core §2) in Logto's shape, and wrong ones on request.

use serde_json::{Map, Value, json};
use std::sync::PoisonError;

use super::error::Failure;
use super::fault::IdTokenFault;
use super::keys::SigningKey;
use super::persona::{ClaimsFor, Persona};
use super::settings::Client;
use super::state::{Issued, Shared};
use super::wrong_signature::WrongSignature;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// Signs an ID token; `None` when a test wants none.
pub(super) fn sign(
    shared: &Shared,
    client: &Client,
    persona: &Persona,
    issued: &Issued,
    access_token: &str,
    fault: Option<&IdTokenFault>,
) -> Result<Option<String>, Failure> {
    let key = shared
        .keys
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .current();
    let now = shared.now().as_u64();
    let mut claims = persona.claims(&issued.scopes, ClaimsFor::IdToken);
    claims.insert("iss".into(), json!(shared.issuer));
    claims.insert("aud".into(), json!(issued.client_id));
    claims.insert("iat".into(), json!(now));
    claims.insert(
        "exp".into(),
        json!(now.saturating_add(shared.id_token_ttl.as_secs())),
    );
    if let Some(nonce) = &issued.nonce {
        claims.insert("nonce".into(), json!(nonce));
    }
    if let Some(sid) = issued.sid.as_ref().filter(|_| client.wants_session_id()) {
        claims.insert("sid".into(), json!(sid));
    }
    if let Some(auth_time) = issued.auth_time {
        claims.insert("auth_time".into(), json!(auth_time));
    }
    let mut header = Map::from_iter([
        ("alg".to_owned(), json!(key.algorithm())),
        ("kid".to_owned(), json!(key.key_id())),
    ]);
    if shared.legacy_id_token_shape {
        header.insert("typ".into(), json!("JWT"));
        claims.insert("at_hash".into(), json!(key.access_token_hash(access_token)));
    }
    match fault {
        None => Ok(Some(key.compact(&Value::Object(header), &Value::Object(claims))?)),
        Some(fault) => spoil(fault, &key, header, claims, client, now),
    }
}

fn spoil(
    fault: &IdTokenFault,
    key: &SigningKey,
    mut header: Map<String, Value>,
    mut claims: Map<String, Value>,
    client: &Client,
    now: u64,
) -> Result<Option<String>, Failure> {
    let mut set = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    match fault {
        IdTokenFault::Missing => return Ok(None),
        IdTokenFault::Malformed => return Ok(Some("bm90.anNvbg.eA".to_owned())),
        IdTokenFault::WrongIssuer => set("iss", json!("https://other.example.com/oidc")),
        IdTokenFault::WrongAudience => set("aud", json!("another-client")),
        IdTokenFault::ExtraAudience => set("aud", json!([client.app_id, "another-client"])),
        IdTokenFault::ForeignAuthorizedParty => set("azp", json!("another-client")),
        IdTokenFault::WrongNonce => set("nonce", json!("another-nonce")),
        IdTokenFault::Expired => {
            set("iat", json!(now.saturating_sub(2 * HOUR)));
            set("exp", json!(now.saturating_sub(HOUR)));
        }
        IdTokenFault::IssuedInTheFuture => {
            set("iat", json!(now.saturating_add(HOUR)));
            set("exp", json!(now.saturating_add(2 * HOUR)));
        }
        IdTokenFault::IssuedLongAgo => set("iat", json!(now.saturating_sub(DAY))),
        IdTokenFault::NotYetValid => set("nbf", json!(now.saturating_add(HOUR))),
        IdTokenFault::EmptySubject => set("sub", json!("")),
        IdTokenFault::OtherSubject => set("sub", json!("otheruser001")),
        IdTokenFault::OtherSession => set("sid", json!("another-session")),
        IdTokenFault::WrongAccessTokenHash => set("at_hash", json!(key.access_token_hash("another token"))),
        IdTokenFault::NoAudience
        | IdTokenFault::NoNonce
        | IdTokenFault::NoExpiry
        | IdTokenFault::NoIssuedAt
        | IdTokenFault::NoSubject => {
            let name = match fault {
                IdTokenFault::NoAudience => "aud",
                IdTokenFault::NoNonce => "nonce",
                IdTokenFault::NoExpiry => "exp",
                IdTokenFault::NoIssuedAt => "iat",
                _ => "sub",
            };
            claims.remove(name);
        }
        IdTokenFault::WrongType => {
            header.insert("typ".into(), json!("at+jwt"));
        }
        IdTokenFault::AlgorithmNone => {
            return WrongSignature::None
                .compact(key, header, claims, client)
                .map(Some);
        }
        IdTokenFault::Hs256WithClientSecret => {
            return WrongSignature::ClientSecret
                .compact(key, header, claims, client)
                .map(Some);
        }
        IdTokenFault::BadSignature => {
            return WrongSignature::FlippedBit
                .compact(key, header, claims, client)
                .map(Some);
        }
        IdTokenFault::UnknownKey => {
            return WrongSignature::UnknownKey
                .compact(key, header, claims, client)
                .map(Some);
        }
        IdTokenFault::StolenKeyId => {
            return WrongSignature::StolenKeyId
                .compact(key, header, claims, client)
                .map(Some);
        }
    }
    Ok(Some(key.compact(&Value::Object(header), &Value::Object(claims))?))
}

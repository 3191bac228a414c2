//! Metadata (OpenID Connect Discovery 1.0, RFC 8414) and the JWK Set, as Logto publishes them.

use ::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use ::http::{HeaderValue, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::PoisonError;

use super::super::reply;
use super::call::Call;
use super::error::Outcome;
use super::state::Shared;

/// The metadata. Endpoints lie where the request came in, the issuer where it always is: Logto's habit, and
/// what catches a relying party that sends browsers to an internal address.
pub(super) fn metadata(shared: &Shared, call: &Call) -> Outcome {
    let faults = shared.faults();
    let origin = faults.endpoints_origin.unwrap_or_else(|| call.origin());
    let issuer = faults.discovery_issuer.unwrap_or_else(|| shared.issuer.clone());
    let algorithms = shared
        .keys
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .algorithms();
    let authentication = json!([
        "client_secret_basic",
        "client_secret_jwt",
        "client_secret_post",
        "private_key_jwt",
        "none"
    ]);
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{origin}/oidc/auth"),
        "token_endpoint": format!("{origin}/oidc/token"),
        "userinfo_endpoint": format!("{origin}/oidc/me"),
        "jwks_uri": format!("{origin}/oidc/jwks"),
        "end_session_endpoint": format!("{origin}/oidc/session/end"),
        "revocation_endpoint": format!("{origin}/oidc/token/revocation"),
        "introspection_endpoint": format!("{origin}/oidc/token/introspection"),
        "scopes_supported": ["openid", "offline_access", "profile", "email", "phone", "address", "custom_data", "identities", "roles",
            "urn:logto:scope:organizations", "urn:logto:scope:organization_roles"],
        "response_types_supported": ["code id_token", "code", "id_token", "none"],
        "response_modes_supported": ["form_post", "fragment", "query"],
        "grant_types_supported": ["implicit", "authorization_code", "refresh_token", "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange"],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": authentication,
        "revocation_endpoint_auth_methods_supported": authentication,
        "introspection_endpoint_auth_methods_supported": authentication,
        "claims_supported": ["sub", "name", "picture", "username", "preferred_username", "created_at", "updated_at", "email",
            "email_verified", "phone_number", "phone_number_verified", "custom_data", "identities", "sso_identities", "roles",
            "organizations", "organization_data", "organization_roles", "sid", "auth_time", "iss"],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    Ok(tagged(call, &document))
}

/// The JWK Set, which Logto tells everyone to ask for again.
pub(super) fn jwks(shared: &Shared, call: &Call) -> Outcome {
    let document = shared.keys.read().unwrap_or_else(PoisonError::into_inner).jwks();
    let mut reply = tagged(call, &document);
    reply.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, must-revalidate"),
    );
    Ok(reply)
}

/// JSON with an `ETag` and no word about caching; 304 when the caller has it (RFC 9110 §13.1.2).
fn tagged(call: &Call, document: &Value) -> reply::Reply {
    let tag = format!(
        "\"{}\"",
        URL_SAFE_NO_PAD.encode(Sha256::digest(document.to_string().as_bytes()))
    );
    let known = call
        .headers
        .get(IF_NONE_MATCH)
        .is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let mut reply = if known {
        reply::bytes(StatusCode::NOT_MODIFIED, "application/json; charset=utf-8", "")
    } else {
        reply::json(StatusCode::OK, document)
    };
    reply.headers_mut().remove(CACHE_CONTROL);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        reply.headers_mut().insert(ETAG, tag);
    }
    reply
}

//! Userinfo (OpenID Connect Core §5.3): every claim that the scopes allow.

use ::http::StatusCode;
use serde_json::{Value, json};

use super::super::reply;
use super::call::Call;
use super::control::count;
use super::error::{OidcError, Outcome};
use super::persona::ClaimsFor;
use super::state::Shared;

/// `GET`/`POST /oidc/me` with `Authorization: Bearer`.
pub(super) fn userinfo(shared: &Shared, call: &Call) -> Outcome {
    count(&shared.counters.userinfo);
    match claims(shared, call) {
        Ok(claims) => Ok(reply::json(StatusCode::OK, &claims)),
        Err(error) => Ok(error.reply(call.wants_own_error_members())),
    }
}

fn claims(shared: &Shared, call: &Call) -> Result<Value, OidcError> {
    let now = shared.now();
    let token = call
        .bearer_token()
        .ok_or_else(|| OidcError::new("invalid_request", "no access token provided"))?;
    let state = shared.state();
    let entry = state
        .access_tokens
        .get(token, now)
        .filter(|entry| state.stands(&entry.issued, now))
        .filter(|entry| entry.issued.scopes.iter().any(|scope| scope == "openid"))
        .ok_or_else(OidcError::invalid_token)?;
    let persona = state
        .persona(&entry.issued.persona)
        .ok_or_else(OidcError::invalid_token)?;
    let mut claims = persona.claims(&entry.issued.scopes, ClaimsFor::UserInfo);
    if let Some(subject) = shared.faults().userinfo_subject {
        claims.insert("sub".into(), json!(subject));
    }
    Ok(Value::Object(claims))
}

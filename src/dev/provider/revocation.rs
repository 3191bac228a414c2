//! Revocation (RFC 7009) and introspection (RFC 7662) with Logto's habits: revoking any token ends the whole
//! grant, any application may introspect any opaque token, JWTs are not for either.

use ::http::StatusCode;
use serde_json::{Value, json};

use super::super::reply;
use super::call::Call;
use super::client_authentication::authenticate;
use super::control::count;
use super::error::{OidcError, Outcome};
use super::state::{Issued, Shared, State};
use super::token::check_form;
use crate::clock::UnixSeconds;

/// `POST /oidc/token/revocation`.
pub(super) fn revoke(shared: &Shared, call: &Call) -> Outcome {
    count(&shared.counters.revocation);
    let mut state = shared.state();
    match revoke_token(&mut state, call, shared.now()) {
        Ok(()) => Ok(reply::bytes(StatusCode::OK, "text/plain; charset=utf-8", "")),
        Err(error) => Ok(error.reply(call.wants_own_error_members())),
    }
}

fn revoke_token(state: &mut State, call: &Call, now: UnixSeconds) -> Result<(), OidcError> {
    check_form(call)?;
    let client = authenticate(state, call)?;
    let token = presented(call)?;
    // A token nobody knows is as good as revoked (RFC 7009 §2.2).
    let Some(issued) = find(state, token, now).map(|(issued, _)| issued.clone()) else {
        return Ok(());
    };
    if issued.client_id != client.app_id {
        return Err(OidcError::new(
            "invalid_request",
            "this token does not belong to you",
        ));
    }
    state.revoke_grant(&issued.grant, now);
    Ok(())
}

/// `POST /oidc/token/introspection`.
pub(super) fn introspect(shared: &Shared, call: &Call) -> Outcome {
    count(&shared.counters.introspection);
    let state = shared.state();
    match introspection(shared, &state, call) {
        Ok(body) => Ok(reply::json(StatusCode::OK, &body)),
        Err(error) => Ok(error.reply(call.wants_own_error_members())),
    }
}

fn introspection(shared: &Shared, state: &State, call: &Call) -> Result<Value, OidcError> {
    let now = shared.now();
    check_form(call)?;
    authenticate(state, call)?;
    let token = presented(call)?;
    let live = find(state, token, now).filter(|(issued, _)| state.stands(issued, now));
    let Some((issued, issued_at)) = live else {
        return Ok(json!({"active": false}));
    };
    let ends = state
        .access_tokens
        .ends(token, now)
        .or_else(|| state.refresh_tokens.ends(token, now));
    let subject = state.persona(&issued.persona).map(|persona| persona.id.as_str());
    let mut told = json!({
        "active": true,
        "client_id": issued.client_id,
        "sub": subject,
        "scope": issued.scopes.join(" "),
        "iss": shared.issuer,
        "iat": issued_at.as_u64(),
        "exp": ends.map(UnixSeconds::as_u64),
    });
    // A refresh token is active too, but has no type.
    if state.access_tokens.get(token, now).is_some()
        && let Some(members) = told.as_object_mut()
    {
        members.insert("token_type".into(), json!("Bearer"));
    }
    Ok(told)
}

fn presented(call: &Call) -> Result<&str, OidcError> {
    match call.form.get("token") {
        None => Err(OidcError::new(
            "invalid_request",
            "missing required parameter(s) (token)",
        )),
        Some(token) if token.matches('.').count() == 2 => Err(OidcError::new(
            "unsupported_token_type",
            "Structured JWT Tokens cannot be processed here",
        )),
        Some(token) => Ok(token),
    }
}

fn find<'a>(state: &'a State, token: &str, now: UnixSeconds) -> Option<(&'a Issued, UnixSeconds)> {
    let access = state
        .access_tokens
        .get(token, now)
        .map(|entry| (&entry.issued, entry.issued_at));
    access.or_else(|| {
        state
            .refresh_tokens
            .get(token, now)
            .map(|entry| (&entry.issued, entry.issued_at))
    })
}

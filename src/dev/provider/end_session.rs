//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): always of the whole session, all applications.
//!
//! No question to the user: the confirmation page submits itself; without JavaScript it has a button.

use ::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::html;
use serde_json::Value;
use std::sync::PoisonError;
use url::Url;

use super::super::page::{Policy, SUBMIT_FORM, page};
use super::super::reply;
use super::call::{Call, SESSION_COOKIE, set_cookie};
use super::control::count;
use super::error::{Failure, OidcError, Outcome};
use super::logout_token::{self, LogoutToken};
use super::state::{INTERACTION_TTL, Shared, SignOut, State, random_token};

/// Where the confirmation goes.
pub(super) const CONFIRM_PATH: &str = "/oidc/session/end/confirm";

/// `GET`/`POST /oidc/session/end`.
pub(super) fn end_session(shared: &Shared, call: &Call) -> Outcome {
    count(&shared.counters.end_session);
    let now = shared.now();
    let mut state = shared.state();
    let target = match target(shared, &state, call) {
        Ok(target) => target,
        Err(error) => return Ok(error.reply(call.wants_own_error_members())),
    };
    let cookie = call.cookie(SESSION_COOKIE).unwrap_or_default().to_owned();
    if state.sessions.get(&cookie, now).is_none() {
        return Ok(signed_out(target.as_deref()));
    }
    let secret = random_token()?;
    let mut policy = Policy::new().submits_itself();
    if let Some(target) = &target {
        policy = policy.form_may_reach(target);
    }
    let pending = SignOut {
        session_cookie: cookie,
        post_logout_redirect_uri: target,
    };
    state
        .sign_outs
        .insert(secret.clone(), pending, now.plus(INTERACTION_TTL), now);
    let body = html! {
        form #sign-out method="post" action=(CONFIRM_PATH) {
            input type="hidden" name="xsrf" value=(secret);
            button.primary type="submit" name="logout" value="yes" { "Sign out" }
        }
        script { (maud::PreEscaped(SUBMIT_FORM)) }
    };
    Ok(reply::html(
        StatusCode::OK,
        page("Signing out", &body),
        &policy.text(),
    ))
}

/// `POST /oidc/session/end/confirm` with `xsrf`.
///
/// Every application of the session that has a back-channel logout URI is told, all at once, and the browser waits for
/// their answers; what they answer changes nothing.
pub(super) async fn confirm(shared: &Shared, call: &Call) -> Outcome {
    let now = shared.now();
    let secret = call.form.get("xsrf").unwrap_or_default();
    let cookie = call.cookie(SESSION_COOKIE).unwrap_or_default();
    let pending = shared
        .state()
        .sign_outs
        .remove(secret, now)
        .filter(|pending| pending.session_cookie == cookie);
    let Some(pending) = pending else {
        return Ok(OidcError::new("invalid_request", "could not find logout details")
            .reply(call.wants_own_error_members()));
    };
    let notices = logout_notices(shared, cookie)?;
    let sending = notices
        .iter()
        .map(|(uri, token)| logout_token::post(shared, uri.clone(), token));
    futures_util::future::join_all(sending).await;
    shared.state().sessions.remove(cookie, now);
    let mut reply = signed_out(pending.post_logout_redirect_uri.as_deref());
    set_cookie(&mut reply, SESSION_COOKIE, None);
    Ok(reply)
}

/// Where to send a logout token, and which, for each application that the session is signed in to.
fn logout_notices(shared: &Shared, cookie: &str) -> Result<Vec<(String, String)>, Failure> {
    let state = shared.state();
    let Some(session) = state.sessions.get(cookie, shared.now()) else {
        return Ok(Vec::new());
    };
    let Some(persona) = state.persona(&session.persona) else {
        return Ok(Vec::new());
    };
    let mut notices = Vec::new();
    for (client_id, authorization) in &session.authorizations {
        let Some(client) = state.client(client_id) else {
            continue;
        };
        if let Some(uri) = &client.backchannel_logout_uri {
            let sid = Some(authorization.sid.clone());
            let token = LogoutToken::new(shared, client, &persona.id, sid)?;
            notices.push((uri.clone(), token.sign().map_err(|_| Failure::Internal)?));
        }
    }
    Ok(notices)
}

/// Where to go afterwards, `state` appended; only to what the named application has registered.
fn target(shared: &Shared, state: &State, call: &Call) -> Result<Option<String>, OidcError> {
    let parameters = call.parameters();
    if let Some(name) = parameters.repeated() {
        return Err(OidcError::new(
            "invalid_request",
            format!("'{name}' parameter must not be provided twice"),
        ));
    }
    let hinted = parameters
        .get("id_token_hint")
        .map(|hint| audience_of(shared, hint))
        .transpose()?;
    let named = parameters.get("client_id").map(str::to_owned);
    if let (Some(hinted), Some(named)) = (&hinted, &named)
        && hinted != named
    {
        return Err(OidcError::new(
            "invalid_request",
            "client_id does not match the provided id_token_hint",
        ));
    }
    let Some(client_id) = named.or(hinted) else {
        return Ok(None);
    };
    let client = state
        .client(&client_id)
        .ok_or_else(|| OidcError::new("invalid_client", "client is invalid"))?;
    let Some(uri) = parameters.get("post_logout_redirect_uri") else {
        return Ok(None);
    };
    let not_registered = || OidcError::new("invalid_request", "post_logout_redirect_uri not registered");
    if !client
        .post_logout_redirect_uris
        .iter()
        .any(|registered| registered == uri)
    {
        return Err(not_registered());
    }
    let Some(echoed) = parameters.get("state") else {
        return Ok(Some(uri.to_owned()));
    };
    let mut location = Url::parse(uri).map_err(|_| not_registered())?;
    location.query_pairs_mut().append_pair("state", echoed);
    Ok(Some(location.into()))
}

/// The client an ID token was made for. Expired is fine; signed by any key but the current one is not.
fn audience_of(shared: &Shared, hint: &str) -> Result<String, OidcError> {
    let refused = || OidcError::new("invalid_request", "could not validate id_token_hint");
    let key = shared
        .keys
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .current();
    let (message, signature) = hint.rsplit_once('.').ok_or_else(refused)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refused())?;
    if !key.verifies(message.as_bytes(), &signature) {
        return Err(refused());
    }
    let (_, payload) = message.split_once('.').ok_or_else(refused)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| refused())?;
    let claims: Value = serde_json::from_slice(&payload).map_err(|_| refused())?;
    claims
        .get("aud")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(refused)
}

fn signed_out(target: Option<&str>) -> reply::Reply {
    match target {
        Some(target) => reply::see_other(target),
        None => {
            let body = html! { p { "You are signed out of every application." } };
            reply::html(StatusCode::OK, page("Signed out", &body), &Policy::new().text())
        }
    }
}

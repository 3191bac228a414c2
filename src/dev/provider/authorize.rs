//! The authorization endpoint (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2) with Logto's strictness.
//!
//! PKCE with S256 is mandatory here, which Logto leaves to the application: a relying party that forgets it
//! must fail. An error goes to the callback unless the client or its redirect URI is in doubt; then to a page
//! of the provider's own, so that nobody is redirected anywhere unregistered.

use ::http::StatusCode;
use maud::html;
use std::collections::HashMap;
use std::time::Duration;
use url::Url;

use super::super::page::{Policy, SUBMIT_FORM, page};
use super::super::reply::{self, Reply};
use super::authorization_request::{CallbackError, delivery_mode, destination, read};
use super::call::{BROWSER_COOKIE, Call, SESSION_COOKIE, set_cookie};
use super::control::count;
use super::error::{Failure, OidcError, Outcome};
use super::extra_parameters::first_page;
use super::fault::CallbackIssuerFault;
use super::settings::Client;
use super::state::{
    AuthorizationRequest, Code, INTERACTION_TTL, Interaction, Issued, ResponseMode, Session, Shared, State,
    interaction_key, random_token,
};
use crate::clock::UnixSeconds;

/// How long a code is good.
const CODE_TTL: Duration = Duration::from_secs(60);
/// How long a browser keeps its interaction cookie.
const BROWSER_COOKIE_AGE: Duration = Duration::from_secs(86_400);

/// `GET`/`POST /oidc/auth`.
pub(super) fn authorize(shared: &Shared, call: &Call) -> Outcome {
    count(&shared.counters.authorize);
    let parameters = call.parameters();
    let mut state = shared.state();
    state.last_authorization = parameters.pairs().to_vec();
    let (client_id, redirect_uri) = match destination(&state, parameters) {
        Ok(destination) => destination,
        Err(error) => return Ok(error.reply(call.wants_own_error_members())),
    };
    let mode = delivery_mode(parameters);
    let given_state = parameters.get("state").map(str::to_owned);
    let refuse = |(error, description): CallbackError| {
        let fields = vec![("error", error.to_owned()), ("error_description", description)];
        deliver(shared, &redirect_uri, mode, given_state.as_deref(), fields)
    };
    let (request, prompt) = match read(&state, parameters, client_id, redirect_uri.clone(), mode) {
        Ok(read) => read,
        Err(error) => return refuse(error),
    };
    if prompt.none {
        count(&shared.counters.silent_authorizations);
    }
    if let Some(error) = shared.faults().authorization_error {
        let fields = vec![("error", error)];
        return deliver(shared, &redirect_uri, mode, given_state.as_deref(), fields);
    }
    let now = shared.now();
    let cookie = call.cookie(SESSION_COOKIE).unwrap_or_default().to_owned();
    let must_sign_in = state.sessions.get(&cookie, now).is_none_or(|session| {
        let too_old = request
            .max_age
            .is_some_and(|limit| now.since(session.authenticated_at).as_secs() > limit);
        prompt.login || too_old
    });
    if must_sign_in && prompt.none {
        return refuse(("login_required", "End-User authentication is required".to_owned()));
    }
    if must_sign_in {
        let page = first_page(parameters, &request.client_id);
        return begin(shared, &mut state, call, request, &page);
    }
    finish(shared, &mut state, &cookie, &request, prompt.none)
}

/// `GET /oidc/auth/<interaction>`: the user has signed in; go back to the client.
pub(super) fn resume(shared: &Shared, call: &Call, interaction_id: &str) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let browser = call.cookie(BROWSER_COOKIE).unwrap_or_default().to_owned();
    let client_ids: Vec<String> = state.clients.iter().map(|client| client.app_id.clone()).collect();
    let key = client_ids
        .iter()
        .map(|client_id| interaction_key(&browser, client_id))
        .find(|key| {
            state
                .interactions
                .get(key, now)
                .is_some_and(|pending| pending.id == interaction_id)
        });
    let interaction = key.and_then(|key| state.interactions.remove(&key, now));
    let Some((request, persona)) = interaction.and_then(|pending| Some((pending.request, pending.chosen?)))
    else {
        return Ok(reply::see_other("/unknown-session"));
    };
    let (updated, suspended) = match state.persona_mut(&persona) {
        Some(persona) => {
            persona.updated_at = now.as_u64().saturating_mul(1_000);
            (true, persona.suspended)
        }
        None => (false, false),
    };
    if !updated || suspended {
        return Ok(reply::see_other("/unknown-session"));
    }
    // A new cookie value at every sign-in; the session itself goes on when the same person signed in again.
    let cookie = random_token()?;
    let former = state
        .sessions
        .remove(call.cookie(SESSION_COOKIE).unwrap_or_default(), now);
    let session = match former {
        Some(session) if session.persona == persona => Session {
            authenticated_at: now,
            ..session
        },
        _ => {
            state.sessions_opened = state.sessions_opened.saturating_add(1);
            Session {
                id: random_token()?,
                persona,
                authenticated_at: now,
                number: state.sessions_opened,
                authorizations: HashMap::new(),
            }
        }
    };
    state
        .sessions
        .insert(cookie.clone(), session, now.plus(shared.session_ttl), now);
    let mut reply = finish(shared, &mut state, &cookie, &request, false)?;
    set_cookie(&mut reply, SESSION_COOKIE, Some((&cookie, shared.session_ttl)));
    Ok(reply)
}

/// Parks the request and sends the browser to the sign-in page. A second request of the same browser and client
/// takes the first one's place: whichever tab finishes first goes back with the later request's `state`.
fn begin(
    shared: &Shared,
    state: &mut State,
    call: &Call,
    request: AuthorizationRequest,
    page: &str,
) -> Outcome {
    let now = shared.now();
    let browser = match call.cookie(BROWSER_COOKIE) {
        Some(browser) if browser.len() == 43 => browser.to_owned(),
        _ => random_token()?,
    };
    let key = interaction_key(&browser, &request.client_id);
    let interaction = Interaction {
        id: random_token()?,
        request,
        chosen: None,
    };
    state
        .interactions
        .insert(key, interaction, now.plus(INTERACTION_TTL), now);
    let mut reply = reply::see_other(page);
    set_cookie(&mut reply, BROWSER_COOKIE, Some((&browser, BROWSER_COOKIE_AGE)));
    Ok(reply)
}

/// Issues a code for a signed-in browser.
fn finish(
    shared: &Shared,
    state: &mut State,
    cookie: &str,
    request: &AuthorizationRequest,
    silent: bool,
) -> Outcome {
    let now = shared.now();
    state.sessions.extend(cookie, now.plus(shared.session_ttl), now);
    let session = state.sessions.get(cookie, now).ok_or(Failure::Internal)?;
    let has_grant = session
        .authorizations
        .get(&request.client_id)
        .is_some_and(|known| state.grants.get(&known.grant, now).is_some());
    let denied = state
        .persona(&session.persona)
        .is_none_or(|persona| persona.access_denied);
    if denied {
        return deny(shared, request, silent, has_grant);
    }
    let offline = request.scopes.iter().any(|scope| scope == "offline_access");
    let mut issued = Issued {
        client_id: request.client_id.clone(),
        persona: session.persona.clone(),
        grant: String::new(),
        scopes: request.scopes.clone(),
        resources: request.resources.clone(),
        session: (!offline).then(|| session.id.clone()),
        nonce: request.nonce.clone(),
        sid: None,
        auth_time: request.max_age.map(|_| session.authenticated_at.as_u64()),
    };
    let authorization = state.authorization(cookie, &request.client_id, now)?;
    issued.grant = authorization.grant;
    issued.sid = state
        .client(&request.client_id)
        .is_some_and(Client::wants_session_id)
        .then_some(authorization.sid);
    let code = random_token()?;
    let entry = Code {
        request: request.clone(),
        issued,
        consumed: false,
    };
    state.codes.insert(code.clone(), entry, code_ends(now), now);
    deliver(
        shared,
        &request.redirect_uri,
        request.response_mode,
        request.state.as_deref(),
        vec![("code", code)],
    )
}

fn code_ends(now: UnixSeconds) -> UnixSeconds {
    now.plus(CODE_TTL)
}

/// Application-level access control, in the three shapes the client can meet.
fn deny(shared: &Shared, request: &AuthorizationRequest, silent: bool, has_grant: bool) -> Outcome {
    let error = if silent {
        ("consent_required", "End-User consent is required")
    } else if has_grant {
        ("access_denied", "Access denied.")
    } else {
        let body = html! { p { "You do not have access to this application." } a.button href="/oidc/session/end" { "Sign out" } };
        return Ok(reply::html(
            StatusCode::FORBIDDEN,
            page("Access denied", &body),
            &Policy::new().text(),
        ));
    };
    let fields = vec![
        ("error", error.0.to_owned()),
        ("error_description", error.1.to_owned()),
    ];
    deliver(
        shared,
        &request.redirect_uri,
        request.response_mode,
        request.state.as_deref(),
        fields,
    )
}

/// Sends parameters to the callback, `state` and `iss` (RFC 9207) with them.
fn deliver(
    shared: &Shared,
    redirect_uri: &str,
    mode: ResponseMode,
    state: Option<&str>,
    mut fields: Vec<(&'static str, String)>,
) -> Outcome {
    fields.extend(state.map(|state| ("state", state.to_owned())));
    match shared.faults().callback_issuer {
        None => fields.push(("iss", shared.issuer.clone())),
        Some(CallbackIssuerFault::Other(issuer)) => fields.push(("iss", issuer)),
        Some(CallbackIssuerFault::Missing) => {}
    }
    if mode == ResponseMode::FormPost {
        return Ok(form_post(redirect_uri, &fields));
    }
    let Ok(mut location) = Url::parse(redirect_uri) else {
        return Ok(OidcError::new("invalid_redirect_uri", "redirect_uri is not a URL").reply(true));
    };
    if mode == ResponseMode::Query {
        location.query_pairs_mut().extend_pairs(&fields);
    } else {
        let fragment = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&fields)
            .finish();
        location.set_fragment(Some(&fragment));
    }
    Ok(reply::see_other(location.as_str()))
}

/// OAuth 2.0 Form Post Response Mode: a page whose form submits itself.
fn form_post(redirect_uri: &str, fields: &[(&'static str, String)]) -> Reply {
    let body = html! {
        form method="post" action=(redirect_uri) {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button.primary type="submit" { "Continue" }
        }
        script { (maud::PreEscaped(SUBMIT_FORM)) }
    };
    let policy = Policy::new().form_may_reach(redirect_uri).submits_itself();
    reply::html(
        StatusCode::OK,
        page("Continue to the application", &body),
        &policy.text(),
    )
}

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
use super::call::{BROWSER_COOKIE, Call, SESSION_COOKIE, set_cookie};
use super::control::count;
use super::error::{Failure, OidcError, Outcome};
use super::extra_parameters::first_page;
use super::fault::CallbackIssuerFault;
use super::parameters::{Parameters, words};
use super::state::{
    AuthorizationRequest, Code, INTERACTION_TTL, Interaction, Issued, ResponseMode, Session, Shared, State,
    interaction_key, random_token,
};
use crate::clock::UnixSeconds;

/// How long a code is good.
const CODE_TTL: Duration = Duration::from_secs(60);
/// How long a browser keeps its interaction cookie.
const BROWSER_COOKIE_AGE: Duration = Duration::from_secs(86_400);

const SCOPES: [&str; 11] = [
    "openid",
    "offline_access",
    "profile",
    "email",
    "phone",
    "address",
    "custom_data",
    "identities",
    "roles",
    "urn:logto:scope:organizations",
    "urn:logto:scope:organization_roles",
];

/// What `prompt` asks (OpenID Connect Core §3.1.2.1).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Prompt {
    none: bool,
    login: bool,
    consent: bool,
}

/// An error for the callback.
type CallbackError = (&'static str, String);

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
    let (request, prompt) = match read(parameters, client_id, redirect_uri.clone(), mode) {
        Ok(read) => read,
        Err(error) => return refuse(error),
    };
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
                .is_some_and(|pending| pending.id == interaction_id && pending.chosen.is_some())
        });
    let Some(interaction) = key.and_then(|key| state.interactions.remove(&key, now)) else {
        return Ok(reply::see_other("/unknown-session"));
    };
    let persona = interaction.chosen.unwrap_or_default();
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
        _ => Session {
            id: random_token()?,
            persona,
            authenticated_at: now,
            grants: HashMap::new(),
        },
    };
    state
        .sessions
        .insert(cookie.clone(), session, now.plus(shared.session_ttl), now);
    let mut reply = finish(shared, &mut state, &cookie, &interaction.request, false)?;
    set_cookie(&mut reply, SESSION_COOKIE, Some((&cookie, shared.session_ttl)));
    Ok(reply)
}

/// Who asks and where the answer goes, both registered; else an error for the provider's own page.
fn destination(state: &State, parameters: &Parameters) -> Result<(String, String), OidcError> {
    for name in ["client_id", "redirect_uri"] {
        if parameters.is_repeated(name) {
            return Err(OidcError::new(
                "invalid_request",
                format!("'{name}' parameter must not be provided twice"),
            ));
        }
    }
    let client_id = parameters
        .get("client_id")
        .ok_or_else(|| OidcError::new("invalid_request", "missing required parameter(s) (client_id)"))?;
    let client = state
        .client(client_id)
        .ok_or_else(|| OidcError::new("invalid_client", "client is invalid"))?;
    let redirect_uri = parameters
        .get("redirect_uri")
        .ok_or_else(|| OidcError::new("invalid_request", "missing required parameter(s) (redirect_uri)"))?;
    if !client
        .redirect_uris
        .iter()
        .any(|registered| registered == redirect_uri)
    {
        return Err(OidcError::new(
            "invalid_redirect_uri",
            "redirect_uri did not match any of the client's registered redirect_uris",
        ));
    }
    Ok((client_id.to_owned(), redirect_uri.to_owned()))
}

/// How even an error travels: as asked where that is known, in the fragment for hybrid and implicit requests.
fn delivery_mode(parameters: &Parameters) -> ResponseMode {
    match parameters.get("response_mode") {
        Some("form_post") => ResponseMode::FormPost,
        Some("fragment") => ResponseMode::Fragment,
        _ if parameters
            .get("response_type")
            .is_some_and(|kind| kind.contains("token")) =>
        {
            ResponseMode::Fragment
        }
        _ => ResponseMode::Query,
    }
}

/// Every check whose failure the callback hears of.
fn read(
    parameters: &Parameters,
    client_id: String,
    redirect_uri: String,
    response_mode: ResponseMode,
) -> Result<(AuthorizationRequest, Prompt), CallbackError> {
    let invalid = |description: String| ("invalid_request", description);
    if let Some(name) = parameters.repeated() {
        return Err(invalid(format!("'{name}' parameter must not be provided twice")));
    }
    if parameters.get("request").is_some() {
        return Err((
            "request_not_supported",
            "request parameter provided but not supported".to_owned(),
        ));
    }
    if parameters.get("request_uri").is_some() {
        return Err((
            "request_uri_not_supported",
            "request_uri parameter provided but not supported".to_owned(),
        ));
    }
    match parameters.get("response_type") {
        Some("code") => {}
        Some("code id_token" | "id_token code" | "id_token" | "none") => {
            return Err(invalid(
                "requested response_type is not allowed for this client".to_owned(),
            ));
        }
        Some(_) => {
            return Err((
                "unsupported_response_type",
                "unsupported response_type requested".to_owned(),
            ));
        }
        None => {
            return Err(invalid(
                "missing required parameter(s) (response_type)".to_owned(),
            ));
        }
    }
    if !matches!(
        parameters.get("response_mode"),
        None | Some("query" | "fragment" | "form_post")
    ) {
        return Err((
            "unsupported_response_mode",
            "unsupported response_mode requested".to_owned(),
        ));
    }
    let prompt = read_prompt(parameters.get("prompt").unwrap_or_default()).map_err(invalid)?;
    let mut scopes = words(parameters.get("scope").unwrap_or_default());
    // Unknown scopes are dropped without a word; so is offline_access without prompt=consent.
    scopes.retain(|scope| SCOPES.contains(&scope.as_str()) && (scope != "offline_access" || prompt.consent));
    if parameters.get("nonce").is_some() && !scopes.iter().any(|scope| scope == "openid") {
        return Err(invalid(
            "openid scope must be requested when using the nonce parameter".to_owned(),
        ));
    }
    let max_age = parameters
        .get("max_age")
        .map(str::parse)
        .transpose()
        .map_err(|_| invalid("invalid max_age parameter value".to_owned()))?;
    if parameters.get("resource").is_some() {
        return Err((
            "invalid_target",
            "resource indicator is missing, or unknown".to_owned(),
        ));
    }
    let code_challenge = read_challenge(parameters).map_err(invalid)?;
    let request = AuthorizationRequest {
        client_id,
        redirect_uri,
        response_mode,
        state: parameters.get("state").map(str::to_owned),
        nonce: parameters.get("nonce").map(str::to_owned),
        scopes,
        code_challenge,
        max_age,
    };
    Ok((request, prompt))
}

fn read_prompt(value: &str) -> Result<Prompt, String> {
    let mut prompt = Prompt::default();
    for word in value.split_ascii_whitespace() {
        match word {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return Err("unsupported prompt value requested".to_owned()),
        }
    }
    if prompt.none && (prompt.login || prompt.consent) {
        return Err("prompt none must only be used alone".to_owned());
    }
    Ok(prompt)
}

/// RFC 7636 §4.3, S256 alone: 43 characters of base64url.
fn read_challenge(parameters: &Parameters) -> Result<String, String> {
    let Some(challenge) = parameters.get("code_challenge") else {
        return Err("Authorization Server policy requires PKCE to be used for this request".to_owned());
    };
    if parameters.get("code_challenge_method") != Some("S256") {
        return Err("not supported value of code_challenge_method".to_owned());
    }
    let is_sound = challenge.len() == 43
        && challenge
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_sound {
        return Err("code_challenge must be a string with a length of 43 characters of base64url".to_owned());
    }
    Ok(challenge.to_owned())
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
        .grants
        .get(&request.client_id)
        .is_some_and(|grant| state.grants.get(grant, now).is_some());
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
        session: (!offline).then(|| session.id.clone()),
        nonce: request.nonce.clone(),
        auth_time: request.max_age.map(|_| session.authenticated_at.as_u64()),
    };
    issued.grant = state.grant(cookie, &request.client_id, now)?;
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

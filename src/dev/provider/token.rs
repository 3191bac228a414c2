//! The token endpoint: codes and refresh tokens become tokens, once, and by Logto's rules.

use ::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;

use super::super::reply;
use super::access_token::AccessTokenJwt;
use super::authorization_request::SCOPES;
use super::call::Call;
use super::client_authentication::authenticate;
use super::control::count;
use super::error::{Failure, OidcError, Outcome};
use super::fault::IdTokenFault;
use super::parameters::words;
use super::persona::Persona;
use super::resource::{Holder, ORGANIZATIONS_SCOPE, Target, invalid_target, target};
use super::settings::Client;
use super::state::{AccessToken, Issued, RefreshToken, Shared, State, random_token};
use super::{id_token, machine};
use crate::clock::UnixSeconds;

/// A rotated refresh token still works for this long.
const ROTATION_LEEWAY: Duration = Duration::from_secs(3);
/// How long a chain of refresh tokens may be renewed.
const CHAIN_LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// An OAuth error, or no answer at all.
pub(super) enum Refusal {
    Error(OidcError),
    Failure(Failure),
}

impl From<OidcError> for Refusal {
    fn from(error: OidcError) -> Self {
        Self::Error(error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The body of a successful answer.
pub(super) struct TokenReply(pub(super) Value);

impl TokenReply {
    fn into_reply(self) -> reply::Reply {
        reply::json(StatusCode::OK, &self.0)
    }
}

/// `POST /oidc/token`.
pub(super) fn exchange(shared: &Shared, call: &Call) -> Outcome {
    count(&shared.counters.token);
    match answer(shared, call) {
        Ok(reply) => Ok(reply),
        Err(Refusal::Error(error)) => Ok(error.reply(call.wants_own_error_members())),
        Err(Refusal::Failure(failure)) => Err(failure),
    }
}

/// What a form of the back channel must be: a form, with no parameter twice.
pub(super) fn check_form(call: &Call) -> Result<(), OidcError> {
    if !call.has_form {
        return Err(OidcError::new(
            "invalid_request",
            "only application/x-www-form-urlencoded content-type bodies are supported",
        ));
    }
    match call.form.repeated() {
        Some(name) => Err(OidcError::new(
            "invalid_request",
            format!("'{name}' parameter must not be provided twice"),
        )),
        None => Ok(()),
    }
}

fn answer(shared: &Shared, call: &Call) -> Result<reply::Reply, Refusal> {
    check_form(call)?;
    let mut state = shared.state();
    let client = authenticate(&state, call)?;
    match call.form.get("grant_type") {
        Some("authorization_code") => {
            count(&shared.counters.code_exchanges);
            redeem(shared, &mut state, call, &client)
        }
        Some("refresh_token") => {
            count(&shared.counters.refreshes);
            refresh(shared, &mut state, call, &client)
        }
        Some("client_credentials") => {
            count(&shared.counters.client_credentials);
            Ok(machine::client_credentials(shared, &state, call, &client)?.into_reply())
        }
        Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
            count(&shared.counters.token_exchanges);
            Ok(machine::token_exchange(shared, &mut state, call, &client)?.into_reply())
        }
        Some(_) => Err(OidcError::new("unsupported_grant_type", "unsupported grant_type requested").into()),
        None => Err(missing("grant_type").into()),
    }
}

pub(super) fn missing(name: &str) -> OidcError {
    OidcError::new(
        "invalid_request",
        format!("missing required parameter(s) ({name})"),
    )
}

/// What a user's grant may be turned into (RFC 8707 §2.2): a resource must have been asked for at the authorization endpoint,
/// an organization needs the scope.
fn user_target(
    state: &State,
    call: &Call,
    persona: &Persona,
    issued: &Issued,
) -> Result<Option<Target>, OidcError> {
    if call
        .form
        .get("resource")
        .is_some_and(|asked| !issued.resources.iter().any(|granted| granted == asked))
    {
        return Err(invalid_target());
    }
    let has_scope = issued.scopes.iter().any(|scope| scope == ORGANIZATIONS_SCOPE);
    if call.form.get("organization_id").is_some() && !has_scope {
        return Err(OidcError {
            status: StatusCode::FORBIDDEN,
            ..OidcError::new("insufficient_scope", "refresh token missing required scope")
        });
    }
    let holder = Holder {
        roles: &persona.roles,
        organizations: &persona.organizations,
    };
    target(state, &call.form, &holder, &issued.scopes)
}

/// RFC 6749 §4.1.3. Only a request that is right in everything else spends the code.
fn redeem(shared: &Shared, state: &mut State, call: &Call, client: &Client) -> Result<reply::Reply, Refusal> {
    let now = shared.now();
    let code = call.form.get("code").ok_or_else(|| missing("code"))?;
    let redirect_uri = call
        .form
        .get("redirect_uri")
        .ok_or_else(|| missing("redirect_uri"))?;
    let entry = state.codes.get(code, now).ok_or_else(OidcError::invalid_grant)?;
    let verifier = call.form.get("code_verifier").unwrap_or_default();
    let is_right = entry.request.client_id == client.app_id
        && entry.request.redirect_uri == redirect_uri
        && proves(verifier, &entry.request.code_challenge)
        && state.stands(&entry.issued, now);
    if !is_right {
        return Err(OidcError::invalid_grant().into());
    }
    let issued = entry.issued.clone();
    if entry.consumed {
        state.revoke_grant(&issued.grant, now);
        return Err(OidcError::invalid_grant().into());
    }
    let persona = state
        .persona(&issued.persona)
        .ok_or_else(OidcError::invalid_grant)?;
    let target = user_target(state, call, persona, &issued)?;
    if let Some(entry) = state.codes.get_mut(code, now) {
        entry.consumed = true;
    }
    let offline = issued.scopes.iter().any(|scope| scope == "offline_access");
    let refresh_token = if offline || client.always_issue_refresh_token {
        Some(issue_refresh_token(state, client, issued.clone(), now, now)?)
    } else {
        None
    };
    let fault = shared.faults().id_token;
    tokens(shared, state, client, &issued, target, refresh_token, fault)
}

/// RFC 7636 §4.6.
fn proves(verifier: &str, challenge: &str) -> bool {
    let is_sound = (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    is_sound && bool::from(computed.as_bytes().ct_eq(challenge.as_bytes()))
}

/// RFC 6749 §6 with Logto's rotation: the same token until 70 % of its life, then a new one; the old one works
/// for three seconds more, and after that using it ends the whole grant.
fn refresh(
    shared: &Shared,
    state: &mut State,
    call: &Call,
    client: &Client,
) -> Result<reply::Reply, Refusal> {
    let now = shared.now();
    let presented = call
        .form
        .get("refresh_token")
        .ok_or_else(|| missing("refresh_token"))?
        .to_owned();
    let entry = state
        .refresh_tokens
        .get(&presented, now)
        .filter(|entry| entry.issued.client_id == client.app_id && state.stands(&entry.issued, now))
        .ok_or_else(OidcError::invalid_grant)?;
    let mut issued = entry.issued.clone();
    let (issued_at, chain_started, rotated_at) = (entry.issued_at, entry.chain_started, entry.rotated_at);
    if rotated_at.is_some_and(|rotated_at| now.since(rotated_at) > ROTATION_LEEWAY) {
        state.revoke_grant(&issued.grant, now);
        return Err(OidcError::invalid_grant().into());
    }
    if let Some(asked) = call.form.get("scope").map(words) {
        if let Some(scope) = asked.iter().find(|scope| !issued.scopes.contains(scope)) {
            return Err(OidcError::new(
                "invalid_scope",
                format!("refresh token missing requested scope {scope}"),
            )
            .into());
        }
        issued.scopes.retain(|scope| asked.contains(scope));
    }
    let persona = state
        .persona(&issued.persona)
        .ok_or_else(OidcError::invalid_grant)?;
    if persona.access_denied {
        return Err(OidcError::new("access_denied", "Access denied.").into());
    }
    let target = user_target(state, call, persona, &issued)?;
    let ends = state.refresh_tokens.ends(&presented, now).unwrap_or(now);
    let lifetime = ends.since(issued_at).as_secs();
    let is_due = now.since(issued_at).as_secs().saturating_mul(10) >= lifetime.saturating_mul(7);
    let may_go_on = now.since(chain_started) < CHAIN_LIFETIME;
    let rotates = client.rotate_refresh_token && may_go_on && (is_due || rotated_at.is_some());
    let refresh_token = if rotates {
        let full = entry_scopes(state, &presented, now).unwrap_or_else(|| issued.clone());
        if let Some(entry) = state.refresh_tokens.get_mut(&presented, now) {
            entry.rotated_at = entry.rotated_at.or(Some(now));
        }
        count(&shared.counters.rotations);
        issue_refresh_token(state, client, full, chain_started, now)?
    } else {
        presented
    };
    let faults = shared.faults();
    let target = target.filter(|_| !faults.resource_passed_over);
    let refresh_token = (!faults.refresh_token_withheld).then_some(refresh_token);
    let fault = faults.refreshed_id_token.or(faults.id_token);
    tokens(shared, state, client, &issued, target, refresh_token, fault)
}

/// What the presented token was issued for: a narrowed refresh does not narrow its successor.
fn entry_scopes(state: &State, presented: &str, now: UnixSeconds) -> Option<Issued> {
    state
        .refresh_tokens
        .get(presented, now)
        .map(|entry| entry.issued.clone())
}

fn issue_refresh_token(
    state: &mut State,
    client: &Client,
    issued: Issued,
    chain_started: UnixSeconds,
    now: UnixSeconds,
) -> Result<String, Failure> {
    let token = random_token()?;
    let entry = RefreshToken {
        issued,
        issued_at: now,
        chain_started,
        rotated_at: None,
    };
    state
        .refresh_tokens
        .insert(token.clone(), entry, now.plus(client.refresh_token_ttl), now);
    Ok(token)
}

/// RFC 6749 §5.1 with Logto's habits: an access token that is opaque unless it is for a resource or organization, and `scope`
/// always there.
fn tokens(
    shared: &Shared,
    state: &mut State,
    client: &Client,
    issued: &Issued,
    target: Option<Target>,
    refresh_token: Option<String>,
    fault: Option<IdTokenFault>,
) -> Result<reply::Reply, Refusal> {
    let persona = state
        .persona(&issued.persona)
        .cloned()
        .ok_or_else(OidcError::invalid_grant)?;
    let (access_token, scopes, ttl) = match target {
        Some(target) => {
            let token = AccessTokenJwt::new(shared, client, &persona.id, &target)?.compact()?;
            (token, target.scopes, target.ttl)
        }
        None => {
            let (token, scopes) = issue_access_token(shared, state, issued)?;
            (token, scopes, shared.access_token_ttl)
        }
    };
    let mut body = json!({
        "access_token": access_token,
        "expires_in": ttl.as_secs(),
        "scope": scopes.join(" "),
        "token_type": "Bearer",
    });
    if let Some(members) = body.as_object_mut() {
        if issued.scopes.iter().any(|scope| scope == "openid")
            && let Some(id_token) =
                id_token::sign(shared, client, &persona, issued, &access_token, fault.as_ref())?
        {
            members.insert("id_token".into(), json!(id_token));
        }
        if let Some(refresh_token) = refresh_token {
            members.insert("refresh_token".into(), json!(refresh_token));
        }
    }
    Ok(TokenReply(body).into_reply())
}

/// An opaque access token, for userinfo and the Account API, and its scopes: no resource's.
pub(super) fn issue_access_token(
    shared: &Shared,
    state: &mut State,
    issued: &Issued,
) -> Result<(String, Vec<String>), Failure> {
    let now = shared.now();
    let token = random_token()?;
    let mut issued = issued.clone();
    issued.scopes.retain(|scope| SCOPES.contains(&scope.as_str()));
    let scopes = issued.scopes.clone();
    let entry = AccessToken {
        issued,
        issued_at: now,
    };
    state
        .access_tokens
        .insert(token.clone(), entry, now.plus(shared.access_token_ttl), now);
    Ok((token, scopes))
}

//! Machine-to-machine applications: tokens for themselves (RFC 6749 §4.4), and for users by personal access tokens
//! (RFC 8693).

use serde_json::json;
use std::time::Duration;

use super::access_token::AccessTokenJwt;
use super::authorization_request::SCOPES;
use super::call::Call;
use super::control::Control;
use super::error::{Failure, OidcError};
use super::resource::{Holder, asked_scopes, target};
use super::settings::Client;
use super::state::{Issued, Shared, State, random_token};
use super::token::{Refusal, TokenReply, issue_access_token, missing};
use crate::clock::UnixSeconds;

/// Logto's name for a personal access token.
const PERSONAL_ACCESS_TOKEN: &str = "urn:logto:token-type:personal_access_token";

/// A long-lived token that a user made for programs.
#[derive(Debug, Clone)]
pub(super) struct PersonalAccessToken {
    pub(super) persona: String,
    pub(super) ends: Option<UnixSeconds>,
}

fn not_allowed() -> OidcError {
    OidcError::new(
        "unauthorized_client",
        "requested grant type is not allowed for this client",
    )
}

/// `client_credentials`: a JWT whose subject is the application.
pub(super) fn client_credentials(
    shared: &Shared,
    state: &State,
    call: &Call,
    client: &Client,
) -> Result<TokenReply, Refusal> {
    let machine = client.machine.as_ref().ok_or_else(not_allowed)?;
    let holder = Holder {
        roles: &machine.roles,
        organizations: &machine.organizations,
    };
    let target = target(state, &call.form, &holder, &asked_scopes(&call.form))?.ok_or_else(|| {
        OidcError::new(
            "invalid_target",
            "both `resource` and `organization_id` are not provided",
        )
    })?;
    let token = AccessTokenJwt::new(shared, client, &client.app_id, &target)?.compact()?;
    Ok(TokenReply::new(token, target.ttl, &target.scopes))
}

/// The token exchange of a personal access token. Each leaves a grant behind, as Logto's does.
pub(super) fn token_exchange(
    shared: &Shared,
    state: &mut State,
    call: &Call,
    client: &Client,
) -> Result<TokenReply, Refusal> {
    if !client.allow_token_exchange {
        return Err(not_allowed().into());
    }
    let now = shared.now();
    let subject = call
        .form
        .get("subject_token")
        .ok_or_else(|| missing("subject_token"))?;
    let kind = call
        .form
        .get("subject_token_type")
        .ok_or_else(|| missing("subject_token_type"))?;
    let persona = Some(subject)
        .filter(|_| kind == PERSONAL_ACCESS_TOKEN)
        .and_then(|subject| state.personal_access_tokens.get(subject))
        .filter(|token| token.ends.is_none_or(|ends| ends > now))
        .and_then(|token| state.persona(&token.persona))
        .filter(|persona| !persona.suspended)
        .ok_or_else(OidcError::invalid_grant)?
        .clone();
    if persona.access_denied {
        return Err(OidcError::new("access_denied", "Access denied.").into());
    }
    let asked = asked_scopes(&call.form);
    let holder = Holder {
        roles: &persona.roles,
        organizations: &persona.organizations,
    };
    if let Some(target) = target(state, &call.form, &holder, &asked)? {
        let token = AccessTokenJwt::new(shared, client, &persona.id, &target)?.compact()?;
        return Ok(TokenReply::new(token, target.ttl, &target.scopes));
    }
    let issued = Issued {
        client_id: client.app_id.clone(),
        grant: state.new_grant(&persona.key, &client.app_id, now)?,
        persona: persona.key,
        scopes: asked
            .into_iter()
            .filter(|scope| SCOPES.contains(&scope.as_str()) && scope != "offline_access")
            .collect(),
        resources: Vec::new(),
        session: None,
        nonce: None,
        sid: None,
        auth_time: None,
    };
    let (token, scopes) = issue_access_token(shared, state, &issued)?;
    Ok(TokenReply::new(token, shared.access_token_ttl, &scopes))
}

impl Control {
    /// Makes a personal access token of a persona, for ever or for a while. `None` without such a persona.
    pub fn issue_personal_access_token(&self, persona: &str, life: Option<Duration>) -> Option<String> {
        let now = self.shared.now();
        let mut state = self.shared.state();
        state.persona(persona)?;
        let random: Result<String, Failure> = random_token();
        let token = format!("pat_{}", random.ok()?);
        let entry = PersonalAccessToken {
            persona: persona.to_owned(),
            ends: life.map(|life| now.plus(life)),
        };
        state.personal_access_tokens.insert(token.clone(), entry);
        Some(token)
    }

    /// Deletes a personal access token; what it was exchanged for lives on, as at Logto. False when there is none.
    pub fn delete_personal_access_token(&self, token: &str) -> bool {
        self.shared.state().personal_access_tokens.remove(token).is_some()
    }
}

impl TokenReply {
    fn new(token: String, ttl: Duration, scopes: &[String]) -> Self {
        Self(json!({
            "access_token": token,
            "expires_in": ttl.as_secs(),
            "scope": scopes.join(" "),
            "token_type": "Bearer",
        }))
    }
}

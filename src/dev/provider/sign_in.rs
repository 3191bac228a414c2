//! The pages a person meets: who to be, a new account, a dead link.
//!
//! A page names the application, never the pending request, so that two tabs of one browser share the one
//! request that is pending, as at Logto.

use ::http::StatusCode;
use maud::{Markup, html};
use sha2::{Digest, Sha256};
use url::form_urlencoded::byte_serialize;

use super::super::page::{Policy, page};
use super::super::reply::{self, Reply};
use super::call::{BROWSER_COOKIE, Call};
use super::connector::Connector;
use super::error::Outcome;
use super::persona::Persona;
use super::social;
use super::state::{Interaction, Shared, State, interaction_key};
use crate::clock::UnixSeconds;

/// Accounts that the create-account page may add.
const PERSONAS_AT_MOST: usize = 200;
/// Characters a name may have.
const NAME_CHARACTERS: usize = 100;
/// Characters an address may have (RFC 5321 §4.5.3.1.3).
const EMAIL_CHARACTERS: usize = 254;

/// What this browser has pending at the application that the page is for.
pub(super) fn pending<'a>(
    state: &'a mut State,
    call: &Call,
    now: UnixSeconds,
) -> Option<&'a mut Interaction> {
    let key = interaction_key(call.cookie(BROWSER_COOKIE)?, call.query.get("app_id")?);
    state.interactions.get_mut(&key, now)
}

/// `GET /sign-in?app_id=…`, and the pages that show the same.
pub(super) fn show(shared: &Shared, call: &Call) -> Outcome {
    let mut state = shared.state();
    Ok(sign_in_page(&mut state, call, shared.now(), None))
}

/// `POST /sign-in?app_id=…` with `persona=<key>` or `social=<target>`.
pub(super) fn submit(shared: &Shared, call: &Call) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let connector = call
        .form
        .get("social")
        .and_then(|target| state.connector(target))
        .cloned();
    if let Some(connector) = connector {
        drop(state);
        return social::begin(shared, call, &connector);
    }
    let chosen = call
        .form
        .get("persona")
        .and_then(|key| state.persona(key))
        .cloned();
    match chosen {
        Some(persona) if persona.suspended => Ok(sign_in_page(
            &mut state,
            call,
            now,
            Some("This user is suspended."),
        )),
        Some(persona) => Ok(choose(&mut state, call, now, &persona.key)),
        None => Ok(sign_in_page(
            &mut state,
            call,
            now,
            Some("There is no such account."),
        )),
    }
}

/// Records who signed in and sends the browser back to the authorization endpoint.
pub(super) fn choose(state: &mut State, call: &Call, now: UnixSeconds, persona: &str) -> Reply {
    match pending(state, call, now) {
        Some(interaction) => {
            interaction.chosen = Some(persona.to_owned());
            reply::see_other(&format!("/oidc/auth/{}", interaction.id))
        }
        None => reply::see_other("/unknown-session"),
    }
}

/// `GET /register?app_id=…`.
pub(super) fn show_register(shared: &Shared, call: &Call) -> Outcome {
    Ok(register_page(&mut shared.state(), call, shared.now(), None))
}

/// `POST /register?app_id=…` with `name` and `email`: adds a persona and signs it in.
pub(super) fn submit_register(shared: &Shared, call: &Call) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let (Some(name), Some(email)) = (call.form.get("name"), call.form.get("email")) else {
        return Ok(register_page(
            &mut state,
            call,
            now,
            Some("Enter a name and an email address."),
        ));
    };
    let is_sound = name.chars().count() <= NAME_CHARACTERS
        && email.chars().count() <= EMAIL_CHARACTERS
        && !email.contains(char::is_whitespace)
        && email
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if !is_sound {
        return Ok(register_page(
            &mut state,
            call,
            now,
            Some("That is not a name and an email address."),
        ));
    }
    if state
        .personas
        .iter()
        .any(|persona| persona.email.as_deref() == Some(email))
    {
        return Ok(register_page(
            &mut state,
            call,
            now,
            Some("An account with this email address exists."),
        ));
    }
    if state.personas.len() >= PERSONAS_AT_MOST {
        return Ok(register_page(
            &mut state,
            call,
            now,
            Some("There are enough accounts. Restart to begin anew."),
        ));
    }
    if pending(&mut state, call, now).is_none() {
        return Ok(reply::see_other("/unknown-session"));
    }
    let id = account_id(email);
    let created_at = now.as_u64().saturating_mul(1_000);
    state.personas.push(Persona {
        name: Some(name.to_owned()),
        email: Some(email.to_owned()),
        created_at,
        updated_at: created_at,
        ..Persona::new(id.clone(), id.clone())
    });
    Ok(choose(&mut state, call, now, &id))
}

/// `GET /unknown-session`: the pending sign-in is over or was another browser's.
pub(super) fn unknown_session() -> Reply {
    let body = html! {
        p { "The sign-in you were in the middle of has ended, or another tab has finished it." }
        p.note { "Go back to the application and start again." }
    };
    reply::html(
        StatusCode::BAD_REQUEST,
        page("Session not found", &body),
        &Policy::new().text(),
    )
}

/// `GET /`.
pub(super) fn home(shared: &Shared) -> Reply {
    let body = html! {
        p { "This is the built-in stand-in for Logto. It runs on this machine only and lets anyone sign in as anyone." }
        p { "Issuer: " code { (shared.issuer) } }
        p { a href=(super::hugging_face_account::ORGANIZATIONS_PATH) { "Organizations at Hugging Face" } }
    };
    reply::html(
        StatusCode::OK,
        page("Logto stand-in", &body),
        &Policy::new().text(),
    )
}

fn sign_in_page(state: &mut State, call: &Call, now: UnixSeconds, problem: Option<&str>) -> Reply {
    let Some((query, policy)) = form_target(state, call, now) else {
        return reply::see_other("/unknown-session");
    };
    let action = format!("/sign-in?{query}");
    let body = html! {
        p.note { "This stand-in for Logto asks for no password. Choose who to be." }
        (alert(problem))
        form #sign-in method="post" action=(action) {
            @for persona in &state.personas {
                button type="submit" name="persona" value=(persona.key) id={ "persona-" (persona.key) } {
                    strong { (persona.label()) }
                    span.dim { (describe(persona, &state.connectors)) }
                }
            }
            @for connector in &state.connectors {
                button.primary type="submit" name="social" value=(connector.target) id={ "continue-with-" (connector.target) } { "Continue with " (connector.name) }
            }
        }
        p { "No account yet? " a href={ "/register?" (query) } id="create-account" { "Create one" } "." }
    };
    let status = if problem.is_some() {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::OK
    };
    reply::html(status, page("Sign in", &body), &policy.text())
}

fn register_page(state: &mut State, call: &Call, now: UnixSeconds, problem: Option<&str>) -> Reply {
    let Some((query, policy)) = form_target(state, call, now) else {
        return reply::see_other("/unknown-session");
    };
    let body = html! {
        (alert(problem))
        form #register method="post" action={ "/register?" (query) } {
            label for="name" { "Name" }
            input #name name="name" required maxlength=(NAME_CHARACTERS) autocomplete="name";
            label for="email" { "Email address" }
            input #email name="email" type="email" required maxlength=(EMAIL_CHARACTERS) autocomplete="email";
            button.primary type="submit" { "Create account" }
        }
        p { "Have an account? " a href={ "/sign-in?" (query) } { "Sign in" } "." }
    };
    let status = if problem.is_some() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    reply::html(status, page("Create your account", &body), &policy.text())
}

/// The query of a page's form, and the policy that lets its redirects reach the application.
pub(super) fn form_target(state: &mut State, call: &Call, now: UnixSeconds) -> Option<(String, Policy)> {
    let client_id = call.query.get("app_id")?;
    let redirect_uri = pending(state, call, now)?.request.redirect_uri.clone();
    let query = format!(
        "app_id={}",
        byte_serialize(client_id.as_bytes()).collect::<String>()
    );
    Some((query, Policy::new().form_may_reach(&redirect_uri)))
}

fn alert(problem: Option<&str>) -> Markup {
    html! { @if let Some(problem) = problem { p.alert role="alert" { (problem) } } }
}

fn describe(persona: &Persona, connectors: &[Connector]) -> String {
    let mut facts: Vec<String> = persona.email.iter().cloned().collect();
    if !persona.roles.is_empty() {
        facts.push(format!("roles: {}", persona.roles.join(", ")));
    }
    if !persona.organizations.is_empty() {
        facts.push(format!("{} organizations", persona.organizations.len()));
    }
    for connector in connectors {
        if persona.account_name(&connector.target).is_some() {
            facts.push(format!("{} account", connector.name));
        }
    }
    if persona.suspended {
        facts.push("suspended".to_owned());
    }
    facts.join(" · ")
}

/// 12 lower-case letters and digits, the same for the same address.
fn account_id(email: &str) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    Sha256::digest(email.as_bytes())
        .iter()
        .take(12)
        .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()))
        .map(|byte| char::from(*byte))
        .collect()
}

//! A third party's consent screen, and the way there and back through the social connector that leads to it.
//!
//! The screen has its own paths, state and code, as if it were another site; it never learns which application the sign-in is
//! for.

use ::http::StatusCode;
use maud::html;
use url::form_urlencoded::Serializer;

use super::super::page::{Policy, page};
use super::super::reply;
use super::call::{BROWSER_COOKIE, Call};
use super::connector::Connector;
use super::error::Outcome;
use super::sign_in::{form_target, pending};
use super::state::{AccountOwner, INTERACTION_TTL, Shared, SocialVisit, interaction_key, random_token};
use super::vault;

/// `GET /direct/…?app_id=…&fallback=…` to a target that no connector has: the fallback page.
pub(super) fn fall_back(shared: &Shared, call: &Call) -> Outcome {
    let fallback = match call.query.get("fallback") {
        Some("register") => "register",
        _ => "sign-in",
    };
    let target = form_target(&mut shared.state(), call, shared.now());
    Ok(match target {
        Some((query, _)) => reply::see_other(&format!("/{fallback}?{query}")),
        None => reply::see_other("/unknown-session"),
    })
}

/// Sends the browser to the consent screen.
pub(super) fn begin(shared: &Shared, call: &Call, connector: &Connector) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let Some(client_id) =
        pending(&mut state, call, now).map(|interaction| interaction.request.client_id.clone())
    else {
        return Ok(reply::see_other("/unknown-session"));
    };
    let browser = call.cookie(BROWSER_COOKIE).unwrap_or_default().to_owned();
    let visit = random_token()?;
    let entry = SocialVisit {
        target: connector.target.clone(),
        browser,
        client_id,
    };
    state
        .social_visits
        .insert(visit.clone(), entry, now.plus(INTERACTION_TTL), now);
    let query = Serializer::new(String::new())
        .append_pair("client_id", "logto-connector")
        .append_pair("redirect_uri", &redirect_uri(shared, connector))
        .append_pair("response_type", "code")
        .append_pair("scope", &connector.scope)
        .append_pair("state", &visit)
        .finish();
    Ok(reply::see_other(&format!(
        "{}?{query}",
        connector.authorize_path()
    )))
}

/// What Logto is registered with at the third party.
fn redirect_uri(shared: &Shared, connector: &Connector) -> String {
    format!("{}{}", shared.base_url, connector.callback_path())
}

/// `GET /<target>/oauth/authorize`.
pub(super) fn consent(shared: &Shared, call: &Call, connector: &Connector) -> Outcome {
    let now = shared.now();
    let state = shared.state();
    let visit = call.query.get("state").unwrap_or_default();
    let is_our_callback = call.query.get("redirect_uri") == Some(redirect_uri(shared, connector).as_str());
    let Some(begun) = state
        .social_visits
        .get(visit, now)
        .filter(|begun| is_our_callback && begun.target == connector.target)
    else {
        let body = html! { p { "The authorization request is not valid." } };
        return Ok(reply::html(
            StatusCode::BAD_REQUEST,
            page(&connector.name, &body),
            &Policy::new().text(),
        ));
    };
    // The form's redirects end at the application, so the policy must let them.
    let key = interaction_key(&begun.browser, &begun.client_id);
    let policy = match state.interactions.get(&key, now) {
        Some(interaction) => Policy::new().form_may_reach(&interaction.request.redirect_uri),
        None => Policy::new(),
    };
    let (target, name) = (&connector.target, &connector.name);
    let body = html! {
        p { strong { "Logto" } " wants to access your " (name) " account: " code { (connector.scope) } }
        p.note { "This screen stands in for " (name) "." }
        form id={ (target) "-consent" } method="post" action=(connector.authorize_path()) {
            input type="hidden" name="state" value=(visit);
            @for persona in &state.personas {
                @if let Some(account) = persona.account_name(target) {
                    button.primary type="submit" name="persona" value=(persona.key) id={ "authorize-" (persona.key) } { "Authorize as " (account) }
                }
            }
            button type="submit" name="decision" value="cancel" id="cancel" { "Cancel" }
        }
    };
    let title = format!("Authorize with {name}");
    Ok(reply::html(StatusCode::OK, page(&title, &body), &policy.text()))
}

/// `POST /<target>/oauth/authorize` with `state` and either `persona=<key>` or `decision=cancel`.
pub(super) fn decide(shared: &Shared, call: &Call, connector: &Connector) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let visit = call.form.get("state").unwrap_or_default();
    let is_here = |begun: &&SocialVisit| begun.target == connector.target;
    if state.social_visits.get(visit, now).filter(is_here).is_none() {
        return Ok(reply::see_other("/unknown-session"));
    }
    let persona = call
        .form
        .get("persona")
        .and_then(|key| state.persona(key))
        .filter(|persona| persona.account_name(&connector.target).is_some())
        .map(|persona| persona.key.clone());
    let mut query = Serializer::new(String::new());
    match persona {
        Some(persona) => {
            let code = random_token()?;
            let owner = AccountOwner {
                target: connector.target.clone(),
                persona,
            };
            state
                .social_codes
                .insert(code.clone(), owner, now.plus(INTERACTION_TTL), now);
            query.append_pair("code", &code);
        }
        None => {
            query.append_pair("error", "access_denied");
        }
    }
    query.append_pair("state", visit);
    Ok(reply::see_other(&format!(
        "{}?{}",
        connector.callback_path(),
        query.finish()
    )))
}

/// `GET /callback/<connector>`: back at Logto. Cancelled: Logto's sign-in page, and the application
/// never hears of it.
pub(super) fn callback(shared: &Shared, call: &Call, connector: &Connector) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let visit = call.query.get("state").unwrap_or_default();
    let this_browser = call.cookie(BROWSER_COOKIE).unwrap_or_default();
    let Some(SocialVisit { client_id, .. }) = state
        .social_visits
        .remove(visit, now)
        .filter(|begun| begun.browser == this_browser && begun.target == connector.target)
    else {
        return Ok(reply::see_other("/unknown-session"));
    };
    let persona = call
        .query
        .get("code")
        .and_then(|code| state.social_codes.remove(code, now))
        .filter(|owner| owner.target == connector.target)
        .map(|owner| owner.persona);
    let sign_in = format!(
        "/sign-in?{}",
        Serializer::new(String::new())
            .append_pair("app_id", &client_id)
            .finish()
    );
    let Some(persona) = persona else {
        return Ok(reply::see_other(&sign_in));
    };
    if state.persona(&persona).is_none_or(|persona| persona.suspended) {
        return Ok(reply::see_other(&sign_in));
    }
    if let Some(storage) = connector.token_storage {
        vault::store(&mut state, &persona, &connector.target, storage, now)?;
    }
    let key = interaction_key(this_browser, &client_id);
    Ok(match state.interactions.get_mut(&key, now) {
        Some(interaction) => {
            interaction.chosen = Some(persona);
            reply::see_other(&format!("/oidc/auth/{}", interaction.id))
        }
        None => reply::see_other("/unknown-session"),
    })
}

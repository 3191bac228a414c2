//! A consent screen like Hugging Face's, and the way there and back through Logto's social connector.
//!
//! Own paths under `/huggingface`, own state and code, as if it were another site; it never learns which
//! application the sign-in is for.

use ::http::StatusCode;
use maud::html;
use url::form_urlencoded::Serializer;

use super::super::page::{Policy, page};
use super::super::reply;
use super::call::{BROWSER_COOKIE, Call};
use super::error::Outcome;
use super::sign_in::{form_target, pending};
use super::state::{INTERACTION_TTL, Shared, interaction_key, random_token};
use super::vault;

/// Logto's callback for the connector.
pub(super) const CALLBACK_PATH: &str = "/callback/huggingface-universal";
/// Hugging Face's authorization endpoint.
pub(super) const AUTHORIZE_PATH: &str = "/huggingface/oauth/authorize";

/// `GET /direct/social/<target>?app_id=…&fallback=…`: straight to the target, or to the fallback page when
/// there is no such connector.
pub(super) fn direct(shared: &Shared, call: &Call, method_and_target: &str) -> Outcome {
    if method_and_target == "social/huggingface" {
        return begin(shared, call);
    }
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
pub(super) fn begin(shared: &Shared, call: &Call) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let Some(client_id) =
        pending(&mut state, call, now).map(|interaction| interaction.request.client_id.clone())
    else {
        return Ok(reply::see_other("/unknown-session"));
    };
    let browser = call.cookie(BROWSER_COOKIE).unwrap_or_default().to_owned();
    let visit = random_token()?;
    state.hugging_face_visits.insert(
        visit.clone(),
        (browser, client_id),
        now.plus(INTERACTION_TTL),
        now,
    );
    let query = Serializer::new(String::new())
        .append_pair("client_id", "logto-connector")
        .append_pair("redirect_uri", &format!("{}{CALLBACK_PATH}", shared.base_url))
        .append_pair("response_type", "code")
        .append_pair("scope", "openid profile email")
        .append_pair("state", &visit)
        .finish();
    Ok(reply::see_other(&format!("{AUTHORIZE_PATH}?{query}")))
}

/// `GET /huggingface/oauth/authorize`.
pub(super) fn consent(shared: &Shared, call: &Call) -> Outcome {
    let now = shared.now();
    let state = shared.state();
    let visit = call.query.get("state").unwrap_or_default();
    let is_our_callback =
        call.query.get("redirect_uri") == Some(&format!("{}{CALLBACK_PATH}", shared.base_url));
    let Some((browser, client_id)) = state
        .hugging_face_visits
        .get(visit, now)
        .filter(|_| is_our_callback)
    else {
        let body = html! { p { "The authorization request is not valid." } };
        return Ok(reply::html(
            StatusCode::BAD_REQUEST,
            page("Hugging Face", &body),
            &Policy::new().text(),
        ));
    };
    // The form's redirects end at the application, so the policy must let them.
    let policy = match state.interactions.get(&interaction_key(browser, client_id), now) {
        Some(interaction) => Policy::new().form_may_reach(&interaction.request.redirect_uri),
        None => Policy::new(),
    };
    let body = html! {
        p { strong { "Logto" } " wants to access your Hugging Face account: profile, email and organizations." }
        p.note { "This screen stands in for huggingface.co." }
        form #huggingface-consent method="post" action=(AUTHORIZE_PATH) {
            input type="hidden" name="state" value=(visit);
            @for persona in &state.personas {
                @if let Some(account) = &persona.hugging_face {
                    button.primary type="submit" name="persona" value=(persona.key) id={ "authorize-" (persona.key) } { "Authorize as " (account.username) }
                }
            }
            button type="submit" name="decision" value="cancel" id="cancel" { "Cancel" }
        }
    };
    Ok(reply::html(
        StatusCode::OK,
        page("Authorize with Hugging Face", &body),
        &policy.text(),
    ))
}

/// `POST /huggingface/oauth/authorize` with `state` and either `persona=<key>` or `decision=cancel`.
pub(super) fn decide(shared: &Shared, call: &Call) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let visit = call.form.get("state").unwrap_or_default();
    if state.hugging_face_visits.get(visit, now).is_none() {
        return Ok(reply::see_other("/unknown-session"));
    }
    let persona = call
        .form
        .get("persona")
        .and_then(|key| state.persona(key))
        .filter(|persona| persona.hugging_face.is_some())
        .map(|persona| persona.key.clone());
    let mut query = Serializer::new(String::new());
    match persona {
        Some(persona) => {
            let code = random_token()?;
            state
                .hugging_face_codes
                .insert(code.clone(), persona, now.plus(INTERACTION_TTL), now);
            query.append_pair("code", &code);
        }
        None => {
            query.append_pair("error", "access_denied");
        }
    }
    query.append_pair("state", visit);
    Ok(reply::see_other(&format!("{CALLBACK_PATH}?{}", query.finish())))
}

/// `GET /callback/huggingface-universal`: back at Logto. Cancelled: Logto's sign-in page, and the application
/// never hears of it.
pub(super) fn callback(shared: &Shared, call: &Call) -> Outcome {
    let now = shared.now();
    let mut state = shared.state();
    let visit = call.query.get("state").unwrap_or_default();
    let this_browser = call.cookie(BROWSER_COOKIE).unwrap_or_default();
    let Some((_, client_id)) = state
        .hugging_face_visits
        .remove(visit, now)
        .filter(|(browser, _)| browser == this_browser)
    else {
        return Ok(reply::see_other("/unknown-session"));
    };
    let persona = call
        .query
        .get("code")
        .and_then(|code| state.hugging_face_codes.remove(code, now));
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
    if let Some(storage) = state.token_storage {
        vault::store(&mut state, &persona, "huggingface", storage, now)?;
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

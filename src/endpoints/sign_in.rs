//! Starting a sign-in: the redirect to Logto's authorization endpoint.
//!
//! Every sign-in has S256 PKCE, a nonce and a sealed, browser-bound `state`; no setting turns one off. Extra
//! parameters are checked here because Logto silently drops all of them when one is wrong.

use super::query::Parameters;
use super::return_path::ReturnPath;
use super::rounds::Rounds;
use super::sign_in_state::SignInState;
use super::{Endpoints, set_cookies};
use crate::http::body::Body;
use crate::http::navigation;
use crate::logto::{AuthorizationRequest, Metadata, is_identifier, pkce};
use crate::pages::{self, Problem, answer};
use crate::request::CleanRequest;
use crate::session::SessionId;
use crate::session::{Binding, Presented};
use ::http::{Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// How long a browser waits for the first answer of Logto's metadata.
const METADATA_PATIENCE: Duration = Duration::from_millis(500);

/// Values of `first_screen` that Logto knows (Logto: authentication parameters).
pub const FIRST_SCREENS: &[&str] = &[
    "sign_in",
    "register",
    "reset_password",
    "identifier:sign_in",
    "identifier:register",
    "single_sign_on",
];

/// Values of `prompt` that Logto accepts from a sign-in URL.
pub const PROMPTS: &[&str] = &["login", "consent", "login consent", "consent login"];

/// Parameters that every authorization request carries, and which ones a sign-in URL may set.
#[derive(Debug, Clone, Default)]
pub struct SignInDefaults {
    /// `prompt`, unless the sign-in URL sets it.
    pub prompt: Option<String>,
    /// Fixed extra parameters, `direct_sign_in`, `first_screen` and `ui_locales` among them.
    pub parameters: Vec<(String, String)>,
    /// Names that the query of the sign-in URL may set: `sign_in.allow_params`.
    pub allowed: Vec<String>,
    /// Targets of social connectors that a sign-in URL may name in `direct_sign_in` in any case: pages of the proxy link there.
    pub consent_targets: Vec<String>,
}

/// Parameters chosen for one sign-in; they go before the fixed ones.
#[derive(Debug, Default)]
struct Choices {
    prompt: Option<String>,
    parameters: Vec<(String, String)>,
}

/// What one sign-in asks for.
#[derive(Debug)]
pub(super) struct Wishes<'a> {
    choices: Choices,
    /// Where nothing was chosen.
    defaults: &'a SignInDefaults,
}

impl<'a> Wishes<'a> {
    /// Nothing was chosen.
    pub(super) fn of_route(defaults: &'a SignInDefaults) -> Self {
        Self {
            choices: Choices::default(),
            defaults,
        }
    }

    /// The first that is said counts.
    fn prompt(&self) -> Option<&str> {
        let chosen = self.choices.prompt.as_deref();
        chosen.or(self.defaults.prompt.as_deref())
    }

    /// The first of a name counts.
    fn parameters(&self) -> Vec<(String, String)> {
        let chosen = self.choices.parameters.iter();
        chosen.chain(&self.defaults.parameters).cloned().collect()
    }
}

/// Why a sign-in begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody opened the sign-in URL, signed in or not.
    Wanted,
    /// A request may not pass without one, whatever session it has.
    Needed,
    /// This session is to be confirmed, and nobody is to be asked: `prompt=none`.
    Silent(SessionId),
}

impl SignInDefaults {
    /// The `max_age` that every sign-in asks for; its ID token must then say when the user was authenticated.
    pub(super) fn max_age(&self) -> Option<Duration> {
        let (_, seconds) = self.parameters.iter().find(|(name, _)| name == "max_age")?;
        seconds.parse().ok().map(Duration::from_secs)
    }

    fn is_consent(&self, value: &str) -> bool {
        let target = value.strip_prefix("social:");
        target.is_some_and(|target| self.consent_targets.iter().any(|known| known == target))
    }

    /// The choices that a sign-in URL makes; `None` when it carries one that is unknown, forbidden or wrong.
    fn choices(&self, query: &Parameters) -> Option<Choices> {
        let mut choices = Choices::default();
        for (name, value) in query.iter() {
            match name {
                "redirect" | "problem" => {}
                // It can only make Logto ask for more, and the page for refused users links to it.
                "prompt" if value == "login" => choices.prompt = Some(value.to_owned()),
                "direct_sign_in" if self.is_consent(value) => {
                    choices.parameters.push((name.to_owned(), value.to_owned()));
                }
                _ if self.allowed.iter().any(|allowed| allowed == name) && is_valid(name, value) => {
                    if name == "prompt" {
                        choices.prompt = Some(value.to_owned());
                    } else {
                        choices.parameters.push((name.to_owned(), value.to_owned()));
                    }
                }
                _ => return None,
            }
        }
        Some(choices)
    }
}

/// Whether Logto would accept the value, so that it does not drop every other parameter with it.
fn is_valid(name: &str, value: &str) -> bool {
    let plain = value.len() <= 512 && !value.chars().any(char::is_control);
    plain
        && match name {
            "first_screen" => FIRST_SCREENS.contains(&value),
            "prompt" => PROMPTS.contains(&value),
            "direct_sign_in" => ["social:", "sso:"]
                .iter()
                .any(|method| value.strip_prefix(method).is_some_and(is_identifier)),
            "organization_id" => is_identifier(value),
            "ui_locales" => value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | ' ')),
            _ => true,
        }
}

/// `GET sign-in` and `GET sign-up`.
pub(super) async fn serve(endpoints: &Endpoints, request: &CleanRequest, registers: bool) -> Response<Body> {
    let Ok(query) = Parameters::parse(request.target().query().unwrap_or_default().as_bytes()) else {
        return endpoints.problem(request, Problem::BadRequest, None);
    };
    let return_path = query
        .value("redirect")
        .map_or_else(ReturnPath::root, |text| endpoints.return_path(text));
    if let Some(problem) = query.value("problem").and_then(Problem::from_code) {
        return endpoints.problem(request, problem, Some(&return_path));
    }
    let Some(mut choices) = endpoints.sign_ins.usual().choices(&query) else {
        return endpoints.problem(request, Problem::BadRequest, Some(&return_path));
    };
    if registers {
        choices
            .parameters
            .insert(0, ("first_screen".to_owned(), "register".to_owned()));
    }
    let wishes = Wishes {
        choices,
        defaults: endpoints
            .sign_ins
            .of_destination(&return_path, &endpoints.public_origin),
    };
    begin(endpoints, request, &return_path, wishes, Occasion::Wanted).await
}

/// Redirects the browser to Logto, or shows why it cannot be.
pub(super) async fn begin(
    endpoints: &Endpoints,
    request: &CleanRequest,
    return_path: &ReturnPath,
    wishes: Wishes<'_>,
    occasion: Occasion,
) -> Response<Body> {
    let now = endpoints.clock.now();
    let headers = request.headers();
    let settings = endpoints.cookies.settings();
    // Who has a session that will do may sign in as often as they like.
    let is_choice =
        occasion == Occasion::Wanted && matches!(endpoints.session(headers), Presented::Session(..));
    if !is_choice && Rounds::read(headers, settings, now).is_loop() {
        let page = pages::loop_stopped(
            &endpoints.pages,
            navigation::language(headers),
            &endpoints.sign_in_link(request, return_path),
            request.request_id().to_str().unwrap_or_default(),
        );
        return answer::page(Problem::Loop.status(), page);
    }
    if !endpoints.limiter.admits(request.client().address, now) {
        return endpoints.problem(request, Problem::TooMany, None);
    }
    // A redirect would only end at a Logto that does not answer.
    if endpoints.logto.is_away() {
        return endpoints.problem(request, Problem::Unavailable, Some(return_path));
    }
    let Some(metadata) = metadata(endpoints).await else {
        return endpoints.problem(request, Problem::Unavailable, Some(return_path));
    };
    let known_browser = endpoints.binding_cookie.read(headers);
    let Ok(browser) = known_browser.map_or_else(Binding::make, Ok) else {
        return endpoints.problem(request, Problem::Unavailable, Some(return_path));
    };
    let (code_verifier, code_challenge) = pkce::make();
    let nonce = pkce::nonce();
    let browser_hash = *browser.hash().as_bytes();
    let mut state = SignInState::new(
        &code_verifier,
        nonce.clone(),
        return_path.as_str().to_owned(),
        browser_hash,
        now,
    );
    let mut prompt = wishes.prompt();
    if let Occasion::Silent(session) = occasion {
        state = state.silently_for(session);
        prompt = Some("none");
    }
    let Some(state) = state.seal(&endpoints.keyring) else {
        return endpoints.problem(request, Problem::Unavailable, Some(return_path));
    };
    let url = endpoints.logto.authorization_url(
        &metadata,
        &AuthorizationRequest {
            state: &state,
            nonce: &nonce,
            code_challenge: &code_challenge,
            prompt,
            max_age: endpoints.sign_ins.max_age(),
            extra: &wishes.parameters(),
        },
    );
    let mut response = answer::redirect(StatusCode::FOUND, url.as_str());
    set_cookies(response.headers_mut(), endpoints.binding_cookie.set(&browser));
    endpoints.metrics.sign_in("started", "");
    response
}

/// What is known of Logto. Right after a start the first answer may still be on its way: it is worth a moment.
/// When Logto is known to be away this answers at once.
async fn metadata(endpoints: &Endpoints) -> Option<Arc<Metadata>> {
    match endpoints.logto.metadata() {
        Some(metadata) => Some(metadata),
        None => {
            let asked = endpoints.logto.metadata_or_fetch();
            tokio::time::timeout(METADATA_PATIENCE, asked).await.ok()?.ok()
        }
    }
}

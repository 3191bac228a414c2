//! The authentication request a browser is sent to Logto with (OpenID Connect Core §3.1.2.1).
//!
//! Promises: PKCE with S256, state and nonce are always in it, the redirect URI and scopes come from the settings alone, and no
//! additional parameter can replace or repeat one of the protocol's. Logto refuses repeated parameters, and an attacker who
//! could set `redirect_uri` or `scope` through a query would be choosing what the sign-in yields.

use super::RefreshMode;
use super::discovery::Metadata;
use std::borrow::Cow;
use std::time::Duration;
use url::Url;

/// What is particular to one sign-in.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuthorizationRequest<'a> {
    /// Opaque to Logto, comes back to the callback (RFC 6749 §4.1.1).
    pub state: &'a str,
    /// Comes back inside the ID token.
    pub nonce: &'a str,
    /// The S256 challenge that [`pkce::make`](super::pkce::make) made.
    pub code_challenge: &'a str,
    /// `login`, `consent`, `login consent` or `none`; Logto knows no others. `none` is a sign-in without any page: it stays
    /// alone, whatever the settings want of the others, and ends with `login_required` when Logto knows no session.
    pub prompt: Option<&'a str>,
    /// Oldest acceptable authentication, whole seconds. Give the same to [`RedeemRequest`](super::RedeemRequest).
    pub max_age: Option<Duration>,
    /// Logto's own parameters: `direct_sign_in`, `first_screen`, `ui_locales`, `login_hint`, `organization_id`, …. The first of
    /// a name counts; protocol parameters in here are ignored.
    pub extra: &'a [(String, String)],
}

/// Parameters that only this module may set, or that would change what the answer is.
const RESERVED: &[&str] = &[
    "acr_values",
    "claims",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "id_token_hint",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "registration",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Whether this can be an identifier of Logto's (application, organisation, connector): ASCII letters,
/// digits, `-`, `_` and `.`, at most 128.
pub fn is_identifier(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(fits)
}

/// The client's part, the same in every request.
pub(super) struct Client<'a> {
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) scope: &'a str,
    pub(super) resources: &'a [String],
    pub(super) refresh: RefreshMode,
}

pub(super) fn url(metadata: &Metadata, client: &Client<'_>, request: &AuthorizationRequest<'_>) -> Url {
    let mut url = metadata.authorization_endpoint.clone();
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client.client_id)
            .append_pair("redirect_uri", client.redirect_uri)
            .append_pair("scope", client.scope)
            .append_pair("state", request.state)
            .append_pair("nonce", request.nonce)
            .append_pair("code_challenge", request.code_challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(prompt) = prompt(request.prompt, client.refresh) {
            query.append_pair("prompt", &prompt);
        }
        if let Some(max_age) = request.max_age {
            query.append_pair("max_age", &max_age.as_secs().to_string());
        }
        for resource in client.resources {
            query.append_pair("resource", resource);
        }
        let mut earlier: Vec<&str> = Vec::new();
        for (name, value) in request.extra {
            if RESERVED.contains(&name.as_str()) || earlier.contains(&name.as_str()) {
                continue;
            }
            earlier.push(name);
            query.append_pair(name, value);
        }
    }
    url
}

/// Logto gives an offline refresh token only to a request that asks for consent (OpenID Connect Core §11).
fn prompt(requested: Option<&str>, refresh: RefreshMode) -> Option<Cow<'_, str>> {
    match (requested, refresh) {
        (Some(prompt), RefreshMode::Offline)
            if !prompt
                .split_ascii_whitespace()
                .any(|word| matches!(word, "none" | "consent")) =>
        {
            Some(format!("{prompt} consent").into())
        }
        (None, RefreshMode::Offline) => Some("consent".into()),
        (requested, _) => requested.map(Cow::Borrowed),
    }
}

/// `openid` and the configured scopes, each once, in order, separated by spaces (RFC 6749 §3.3), and `offline_access` where
/// refresh tokens are to outlive the session at Logto.
pub(super) fn scope(configured: &[String], refresh: RefreshMode) -> String {
    let mut scopes = vec!["openid"];
    let offline = (refresh == RefreshMode::Offline).then_some("offline_access");
    let configured = configured.iter().flat_map(|entry| entry.split_ascii_whitespace());
    for scope in configured.chain(offline) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes.join(" ")
}

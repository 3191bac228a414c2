//! Reading an authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1): pure, every rule in order.
//!
//! Errors come in two kinds, because a client or redirect URI in doubt must never be redirected to.

use super::error::OidcError;
use super::parameters::{Parameters, words};
use super::resource::requested;
use super::state::{AuthorizationRequest, ResponseMode, State};

/// Scopes of OpenID Connect and of Logto itself; all others belong to resources.
pub const SCOPES: [&str; 11] = [
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
pub(super) struct Prompt {
    pub(super) none: bool,
    pub(super) login: bool,
    pub(super) consent: bool,
}

/// An error for the callback.
pub(super) type CallbackError = (&'static str, String);

/// Who asks and where the answer goes, both registered; else an error for the provider's own page.
pub(super) fn destination(state: &State, parameters: &Parameters) -> Result<(String, String), OidcError> {
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
pub(super) fn delivery_mode(parameters: &Parameters) -> ResponseMode {
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
pub(super) fn read(
    state: &State,
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
    let (resources, permissions) =
        requested(state, parameters).map_err(|error| (error.error, error.description))?;
    // Unknown scopes are dropped without a word; so is offline_access without prompt=consent.
    scopes.retain(|scope| SCOPES.contains(&scope.as_str()) || permissions.contains(scope));
    scopes.retain(|scope| scope != "offline_access" || prompt.consent);
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
    let code_challenge = read_challenge(parameters).map_err(invalid)?;
    let request = AuthorizationRequest {
        client_id,
        redirect_uri,
        response_mode,
        state: parameters.get("state").map(str::to_owned),
        nonce: parameters.get("nonce").map(str::to_owned),
        scopes,
        resources,
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

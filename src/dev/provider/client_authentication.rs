//! Who an application says it is at the token, revocation and introspection endpoints (RFC 6749 §2.3).

use ::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use subtle::ConstantTimeEq;

use super::call::Call;
use super::error::OidcError;
use super::settings::Client;
use super::state::State;

/// The application whose id and secret the request carries, in the header or in the form, not in both.
pub(super) fn authenticate(state: &State, call: &Call) -> Result<Client, OidcError> {
    let header = call.headers.get(AUTHORIZATION);
    let (app_id, secret) = match (header, call.form.get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(OidcError::new(
                "invalid_request",
                "client authentication must only be provided using one mechanism",
            ));
        }
        (Some(header), None) => {
            let basic = header.to_str().ok().and_then(basic_credentials);
            let (app_id, secret) = basic.ok_or_else(|| {
                OidcError::new("invalid_request", "invalid authorization header value format")
            })?;
            if call
                .form
                .get("client_id")
                .is_some_and(|in_form| in_form != app_id)
            {
                return Err(OidcError::new(
                    "invalid_request",
                    "mismatch in body and authorization client ids",
                ));
            }
            (app_id, secret)
        }
        (None, Some(secret)) => match call.form.get("client_id") {
            Some(app_id) => (app_id.to_owned(), secret.to_owned()),
            None => {
                return Err(OidcError::new(
                    "invalid_request",
                    "client_id must be provided in the body",
                ));
            }
        },
        (None, None) => match call.form.get("client_id") {
            Some(_) => return Err(OidcError::invalid_client(false)),
            None => {
                return Err(OidcError::new(
                    "invalid_request",
                    "no client authentication mechanism provided",
                ));
            }
        },
    };
    let client = state
        .client(&app_id)
        .ok_or_else(|| OidcError::invalid_client(header.is_some()))?;
    let matched = client
        .secrets
        .iter()
        .find(|known| bool::from(known.text.expose().as_bytes().ct_eq(secret.as_bytes())));
    match matched {
        Some(known) if known.expired => Err(OidcError::new("invalid_request", "client secret has expired")),
        Some(_) => Ok(client.clone()),
        None => Err(OidcError::invalid_client(header.is_some())),
    }
}

/// Id and secret of `Basic …`, each form-urlencoded inside (RFC 6749 §2.3.1).
fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (app_id, secret) = decoded.split_once(':')?;
    Some((form_decode(app_id)?, form_decode(secret)?))
}

fn form_decode(value: &str) -> Option<String> {
    let spaced = value.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        .map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_form_urlencoded() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(
            basic_credentials(&header("app:s%3Aec%2Bret+x")),
            Some(("app".into(), "s:ec+ret x".into()))
        );
        assert_eq!(basic_credentials(&header("app")), None);
        assert_eq!(basic_credentials("Bearer x"), None);
        assert_eq!(basic_credentials("Basic !!"), None);
    }
}

//! `[sign_in]`, and what a route's own `sign_in` shares with it.
//!
//! Stops: a parameter that changes the protocol, and one that Logto minds, for it would drop all the others with it.

use super::super::error::{Problem, shown};
use super::super::model::SignInConfig;
use super::super::node::{Node, Value};
use super::super::reader::{Reader, text_of};
use super::super::value::sign_in::{
    DirectSignIn, FirstScreen, Prompt, SignInParameter, parse_identifier, parse_language_tag,
};

pub(super) fn sign_in(reader: &mut Reader<'_>) -> Option<SignInConfig> {
    const EXTRA: &str = "sign_in.extra_params";
    let direct = reader.optional_text("sign_in.direct", DirectSignIn::parse);
    let first_screen = reader.optional_text("sign_in.first_screen", FirstScreen::parse);
    let prompt = reader.optional_text("sign_in.prompt", Prompt::parse);
    let ui_locales = reader.list("sign_in.ui_locales", parse_language_tag);
    let organization_id = reader.optional_text("sign_in.organization_id", parse_identifier);
    let extra_params = reader
        .node(EXTRA)
        .and_then(|node| extra_params(reader, EXTRA, node));
    let allowed = reader.list("sign_in.allow_params", SignInParameter::parse);
    let mut allow_params = Vec::new();
    for parameter in allowed? {
        if !allow_params.contains(&parameter) {
            allow_params.push(parameter);
        }
    }
    Some(SignInConfig {
        direct: direct?,
        first_screen: first_screen?,
        prompt: prompt?,
        ui_locales: ui_locales?,
        organization_id: organization_id?,
        extra_params: extra_params?,
        allow_params,
    })
}

/// Names and values of further parameters, at the key `path`.
pub(super) fn extra_params(reader: &mut Reader<'_>, path: &str, node: Node) -> Option<Vec<(String, String)>> {
    let Value::Table(entries) = node.value else {
        let problem = format!(
            "expected a table of names and strings, found {}",
            node.value.describe()
        );
        reader.fail_at(node.origin, path, Problem::new(problem));
        return None;
    };
    let total = entries.len();
    let mut parameters = Vec::with_capacity(total);
    for entry in entries {
        let path = format!("{path}.{}", shown(&entry.name));
        let Some(()) = reader.keep(entry.origin.clone(), &path, extra_name(&entry.name)) else {
            continue;
        };
        let value = text_of(&entry.node).and_then(|text| extra_value(&entry.name, text));
        let Some(value) = reader.keep(entry.node.origin, &path, value) else {
            continue;
        };
        parameters.push((entry.name, value));
    }
    (parameters.len() == total).then_some(parameters)
}

/// Refuses what the proxy itself sends, and what would change the protocol under it.
fn extra_name(name: &str) -> Result<(), Problem> {
    const OWN: [&str; 21] = [
        "acr_values",
        "client_id",
        "client_secret",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "request",
        "request_uri",
        "claims",
        "registration",
        "id_token_hint",
        "iss",
        "resource",
        "grant_type",
        "dpop_jkt",
    ];
    let own_key = match name {
        "direct_sign_in" => Some("direct"),
        "first_screen" | "prompt" | "ui_locales" | "organization_id" => Some(name),
        _ => None,
    };
    if let Some(key) = own_key {
        return Err(Problem::new("this has a key of its own").help(format!("use sign_in.{key}")));
    }
    if OWN.contains(&name) {
        return Err(Problem::new("the proxy alone decides this parameter"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(Problem::new(
            "expected a parameter name: letters, digits, `_`, `-` and `.`",
        ));
    }
    Ok(())
}

/// One wrong value makes Logto drop all extra parameters without a word, so those it checks are checked here.
fn extra_value(name: &str, text: &str) -> Result<String, Problem> {
    const LONGEST: usize = 2048;
    if text.is_empty() || text.len() > LONGEST {
        return Err(Problem::new(format!("expected 1 to {LONGEST} bytes of text")));
    }
    let right = match name {
        "identifier" => text
            .split(' ')
            .all(|word| matches!(word, "username" | "email" | "phone")),
        "max_age" => text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit()),
        _ => true,
    };
    match name {
        _ if right => Ok(text.to_owned()),
        "max_age" => Err(Problem::new("expected a count of seconds")),
        _ => Err(Problem::new(
            "expected `username`, `email` and `phone`, separated by blanks",
        )),
    }
}

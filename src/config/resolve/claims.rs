//! Which claims Logto gives, and for which scope.
//!
//! Stops: a rule on a claim that nobody will ever have. A header may name one, since access tokens can carry claims that the
//! tenant's script adds; it is warned of.

use super::super::error::{Problem, shown};
use super::super::model::{HeaderConfig, HeaderSource, LogtoConfig};
use super::super::reader::Reader;
use super::super::suggest;

/// Claims by the scope that Logto gives them for (Logto: `kit/core-kit/src/openid.ts`). `openid` is always asked for.
const CLAIMS: &[(&str, &[&str])] = &[
    ("openid", &["sub"]),
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "username",
            "created_at",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("phone", &["phone_number", "phone_number_verified"]),
    ("address", &["address"]),
    ("roles", &["roles"]),
    (
        "urn:logto:scope:organizations",
        &["organizations", "organization_data"],
    ),
    ("urn:logto:scope:organization_roles", &["organization_roles"]),
    ("custom_data", &["custom_data"]),
    ("identities", &["identities", "sso_identities"]),
];

/// What Logto leaves out of ID tokens unless the tenant says otherwise.
pub(super) const FROM_USERINFO: &[&str] =
    &["identities", "sso_identities", "custom_data", "organization_data"];

/// The name that a path begins with, a dot within it still written `\.`.
pub(super) fn top_level(path: &str) -> &str {
    let mut characters = path.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '.' => return path.get(..index).unwrap_or_default(),
            _ => {}
        }
    }
    path
}

/// The path of a claim that Logto gives.
pub(super) fn known_claim(path: String) -> Result<String, Problem> {
    let name = top_level(&path);
    if is_known(name) {
        return Ok(path);
    }
    let help = did_you_mean(name)
        .unwrap_or_else(|| "docs/configuration.md lists the claims; own data is in `custom_data`".to_owned());
    Err(Problem::new("Logto gives no such claim").help(help))
}

/// The scope that a claim needs, when it is not asked for.
pub(super) fn missing_scope(claim: &str, logto: &LogtoConfig) -> Option<&'static str> {
    let (scope, _) = CLAIMS.iter().find(|(_, claims)| claims.contains(&claim))?;
    let is_asked = *scope == "openid" || logto.scopes.iter().any(|asked| asked == scope);
    (!is_asked).then_some(scope)
}

/// Warns of headers that no session will ever have.
pub(super) fn warn(reader: &mut Reader<'_>, headers: &[HeaderConfig], logto: &LogtoConfig) {
    for header in headers {
        let HeaderSource::Claim { path, .. } = &header.source else {
            continue;
        };
        let name = top_level(path);
        if let Some(scope) = missing_scope(name, logto) {
            reader.warnings.push(format!(
                "header {}: logto.scopes does not ask for the claim {name}; add \"{scope}\"",
                header.name
            ));
        } else if !is_known(name) {
            let near = did_you_mean(name).map_or_else(String::new, |near| format!("; {near}"));
            reader.warnings.push(format!(
                "header {}: users at Logto have no claim {}, so no session has this header{near}",
                header.name,
                shown(name)
            ));
        }
    }
}

fn is_known(name: &str) -> bool {
    CLAIMS.iter().any(|(_, claims)| claims.contains(&name))
}

fn did_you_mean(name: &str) -> Option<String> {
    let claims = CLAIMS.iter().flat_map(|(_, claims)| claims.iter().copied());
    suggest::nearest(name, claims).map(|near| format!("did you mean `{near}`?"))
}

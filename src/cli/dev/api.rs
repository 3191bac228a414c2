//! What it takes to try routes that let programs in, or hand tokens to the app: resources, permissions and an application at
//! the stand-in.

use crate::config::{Access, Config};
use crate::dev::provider::{ApiResource, Client, Control, LOGTO_SCOPES, ORGANIZATIONS, Permission};
use crate::logto::ANY_ORGANIZATION;
use crate::secret::SecretText;
use std::collections::BTreeSet;

/// The application that calls.
const APP_ID: &str = "logto-proxy-dev-machine";
/// What it has every permission by.
const ROLE: &str = "dev-machine";
/// What users have every permission by.
const ADMIN: &str = "admin";

/// The API of the demo app.
pub(super) fn resource(public_url: &str) -> String {
    format!("{public_url}/api")
}

/// Registers all that the configuration speaks of. Gives the lines that call the API, where one can be called.
pub(super) fn register(config: &Config, control: &Control, secret: SecretText) -> Option<String> {
    for resource in resources(config) {
        control.register_resource(resource);
    }
    let route = config
        .routes
        .iter()
        .find(|route| route.takes_bearer() && route.host.is_none())?;
    let resource = config
        .logto
        .resources
        .iter()
        .find(|resource| *resource != ANY_ORGANIZATION)?;
    let scopes = scopes(config);
    let logto = config.logto.endpoint.as_str().trim_end_matches('/');
    let place = config.public_url.origin();
    let path = route.path.to_string().replace('*', "hello");
    // A client's secret is read as form-urlencoded (RFC 6749 §2.3.1), and curl does not write it so.
    let secret = SecretText::new(secret.expose().replace(['+', '/', '='], "-"));
    let asked: Vec<&str> = scopes.iter().copied().collect();
    let lines = format!(
        "curl -s -u {APP_ID}:{} -d grant_type=client_credentials --data-urlencode 'resource={resource}' \
         --data-urlencode 'scope={}' {logto}/oidc/token | cut -d'\"' -f4 | \
         {{ read -r token; curl -H \"Authorization: Bearer $token\" '{place}{path}'; }}",
        secret.expose(),
        asked.join(" "),
    );
    control.register(Client::machine(APP_ID, secret, &[ROLE]));
    Some(lines)
}

/// Every resource that tokens are for, those of callers and those that the app gets. One that the stand-in did not know would
/// make it refuse each sign-in.
fn resources(config: &Config) -> Vec<ApiResource> {
    let of_logto = config.logto.scopes.iter().map(String::as_str);
    let own = of_logto.filter(|scope| !LOGTO_SCOPES.contains(scope));
    let permissions: BTreeSet<&str> = scopes(config).into_iter().chain(own).collect();
    let callers = config.logto.resources.iter().map(String::as_str);
    let indicators: BTreeSet<&str> = callers.chain(config.token_resources()).collect();
    let known = indicators
        .into_iter()
        .filter(|indicator| ![ANY_ORGANIZATION, ORGANIZATIONS].contains(indicator));
    known
        .map(|indicator| {
            let permissions = permissions.iter();
            let permissions = permissions.map(|scope| Permission::new(scope, &[ROLE, ADMIN]));
            ApiResource::new(indicator, permissions.collect())
        })
        .collect()
}

/// Every scope that some route asks for.
fn scopes(config: &Config) -> BTreeSet<&str> {
    let tables = config.routes.iter().filter_map(|route| match &route.access {
        Access::Table(table) => Some(&table.scope),
        _ => None,
    });
    tables.flatten().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    #[test]
    fn the_resources_of_the_apps_tokens_are_known_too() {
        let file = "public_url = \"http://localhost:3000\"\nupstream = \"http://127.0.0.1:8080\"\n\
            [logto]\nendpoint = \"http://localhost:3001\"\napp_id = \"a\"\napp_secret = \"a secret\"\n\
            scopes = [\"profile\", \"read:reports\", \"urn:logto:scope:organizations\"]\n\
            [session]\nkeys = [\"bm90IGEgcmVhbCBrZXksIGJ1dCAzMiBieXRlcyBvZiBpdCE=\"]\n\
            [[route]]\npath = \"/reports/*\"\n\
            tokens = [{ header = \"Authorization\", resource = \"https://api.example.com\" }, \
                      { header = \"X-Team-Token\", organization = \"exampleorg01\" }]\n";
        let config = config::parse_str("proxy.toml", file, Environment::new(Vec::new())).unwrap();
        let permission = Permission::new("read:reports", &[ROLE, ADMIN]);
        let api = ApiResource::new("https://api.example.com", vec![permission]);
        assert_eq!(resources(&config), [api]);
    }
}

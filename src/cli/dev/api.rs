//! What it takes to try routes that let programs in: their resources, permissions and an application at the stand-in.

use crate::config::{Access, Config};
use crate::dev::provider::{ApiResource, Client, Control, Permission};
use crate::logto::ANY_ORGANIZATION;
use crate::secret::SecretText;
use std::collections::BTreeSet;

/// The application that calls.
const APP_ID: &str = "logto-proxy-dev-machine";
/// What it has every permission by.
const ROLE: &str = "dev-machine";

/// The API of the demo app.
pub(super) fn resource(public_url: &str) -> String {
    format!("{public_url}/api")
}

/// Registers all that the configuration speaks of. Gives the lines that call the API, where one can be called.
pub(super) fn register(config: &Config, control: &Control, secret: SecretText) -> Option<String> {
    let resources = || {
        let all = config.logto.resources.iter();
        all.filter(|resource| *resource != ANY_ORGANIZATION)
    };
    let route = config
        .routes
        .iter()
        .find(|route| route.takes_bearer() && route.host.is_none())?;
    let scopes = scopes(config);
    for resource in resources() {
        let permissions = scopes.iter().map(|scope| Permission::new(scope, &[ROLE]));
        control.register_resource(ApiResource::new(resource, permissions.collect()));
    }
    let resource = resources().next()?;
    let logto = config.logto.endpoint.as_str().trim_end_matches('/');
    let place = config.public_url.origin();
    let path = route.path.to_string().replace('*', "hello");
    // A client's secret is read as form-urlencoded (RFC 6749 §2.3.1), and curl does not write it so.
    let secret = SecretText::new(secret.expose().replace(['+', '/', '='], "-"));
    let asked: Vec<&str> = scopes.iter().map(String::as_str).collect();
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

/// Every scope that some route asks for.
fn scopes(config: &Config) -> BTreeSet<String> {
    let tables = config.routes.iter().filter_map(|route| match &route.access {
        Access::Table(table) => Some(&table.scope),
        _ => None,
    });
    tables.flatten().cloned().collect()
}

//! `[logto]`.

use super::super::error::Problem;
use super::super::model::{LogtoConfig, RefreshMode, UserinfoMode};
use super::super::reader::Reader;
use super::super::value::address::{is_loopback, is_private, parse_origin};
use super::super::value::sign_in::parse_identifier;
use super::certificates;
use url::Url;

/// The scope of a refresh token that outlives the Logto session.
const OFFLINE: &str = "offline_access";

const REFRESH_MODES: &[(&str, RefreshMode)] = &[
    ("session", RefreshMode::Session),
    ("offline", RefreshMode::Offline),
    ("none", RefreshMode::None),
];

pub(super) fn logto(reader: &mut Reader<'_>) -> Option<LogtoConfig> {
    let endpoint = reader.text("logto.endpoint", endpoint);
    let internal_endpoint = reader.optional_text("logto.internal_endpoint", internal_endpoint);
    let app_id = reader.text("logto.app_id", parse_identifier);
    let app_secrets = reader.secrets("logto.app_secret", 2);
    let refresh = reader.choice("logto.refresh", REFRESH_MODES);
    // A wrong `refresh` has been reported already.
    let offline = refresh.is_none_or(|refresh| refresh == RefreshMode::Offline);
    let scopes = reader.list("logto.scopes", |text| scope(text, offline));
    let resources = reader.list("logto.resources", resource);
    let trusted_clients = reader.list("logto.trusted_clients", parse_identifier);
    let userinfo = reader.choice(
        "logto.userinfo",
        &[
            ("when-needed", UserinfoMode::WhenNeeded),
            ("always", UserinfoMode::Always),
            ("never", UserinfoMode::Never),
        ],
    );
    let ca = certificates(reader, "logto.ca_file");
    let endpoint = endpoint?;
    let mut all_scopes = vec!["openid".to_owned()];
    for scope in scopes? {
        if scope != OFFLINE && !all_scopes.contains(&scope) {
            all_scopes.push(scope);
        }
    }
    Some(LogtoConfig {
        issuer: format!("{}/oidc", endpoint.origin().ascii_serialization()),
        endpoint,
        internal_endpoint: internal_endpoint?,
        app_id: app_id?,
        app_secrets: app_secrets?.into_iter().map(|(secret, _)| secret).collect(),
        scopes: all_scopes,
        resources: once(resources?),
        trusted_clients: once(trusted_clients?),
        refresh: refresh?,
        userinfo: userinfo?,
        ca: ca?,
    })
}

fn endpoint(text: &str) -> Result<Url, Problem> {
    let url = logto_origin(text)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(Problem::new(
            "http is allowed on a loopback host only: codes and tokens would travel in clear",
        )
        .help("use https here, and logto.internal_endpoint for an address inside a private network"));
    }
    Ok(url)
}

fn internal_endpoint(text: &str) -> Result<Url, Problem> {
    let url = logto_origin(text)?;
    if url.scheme() == "http" && !is_private(url.host()) {
        return Err(Problem::new("http is allowed to a private name or address only")
            .help("the client secret and the signing keys come this way: use https"));
    }
    Ok(url)
}

fn logto_origin(text: &str) -> Result<Url, Problem> {
    parse_origin(text).map_err(|problem| {
        if text.trim_end_matches('/').ends_with("/oidc") {
            problem.help("leave out `/oidc`")
        } else {
            problem
        }
    })
}

/// RFC 6749 §3.3: printable ASCII but space, `"` and `\`. Logto drops `offline_access` without consent, silently,
/// and what it gives outlives a sign-out at Logto: whoever wants that says so in one place.
fn scope(text: &str, offline: bool) -> Result<String, Problem> {
    if text == OFFLINE && !offline {
        return Err(Problem::new(
            "`offline_access` is asked for by `logto.refresh`, with the consent it needs",
        )
        .help("write refresh = \"offline\" instead, or leave this scope out"));
    }
    let fits = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
    if text.contains(' ') {
        return Err(
            Problem::new("expected one scope, found a blank").help("write a list: [\"profile\", \"email\"]")
        );
    }
    if !text.is_empty() && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(Problem::new("not a scope"))
    }
}

/// Each item once, in order.
fn once(items: Vec<String>) -> Vec<String> {
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// The `aud` of access tokens: an absolute URI without a fragment (RFC 8707 §2), taken to the letter.
fn resource(text: &str) -> Result<String, Problem> {
    const LONGEST: usize = 2048;
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !graphic || text.len() > LONGEST || text.contains('#') || Url::parse(text).is_err() {
        return Err(
            Problem::new("expected an API indicator: an absolute URI without `#`")
                .help("as Logto shows it, to the letter: a final `/` counts"),
        );
    }
    let organization = text.strip_prefix("urn:logto:organization:");
    let is_organization = |id: &str| id == "*" || parse_identifier(id).is_ok();
    if organization.is_some_and(|id| !is_organization(id)) {
        return Err(Problem::new(
            "expected `urn:logto:organization:` and an organization's ID, or `*` for all",
        ));
    }
    if text == "urn:logto:resource:organizations" {
        return Err(Problem::new("no access token is for this resource")
            .help("organization tokens are for urn:logto:organization:<id>"));
    }
    if organization.is_none() && text.contains('*') {
        return Err(Problem::new(
            "a resource is taken to the letter; `*` has no meaning in it",
        ));
    }
    Ok(text.to_owned())
}

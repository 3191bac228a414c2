//! The configuration as a whole: defaults, table, documentation, precedence, and what errors may say.

mod access;
mod assertion;
mod callers;
mod cors;
mod errors;
mod in_step;
mod looser;
mod mistakes;
mod overlay;
mod route_sign_in;
mod routes;
mod secrecy;
mod sessions;
mod tokens;
mod upstream_tls;

use super::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const KEY: &str = "V1d2k9JYc0pX5w3Qe7t8uR6bN4mL1aS+zXoPgH/fIqE=";
pub(super) const OTHER_KEY: &str = "correct horse battery staple, and a few words more";

/// The smallest configuration that works, all in text.
pub(super) const SMALLEST: &str = r#"
public_url = "https://app.example.com"
upstream = "http://127.0.0.1:8080"
[logto]
endpoint = "https://tenant.logto.app"
app_id = "app123"
app_secret = "the-app-secret"
[session]
keys = "V1d2k9JYc0pX5w3Qe7t8uR6bN4mL1aS+zXoPgH/fIqE="
"#;

/// The smallest configuration, with these top-level lines and sections more.
pub(super) fn with(top: &str, sections: &str) -> Result<Config, ConfigErrors> {
    parse_str(
        "proxy.toml",
        &format!("{top}\n{SMALLEST}\n{sections}"),
        Environment::default(),
    )
}

/// The smallest configuration with one line replaced.
pub(super) fn replacing(line: &str, by: &str) -> Result<Config, ConfigErrors> {
    assert!(SMALLEST.contains(line), "{line}");
    parse_str("proxy.toml", &SMALLEST.replace(line, by), Environment::default())
}

/// A source whose files are these.
pub(super) fn source(files: &[(&str, &str)]) -> Source {
    let files: BTreeMap<PathBuf, Vec<u8>> = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
        .collect();
    Source {
        files: Files::Fixed(files),
        ..Source::new("/etc/proxy.toml", Environment::default())
    }
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = with("", "").unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(
        config.listen,
        [ListenAddress::Tcp("0.0.0.0:3000".parse().unwrap())]
    );
    assert_eq!(config.upstream_host, UpstreamHost::Keep);
    assert_eq!(config.trusted_proxies, []);
    assert!(!config.trust_unix_peers);
    assert_eq!(config.logto.issuer, "https://tenant.logto.app/oidc");
    assert_eq!(config.logto.internal_endpoint, None);
    let organizations = [
        "urn:logto:scope:organizations",
        "urn:logto:scope:organization_roles",
    ];
    assert_eq!(
        config.logto.scopes,
        [
            "openid",
            "profile",
            "email",
            "roles",
            organizations[0],
            organizations[1]
        ]
    );
    assert_eq!(config.logto.userinfo, UserinfoMode::WhenNeeded);
    assert_eq!(
        (
            config.sign_in.direct,
            config.sign_in.first_screen,
            config.sign_in.prompt
        ),
        (None, None, None)
    );
    use SignInParameter::{FirstScreen, LoginHint, OneTimeToken, UiLocales};
    assert_eq!(
        config.sign_in.allow_params,
        [FirstScreen, LoginHint, UiLocales, OneTimeToken]
    );
    assert_eq!(config.session.cookie_name, "__Host-logto");
    assert_eq!(config.session.same_site, SameSite::Lax);
    assert!(config.session.secure);
    assert_eq!(config.session.idle_timeout, seconds(8 * 3600));
    assert_eq!(config.session.lifetime, seconds(7 * 86_400));
    assert_eq!(config.session.recheck, seconds(300));
    assert_eq!(config.session.recheck_grace, seconds(3600));
    assert_eq!(config.logto.refresh, RefreshMode::Session);
    assert_eq!(config.store, StoreConfig::Memory);
    assert_eq!(config.webhook_signing_key, None);
    assert_eq!(config.endpoints.sign_in, "/.logto/sign-in");
    assert_eq!(config.endpoints.sign_up, "/.logto/sign-up");
    assert_eq!(config.endpoints.callback, "/.logto/callback");
    assert_eq!(config.endpoints.sign_out, "/.logto/sign-out");
    assert_eq!(config.endpoints.user, "/.logto/user");
    assert_eq!(
        config.endpoints.back_channel_logout,
        "/.logto/back-channel-logout"
    );
    assert_eq!(config.endpoints.webhook, "/.logto/webhook");
    assert_eq!(config.endpoints.sessions, "/.logto/sessions");
    assert_eq!(config.endpoints.sessions_revoke(), "/.logto/sessions/revoke");
    assert_eq!(config.endpoints.after_sign_out, "/");
    let limits = &config.limits;
    assert_eq!((limits.header_bytes, limits.headers), (65_536, 100));
    assert_eq!((limits.target_bytes, limits.cookie_bytes), (8192, 16_384));
    assert_eq!(
        (limits.header_timeout, limits.idle_timeout),
        (seconds(10), seconds(75))
    );
    assert_eq!(limits.connections.get(), 10_000);
    assert_eq!(limits.upstream_connect_timeout, seconds(5));
    assert_eq!(limits.upstream_response_timeout, seconds(60));
    assert_eq!(limits.sign_ins_per_minute.map(u32::from), Some(60));
    assert_eq!(limits.body_bytes, None);
    assert_eq!(config.admin.unwrap().to_string(), "127.0.0.1:9400");
    assert!(config.admin_is_default);
    assert_eq!(
        (config.log.format, config.log.level),
        (LogFormat::Auto, tracing::Level::INFO)
    );
    assert_eq!((config.log.access, config.log.subject), (true, SubjectLog::Plain));
    assert_eq!(
        (config.shutdown.delay, config.shutdown.timeout),
        (seconds(0), seconds(30))
    );
    assert_eq!(
        (config.pages.title.as_str(), config.pages.support_url),
        ("app.example.com", None)
    );
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn every_key_can_be_set() {
    let top = r#"
        listen = ["127.0.0.1:0", "127.0.0.1:0", "unix:/run/proxy.sock"]
        upstream_host = "rewrite"
        trusted_proxies = ["10.0.0.0/8", "::1", "unix"]
        workers = 3
    "#;
    let sections = r#"
        [sign_in]
        direct = "social:huggingface"
        first_screen = "identifier:sign_in"
        prompt = "login consent"
        ui_locales = ["ja", "en-GB"]
        organization_id = "org_123"
        extra_params = { identifier = "email phone" }
        allow_params = ["prompt", "prompt"]
        [routes]
        prefix = "/api/logto"
        callback = "/api/logto/sign-in-callback"
        after_sign_out = "/bye?x=1"
        [headers]
        "X-Team" = "custom_data.team"
        "X-City" = { claim = "address.locality", encoding = "utf8", join = "; " }
        "X-Hop" = { constant = "proxy" }
        "X-User-Picture" = false
        [[route]]
        path = "/*"
        access = "optional"
        [[route]]
        path = "/api/*"
        unauthenticated = "401"
        [limits]
        sign_ins_per_minute = 0
        body_bytes = 1_000_000
        [admin]
        listen = ""
        [log]
        format = "json"
        level = "debug"
        access = false
        subject = "hash"
        [shutdown]
        delay = "5s"
        [pages]
        title = "Reports"
        support_url = "mailto:help@example.com"
    "#;
    let config = with(top, sections).unwrap();
    assert_eq!(config.listen.len(), 3);
    assert_eq!(
        config.upstream_host,
        UpstreamHost::Rewrite("127.0.0.1:8080".parse().unwrap())
    );
    assert_eq!(
        config
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["10.0.0.0/8", "::1/128"]
    );
    assert!(config.trust_unix_peers);
    assert_eq!(config.workers.get(), 3);
    assert_eq!(
        config.sign_in.direct,
        Some(DirectSignIn::Social("huggingface".to_owned()))
    );
    assert_eq!(
        config.sign_in.extra_params,
        [("identifier".to_owned(), "email phone".to_owned())]
    );
    assert_eq!(config.sign_in.allow_params, [SignInParameter::Prompt]);
    assert_eq!(config.endpoints.user, "/api/logto/user");
    assert_eq!(
        config.redirect_uri(),
        "https://app.example.com/api/logto/sign-in-callback"
    );
    assert_eq!(config.removed_headers, ["x-user-picture"]);
    let claim = |path: &str, encoding, join: &str| HeaderSource::Claim {
        path: path.to_owned(),
        encoding,
        join: join.to_owned(),
    };
    let sources: Vec<_> = config
        .headers
        .iter()
        .map(|header| (header.name.as_str(), header.source.clone()))
        .collect();
    assert_eq!(
        sources,
        [
            ("x-team", claim("custom_data.team", HeaderEncoding::Percent, ",")),
            ("x-city", claim("address.locality", HeaderEncoding::Utf8, "; ")),
            ("x-hop", HeaderSource::Constant("proxy".parse().unwrap())),
        ]
    );
    assert_eq!(config.routes[0].path, RoutePath::Prefix(String::new()));
    assert_eq!(config.routes[1].path, RoutePath::Prefix("/api".to_owned()));
    assert_eq!(config.routes[1].unauthenticated, Unauthenticated::Refuse);
    assert_eq!((config.limits.sign_ins_per_minute, config.admin), (None, None));
    assert_eq!(config.limits.body_bytes.map(u64::from), Some(1_000_000));
    assert_eq!(config.shutdown.delay, Duration::from_secs(5));
}

#[test]
fn a_summary_says_what_to_register_and_nothing_secret() {
    let summary = with("", "[[route]]\npath = \"/p\"\naccess = \"public\"")
        .unwrap()
        .summary();
    let register = [
        (
            "Redirect URIs",
            "https://app.example.com/.logto/callback".to_owned(),
        ),
        (
            "Post sign-out redirect URIs",
            "https://app.example.com/".to_owned(),
        ),
        (
            "Back-channel logout URI",
            "https://app.example.com/.logto/back-channel-logout".to_owned(),
        ),
        (
            "Webhook endpoint URL",
            "none: webhook.signing_key is not set".to_owned(),
        ),
    ];
    assert_eq!(summary.register, register);
    let text = format!("{summary:?}");
    assert!(!text.contains("the-app-secret") && !text.contains(KEY));
}

#[test]
fn files_are_found_beside_the_configuration_and_remembered() {
    let text = SMALLEST
        .replace("\"the-app-secret\"", "{ file = \"secrets/app\" }")
        .replace(&format!("\"{KEY}\""), "{ file = \"/run/key\" }");
    let key_file = format!("{KEY}\r\n");
    let source = source(&[
        ("/etc/proxy.toml", &text),
        ("/etc/secrets/app", "from-file\n"),
        ("/run/key", &key_file),
    ]);
    let config = load(&source).unwrap();
    assert_eq!(config.logto.app_secrets[0].expose(), "from-file");
    assert_eq!(config.session.keys[0].expose(), KEY);
    let files = ["/etc/proxy.toml", "/etc/secrets/app", "/run/key"].map(PathBuf::from);
    assert_eq!(config.files, files);
}

#[test]
fn the_file_may_be_missing_only_where_variables_say_it_all() {
    let mut source = source(&[]);
    assert!(
        load(&source)
            .unwrap_err()
            .to_string()
            .contains("/etc/proxy.toml: cannot read")
    );
    source.file_optional = true;
    assert!(
        load(&source)
            .unwrap_err()
            .to_string()
            .starts_with("/etc/proxy.toml: there is no such file")
    );
    source.environment = [
        ("LOGTO_PROXY__PUBLIC_URL", "https://app.example.com"),
        ("LOGTO_PROXY__UPSTREAM", "http://127.0.0.1:8080"),
        ("LOGTO_PROXY__LOGTO__ENDPOINT", "https://tenant.logto.app"),
        ("LOGTO_PROXY__LOGTO__APP_ID", "app123"),
        ("LOGTO_PROXY__LOGTO__APP_SECRET", "the-app-secret"),
        ("LOGTO_PROXY__SESSION__KEYS", KEY),
    ]
    .into_iter()
    .collect();
    assert_eq!(load(&source).unwrap().logto.app_id, "app123");
}

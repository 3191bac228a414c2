//! How long sessions last and what ends them: re-checks, refresh tokens, the store, webhooks, and their endpoints.

use super::*;

const MARK: &str = "hunter2Hunter2";

/// The smallest configuration with lines more in `[session]`, its last section, and sections after it.
fn session(lines: &str) -> Result<Config, ConfigErrors> {
    parse_str(
        "proxy.toml",
        &format!("{SMALLEST}{lines}"),
        Environment::default(),
    )
}

/// The same with lines more in `[logto]`.
fn logto(lines: &str) -> Result<Config, ConfigErrors> {
    replacing("[logto]\n", &format!("[logto]\n{lines}\n"))
}

/// The text of the only error.
fn only(result: Result<Config, ConfigErrors>) -> String {
    let errors = result.expect_err("should be refused");
    assert_eq!(errors.errors().len(), 1, "{errors}");
    errors.to_string()
}

/// The only warning.
fn warned(result: Result<Config, ConfigErrors>) -> String {
    let config = result.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    config.warnings[0].clone()
}

#[test]
fn rechecks_have_bounds_and_no_off_switch() {
    for (lines, error) in [
        (
            "recheck = \"9s\"",
            "proxy.toml:10:11: session.recheck: expected a duration from 10s to 1d",
        ),
        (
            "recheck = \"0s\"",
            "proxy.toml:10:11: session.recheck: expected a duration from 10s to 1d",
        ),
        (
            "recheck = \"25h\"",
            "proxy.toml:10:11: session.recheck: expected a duration from 10s to 1d",
        ),
        (
            "recheck_grace = \"8d\"",
            "proxy.toml:10:17: session.recheck_grace: longer than session.lifetime (7d)",
        ),
        (
            "rechek = \"1m\"",
            "proxy.toml:10:1: session.rechek: unknown key\n    help: did you mean `recheck`?",
        ),
    ] {
        assert_eq!(only(session(lines)), error);
    }
    let config = session("recheck = \"10s\"\nrecheck_grace = \"0s\"").unwrap();
    assert_eq!(config.session.recheck, Duration::from_secs(10));
    assert_eq!(config.session.recheck_grace, Duration::ZERO);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn a_grace_that_nobody_chose_ends_with_the_session() {
    let config = session("lifetime = \"20m\"").unwrap();
    assert_eq!(config.session.recheck_grace, Duration::from_secs(20 * 60));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn a_recheck_that_comes_close_to_none_is_warned_of() {
    assert!(warned(session("recheck = \"61m\"")).contains("noticed only after that long"));
    assert!(
        warned(session("recheck = \"30m\"\nlifetime = \"30m\"")).contains("no session is ever confirmed")
    );
    for quiet in ["recheck = \"1h\"", "lifetime = \"4m\"\nidle_timeout = \"3m\""] {
        assert_eq!(session(quiet).unwrap().warnings, Vec::<String>::new(), "{quiet}");
    }
}

#[test]
fn offline_access_is_asked_for_in_one_place() {
    assert_eq!(
        only(logto("scopes = [\"email\", \"offline_access\"]")),
        "proxy.toml:5:20: logto.scopes: `offline_access` is asked for by `logto.refresh`, with the consent it needs\n    \
         help: write refresh = \"offline\" instead, or leave this scope out"
    );
    assert!(only(logto("refresh = \"none\"\nscopes = \"offline_access\"")).contains("refresh = \"offline\""));
    let config = logto("refresh = \"offline\"\nscopes = [\"email\", \"offline_access\"]").unwrap();
    assert_eq!(config.logto.refresh, RefreshMode::Offline);
    assert_eq!(config.logto.scopes, ["openid", "email"]);
    let text = format!("{:?}", config.summary());
    assert!(text.contains("openid email offline_access"), "{text}");
    assert_eq!(
        logto("refresh = \"none\"").unwrap().logto.refresh,
        RefreshMode::None
    );
    let text = only(logto("refresh = \"ofline\""));
    assert!(
        text.contains("logto.refresh: expected `session`, `offline` or `none`")
            && text.contains("did you mean `offline`?"),
        "{text}"
    );
}

#[test]
fn a_store_is_told_all_it_needs_and_nothing_else() {
    for (lines, error) in [
        (
            "kind = \"file\"",
            "proxy.toml:10:2: store.path: required with store.kind = \"file\"",
        ),
        (
            "kind = \"redis\"",
            "proxy.toml:10:2: store.url: required with store.kind = \"redis\"",
        ),
        (
            "path = \"/x\"",
            "proxy.toml:11:8: store.path: store.kind is `memory`, so this has no effect\n    \
             help: set store.kind = \"file\"",
        ),
        (
            "url = \"redis://u:hunter2Hunter2@redis\"",
            "proxy.toml:11:7: store.url: store.kind is `memory`, so this has no effect\n    \
             help: set store.kind = \"redis\"",
        ),
        (
            "kind = \"redis\"\nurl = \"redis://redis\"\npath = \"/x\"",
            "proxy.toml:13:8: store.path: store.kind is `redis`, so this has no effect",
        ),
        (
            "kind = \"file\"\npath = \"/x/\"",
            "proxy.toml:12:8: store.path: expected the path of a file",
        ),
        (
            "kind = \"file\"\npath = \"proxy.toml\"",
            "proxy.toml:12:8: store.path: the configuration is read from this file",
        ),
        (
            "kind = \"Redis\"",
            "proxy.toml:11:8: store.kind: expected `memory`, `file` or `redis`\n    help: did you mean `redis`?",
        ),
        (
            "knd = \"redis\"",
            "proxy.toml:11:1: store.knd: unknown key\n    help: did you mean `kind`?",
        ),
        (
            "kind = \"redis\"\nurl = [\"redis://u:hunter2Hunter2@redis\"]",
            "proxy.toml:12:7: store.url: expected \"value\", { env = \"NAME\" } or { file = \"PATH\" }",
        ),
        (
            "kind = \"redis\"\nurl = \"rediss://u:hunter2Hunter2@redis#insecure\"",
            "proxy.toml:12:7: store.url: a fragment (`#…`) does not belong into this URL",
        ),
    ] {
        let text = only(session(&format!("[store]\n{lines}\n")));
        assert!(text.starts_with(error), "{text}");
        assert!(!text.contains(MARK), "{text}");
    }
}

#[test]
fn a_stores_file_is_found_beside_the_configuration_and_not_watched() {
    let text = format!("{SMALLEST}[store]\nkind = \"file\"\npath = \"state/sessions.redb\"");
    let mut source = source(&[("/etc/proxy.toml", &text)]);
    let config = load(&source).unwrap();
    let path = PathBuf::from("/etc/state/sessions.redb");
    assert_eq!(config.store, StoreConfig::File { path });
    assert_eq!(config.files, [PathBuf::from("/etc/proxy.toml")]);
    source.environment = [("LOGTO_PROXY__STORE__PATH", "here.redb")].into_iter().collect();
    let path = PathBuf::from("here.redb");
    assert_eq!(load(&source).unwrap().store, StoreConfig::File { path });
}

#[test]
fn a_store_never_overwrites_a_secret() {
    let text = SMALLEST.replace("\"the-app-secret\"", "{ file = \"secret\" }");
    let text = format!("{text}[store]\nkind = \"file\"\npath = \"/etc/secret\"");
    let text = only(load(&source(&[
        ("/etc/proxy.toml", &text),
        ("/etc/secret", "from-file"),
    ])));
    assert!(
        text.contains("the configuration is read from this file"),
        "{text}"
    );
}

#[test]
fn the_address_of_a_redis_is_a_secret() {
    let text =
        format!("{SMALLEST}[store]\nkind = \"redis\"\nurl = {{ file = \"redis\" }}\nca_file = \"ca.pem\"");
    let certificate = rcgen::generate_simple_self_signed(["redis".to_owned()])
        .unwrap()
        .cert
        .pem();
    let with_url = |url: &str| {
        let files = [
            ("/etc/proxy.toml", text.as_str()),
            ("/etc/redis", url),
            ("/etc/ca.pem", &certificate),
        ];
        load(&source(&files))
    };
    let config = with_url("rediss://u:hunter2Hunter2@redis.example.com/1\n").unwrap();
    let StoreConfig::Redis { url, ca } = &config.store else {
        panic!("{:?}", config.store)
    };
    assert_eq!(url.expose(), "rediss://u:hunter2Hunter2@redis.example.com/1");
    assert_eq!(ca.len(), 1);
    let files = ["/etc/ca.pem", "/etc/proxy.toml", "/etc/redis"].map(PathBuf::from);
    assert_eq!(config.files, files);
    let summary = config.summary();
    assert!(summary.settings.contains(&(
        "store",
        "redis over TLS: replicas are told which sessions have ended, and share re-checks".to_owned()
    )));
    let all = format!("{config:?} {summary:?}");
    assert!(!all.contains(MARK) && !all.contains("redis.example.com"), "{all}");
    let text = only(with_url("redis://u:hunter2Hunter2@redis"));
    assert!(
        text.contains("store.ca_file: store.url is not rediss://") && !text.contains(MARK),
        "{text}"
    );
}

#[test]
fn a_redis_spoken_to_in_clear_is_warned_of_without_its_address() {
    let at = |url: &str| session(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\"\n"));
    let warning = warned(at("redis://u:hunter2Hunter2@redis.example.com"));
    assert!(
        warning.contains("store.url") && warning.contains("rediss://"),
        "{warning}"
    );
    assert!(
        !warning.contains(MARK) && !warning.contains("example"),
        "{warning}"
    );
    for quiet in [
        "redis://redis",
        "redis://10.0.0.5:6379",
        "rediss://redis.example.com",
        "unix:///run/redis.sock",
    ] {
        assert_eq!(at(quiet).unwrap().warnings, Vec::<String>::new(), "{quiet}");
    }
}

#[test]
fn a_webhooks_key_must_be_worth_the_name() {
    let config = session("[webhook]\nsigning_key = \"0123456789abcdef\"\n").unwrap();
    assert_eq!(
        config.webhook_signing_key.as_ref().unwrap().expose(),
        "0123456789abcdef"
    );
    assert_eq!(
        config.webhook_url().as_deref(),
        Some("https://app.example.com/.logto/webhook")
    );
    let summary = config.summary();
    assert!(
        summary
            .register
            .contains(&("Webhook endpoint URL", config.webhook_url().unwrap()))
    );
    assert!(!format!("{config:?} {summary:?}").contains("0123456789abcdef"));
    assert_eq!(
        session("[webhook]\nsigning_key = \"\"\n").unwrap().webhook_url(),
        None
    );
    for (key, problem) in [
        ("\"0123456789abcde\"", "expected at least 16 bytes"),
        ("[\"0123456789abcdef\"]", "found an array"),
        (
            "{ env = \"NOT_SET\" }",
            "the environment variable `NOT_SET` is not set",
        ),
    ] {
        let text = only(session(&format!("[webhook]\nsigning_key = {key}\n")));
        assert!(text.starts_with("proxy.toml:11:15: webhook.signing_key: ") && text.contains(problem));
        assert!(!text.contains("0123456789"), "{text}");
    }
}

#[test]
fn no_two_endpoints_share_a_path() {
    for (lines, key, path, other) in [
        (
            "webhook = \"/.logto/user\"",
            "routes.webhook",
            "/.logto/user",
            "routes.user",
        ),
        (
            "user = \"/.logto/webhook\"",
            "routes.user",
            "/.logto/webhook",
            "routes.webhook",
        ),
        (
            "sessions = \"/.logto/back-channel-logout\"",
            "routes.sessions",
            "/.logto/back-channel-logout",
            "routes.back_channel_logout",
        ),
        (
            "webhook = \"/.logto/sessions/revoke\"",
            "routes.webhook",
            "/.logto/sessions/revoke",
            "routes.sessions",
        ),
        (
            "sessions = \"/me\"\nuser = \"/me/revoke\"",
            "routes.sessions",
            "/me/revoke",
            "routes.user",
        ),
    ] {
        let text = only(session(&format!("[routes]\n{lines}\n")));
        assert!(
            text.contains(&format!("{key}: {path} is the path of two endpoints"))
                && text.ends_with(&format!("the other is that of {other}")),
            "{text}"
        );
    }
    for (section, key) in [
        ("[[route]]\npath = \"/.logto/webhook\"\n", "routes.webhook"),
        (
            "[[route]]\npath = \"/.logto/sessions/revoke\"\n",
            "routes.sessions",
        ),
        (
            "[[route]]\npath = \"/.logto/back-channel-logout\"\n",
            "routes.back_channel_logout",
        ),
    ] {
        let text = only(session(section));
        assert!(
            text.contains(&format!("the proxy itself answers here ({key})")),
            "{text}"
        );
    }
    let text = only(session(
        "[routes]\nafter_sign_out = \"/.logto/sessions/revoke\"\n",
    ));
    assert!(text.contains("routes.after_sign_out"), "{text}");
    let config = session("[routes]\nprefix = \"/a\"\nsessions = \"/me\"\n").unwrap();
    assert_eq!(config.endpoints.sessions_revoke(), "/me/revoke");
    assert_eq!(
        config.back_channel_logout_uri(),
        "https://app.example.com/a/back-channel-logout"
    );
}

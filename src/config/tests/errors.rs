//! What is refused, and where the error points.

use super::*;

/// The key and text of the only error.
fn only(result: Result<Config, ConfigErrors>) -> (String, String) {
    let errors = result.expect_err("should be refused");
    assert_eq!(errors.errors().len(), 1, "{errors}");
    (errors.errors()[0].key().to_owned(), errors.to_string())
}

#[test]
fn all_problems_are_found_at_once_and_in_order() {
    let text = "public_url = \"http://app.example.com\"\nlisten = \"3000\"\nworkers = 0\n\n[logto]\n  endpoit = \"x\"\n\
                endpoint = \"https://tenant.logto.app/oidc\"\napp_id = 7\n[session]\nkeys = []\nlisten = 1\n";
    let errors = parse_str("proxy.toml", text, Environment::default()).unwrap_err();
    let expected = r#"proxy.toml:1:14: public_url: http is allowed on a loopback host only
    help: browsers drop Secure cookies over http: use https, or localhost for development
proxy.toml:2:10: listen: expected `ip:port` or `unix:/path`
proxy.toml:3:11: workers: expected an integer from 1 to 1024
proxy.toml:5:2: logto.app_secret: required, secret or list of secrets
    help: The application's secret; two while one is being replaced. Variable: LOGTO_PROXY__LOGTO__APP_SECRET.
proxy.toml:6:3: logto.endpoit: unknown key
    help: did you mean `endpoint`?
proxy.toml:7:12: logto.endpoint: expected scheme, host and port alone, without a path or query
    help: leave out `/oidc`
proxy.toml:8:10: logto.app_id: expected a string, found an integer
proxy.toml:10:8: session.keys: expected 1 to 4 secrets, found 0
proxy.toml:11:1: session.listen: unknown key
    help: `listen` belongs at the top of the file, above the first [section] or in [admin]
proxy.toml: upstream: required, string
    help: The app: `http://host:port`, `https://host:port` or `unix:/path`. Variable: LOGTO_PROXY__UPSTREAM."#;
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn wrong_values_are_refused_at_their_key() {
    for (top, sections, key) in [
        ("listen = []", "", "listen"),
        ("listen = [\"0.0.0.0:1\", \"0.0.0.0:1\"]", "", "listen"),
        ("listen = \"0.0.0.0:8080\"", "", "upstream"),
        ("trusted_proxies = [\"10.0.0.1/8\"]", "", "trusted_proxies"),
        ("trusted_proxies = [\"proxy\"]", "", "trusted_proxies"),
        ("upstream_host = \"http://x\"", "", "upstream_host"),
        ("route = \"x\"", "", "route"),
        ("session_x = 1", "", "session_x"),
        (
            "",
            "[upstream_tls]\nserver_name = \"x\"",
            "upstream_tls.server_name",
        ),
        (
            "",
            "[sign_in]\nfirst_screen = \"identifier:sign-in\"",
            "sign_in.first_screen",
        ),
        ("", "[sign_in]\nprompt = \"none\"", "sign_in.prompt"),
        ("", "[sign_in]\ndirect = \"huggingface\"", "sign_in.direct"),
        ("", "[sign_in]\nui_locales = [\"en_US\"]", "sign_in.ui_locales"),
        (
            "",
            "[sign_in]\nallow_params = [\"scope\"]",
            "sign_in.allow_params",
        ),
        (
            "",
            "[sign_in.extra_params]\nstate = \"x\"",
            "sign_in.extra_params.state",
        ),
        (
            "",
            "[sign_in.extra_params]\nprompt = \"login\"",
            "sign_in.extra_params.prompt",
        ),
        (
            "",
            "[sign_in.extra_params]\nidentifier = \"name\"",
            "sign_in.extra_params.identifier",
        ),
        (
            "",
            "[sign_in.extra_params]\nmax_age = \"-1\"",
            "sign_in.extra_params.max_age",
        ),
        ("", "[routes]\nprefix = \"/\"", "routes.prefix"),
        ("", "[routes]\ncallback = \"/.logto/user\"", "routes.callback"),
        ("", "[routes]\nsign_in = \"/.logto/user\"", "routes.sign_in"),
        (
            "",
            "[routes]\nafter_sign_out = \"//evil.example\"",
            "routes.after_sign_out",
        ),
        (
            "",
            "[routes]\nafter_sign_out = \"/.logto/sign-in?x\"",
            "routes.after_sign_out",
        ),
        ("", "[route]\npath = \"/x\"", "route"),
        ("", "[[route]]\naccess = \"public\"", "route.path"),
        ("", "[[route]]\npath = \"/x\"\nacess = \"public\"", "route.acess"),
        (
            "",
            "[[route]]\npath = \"/x\"\naccess = \"Public\"",
            "route.access",
        ),
        ("", "[[route]]\npath = \"/a/*b/c\"", "route.path"),
        ("", "[[route]]\npath = \"/.logto/callback\"", "route.path"),
        ("", "[limits]\nheader_bytes = 4096", "limits.header_bytes"),
        (
            "",
            "[limits]\nheader_bytes = 8192\ntarget_bytes = 8193\ncookie_bytes = 4096",
            "limits.target_bytes",
        ),
        ("", "[limits]\nconnections = 0", "limits.connections"),
        ("", "[limits]\nconnections = -1", "limits.connections"),
        (
            "",
            "[limits]\nconnections = 99999999999999999999",
            "limits.connections",
        ),
        ("", "[limits]\nheaders = 1.5", "limits.headers"),
        ("", "[limits]\nheader_timeout = 10", "limits.header_timeout"),
        ("", "[limits]\nheader_timeout = \"0s\"", "limits.header_timeout"),
        ("", "[admin]\nlisten = \"0.0.0.0:3000\"", "admin.listen"),
        ("", "[log]\nlevel = \"verbose\"", "log.level"),
        ("", "[log]\naccess = \"yes\"", "log.access"),
        (
            "",
            "[pages]\nsupport_url = \"javascript:alert(1)\"",
            "pages.support_url",
        ),
        ("", "[pages]\ntitle = \"a\\nb\"", "pages.title"),
        ("", "[headers]\n\"X-A\" = 1", "headers.X-A"),
        ("", "[headers]\n\"X A\" = \"name\"", "headers.X A"),
        ("", "[headers]\n\"X-A\" = \"a..b\"", "headers.X-A"),
        (
            "",
            "[headers]\n\"X-A\" = { claim = \"a\", constant = \"b\" }",
            "headers.X-A",
        ),
        (
            "",
            "[headers]\n\"X-A\" = { claim = \"a\", encoding = \"hex\" }",
            "headers.X-A",
        ),
        (
            "",
            "[headers]\n\"X-A\" = { claim = \"a\", join = \"%\" }",
            "headers.X-A",
        ),
        (
            "",
            "[headers]\n\"X-A\" = { claims = \"a\" }",
            "headers.X-A.claims",
        ),
        ("", "[headers]\n\"X-A\" = { constant = \"\" }", "headers.X-A"),
        ("", "[headers]\n\"X-A\" = { constant = \"é\" }", "headers.X-A"),
        ("", "[headers]\n\"X-A\" = false", "headers.X-A"),
        // Nothing sends it without the preset.
        ("", "[headers]\n\"Remote-User\" = false", "headers.Remote-User"),
        (
            "",
            "[headers_presets]\nuse = \"oauth2_proxy\"",
            "headers_presets.use",
        ),
        (
            "",
            "[headers_presets]\nuse = [\"authelia\", 1]",
            "headers_presets.use",
        ),
        ("", "[headers]\n\"X-A\" = \"a\"\n\"x_a\" = \"b\"", "headers.x_a"),
    ] {
        assert_eq!(only(with(top, sections)).0, key, "{top} {sections}");
    }
}

#[test]
fn headers_that_forwarding_depends_on_cannot_be_set() {
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Cookie",
        "Upgrade",
        "TE",
        "Trailer",
        "Keep-Alive",
        "Proxy-Authorization",
        "X-Forwarded-For",
        "x_forwarded_for",
        "X-Forwarded-Proto",
        "Forwarded",
        "Sec-WebSocket-Key",
        "Content_Length",
        "Expect",
        "X-Request-Id",
    ] {
        let (_, text) = only(with("", &format!("[headers]\n\"{name}\" = \"sub\"")));
        assert!(
            text.contains("forwarding itself depends on this header"),
            "{text}"
        );
    }
    assert!(
        with(
            "",
            "[headers]\n\"X-Forwarded-User\" = \"sub\"\n\"Authorization\" = { constant = \"Basic x\" }"
        )
        .is_ok()
    );
}

#[test]
fn two_routes_of_one_path_are_named_both() {
    let (_, text) = only(with(
        "",
        "[[route]]\npath = \"/x/*\"\n[[route]]\npath = \"/x/*\"\naccess = \"public\"",
    ));
    assert!(
        text.starts_with("proxy.toml:15:8: route.path: this route covers /x/*, as does the one of line 13"),
        "{text}"
    );
    assert!(with("", "[[route]]\npath = \"/x/*\"\n[[route]]\npath = \"/x\"").is_ok());
}

#[test]
fn logto_is_spoken_to_in_clear_only_where_nobody_listens() {
    let line = "endpoint = \"https://tenant.logto.app\"";
    assert!(replacing(line, "endpoint = \"http://localhost:3001\"").is_ok());
    assert!(
        replacing(
            line,
            &format!("{line}\ninternal_endpoint = \"http://logto:3001\"")
        )
        .is_ok()
    );
    assert_eq!(
        only(replacing(line, "endpoint = \"http://logto:3001\"")).0,
        "logto.endpoint"
    );
    let wrong = format!("{line}\ninternal_endpoint = \"http://logto.example.com\"");
    assert_eq!(only(replacing(line, &wrong)).0, "logto.internal_endpoint");
}

#[test]
fn cookie_names_keep_their_promises() {
    let host = "https://app.example.com";
    for (public_url, session, outcome) in [
        (host, "", Ok("__Host-logto")),
        (host, "cookie_domain = \"example.com\"", Ok("__Secure-logto")),
        (host, "cookie_domain = \".Example.com\"", Ok("__Secure-logto")),
        (host, "cookie_name = \"mine\"", Ok("mine")),
        ("http://localhost:3000", "", Ok("logto")),
        (
            "http://localhost:3000",
            "cookie_name = \"__Host-x\"",
            Err("session.cookie_name"),
        ),
        (
            "http://localhost:3000",
            "same_site = \"none\"",
            Err("session.same_site"),
        ),
        (host, "same_site = \"strict\"", Err("session.same_site")),
        (
            host,
            "cookie_domain = \"example.com\"\ncookie_name = \"__host-x\"",
            Err("session.cookie_name"),
        ),
        (
            host,
            "cookie_domain = \"other.com\"",
            Err("session.cookie_domain"),
        ),
        (
            host,
            "cookie_domain = \"ample.com\"",
            Err("session.cookie_domain"),
        ),
        (host, "cookie_domain = \"com\"", Err("session.cookie_domain")),
        (host, "cookie_name = \"a.1\"", Err("session.cookie_name")),
        (host, "cookie_name = \"a;b\"", Err("session.cookie_name")),
        (host, "idle_timeout = \"8d\"", Err("session.idle_timeout")),
        (host, "lifetime = \"401d\"", Err("session.lifetime")),
        (host, "lifetime = \"1h\"", Ok("__Host-logto")),
    ] {
        let text = SMALLEST.replace(host, public_url);
        let result = parse_str("proxy.toml", &format!("{text}{session}"), Environment::default());
        let found = result.map(|config| config.session.cookie_name);
        let found = found.map_err(|errors| errors.errors()[0].key().to_owned());
        assert_eq!(
            found.as_deref().map_err(String::as_str),
            outcome,
            "{public_url} {session}"
        );
    }
}

#[test]
fn secrets_that_are_not_there_or_weak_are_refused() {
    let line = format!("keys = \"{KEY}\"");
    for (by, problem) in [
        ("keys = \"\"", "the secret is empty"),
        (
            "keys = [\"changeme-changeme-changeme-changeme\"]",
            "weak session key",
        ),
        (
            "keys = { env = \"NOT_SET\" }",
            "the environment variable `NOT_SET` is not set",
        ),
        (
            "keys = { file = \"/nonexistent/key\" }",
            "cannot read /nonexistent/key: there is no such file",
        ),
        ("keys = { file = \"/\" }", "cannot read /: it is a directory"),
        (
            "keys = { path = \"/x\" }",
            "expected \"value\", { env = \"NAME\" } or { file = \"PATH\" }",
        ),
        ("keys = { env = \"A\", file = \"b\" }", "expected \"value\""),
        ("keys = 12", "found an integer"),
    ] {
        let (key, text) = only(replacing(&line, by));
        assert_eq!(key, "session.keys");
        assert!(text.contains(problem), "{text}");
    }
    let twice = format!("keys = [\"{KEY}\", \"{KEY}\"]");
    assert!(only(replacing(&line, &twice)).1.contains("given twice"));
    let two = format!("keys = [\"{KEY}\", \"{OTHER_KEY}\"]");
    assert_eq!(replacing(&line, &two).unwrap().session.keys.len(), 2);
    let secrets = "app_secret = [\"a\", \"b\", \"c\"]";
    assert_eq!(
        only(replacing("app_secret = \"the-app-secret\"", secrets)).0,
        "logto.app_secret"
    );
}

#[test]
fn certificate_files_must_hold_certificates() {
    let line = "app_id = \"app123\"";
    let text = SMALLEST.replace(line, &format!("{line}\nca_file = \"ca.pem\""));
    let certificate = rcgen::generate_simple_self_signed(["logto".to_owned()])
        .unwrap()
        .cert
        .pem();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let with_file = |pem: &str| load(&source(&[("/etc/proxy.toml", &text), ("/etc/ca.pem", pem)]));
    assert_eq!(with_file(&certificate).unwrap().logto.ca.len(), 1);
    assert_eq!(with_file(&certificate.repeat(2)).unwrap().logto.ca.len(), 2);
    for wrong in ["", "no pem at all", broken] {
        assert_eq!(only(with_file(wrong)).0, "logto.ca_file", "{wrong}");
    }
    let missing = load(&source(&[("/etc/proxy.toml", &text)]));
    assert!(
        only(missing)
            .1
            .contains("cannot read the file of this name in /etc: there is no such file")
    );
}

#[test]
fn what_is_likely_a_mistake_is_warned_of() {
    for (top, sections, word) in [
        ("trusted_proxies = \"0.0.0.0/0\"", "", "trusted_proxies"),
        (
            "",
            "[[route]]\npath = \"/x\"\naccess = \"public\"\nunauthenticated = \"401\"",
            "unauthenticated",
        ),
    ] {
        let text = format!("{top}{SMALLEST}{sections}");
        let config = parse_str("proxy.toml", &text, Environment::default()).unwrap();
        assert!(
            config.warnings.len() == 1 && config.warnings[0].contains(word),
            "{:?}",
            config.warnings
        );
    }
}

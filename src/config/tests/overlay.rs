//! Environment and command line.

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn overlaid(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    parse_str(
        "proxy.toml",
        &format!("{SMALLEST}\n{text}"),
        environment(variables),
    )
}

#[test]
fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
    let file = "[routes]\nsign_in = \"/file\"\nsign_up = \"/file-up\"\nuser = \"/file-user\"";
    let text = format!("{SMALLEST}\n{file}");
    let mut source = source(&[("/etc/proxy.toml", &text)]);
    source.environment = environment(&[
        ("LOGTO_PROXY__ROUTES__SIGN_IN", "/variable"),
        ("LOGTO_PROXY__ROUTES__SIGN_UP", "/variable-up"),
    ]);
    source.overrides = vec![
        ("routes.sign_in".to_owned(), "/overruled".to_owned()),
        ("routes.sign_in".to_owned(), "/flag".to_owned()),
    ];
    let endpoints = load(&source).unwrap().endpoints;
    assert_eq!(endpoints.sign_in, "/flag");
    assert_eq!(endpoints.sign_up, "/variable-up");
    assert_eq!(endpoints.user, "/file-user");
    assert_eq!(endpoints.callback, "/.logto/callback");
}

#[test]
fn each_kind_of_key_reads_its_text() {
    let config = overlaid(
        "[headers]\n\"X-Team\" = \"team\"\n\"X-Kept\" = \"kept\"",
        &[
            ("LOGTO_PROXY__LISTEN", "127.0.0.1:1, unix:/run/x"),
            ("LOGTO_PROXY__LOGTO__SCOPES", "[\"email\"]"),
            ("LOGTO_PROXY__LIMITS__CONNECTIONS", "20"),
            ("LOGTO_PROXY__LOG__ACCESS", "false"),
            ("LOGTO_PROXY__SESSION__LIFETIME", "9h"),
            (
                "LOGTO_PROXY__LOGTO__APP_SECRET",
                "[\"new\", { env = \"OLD_SECRET\" }]",
            ),
            ("OLD_SECRET", "old"),
            ("LOGTO_PROXY__HEADERS__X_TEAM", "other.team"),
            ("LOGTO_PROXY__HEADERS__X_FIXED", "{ constant = \"1\" }"),
            ("LOGTO_PROXY__HEADERS__X_USER_NAME", "false"),
            ("LOGTO_PROXY__ROUTE", "[{ path = \"/p/*\", access = \"public\" }]"),
            ("LOGTO_PROXY__SIGN_IN__EXTRA_PARAMS__LOGIN_HINT", "42"),
            ("LOGTO_PROXY_CONFIG", "not an overlay"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.logto.scopes, ["openid", "email"]);
    assert_eq!(config.limits.connections.get(), 20);
    assert!(!config.log.access);
    assert_eq!(config.session.lifetime, Duration::from_secs(9 * 3600));
    let secrets: Vec<_> = config
        .logto
        .app_secrets
        .iter()
        .map(|secret| secret.expose())
        .collect();
    assert_eq!(secrets, ["new", "old"]);
    let mut names: Vec<_> = config.headers.iter().map(|header| header.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-fixed", "x-kept", "x-team"]);
    let team = config
        .headers
        .iter()
        .find(|header| header.name == "x-team")
        .unwrap();
    assert!(matches!(&team.source, HeaderSource::Claim { path, .. } if path == "other.team"));
    assert_eq!(config.removed_headers, ["x-user-name"]);
    assert_eq!(config.routes[0].access, Access::Public);
    assert_eq!(
        config.sign_in.extra_params,
        [("login_hint".to_owned(), "42".to_owned())]
    );
}

#[test]
fn a_secret_that_looks_like_toml_is_taken_as_it_is() {
    for odd in ["{not toml", "[neither", "a,b", "\"quoted\""] {
        let config = overlaid("", &[("LOGTO_PROXY__LOGTO__APP_SECRET", odd)]).unwrap();
        assert_eq!(config.logto.app_secrets[0].expose(), odd);
    }
}

#[test]
fn a_misspelt_variable_is_an_error_that_names_it() {
    let errors = overlaid(
        "",
        &[
            ("LOGTO_PROXY__LOGTO__APP_IDD", "x"),
            ("LOGTO_PROXY__LIMITS__HEADERS", "many"),
        ],
    );
    let text = errors.unwrap_err().to_string();
    let expected = "environment variable LOGTO_PROXY__LOGTO__APP_IDD: logto.app_idd: unknown key\n    \
                    help: did you mean `app_id`?\n\
                    environment variable LOGTO_PROXY__LIMITS__HEADERS: limits.headers: expected integer";
    assert_eq!(text, expected);
}

#[test]
fn a_misspelt_section_is_an_error_that_knows_the_right_one() {
    for (name, key, help) in [
        (
            "LOGTO_PROXY__SESION__KEYS",
            "sesion.keys",
            "did you mean LOGTO_PROXY__SESSION__KEYS?",
        ),
        (
            "LOGTO_PROXY__SESSION_KEYS",
            "session_keys",
            "did you mean LOGTO_PROXY__SESSION__KEYS?",
        ),
        (
            "LOGTO_PROXY__HEADRES__X_TEAM",
            "headres.x_team",
            "did you mean LOGTO_PROXY__HEADERS__…?",
        ),
        (
            "LOGTO_PROXY__ROUTE__PATH",
            "route.path",
            "routes are set all at once: [{ path = \"/public/*\", access = \"public\" }]",
        ),
        ("LOGTO_PROXY__LISTN", "listn", "did you mean LOGTO_PROXY__LISTEN?"),
        (
            "LOGTO_PROXY_SESSION__KEYS",
            "session.keys",
            "did you mean LOGTO_PROXY__SESSION__KEYS?",
        ),
        (
            "LOGTO_PROXY_SESION__KEYS",
            "sesion.keys",
            "did you mean LOGTO_PROXY__SESSION__KEYS?",
        ),
        (
            "LOGTO_PROXY_LOG__ACESS",
            "log.acess",
            "did you mean LOGTO_PROXY__LOG__ACCESS?",
        ),
    ] {
        let errors = overlaid("", &[(name, "not-to-be-shown")]).unwrap_err();
        let [error] = errors.errors() else {
            panic!("{errors}");
        };
        assert_eq!((error.key(), error.help()), (key, Some(help)), "{name}");
        let text = errors.to_string();
        let named = text.starts_with(&format!("environment variable {name}: "));
        assert!(named && !text.contains("not-to-be-shown"), "{text}");
    }
    // On the command line keys are spelt with dots.
    let text = SMALLEST.to_owned();
    let mut source = source(&[("/etc/proxy.toml", &text)]);
    source.overrides = vec![("sesion.keys".to_owned(), "x".to_owned())];
    let errors = load(&source).unwrap_err();
    assert_eq!(errors.errors()[0].help(), Some("did you mean `session.keys`?"));
}

#[test]
fn variables_of_others_are_none_of_ours() {
    let others = [
        ("LOGTO_PROXY_SERVICE_HOST", "10.0.0.1"),
        ("LOGTO_PROXY_PORT", "tcp://10.0.0.1:3000"),
        ("LOGTO_PROXY_PORT_3000_TCP_ADDR", "10.0.0.1"),
        ("LOGTO_PROXY_SESSION_KEYS", "named by a secret of the file"),
        ("LOGTO_PROXY_DATABASE__URL", "x"),
        ("LOGTO_PROXY_CONFIG", "x"),
        ("LOGTO_PROXY_", "x"),
        ("LOGTO_PROXY", "x"),
    ];
    assert_eq!(overlaid("", &others).unwrap(), overlaid("", &[]).unwrap());
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_an_error() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let name = OsString::from("LOGTO_PROXY__LISTEN");
    let odd = Environment::new(vec![(name, OsString::from_vec(vec![0xff]))]);
    let errors = parse_str("proxy.toml", SMALLEST, odd).unwrap_err();
    assert_eq!(errors.errors()[0].problem(), "the value is not UTF-8");
}

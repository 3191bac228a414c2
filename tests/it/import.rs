//! Configurations of oauth2-proxy become configurations that `check` accepts, open nothing that was closed, and show no secret.

use crate::support::program::Setup;
use std::os::unix::fs::PermissionsExt as _;

const SECRET: &str = "b2F1dGgyLXByb3h5LWNsaWVudC1zZWNyZXQK";
const COOKIE_SECRET: &str = "OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w=";
const REDIS: &str = "redis://user:hunter2hunter2@redis.internal:6379/1";

/// What an operator of oauth2-proxy before Logto has.
pub const FILE: &str = r#"
http_address = "0.0.0.0:4180"
reverse_proxy = "true"
trusted_proxy_ips = ["10.0.0.0/8", "192.0.2.7"]
provider = "oidc"
oidc_issuer_url = "https://tenant.logto.app/oidc"
client_id = "abcdefghijklmnopqrstu"
client_secret = "b2F1dGgyLXByb3h5LWNsaWVudC1zZWNyZXQK"
cookie_secret = "OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w="
redirect_url = "https://app.example.com/oauth2/callback"
scope = "openid email profile offline_access identities groups"
oidc_groups_claim = "roles"
email_domains = ["example.com", "example.org"]
allowed_groups = "staff"
upstreams = ["http://127.0.0.1:8080/", "http://127.0.0.1:9000/api/", "https://ws.example.com/socket"]
upstream_timeout = "1m30s"
skip_auth_routes = ["GET=^/$", "^/static/", "^/api/(health|ready)$", "^/.*\\.css$", "POST!=^/x"]
skip_auth_regex = ["^/robots\\.txt$"]
api_routes = ["^/api"]
cookie_domains = [".example.com"]
cookie_expire = "48h"
cookie_refresh = "30m"
cookie_samesite = "strict"
cookie_csrf_per_request = true
session_store_type = "redis"
redis_connection_url = "redis://user:hunter2hunter2@redis.internal:6379/1"
pass_access_token = true
skip_auth_preflight = true
ssl_insecure_skip_verify = true
metrics_address = "127.0.0.1:9100"
request_logging = false
htpasswd_file = "/etc/htpasswd"
made_up = "s3cr3t"
cookie_domain = ".example.net"
"#;

fn import(setup: &Setup, arguments: &[&str]) -> String {
    let arguments: Vec<&str> = ["import", "oauth2-proxy"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    let ended = setup.run(&arguments);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for secret in [SECRET, COOKIE_SECRET, REDIS, "hunter2", "s3cr3t"] {
        assert!(
            !ended.stdout.contains(secret) && !ended.stderr.contains(secret),
            "{ended:?}"
        );
    }
    ended.stdout
}

/// A directory with `source`, its translation as `proxy.toml` with secrets in `secrets/`, and what `check` says of that.
pub fn imported(source: &str) -> (Setup, String, String) {
    let setup = Setup::new("");
    std::fs::write(setup.path("source"), source).unwrap();
    std::fs::create_dir(setup.path("secrets")).unwrap();
    let toml = import(&setup, &["source", "--secrets", "secrets"]);
    std::fs::write(setup.path("proxy.toml"), &toml).unwrap();
    let app_secret = setup.path("secrets/logto_app_secret");
    if !app_secret.exists() {
        std::fs::write(app_secret, "put here by hand").unwrap();
    }
    let checked = setup.run(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}\n{toml}");
    (setup, toml, checked.stdout)
}

#[test]
fn a_whole_configuration_is_carried_over() {
    let (setup, toml, checked) = imported(FILE);
    for line in [
        "public_url = \"https://app.example.com\"",
        "listen = \"0.0.0.0:4180\"",
        "upstream = \"http://127.0.0.1:8080\"",
        "trusted_proxies = [\"10.0.0.0/8\", \"192.0.2.7\"]",
        "endpoint = \"https://tenant.logto.app\"",
        "app_id = \"abcdefghijklmnopqrstu\"",
        "refresh = \"offline\"",
        "cookie_domain = \"example.com\"",
        "lifetime = \"2d\"",
        "recheck = \"30m\"",
        "kind = \"redis\"",
        "prefix = \"/oauth2\"",
        "sign_in = \"/oauth2/start\"",
        "use = [\"oauth2-proxy\"]",
        "upstream_response_timeout = \"90s\"",
        "listen = \"127.0.0.1:9100\"",
        "access = false",
        "access = { email_domain = [\"example.com\", \"example.org\"], any_role = [\"staff\"] }",
    ] {
        assert!(toml.lines().any(|found| found == line), "no {line} in\n{toml}");
    }
    for said in [
        "# skip_auth_routes: ^/.*\\.css$",
        "# skip_auth_routes: POST!=^/x",
        "# ssl_insecure_skip_verify:",
        "# htpasswd_file:",
        "# made_up: no option",
        "# cookie_domain: no option of oauth2-proxy 7. Is cookie_domains meant?",
        "# cookie_samesite:",
        "# scope:",
    ] {
        assert!(toml.contains(said), "no {said} in\n{toml}");
    }
    assert!(
        !toml.contains("cookie_csrf"),
        "nothing is to be said of it\n{toml}"
    );
    let route = |begins: &str| {
        let found = checked.lines().map(str::trim).find(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.starts_with(&begins.split(' ').collect::<Vec<_>>())
        });
        found.unwrap_or_else(|| panic!("no {begins} in\n{checked}"))
    };
    for open in [
        "/ GET",
        "/static/* any",
        "/api/health any",
        "/api/ready any",
        "/robots.txt any",
    ] {
        assert!(route(open).contains("public"), "{}", route(open));
    }
    for closed in ["/api/* any", "/socket any", "/* any"] {
        assert!(
            route(closed).contains("staff") && route(closed).contains("example.org"),
            "{}",
            route(closed)
        );
    }
    // What lies below another upstream's path goes there, open or not.
    let blocks: Vec<_> = toml.split("[[route]]").collect();
    for path in ["/api/*", "/api/health"] {
        let block = blocks
            .iter()
            .find(|block| block.contains(&format!("path = \"{path}\"")))
            .unwrap();
        assert!(block.contains("upstream = \"http://127.0.0.1:9000\""), "{block}");
        assert_eq!(block.contains("cors = \"pass\""), path == "/api/*", "{block}");
    }
    for (file, value) in [("logto_app_secret", SECRET), ("redis_url", REDIS)] {
        let path = setup.path("secrets").join(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), value);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let key = std::fs::read_to_string(setup.path("secrets/session_key")).unwrap();
    assert_ne!(key, COOKIE_SECRET, "the key is a new one");
}

#[test]
fn files_of_oauth2_proxys_own_examples_are_carried_over() {
    let dex = "http_address=\"0.0.0.0:4180\"\ncookie_secret=\"OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w=\"\nemail_domains=\"example.com\"\n\
        cookie_secure=\"false\"\nupstreams=\"http://httpbin\"\ncookie_domains=[\".localtest.me\"]\nwhitelist_domains=[\".localtest.me\"]\n\
        client_secret=\"b2F1dGgyLXByb3h5LWNsaWVudC1zZWNyZXQK\"\nclient_id=\"oauth2-proxy\"\n\
        redirect_url=\"http://oauth2-proxy.localtest.me:4180/oauth2/callback\"\noidc_issuer_url=\"http://dex.localtest.me:5556/dex\"\n\
        provider=\"oidc\"\nprovider_display_name=\"Dex\"\n";
    let (_, toml, _) = imported(dex);
    assert!(
        toml.contains("another provider's") && toml.contains("your-tenant.logto.app"),
        "{toml}"
    );
    assert!(toml.contains("redirect_url is http"), "{toml}");
    let nginx = dex
        .replace("http://httpbin", "static://200")
        .replace("4180/oauth2", "8080/oauth2")
        + "reverse_proxy=\"true\"\n";
    let (_, toml, _) = imported(&nginx);
    assert!(
        toml.contains("static://") && toml.contains("# trusted_proxies = "),
        "{toml}"
    );
}

#[test]
fn a_command_line_and_variables_say_the_same_as_a_file() {
    let command = "/bin/oauth2-proxy --provider=oidc --oidc-issuer-url=https://tenant.logto.app/oidc --client-id=abc \\\n \
        --redirect-url https://app.example.com/oauth2/callback --email-domain='*' --upstream=unix:///run/app.sock \\\n \
        --skip-auth-route=^/open/ --pass-user-headers=false --pass-basic-auth=false\n";
    let (_, toml, _) = imported(command);
    assert!(
        toml.contains("upstream = \"unix:/run/app.sock\"") && toml.contains("path = \"/open/*\""),
        "{toml}"
    );
    assert!(
        !toml.contains("headers_presets") && !toml.contains("path = \"/*\""),
        "{toml}"
    );

    let setup = Setup::new("");
    let variables = format!(
        "OAUTH2_PROXY_CLIENT_SECRET={SECRET}\nOAUTH2_PROXY_COOKIE_SECRET={COOKIE_SECRET}\nOAUTH2_PROXY_REDIS_CONNECTION_URL={REDIS}\n\
         OAUTH2_PROXY_SESSION_STORE_TYPE=redis\n"
    );
    std::fs::write(setup.path("variables"), variables).unwrap();
    std::fs::write(setup.path("command"), command).unwrap();
    let toml = import(&setup, &["variables", "command"]);
    assert!(
        toml.contains("app_secret = { env = \"OAUTH2_PROXY_CLIENT_SECRET\" }"),
        "{toml}"
    );
    assert!(
        toml.contains("url = { env = \"OAUTH2_PROXY_REDIS_CONNECTION_URL\" }"),
        "{toml}"
    );
    std::fs::write(setup.path("proxy.toml"), toml).unwrap();
    let key = setup.run(&["keygen"]).stdout;
    std::fs::write(setup.path("session_key"), key).unwrap();
    let environment = [
        ("OAUTH2_PROXY_CLIENT_SECRET", SECRET),
        ("OAUTH2_PROXY_REDIS_CONNECTION_URL", REDIS),
    ];
    let checked = setup.run_with(&["check"], &environment);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn what_let_nobody_in_lets_nobody_in() {
    let base = "redirect_url = \"https://app.example.com/oauth2/callback\"\n";
    for source in [
        base.to_owned(),
        format!("{base}email_domains = [\".example.com\"]"),
        format!("{base}authenticated_emails_file = \"/nonexistent\""),
    ] {
        let (_, _, checked) = imported(&source);
        assert!(checked.contains("nobody.invalid"), "{checked}");
    }
    let (_, _, checked) = imported(&format!("{base}email_domains = \"*\""));
    assert!(
        checked.contains("/*") && !checked.contains("nobody.invalid"),
        "{checked}"
    );

    let setup = Setup::new("");
    std::fs::write(setup.path("emails"), "one@example.com\n\ntwo@example.com\n").unwrap();
    std::fs::write(
        setup.path("source"),
        format!("{base}authenticated_emails_file = \"emails\""),
    )
    .unwrap();
    let toml = import(&setup, &["source"]);
    assert!(
        toml.contains("access = { email = [\"one@example.com\", \"two@example.com\"] }"),
        "{toml}"
    );
}

#[test]
fn a_path_that_no_upstream_serves_stays_closed() {
    let (_, toml, checked) = imported(
        "redirect_url = \"https://app.example.com/oauth2/callback\"\nemail_domains = \"*\"\n\
         upstreams = [\"http://localhost:5000/graphql\", \"http://localhost:5006/ui/\"]\n\
         skip_auth_routes = [\"^/metrics\", \"^/ui/static/\", \"^/\"]\napi_routes = [\"^/api\"]\n",
    );
    let route = |begins: &str| {
        let words = |line: &str| line.split_whitespace().next() == Some(begins);
        checked.lines().find(|line| words(line)).map(str::to_owned)
    };
    assert!(
        route("/*").is_some_and(|line| line.contains("nobody.invalid")),
        "{checked}"
    );
    assert!(
        route("/ui/static/*").is_some_and(|line| line.contains("public")),
        "{checked}"
    );
    for path in ["/graphql", "/ui/*"] {
        assert!(
            route(path).is_some_and(|line| line.contains("authenticated")),
            "{checked}"
        );
    }
    for path in ["/metrics/*", "/api/*"] {
        assert_eq!(route(path), None, "{checked}");
        assert!(
            toml.contains(&format!("no upstream serves all of {path}")),
            "{toml}"
        );
    }
}

#[test]
fn what_holds_nothing_of_oauth2_proxys_is_an_error() {
    for (text, said) in [
        ("- SOMETHING_ELSE=1\n", "no option of oauth2-proxy"),
        ("", "no option of oauth2-proxy"),
        ("upstreamConfig:\n  upstreams: []\n", "the alpha configuration"),
    ] {
        let setup = Setup::new("");
        std::fs::write(setup.path("source"), text).unwrap();
        let ended = setup.run(&["import", "oauth2-proxy", "source"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[test]
fn nothing_that_is_read_becomes_a_line_of_its_own() {
    let nasty = r#"^/a\n[[route]]\npath = \"/*\"\naccess = \"public\"\n#"#;
    for option in [
        "skip_auth_routes",
        "skip_auth_regex",
        "api_routes",
        "upstreams",
        "allowed_groups",
        "cookie_domains",
    ] {
        let (_, _, checked) = imported(&format!(
            "redirect_url = \"https://app.example.com/oauth2/callback\"\nemail_domains = \"example.com\"\n{option} = [\"{nasty}\"]"
        ));
        assert!(!checked.contains("public  without"), "{option}: {checked}");
    }
}

#[test]
fn a_secret_that_is_there_is_not_overwritten_and_none_is_written_beside_it() {
    for (mine, other) in [
        ("logto_app_secret", "session_key"),
        ("session_key", "logto_app_secret"),
    ] {
        let setup = Setup::new("");
        std::fs::write(setup.path("source"), FILE).unwrap();
        std::fs::write(setup.path(mine), "mine").unwrap();
        let ended = setup.run(&["import", "oauth2-proxy", "source", "--secrets", "."]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.stderr.contains(mine)
                && ended.stderr.contains("is there already")
                && ended.stdout.is_empty(),
            "{ended:?}"
        );
        assert_eq!(std::fs::read_to_string(setup.path(mine)).unwrap(), "mine");
        assert!(!setup.path(other).exists(), "{other}");
    }
    let setup = Setup::new("");
    let missing = setup.run(&["import", "oauth2-proxy", "nothing"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
}

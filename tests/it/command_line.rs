//! The program as an operator meets it: what it says, and the code it ends with.

use crate::support::program::{Setup, valid};
use crate::support::proxy::{APP_SECRET, SESSION_KEY};
use std::io::Write as _;
use std::net::TcpListener;

const WEAK_KEY: &str = "changeme-changeme-changeme-changeme";

/// What is wrong with a configuration, and what must be said about it.
fn mistakes() -> Vec<(String, Vec<&'static str>)> {
    let with = |top: &str, sections: &str| valid(top, sections);
    vec![
        (
            with("upstrem = \"x\"", ""),
            vec!["proxy.toml:4:1", "upstrem", "unknown key", "`upstream`"],
        ),
        (
            with("", "[limits]\nheader_timout = \"1s\""),
            vec!["proxy.toml:13:1", "limits.header_timout", "`header_timeout`"],
        ),
        (
            with("workers = \"many\"", ""),
            vec!["proxy.toml:4:11", "workers", "integer"],
        ),
        (
            with("", "[limits]\nidle_timeout = 75"),
            vec!["limits.idle_timeout", "add a unit"],
        ),
        (
            with("listen = \"localhost\"", ""),
            vec!["proxy.toml:3:10", "listen"],
        ),
        (
            with("upstream = \"ftp://x\"", ""),
            vec!["upstream", "proxy.toml:3:12"],
        ),
        (with("upstream_host = \"a b\"", ""), vec!["upstream_host"]),
        (
            with("trusted_proxies = [\"10.0.0.0/33\"]", ""),
            vec!["trusted_proxies"],
        ),
        (
            with("", "[[route]]\npath = \"admin\""),
            vec!["route.path", "begins with `/`"],
        ),
        (
            with("", "[[route]]\npath = \"/a\"\n[[route]]\npath = \"/a\""),
            vec!["/a"],
        ),
        (
            with("", "[[route]]\npath = \"/a\"\naccess = \"everyone\""),
            vec!["route", "access", "public"],
        ),
        (with("", "[log]\nlevel = \"verbose\""), vec!["log.level", "debug"]),
        (
            with("", "[headers]\n\"Content-Length\" = \"sub\""),
            vec!["headers", "Content-Length"],
        ),
        (
            valid("", "").replace(&format!("\"{SESSION_KEY}\""), &format!("\"{WEAK_KEY}\"")),
            vec!["session.keys", "keygen"],
        ),
        (
            valid("", "").replace(&format!("\"{SESSION_KEY}\""), "\"short\""),
            vec!["session.keys", "32"],
        ),
        (
            valid("", "").replace(&format!("\"{APP_SECRET}\""), "{ file = \"/nonexistent/secret\" }"),
            vec!["logto.app_secret", "/nonexistent/secret", "proxy.toml:7:14"],
        ),
        (
            valid("", "").replace(&format!("\"{APP_SECRET}\""), "{ env = \"NOT_THERE\" }"),
            vec!["logto.app_secret", "NOT_THERE"],
        ),
        (
            valid("", "").replace("https://app", "http://app"),
            vec!["public_url", "proxy.toml:1:14"],
        ),
        (
            valid("", "").replace("[logto]\n", "[logto\n"),
            vec!["proxy.toml:4:7"],
        ),
        (
            "public_url = \"https://app.example.com\"\n".to_owned(),
            vec!["upstream", "logto.endpoint", "session.keys"],
        ),
    ]
}

#[test]
fn a_mistake_is_named_by_place_and_key_and_nothing_is_served() {
    for (toml, said) in mistakes() {
        let setup = Setup::new(&toml);
        for command in ["run", "check"] {
            let ended = setup.run(&[command]);
            assert_eq!(ended.code, Some(2), "{command}: {ended:?}\n{toml}");
            assert_eq!(ended.stdout, "", "{toml}");
            for word in &said {
                assert!(
                    ended.stderr.contains(word),
                    "no {word:?} in {}\n{toml}",
                    ended.stderr
                );
            }
            for secret in [APP_SECRET, SESSION_KEY, WEAK_KEY] {
                assert!(
                    !ended.stderr.contains(secret),
                    "a secret was printed: {}",
                    ended.stderr
                );
            }
        }
    }
}

#[test]
fn every_mistake_is_said_at_once() {
    let toml = valid(
        "upstrem = 1\nworkers = 0",
        "[log]\nformat = \"xml\"\n[limits]\nheaders = 1",
    );
    let ended = Setup::new(&toml).run(&["check"]);
    assert_eq!(ended.code, Some(2));
    for key in ["upstrem", "workers", "log.format", "limits.headers"] {
        assert!(ended.stderr.contains(key), "{key}: {}", ended.stderr);
    }
}

#[test]
fn a_secret_in_a_line_that_cannot_be_parsed_is_not_printed() {
    for line in [
        "app_secret = s3cr3t-value-unquoted",
        "app_secret = \"s3cr3t-value-unquoted",
        "app_secret = \"s3cr3t-value-unquoted\" extra",
        "s3cr3t-value-unquoted",
        "app_secret = [\"s3cr3t-value-unquoted\", 1]",
        "app_secret = { value = \"s3cr3t-value-unquoted\" }",
        "app_secret = \"s3cr3t-value-unquoted\"\napp_secret = \"s3cr3t-value-unquoted\"",
    ] {
        let toml = valid("", "").replace(&format!("app_secret = \"{APP_SECRET}\""), line);
        let ended = Setup::new(&toml).run(&["check"]);
        assert_eq!(ended.code, Some(2), "{line}: {ended:?}");
        assert!(ended.stderr.contains("proxy.toml:"), "{line}: {}", ended.stderr);
        assert!(!ended.stderr.contains("s3cr3t"), "{}", ended.stderr);
    }
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let setup = Setup::valid("", "");
    for (name, value, said) in [
        ("LOGTO_PROXY__WORKERS", "many", "integer"),
        ("LOGTO_PROXY__LIMITS__HEADERZ", "1", "unknown"),
        ("LOGTO_PROXY__SESSION__KEYS", WEAK_KEY, "weak"),
    ] {
        let ended = setup.run_with(&["check"], &[(name, value)]);
        assert_eq!(ended.code, Some(2), "{name}: {ended:?}");
        assert!(
            ended.stderr.contains(name) && ended.stderr.contains(said),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains(WEAK_KEY));
    }
    let ended = setup.run_with(&["check"], &[("LOGTO_PROXY__UPSTREAM", "http://127.0.0.1:7777")]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("7777"),
        "the environment wins over the file: {}",
        ended.stdout
    );
    let flags = ["check", "--set", "upstream=http://127.0.0.1:8888"];
    let ended = setup.run_with(&flags, &[("LOGTO_PROXY__UPSTREAM", "http://127.0.0.1:7777")]);
    assert!(
        ended.stdout.contains("8888"),
        "and a flag over both: {}",
        ended.stdout
    );
}

#[test]
fn a_missing_file_and_odd_arguments_are_code_2() {
    let setup = Setup::valid("", "");
    for arguments in [
        &["run", "--config", "absent.toml"][..],
        &["--config", "absent.toml"],
        &["check", "--config", "."],
        &["serve"],
        &["run", "--colour"],
        &["run", "--set", "workers"],
        &["check", "--set", "workerz=1"],
    ] {
        let ended = setup.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(
            !ended.stderr.is_empty() && ended.stdout.is_empty(),
            "{arguments:?}: {ended:?}"
        );
    }
    assert_eq!(setup.run(&["--version"]).code, Some(0));
    assert_eq!(setup.run(&["--help"]).code, Some(0));
}

#[test]
fn a_taken_address_is_code_2_and_leaves_nothing_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = taken.local_addr().unwrap();
    let setup = Setup::valid(
        &format!("listen = [\"{free}\", \"{address}\", \"unix:left.sock\"]")
            .replace("left.sock", "/tmp/never-made.sock"),
        "",
    );
    let ended = setup.run(&["run"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains(&address.to_string()), "{}", ended.stderr);
    assert!(ended.stderr.contains("in use"), "{}", ended.stderr);
    assert!(!std::path::Path::new("/tmp/never-made.sock").exists());
    assert!(TcpListener::bind(free).is_ok(), "the other address is free again");
    let setup = Setup::valid("", &format!("[admin]\nlisten = \"{address}\"\n"));
    let ended = setup.run(&["run"]);
    assert_eq!(ended.code, Some(2), "a chosen health address too: {ended:?}");
    assert!(ended.stderr.contains(&address.to_string()), "{}", ended.stderr);
}

#[test]
fn check_prints_the_routes_and_no_secret() {
    let setup = Setup::valid(
        "",
        "[[route]]\npath = \"/open/*\"\naccess = \"public\"\n[[route]]\npath = \"/api/*\"\nunauthenticated = \"401\"\n\
         [[route]]\npath = \"/team/*\"\nmethods = [\"POST\"]\nhost = \"app.example.com\"\n\
         access = { any_role = [\"admin\", \"editor\"], organization = \"org_1\" }\n",
    );
    let ended = setup.run(&["check"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    for said in [
        "valid",
        "/open/*",
        "public",
        "/api/*",
        "401",
        "/*",
        "authenticated",
        "/team/*  POST        app.example.com  member of organization \"org_1\"; role \"admin\" or \"editor\"",
        "https://app.example.com/.logto/callback",
        "https://app.example.com/.logto/back-channel-logout",
        "webhook.signing_key is not set",
        "every 5m of use, then served 1h longer while Logto cannot be asked",
        "Always issue refresh token",
        "memory: a restart forgets which sessions have ended",
        "a page goes to the sign-in, a script gets 401",
        "passes, identity never sent",
        "bytes",
    ] {
        assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
    }
    for secret in [APP_SECRET, SESSION_KEY] {
        assert!(!ended.stdout.contains(secret));
    }
}

#[test]
fn check_prints_how_requests_of_a_route_are_treated() {
    let setup = Setup::valid(
        "upstream_host = \"keep\"",
        "[[route]]\npath = \"/api/admin/*\"\nupstream = \"http://10.0.0.7:9000\"\nstrip_prefix = \"/api\"\ntimeout = \"5m\"\n\
         upstream_host = \"internal.test\"\nset_headers = { \"X-Tenant\" = \"s3cret-value\", \"Authorization\" = \"Basic c2VjcmV0\" }\n\
         [[route]]\npath = \"/hf/*\"\nsign_in = { direct = \"social:huggingface\", prompt = \"login\" }\n\
         cors = { origins = [\"https://www.example.com\", \"null\"] }\n\
         [[route]]\npath = \"/pass/*\"\ncors = \"pass\"\nrewrite = \"/v2\"\n",
    );
    let ended = setup.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in [
        "  to http://10.0.0.7:9000  as /admin/*  Host internal.test  answered within 5m  sets x-tenant, authorization, x-forwarded-prefix\n",
        "  cors: https://www.example.com, null  sign-in with direct_sign_in=social:huggingface, prompt=login\n",
        "  as /v2/*  cors: preflights pass to the app\n",
    ] {
        assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
    }
    for secret in ["s3cret-value", "c2VjcmV0"] {
        assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
    }
}

#[test]
fn a_generated_key_is_accepted_and_no_two_are_alike() {
    let setup = Setup::valid("", "");
    let keys: Vec<String> = (0..3)
        .map(|_| {
            let ended = setup.run(&["keygen"]);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
            ended.stdout
        })
        .collect();
    assert!(keys[0] != keys[1] && keys[1] != keys[2]);
    for (name, key) in ["a", "b", "c"].iter().zip(&keys) {
        // As `logto-proxy keygen > file` writes it, with its line end.
        let mut file = std::fs::File::create(setup.path(name)).unwrap();
        file.write_all(key.as_bytes()).unwrap();
    }
    let files: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| format!("{{ file = \"{}\" }}", setup.path(name).display()))
        .collect();
    let toml = valid("", "").replace(&format!("\"{SESSION_KEY}\""), &files.join(", "));
    std::fs::write(setup.path("proxy.toml"), toml).unwrap();
    let ended = setup.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_health_check_says_alive_not_ready_or_nobody_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup::valid("", &format!("[admin]\nlisten = \"{port}\"\n"));
    assert_eq!(setup.run(&["healthcheck"]).code, Some(1), "nobody there");
    let running = setup.serve();
    assert_eq!(setup.run(&["healthcheck"]).code, Some(0), "alive");
    let ended = setup.run(&["healthcheck", "--ready"]);
    assert_eq!(ended.code, Some(1), "there is no Logto: {ended:?}");
    assert!(ended.stderr.contains("503"), "{}", ended.stderr);
    running.terminate();
    assert_eq!(running.wait().code, Some(0));
    let setup = Setup::valid("", "[admin]\nlisten = \"\"\n");
    assert_eq!(
        setup.run(&["healthcheck"]).code,
        Some(2),
        "there is no health listener"
    );
    assert_eq!(Setup::new("x = ").run(&["healthcheck"]).code, Some(2));
}

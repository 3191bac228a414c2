//! `logto-proxy explain`: what it says of a request, and the code it ends with.

use crate::support::program::{Ended, Setup};
use crate::support::proxy;

const ROUTES: &str = r#"
[headers]
"X-Team" = "custom_data.team"
"Authorization" = { constant = "Basic c2VjcmV0" }

[[route]]
path = "/open/*"
access = "public"

[[route]]
path = "/admin/*"
access = { any_role = ["admin"], ip = ["10.0.0.0/8"] }

[[route]]
path = "/admin/*"
methods = ["DELETE"]
host = "app.example.com"
access = { all_roles = ["admin", "auditor"] }

[[route]]
path = "/admin/notes/*"
access = { any_role = ["auditor"] }

[[route]]
path = "/files/*"
ambiguous_path = "pass"
"#;

const CLAIMS: &str =
    r#"{"sub": "user1", "name": "Café", "roles": ["admin"], "custom_data": {"team": "blue", "other": 1}}"#;

fn setup() -> Setup {
    let setup = Setup::valid("", ROUTES);
    std::fs::write(setup.path("claims.json"), CLAIMS).unwrap();
    setup
}

fn explain(arguments: &[&str]) -> Ended {
    let setup = setup();
    let arguments: Vec<&str> = std::iter::once("explain")
        .chain(arguments.iter().copied())
        .collect();
    setup.run(&arguments)
}

#[test]
fn it_names_route_verdict_and_the_condition_that_fails() {
    let as_user = ["--as", "claims.json"];
    #[rustfmt::skip]
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["/open/x?a=b"], 0, &["GET app.example.com/open/x", "nobody is signed in", "/open/*", "public", "passes", "told nothing"]),
        (&["/admin"], 3, &["/admin/*", "role \"admin\"", "needs a sign-in", "nobody is signed in"]),
        (&["/ADMIN/x"], 3, &["/admin/*", "role \"admin\"", "needs a sign-in"]),
        (&["--as", "claims.json", "--ip", "10.1.1.1", "/admin/x"], 0, &["user user1", "holds   role \"admin\"", "holds   address in 10.0.0.0/8", "passes", "x-user-sub: user1", "x-user-name: Caf%C3%A9", "x-user-roles: admin", "x-team: blue", "a constant, not shown"]),
        (&["--as", "claims.json", "--ip", "192.0.2.1", "/admin/x"], 4, &["refused with 403", "ip: it is none of these", "fails   address in 10.0.0.0/8", "holds   role"]),
        (&["--as", "claims.json", "--ip", "10.1.1.1", "/ADMIN/notes"], 4, &["route      /admin/notes/*", "and address in 10.0.0.0/8; role \"admin\", by /admin/*", "fails   role \"auditor\"", "holds   role \"admin\"", "any_role: it is none of these"]),
        (&["--as", "claims.json", "/admin/x"], 4, &["ip:"]),
        (&["--as", "claims.json", "DELETE", "/admin/x"], 4, &["DELETE app.example.com/admin/*", "all_roles: it is none of these", "role \"admin\" and \"auditor\""]),
        (&["--as", "claims.json", "--method", "DELETE", "--host", "Other.example.com:8443", "--ip", "10.0.0.1", "/admin"], 0, &["DELETE other.example.com/admin", "passes"]),
        (&["--as", "claims.json", "/elsewhere"], 0, &["/*", "authenticated", "passes"]),
        (&["/open/../admin"], 4, &["refused with 400", "dot segment"]),
        (&["/files/a%2fb"], 3, &["path       the path escapes", "sent on as it came", "/files/*", "needs a sign-in"]),
        (&["--as", "claims.json", "/files/a%2fb"], 0, &["sent on as it came", "passes"]),
        (&["--as", "claims.json", "/files/..%2fadmin"], 4, &["refused with 400"]),
        (&["--as", "claims.json", "/files/.logto%2fuser"], 4, &["refused with 400"]),
        (&["/.logto/sign-in"], 0, &["the proxy itself", "sign_in"]),
        (&["--as", "claims.json", "/.logto/auth/x"], 0, &["the proxy itself", "(auth)"]),
        (&["--as", "claims.json", "--ip", "10.0.0.1", "DELETE", "https://Other.example.com:8443/admin"], 0, &["DELETE other.example.com/admin", "passes"]),
        (&["--as", "claims.json", "TRACE", "/elsewhere"], 4, &["refused with 405"]),
    ];
    for (arguments, code, said) in cases {
        let ended = explain(arguments);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(*code), ""),
            "{arguments:?}: {ended:?}"
        );
        for words in *said {
            assert!(
                ended.stdout.contains(words),
                "{arguments:?}: no {words:?} in\n{}",
                ended.stdout
            );
        }
        assert!(
            !ended.stdout.contains("c2VjcmV0"),
            "a constant may be a credential: {}",
            ended.stdout
        );
    }
    assert!(explain(&as_user).code == Some(2), "there is no path");
    for (arguments, code, said) in [
        (
            ["--host=a.example.com", "http://b.example.com/x"],
            2,
            "names another host than --host",
        ),
        (["GET", "admin"], 2, "expected a path that begins with `/`"),
        (["G T", "/admin"], 2, "G T is no method"),
        (
            ["--cookie=abc", "/admin"],
            1,
            "it is damaged, or no cookie of this proxy",
        ),
    ] {
        let ended = explain(&arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[test]
fn an_access_token_is_judged_by_its_claims() {
    let routes = r#"
[[route]]
path = "/api/*"
bearer = true
access = { scope = ["write"], organization = "org1" }
"#;
    let machine = r#"{"sub": "job", "client_id": "job", "scope": "read write", "aud": "urn:logto:organization:org1", "name": "x"}"#;
    let user = r#"{"sub": "user1", "client_id": "cli", "scope": "read", "aud": ["https://api.example.com/", "urn:logto:organization:org1"]}"#;
    let within = r#"{"sub": "user1", "client_id": "cli", "scope": "write", "organization_id": "org1"}"#;
    #[rustfmt::skip]
    let cases: &[(&str, &str, i32, &[&str], &str)] = &[
        (within, "/api/x", 0, &["user user1", "holds   member of organization"], "x-client-id"),
        (machine, "/api/x", 0, &["program job", "holds   access token with scope \"write\"", "counts here", "x-client-id: job"], "x-user"),
        (user, "/api/x", 4, &["user user1", "fails   access token with scope \"write\"", "holds   member of organization"], "x-client-id"),
        (machine, "/x", 3, &["no bearer token counts here", "needs a sign-in"], "x-client-id"),
    ];
    for (claims, path, code, said, unsaid) in cases {
        let setup = Setup::valid("", routes);
        std::fs::write(setup.path("token.json"), claims).unwrap();
        let ended = setup.run(&["explain", "--as", "token.json", path]);
        assert_eq!(ended.code, Some(*code), "{ended:?}");
        for words in *said {
            assert!(ended.stdout.contains(words), "no {words:?} in\n{}", ended.stdout);
        }
        assert!(!ended.stdout.contains(unsaid), "{unsaid} in\n{}", ended.stdout);
    }
}

#[test]
fn it_tells_how_the_app_is_asked_and_what_a_sign_in_is_like() {
    let routes = r#"
[[route]]
path = "/api/*"
upstream = "http://10.0.0.7:9000"
strip_prefix = "/api"
timeout = "5m"
set_headers = { "X-Tenant" = "s3cret-value" }
cors = { origins = "https://www.example.com", credentials = true }
sign_in = { direct = "social:huggingface" }
"#;
    let setup = Setup::valid("", routes);
    std::fs::write(setup.path("claims.json"), CLAIMS).unwrap();
    #[rustfmt::skip]
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["explain", "--as", "claims.json", "/api/a%20b?c=d"], 0, &[
            "http://10.0.0.7:9000, answered within 5m", "asked for /a%20b\n", "with x-tenant, x-forwarded-prefix\n",
            "https://www.example.com with credentials",
        ]),
        (&["explain", "/api/x"], 3, &["sign-in    direct_sign_in=social:huggingface\n"]),
    ];
    for (arguments, code, said) in cases {
        let ended = setup.run(arguments);
        assert_eq!(ended.code, Some(*code), "{ended:?}");
        for words in *said {
            assert!(ended.stdout.contains(words), "no {words:?} in\n{}", ended.stdout);
        }
        assert!(!ended.stdout.contains("s3cret-value"), "{}", ended.stdout);
    }
}

#[test]
fn what_cannot_be_judged_is_code_2() {
    let setup = setup();
    std::fs::write(setup.path("list.json"), "[1]").unwrap();
    std::fs::write(setup.path("nobody.json"), "{\"name\": \"x\"}").unwrap();
    for arguments in [
        &["explain", "--as", "absent.json", "/"][..],
        &["explain", "--as", "list.json", "/"],
        &["explain", "--as", "nobody.json", "/"],
        &["explain", "--as", "claims.json", "--cookie", "x", "/"],
        &["explain", "--host", "a b", "/"],
        &["explain", "--ip", "10.0.0.0/8", "/"],
        &["explain", "--cookie", "theme=dark", "/"],
        &["explain", "GET", "/", "/"],
        &["explain", "admin"],
        &["explain", "--set", "workers=0", "/"],
    ] {
        let ended = setup.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(
            ended.stdout.is_empty() && !ended.stderr.is_empty(),
            "{arguments:?}: {ended:?}"
        );
    }
    let ended = setup.run(&["explain", "--cookie", "1AAAA", "/"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("opens no session"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_cookie_is_judged_as_the_proxy_judges_it() {
    let routes = "[[route]]\npath = \"/admin/*\"\naccess = { any_role = [\"admin\"] }";
    let world = proxy().section(routes).start().await;
    let setup = Setup::new(&world.text);
    for (persona, subject, code, status) in [
        ("admin", "adminuser001", 0, 200),
        ("plain", "plainuser001", 4, 403),
    ] {
        let mut browser = world.signed_in(persona).await;
        let cookies = browser.cookie_field();
        let ended = setup.run(&["explain", "--cookie", &cookies, "/admin/x"]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stdout.contains(&format!("user {subject}")), "{ended:?}");
        assert_eq!(
            ended.stdout.contains(&format!("x-user-sub: {subject}")),
            code == 0,
            "{ended:?}"
        );
        assert_eq!(browser.fetch("/admin/x").await.status, status);
        let value = browser.cookie("__Host-logto").unwrap();
        assert!(!ended.stdout.contains(value), "the cookie itself is not printed");
        let alone = setup.run(&["explain", "--cookie", value, "/admin/x"]);
        assert_eq!((alone.code, alone.stdout), (Some(code), ended.stdout));
    }
}

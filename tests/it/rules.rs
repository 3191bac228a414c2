//! Who may pass, row by row: `rules/table.txt` says what becomes of which request by the routes of `rules/routes.toml`, for the
//! callers of `rules/callers.json` and two programs.

use crate::support::{Answer, World, proxy, request};
use logto_proxy::clock::Clock;
use logto_proxy::config::{self, Environment};
use logto_proxy::http::RequestTarget;
use logto_proxy::identity::{Claims, ProjectedHeaders};
use logto_proxy::live::{self, Compiled, Reloaded};
use logto_proxy::policy::{Caller, Decision, Machine, Reason, RequestFacts, User, decide};
use logto_proxy::tasks::Tasks;
use logto_proxy::telemetry::Metrics;
use serde_json::Value;

const TABLE: &str = include_str!("rules/table.txt");
const ROUTES: &str = include_str!("rules/routes.toml");
const CALLERS: &str = include_str!("rules/callers.json");

const SCOPES: &str = "[\"profile\", \"email\", \"roles\", \"urn:logto:scope:organizations\", \
                      \"urn:logto:scope:organization_roles\", \"identities\", \"custom_data\"]";

fn compiled(routes: &str) -> Compiled {
    let text = format!(
        "public_url = \"https://app.example.com\"\nupstream = \"http://127.0.0.1:9\"\n[logto]\n\
         endpoint = \"https://tenant.example.com\"\napp_id = \"a\"\napp_secret = \"0123456789abcdef\"\nscopes = {SCOPES}\n\
         [session]\nkeys = [\"{}\"]\n{routes}",
        crate::support::proxy::SESSION_KEY
    );
    let config =
        config::parse_str("rules.toml", &text, Environment::default()).unwrap_or_else(|e| panic!("{e}"));
    live::compile(&config, Clock::system(), &Tasks::new(), &Metrics::new()).unwrap()
}

/// What becomes of `METHOD host/path` for a caller, as the table words it.
fn verdict(compiled: &Compiled, request: &str, caller: &str) -> String {
    let (method, place) = request.split_once(' ').unwrap();
    let (host, target) = place.split_at(place.find('/').unwrap());
    let target = RequestTarget::parse(&target.parse().unwrap(), 8192).unwrap();
    let (name, address) = match caller.split_once(" at the office") {
        Some((name, _)) => (name, "10.1.2.3"),
        None => (caller, "203.0.113.9"),
    };
    let facts = RequestFacts {
        method,
        host: if host.is_empty() { "app.example.com" } else { host },
        path: target.canonical_path(),
        address: Some(address.parse().unwrap()),
    };
    let everybody: Value = serde_json::from_str(CALLERS).unwrap();
    let name = name.trim_end_matches(" with a token");
    let claims = everybody
        .get(name)
        .map(|claims| Claims::from_json(claims.to_string().as_bytes()).unwrap());
    // As a session keeps them.
    let claims = claims.map(|claims| claims.keep_only(&compiled.gate.rechecks.kept_claims));
    let (read, write) = ("read".to_owned(), "write".to_owned());
    let (one, both) = ([read.clone()], [read, write]);
    let machine = |organization| Machine {
        client_id: "job",
        scopes: if organization == Some("org1") { &one } else { &both },
        organization,
        identity: ProjectedHeaders::default(),
    };
    let judged_as = match (&claims, name) {
        (Some(claims), subject) => Caller::User(User {
            subject,
            claims,
            scopes: caller.contains("with a token").then_some(&one[..]),
            identity: ProjectedHeaders::default(),
        }),
        (None, "nobody") => Caller::Nobody,
        (None, "job") => Caller::Machine(machine(None)),
        (None, "orgjob") => Caller::Machine(Machine {
            client_id: "orgjob",
            ..machine(Some("org1"))
        }),
        (None, other) => panic!("who is {other}?"),
    };
    match decide(compiled.gate.routes.find(&facts), judged_as) {
        Decision::Forward(permit) if permit.identity().is_some() => "passes".to_owned(),
        Decision::Forward(_) => "passes unseen".to_owned(),
        Decision::SignIn(_) => "sign-in".to_owned(),
        Decision::Refuse(refusal) => match refusal.reason {
            Reason::Unmet(unmet) => format!("refused: {}", unmet.condition.key()),
            Reason::Ambiguous(_) => "refused: ambiguous".to_owned(),
        },
    }
}

#[test]
fn every_row_of_the_table_is_so() {
    let compiled = compiled(ROUTES);
    let mut rows = 0;
    let mut wrong = Vec::new();
    for line in TABLE
        .lines()
        .skip(1)
        .filter(|line| line.contains(" | ") && !line.starts_with('#'))
    {
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [request, caller, expected] = cells[..] else {
            panic!("{line}")
        };
        let found = verdict(&compiled, request, caller);
        rows += 1;
        if found != expected {
            wrong.push(format!("{line}\n    but: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 200, "{rows}");
}

#[test]
fn every_route_decides_some_row() {
    let compiled = compiled(ROUTES);
    let mut deciding = std::collections::BTreeSet::new();
    for line in TABLE
        .lines()
        .skip(1)
        .filter(|line| line.contains(" | ") && !line.starts_with('#'))
    {
        let (method, place) = line.split(" | ").next().unwrap().trim().split_once(' ').unwrap();
        let (host, target) = place.split_at(place.find('/').unwrap());
        let target = RequestTarget::parse(&target.parse().unwrap(), 8192).unwrap();
        let facts = RequestFacts {
            method,
            host,
            path: target.canonical_path(),
            address: None,
        };
        deciding.insert(compiled.gate.routes.find(&facts).route().to_string());
    }
    let all = compiled.gate.routes.iter().map(ToString::to_string).collect();
    assert_eq!(deciding, all);
}

/// Hosts are judged by what the request names; the harness's names one.
async fn world() -> World {
    proxy()
        .scopes(vec![
            "profile",
            "email",
            "roles",
            "urn:logto:scope:organizations",
            "urn:logto:scope:organization_roles",
            "identities",
            "custom_data",
        ])
        .section("[[route]]\npath = \"/admin/*\"\naccess = { any_role = [\"admin\"] }")
        .section("[[route]]\npath = \"/owners/*\"\naccess = { any_organization_role = [\"owner\"], organization = \"exampleorg01\" }")
        .section("[[route]]\npath = \"/mail/*\"\naccess = { email_domain = [\"example.org\"] }")
        .section("[[route]]\npath = \"/lab/*\"\naccess = { hf_org = [\"example-lab\"] }")
        .section("[[route]]\npath = \"/hf\"\naccess = { hf_user = [\"65a000000000000000000001\"] }")
        .section("[[route]]\npath = \"/dark\"\naccess = { claim = { path = \"custom_data.theme\", any_of = [\"dark\"] } }")
        .section("[[route]]\npath = \"/me\"\naccess = { sub = [\"plainuser001\"] }")
        .section("[[route]]\npath = \"/near/*\"\naccess = { any_role = [\"admin\"], ip = [\"127.0.0.0/8\"] }")
        .section("[[route]]\npath = \"/far/*\"\naccess = { any_role = [\"admin\"], ip = [\"192.0.2.0/24\"] }")
        .section("[[route]]\npath = \"/docs/*\"\nmethods = [\"GET\"]\naccess = \"public\"")
        .section("[[route]]\npath = \"/docs/*\"\nmethods = [\"POST\"]\naccess = { any_role = [\"editor\"] }")
        .section("[[route]]\npath = \"/users/*/edit\"\naccess = { any_role = [\"editor\"] }")
        .section("[[route]]\nhost = \"open.example.com\"\npath = \"/*\"\naccess = \"public\"")
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_lets_pass_whom_the_rules_say() {
    let world = world().await;
    let mut cookies = Vec::new();
    for persona in ["plain", "admin", "huggingface"] {
        cookies.push(world.signed_in(persona).await.cookie_field());
    }
    #[rustfmt::skip]
    let rows: &[(&str, &str, u16, [u16; 3])] = &[
        // method, path, nobody, [plain, admin, huggingface]
        ("GET", "/admin", 401, [403, 200, 403]),
        ("POST", "/admin/x", 401, [403, 200, 403]),
        ("GET", "/%61dmin/x", 401, [403, 200, 403]),
        ("GET", "/owners/x", 401, [403, 200, 403]),
        ("GET", "/mail/x", 401, [403, 403, 200]),
        ("GET", "/lab/x", 401, [403, 403, 200]),
        ("GET", "/hf", 401, [403, 403, 200]),
        ("GET", "/dark", 401, [403, 200, 403]),
        ("GET", "/me", 401, [200, 403, 403]),
        ("GET", "/near/x", 401, [403, 200, 403]),
        ("GET", "/far/x", 401, [403, 403, 403]),
        ("GET", "/docs/x", 200, [200, 200, 200]),
        ("HEAD", "/docs/x", 200, [200, 200, 200]),
        ("POST", "/docs/x", 401, [403, 200, 403]),
        ("DELETE", "/docs/x", 401, [200, 200, 200]),
        ("BREW", "/docs/x", 401, [200, 200, 200]),
        ("GET", "/users/7/edit", 401, [403, 200, 403]),
        ("GET", "/users/7/8/edit", 401, [200, 200, 200]),
        ("GET", "/admin/../docs/x", 400, [400, 400, 400]),
        ("GET", "/docs/..;/admin", 400, [400, 400, 400]),
        ("GET", "/docs%2f..%2fadmin", 400, [400, 400, 400]),
    ];
    for (method, path, nobody, users) in rows {
        let signed_in = cookies
            .iter()
            .zip(users)
            .map(|(cookies, status)| (Some(cookies), status));
        for (cookies, status) in std::iter::once((None, nobody)).chain(signed_in) {
            world.upstream.forget();
            let mut fields = vec![("Content-Length", "0")];
            fields.extend(cookies.map(|cookies| ("Cookie", cookies.as_str())));
            let mut wire = world.wire().await;
            wire.send(request(method, path, &fields)).await;
            let reply = match *method {
                "HEAD" => wire.reply_to_head().await,
                _ => wire.reply().await,
            };
            assert_eq!(reply.status, *status, "{method} {path} {cookies:?}");
            assert_eq!(
                world.upstream.seen().len(),
                usize::from(*status == 200),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_refused_is_told_who_they_are_and_can_be_somebody_else() {
    let world = world().await;
    let mut browser = world.signed_in("plain").await;
    let answer = browser.navigate("/admin/x?a=1&b=2").await;
    assert_eq!(answer.status, 403);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    assert!(answer.body.contains("Plain User"), "{}", answer.body);
    for word in ["any_role", "/admin/*", "plainuser001"] {
        assert!(
            !answer.body.contains(word),
            "the rule is nobody's business: {word}"
        );
    }
    let href = answer
        .body
        .split("href=\"")
        .find(|rest| rest.contains("prompt=login"))
        .unwrap();
    let href = href.split('"').next().unwrap().replace("&amp;", "&");
    assert!(href.starts_with("/.logto/sign-in?"), "{href}");
    // Logto has a session for `plain`, and asks all the same.
    let page = browser.to_sign_in_page(&href).await;
    let callback = browser.choose(&page, "admin").await;
    let done: Answer = browser.open(callback.location()).await;
    let landed = browser.follow(done, |_| false).await;
    assert_eq!(
        (landed.status, landed.url.path(), landed.url.query()),
        (200, "/admin/x", Some("a=1&b=2"))
    );
    assert_eq!(world.upstream.only().header("x-user-sub"), Some("adminuser001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_refused_gets_json_and_an_id() {
    let world = world().await;
    let mut browser = world.signed_in("plain").await;
    let answer = browser.fetch("/admin/x").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    let document = answer.json();
    assert_eq!(document["error"], "forbidden");
    assert_eq!(document["decision_id"].as_str().unwrap().len(), 32);
    assert!(!answer.body.contains("role"), "{}", answer.body);
    assert!(browser.has_session(), "being refused ends no session");
    // A WebSocket is judged as any request.
    let cookies = browser.cookie_field();
    let handshake = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "https://app.example.com"),
        ("Cookie", cookies.as_str()),
    ];
    let reply = world.ask(request("GET", "/admin/socket", &handshake)).await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.json()["error"], "forbidden");
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_methods_matter_no_field_names_another_one() {
    let world = world().await;
    let overrides = [
        ("X-HTTP-Method-Override", "DELETE"),
        ("x_http_method_override", "DELETE"),
        ("X-HTTP-Method", "DELETE"),
        ("X-Method-Override", "DELETE"),
    ];
    assert_eq!(world.ask(request("GET", "/docs/x", &overrides)).await.status, 200);
    let seen = world.upstream.only();
    assert!(seen.headers.values().all(|value| value != "DELETE"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_before_a_rule_is_confirmed_once_before_it_is_refused() {
    let world = proxy().scopes(vec!["profile", "custom_data"]).start().await;
    let browser = world.signed_in("admin").await;
    let cookies = browser.cookie_field();
    let theme = |theme: &str| {
        format!(
            "[[route]]\npath = \"/dark\"\naccess = {{ claim = {{ path = \"custom_data.theme\", any_of = [\"{theme}\"] }} }}\n"
        )
    };
    world.hand.advance(5);
    assert_eq!(
        world.reload(&format!("{}{}", world.text, theme("dark"))).await,
        Reloaded::Applied
    );
    let before = world.logto.counts();
    let ask = async || world.ask(request("GET", "/dark", &[("Cookie", &cookies)])).await;
    let reply = ask().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.has("set-cookie"), "the claim is in the cookie from now on");
    assert_eq!(world.logto.counts().refreshes, before.refreshes + 1);
    // The old cookie again: what Logto said is remembered.
    assert_eq!(ask().await.status, 200);
    assert_eq!(world.logto.counts().refreshes, before.refreshes + 1);
    // Another value of a claim that is there: no reason to ask again.
    assert_eq!(
        world.reload(&format!("{}{}", world.text, theme("light"))).await,
        Reloaded::Applied
    );
    let mut fresh = browser.clone();
    let lines = reply
        .fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    for (_, line) in lines {
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        fresh.set_cookie(name, value);
    }
    assert_eq!(fresh.fetch("/dark").await.status, 403);
    assert_eq!(world.logto.counts().refreshes, before.refreshes + 1);
}

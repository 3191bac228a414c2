//! Who may pass: the table, and the same through the running proxy.

mod table;

use crate::support::{Answer, Processes, World, proxy, request};
use logto_proxy::live::Reloaded;
use serde_json::Value;

/// Rules of most kinds, for the personas of the stand-in.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_only_a_condition_reads_is_fetched_at_the_sign_in() {
    let scopes = vec![
        "profile",
        "email",
        "roles",
        "urn:logto:scope:organizations",
        "urn:logto:scope:organization_roles",
        "custom_data",
    ];
    let rule = "[[route]]\npath = \"/dark\"\naccess = { claim = { path = \"custom_data.theme\", any_of = [\"dark\"] } }";
    let without = proxy().scopes(scopes.clone()).start().await;
    without.signed_in("admin").await;
    assert_eq!(
        without.logto.counts().userinfo,
        0,
        "nothing needs what the ID token lacks"
    );
    let world = proxy().scopes(scopes).section(rule).start().await;
    let mut browser = world.signed_in("admin").await;
    assert_eq!(world.logto.counts().userinfo, 1);
    assert_eq!(browser.fetch("/dark").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_renews_the_session_as_any_request_does_and_is_counted() {
    let world = world().await;
    let mut browser = world.signed_in("plain").await;
    world.hand.advance(301);
    let answer = browser.fetch("/admin/x").await;
    assert_eq!(answer.status, 403);
    assert!(
        answer
            .header("set-cookie")
            .is_some_and(|line| line.starts_with("__Host-logto=")),
        "{answer:?}"
    );
    assert_eq!(world.logto.counts().refreshes, 1);
    let (_, numbers) = world.health("/metrics").await;
    let sample = "logto_proxy_requests_total{route=\"/admin/*\",decision=\"refuse\",status=\"4xx\"} 1";
    assert!(numbers.contains(sample), "{numbers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_explains_the_id_of_a_refusal() {
    let section = "[[route]]\npath = \"/admin/*\"\naccess = { any_role = [\"admin\"] }\n\
                   [log]\nformat = \"json\"\naccess = false\nsubject = \"hash\"\n";
    let mut processes = Processes::start(proxy().section(section), vec![Vec::new()]).await;
    let mut browser = processes.signed_in("plain").await;
    let answer = browser.fetch("/admin/x").await;
    let id = answer.json()["decision_id"].as_str().unwrap().to_owned();
    let log = processes.terminate(0);
    let line = log
        .lines()
        .find(|line| line.contains(&id))
        .expect("a line with the id");
    let line: Value = serde_json::from_str(line).unwrap();
    let text = line.to_string();
    for words in [
        "refused",
        "/admin/*",
        "any_role: it is none of these",
        "role \\\"admin\\\"",
        "127.0.0.1",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("plainuser001"), "as log.subject says: {text}");
}

//! Other proxies ask whether a request may pass: judged as if it had come here, told in words that each of them knows.

use crate::support::{Reply, World, proxy, request};

pub const ROUTES: &str = r#"
[[route]]
path = "/open/*"
access = "public"
[[route]]
path = "/admin/*"
access = { any_role = ["admin"] }
[[route]]
path = "/read/*"
methods = ["GET"]
access = "public"
[[route]]
path = "/elsewhere/*"
host = "other.example.com"
access = "public"
"#;

pub const NAVIGATION: &[(&str, &str)] = &[
    ("Accept", "text/html"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
];

/// The ways to ask about one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Forwarded,
    Original,
    Target,
}
pub const FORMS: [Form; 3] = [Form::Forwarded, Form::Original, Form::Target];

pub async fn world() -> World {
    proxy()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .section(ROUTES)
        .start()
        .await
}

async fn shared() -> World {
    proxy()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .session("cookie_domain = \"example.com\"")
        .section(ROUTES)
        .start()
        .await
}

pub fn ask(form: Form, method: &str, host: &str, target: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let url = format!("https://{host}{target}");
    let mut all = fields.to_vec();
    match form {
        Form::Forwarded => all.extend([
            ("X-Forwarded-Method", method),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", host),
            ("X-Forwarded-Uri", target),
        ]),
        Form::Original => all.extend([("X-Original-Method", method), ("X-Original-URL", url.as_str())]),
        Form::Target => {
            let text = String::from_utf8(request(method, &format!("/.logto/auth{target}"), &all)).unwrap();
            return text
                .replacen("Host: app.example.com", &format!("Host: {host}"), 1)
                .into_bytes();
        }
    }
    request("GET", "/.logto/auth", &all)
}

pub async fn check(world: &World, form: Form, method: &str, target: &str, fields: &[(&str, &str)]) -> Reply {
    world
        .ask(ask(form, method, "app.example.com", target, fields))
        .await
}

pub fn with<'a>(fields: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [fields, more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_described_request_is_judged_as_if_it_had_come_here() {
    let world = world().await;
    let admin = world.signed_in("admin").await.cookie_field();
    let plain = world.signed_in("plain").await.cookie_field();
    for form in FORMS {
        for (method, target, cookie, expected) in [
            ("GET", "/open/x", None, 200),
            ("DELETE", "/open/x?a=b", None, 200),
            ("GET", "/", None, 401),
            ("GET", "/", Some(&plain), 200),
            ("GET", "/admin/x", Some(&admin), 200),
            ("GET", "/admin/x", Some(&plain), 403),
            ("GET", "/admin/x", None, 401),
            ("GET", "/read/x", None, 200),
            ("HEAD", "/read/x", None, 200),
            ("POST", "/read/x", None, 401),
            ("GET", "/elsewhere/x", None, 401),
            ("GET", "/%6fpen/x", None, 200),
        ] {
            let cookie = cookie.map(|cookie| ("Cookie", cookie.as_str()));
            let fields: Vec<_> = cookie.into_iter().collect();
            let bytes = ask(form, method, "app.example.com", target, &fields);
            let mut wire = world.wire().await;
            wire.send(bytes).await;
            let is_head = form == Form::Target && method == "HEAD";
            let reply = if is_head {
                wire.reply_to_head().await
            } else {
                wire.reply().await
            };
            assert_eq!(
                reply.status, expected,
                "{form:?} {method} {target} {fields:?}: {reply:?}"
            );
        }
        let other = world
            .ask(ask(form, "GET", "other.example.com", "/elsewhere/x", &[]))
            .await;
        assert_eq!(other.status, 200, "{form:?}: {other:?}");
    }
    assert!(world.upstream.seen().is_empty(), "nothing was forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_carries_who_it_is_and_nothing_that_the_client_said() {
    let world = world().await;
    let cookie = world.signed_in("plain").await.cookie_field();
    for form in FORMS {
        let forged = [
            ("X-User-Sub", "root"),
            ("X-User-Roles", "root"),
            ("Remote-User", "root"),
            ("X-Foo", "bar"),
        ];
        let known = check(&world, form, "GET", "/", &with(&forged, &[("Cookie", &cookie)])).await;
        assert_eq!(known.field("x-user-sub"), Some("plainuser001"));
        let told = |reply: &Reply| {
            let fields = reply.fields.iter();
            fields
                .filter(|(_, value)| value == "root" || value == "bar")
                .count()
        };
        assert_eq!(told(&known), 0, "{known:?}");
        assert!(!known.has("cookie") && known.body.is_empty(), "{known:?}");
        let open = check(
            &world,
            form,
            "GET",
            "/open/",
            &with(&forged, &[("Cookie", &cookie)]),
        )
        .await;
        assert_eq!(open.status, 200);
        assert!(
            !open.has("x-user-sub") && told(&open) == 0,
            "a public route: {open:?}"
        );
        let removed = open
            .field("x-envoy-auth-headers-to-remove")
            .unwrap_or_default()
            .to_owned();
        let names: Vec<&str> = removed.split(',').collect();
        assert_eq!(form == Form::Target, names.contains(&"x-user-sub"), "{removed}");
        let removed = known
            .field("x-envoy-auth-headers-to-remove")
            .unwrap_or_default()
            .to_owned();
        assert!(!removed.split(',').any(|name| name == "x-user-sub"), "{removed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_share_the_session_are_returned_to_and_others_are_refused() {
    let world = shared().await;
    let sign_in = "https://app.example.com/.logto/sign-in?redirect=https%3A%2F%2Fwiki.example.com%2Fa%3Fb";
    for form in FORMS {
        let reply = world
            .ask(ask(form, "GET", "wiki.example.com", "/a?b", NAVIGATION))
            .await;
        let to = reply.field("location").or(reply.field("x-auth-request-redirect"));
        assert_eq!(to, Some(sign_in), "{reply:?}");
        assert!(
            !reply.has("set-cookie"),
            "the sign-in's cookie belongs to the public host"
        );
        let evil = world
            .ask(ask(form, "GET", "example.com.evil.test", "/", NAVIGATION))
            .await;
        assert_eq!(evil.status, 403, "{evil:?}");
    }
    let mut browser = world.browser();
    let begun = browser
        .navigate(sign_in.trim_start_matches("https://app.example.com"))
        .await;
    assert_eq!(begun.status, 302);
    let foreign = "/.logto/sign-in?redirect=https%3A%2F%2Fevil.test%2F";
    let done = world.browser().sign_in("plain", foreign).await;
    assert_eq!(done.url.as_str(), "https://app.example.com/");
    // Without a shared cookie there is one host alone.
    let single = self::world().await;
    let other = single
        .ask(ask(Form::Forwarded, "GET", "wiki.example.com", "/", NAVIGATION))
        .await;
    assert_eq!(other.status, 403);
    assert_eq!(other.json()["error"], "foreign_host");
    let done = single
        .browser()
        .sign_in(
            "plain",
            "/.logto/sign-in?redirect=https%3A%2F%2Fwiki.example.com%2F",
        )
        .await;
    assert_eq!(done.url.as_str(), "https://app.example.com/");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_may_not_ask() {
    let world = proxy().section(ROUTES).start().await;
    for form in FORMS {
        let bytes = ask(form, "GET", "app.example.com", "/open/x", &[]);
        let reply = world.refused(bytes, 403).await;
        assert_eq!(reply.json()["error"], "untrusted_peer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_that_is_missing_or_contradicts_itself_is_refused() {
    let world = world().await;
    let forwarded = [
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Host", "app.example.com"),
        ("X-Forwarded-Uri", "/open/x"),
    ];
    let original = [
        ("X-Original-Method", "GET"),
        ("X-Original-URL", "https://app.example.com/open/x"),
    ];
    let refused = |fields: Vec<(&'static str, &'static str)>, target: &'static str| {
        let bytes = request("GET", target, &fields);
        async { world.refused(bytes, 400).await }
    };
    refused(vec![], "/.logto/auth").await;
    refused(vec![], "/.logto/%61uth").await;
    for (index, (name, _)) in forwarded.iter().enumerate() {
        let mut less = forwarded.to_vec();
        less.remove(index);
        refused(less, "/.logto/auth").await;
        let twice = with(&forwarded, &[(name, "/admin/x")]);
        refused(twice, "/.logto/auth").await;
    }
    for index in 0..2 {
        let mut less = original.to_vec();
        less.remove(index);
        refused(less, "/.logto/auth").await;
        refused(with(&original, &[original[index]]), "/.logto/auth").await;
    }
    refused(with(&forwarded, &original), "/.logto/auth").await;
    refused(with(&original, &[("X-Forwarded-Uri", "/x")]), "/.logto/auth").await;
    refused(with(&forwarded, &[("X-Original-URL", "x")]), "/.logto/auth").await;
    for field in [
        ("X-Forwarded-Uri", "/open/x"),
        ("X-Forwarded-Method", "GET"),
        ("X-Original-URL", "/open/x"),
    ] {
        refused(vec![field], "/.logto/auth/open/x").await;
    }
    refused(
        with(
            &forwarded,
            &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")],
        ),
        "/.logto/auth",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_read_in_two_ways_is_no_description_of_anything_open() {
    let world = world().await;
    let cookie = world.signed_in("admin").await.cookie_field();
    for target in [
        "/open/../admin/x",
        "/open/%2e%2e/admin",
        "/open//x",
        "//evil.test/open/x",
        "/open/x;y",
        "/open/%2fx",
        "/open/x#/../../admin",
        "/open/x#",
        "/open/%",
        "/open/%252e",
        "/open\\x",
        "open/x",
        "*",
        "http://app.example.com/open/x",
    ] {
        let fields = [("Cookie", cookie.as_str())];
        for form in FORMS {
            // There is no slash to end the host at, or to begin the target with.
            let is_bare = form != Form::Forwarded && !target.starts_with('/');
            if is_bare || (form == Form::Target && target.contains('#')) {
                continue;
            }
            let reply = check(&world, form, "GET", target, &fields).await;
            let expected = if form == Form::Original { 403 } else { 400 };
            assert!(reply.status == expected, "{form:?} {target}: {reply:?}");
        }
    }
    for url in [
        "https://app.example.com@evil.test/open/x",
        "https://app.example.com?/open/x",
        "https:///open/x",
        "https://a,b/open/x",
        "https://app.example.com",
        "https://app.example.com#/open/x",
        "https://app.example.com\\/open/x",
    ] {
        let fields = [("X-Original-Method", "GET"), ("X-Original-URL", url)];
        world.refused(request("GET", "/.logto/auth", &fields), 403).await;
    }
    for (name, value) in [
        ("X-Forwarded-Host", "a, b"),
        ("X-Forwarded-Method", "CONNECT"),
        ("X-Forwarded-Method", "TRACE"),
        ("X-Forwarded-Method", "G T"),
    ] {
        let mut fields = vec![
            ("X-Forwarded-Method", "GET"),
            ("X-Forwarded-Host", "app.example.com"),
            ("X-Forwarded-Uri", "/open/x"),
        ];
        fields.retain(|(field, _)| *field != name);
        fields.push((name, value));
        let reply = world.ask(request("GET", "/.logto/auth", &fields)).await;
        assert!((400..=405).contains(&reply.status), "{name} {value}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxys_own_urls_are_not_to_be_asked_about() {
    let world = world().await;
    let cookie = world.signed_in("plain").await.cookie_field();
    for form in FORMS {
        for target in [
            "/.logto/sign-in",
            "/.logto/user",
            "/.logto/auth",
            "/.logto/auth/open/x",
            "/.logto/%75ser",
        ] {
            let reply = check(&world, form, "GET", target, &[("Cookie", &cookie)]).await;
            assert_eq!(reply.status, 403, "{form:?} {target}: {reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_from_another_site_gets_no_permit() {
    let world = shared().await;
    let cookie = world.signed_in("plain").await.cookie_field();
    // What is hop-by-hop of a handshake does not reach the endpoint with every peer.
    let key = [
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Cookie", cookie.as_str()),
    ];
    let upgrade = with(&key, &[("Connection", "Upgrade"), ("Upgrade", "websocket")]);
    for fields in [key.to_vec(), upgrade] {
        for form in FORMS {
            for (host, origin, expected) in [
                ("app.example.com", "https://app.example.com", 200),
                ("app.example.com", "https://evil.test", 403),
                ("app.example.com", "https://wiki.example.com", 403),
                ("wiki.example.com", "https://wiki.example.com", 200),
                ("wiki.example.com", "https://app.example.com", 200),
                ("wiki.example.com", "http://wiki.example.com", 403),
                ("wiki.example.com", "null", 403),
            ] {
                let fields = with(&fields, &[("Origin", origin)]);
                let reply = world.ask(ask(form, "GET", host, "/", &fields)).await;
                assert_eq!(reply.status, expected, "{form:?} {host} {origin}: {reply:?}");
            }
        }
    }
}

//! Identity headers come from the proxy or not at all, whatever a client sends and wherever it sends it.

use crate::support::wire::HANDSHAKE;
use crate::support::{RawUpstream, Seen, World, proxy, request};
use std::sync::{Arc, Mutex};

/// Names that an app may take for the proxy's word.
const FORGED: &[&str] = &[
    "X-User-Sub",
    "x-user-sub",
    "X-USER-SUB",
    "X_User_Sub",
    "x_user_sub",
    "X-User_Sub",
    "X.User.Sub",
    "X~User!Sub",
    "X-User-Name",
    "X-User-Email",
    "X-User-Roles",
    "X_User_Roles",
    "X-User-Orgs",
    "X-User-Org-Roles",
    "X-User-HF-Id",
    "X-User-HF-Username",
    "X-User-Anything-Else",
    "X-User",
    "X-Tenant",
    "x_tenant",
    "X.Tenant",
    "X-Hop",
    "x_hop",
    "X-Forwarded-User",
    "X_Forwarded_Email",
    "X-Forwarded-Groups",
    "X-Auth-Request-User",
    "Remote-User",
    "Remote_Groups",
    "X-Goog-Authenticated-User-Email",
    "Cf-Access-Jwt-Assertion",
    "Logto-ID-Token",
    "X-Logto-Assertion",
    "X-Client-Id",
];

async fn world() -> World {
    proxy()
        .route("/public/*", "public")
        .route("/optional/*", "optional")
        .section("[headers]\n\"X-Tenant\" = \"custom_data.tenant\"\n\"X-Hop\" = { constant = \"ours\" }\n")
        .start()
        .await
}

fn folded(name: &str) -> String {
    let fold = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(fold).collect()
}

/// No forged value, and no field that reads as an owned one but those the proxy set.
fn assert_only_ours(seen: &Seen, context: &str) {
    for (name, value) in &seen.headers {
        assert_ne!(value.as_bytes(), b"forged", "{context}: {name} went through");
        if FORGED
            .iter()
            .any(|forged| folded(forged) == folded(name.as_str()))
        {
            assert_eq!(
                folded(name.as_str()),
                name.as_str(),
                "{context}: a twin went through"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_is_stripped_on_every_route_with_and_without_a_session() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for path in ["/public/x", "/optional/x", "/closed"] {
        for session in [false, true] {
            for method in ["GET", "OPTIONS", "POST", "HEAD"] {
                let mut fields: Vec<(&str, &str)> = Vec::new();
                for name in FORGED {
                    // Twice each, since some look at the first line only and some at the last.
                    fields.extend([(*name, "forged"), (*name, "forged")]);
                }
                if session {
                    fields.insert(7, ("Cookie", &cookies));
                }
                world.upstream.forget();
                let context = format!("{method} {path}, session: {session}");
                let mut wire = world.wire().await;
                wire.send(request(method, path, &fields)).await;
                let reply = wire.reply_to_head().await;
                if path == "/closed" && !session {
                    assert_eq!(reply.status, 401, "{context}");
                    assert!(world.upstream.seen().is_empty(), "{context}");
                    continue;
                }
                assert_eq!(reply.status, 200, "{context}");
                let seen = world.upstream.only();
                assert_only_ours(&seen, &context);
                let told = session && path != "/public/x";
                assert_eq!(
                    seen.header("x-user-sub"),
                    told.then_some("adminuser001"),
                    "{context}"
                );
                assert_eq!(seen.header("x-hop"), told.then_some("ours"), "{context}");
                assert_eq!(seen.header("x-tenant"), None, "{context}: this user has none");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_the_user_lacks_leaves_its_header_absent() {
    let world = world().await;
    let cookies = world.signed_in("plain").await.cookie_field();
    let fields = [
        ("Cookie", cookies.as_str()),
        ("X-User-Roles", "admin"),
        ("X-User-Picture", "https://evil.test/"),
        ("X-User-HF-Id", "1"),
        ("X-Tenant", "victim"),
    ];
    assert_eq!(world.ask(request("GET", "/closed", &fields)).await.status, 200);
    let seen = world.upstream.only();
    assert_eq!(seen.header("x-user-sub"), Some("plainuser001"));
    for absent in ["x-user-roles", "x-user-picture", "x-user-hf-id", "x-tenant"] {
        assert_eq!(seen.header(absent), None, "{absent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_opens_nothing_does_not_let_a_forged_header_in() {
    let world = world().await;
    for cookie in [
        "__Host-logto=garbage",
        "__Host-logto=1AQ; __Host-logto=1AQ",
        "=;;=;__Host-logto",
    ] {
        world.upstream.forget();
        let fields = [
            ("Cookie", cookie),
            ("X-User-Sub", "forged"),
            ("X_User_Sub", "forged"),
        ];
        assert_eq!(
            world.ask(request("GET", "/optional/x", &fields)).await.status,
            200
        );
        let seen = world.upstream.only();
        assert_only_ours(&seen, cookie);
        assert_eq!(seen.header("x-user-sub"), None, "{cookie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_nomination_in_connection_removes_what_the_proxy_says() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    let request_with = |lines: &[&[u8]]| {
        let mut bytes =
            format!("GET /closed HTTP/1.1\r\nHost: app.example.com\r\nCookie: {cookies}\r\nX-Own: mine\r\n")
                .into_bytes();
        for line in lines {
            bytes.extend_from_slice(b"Connection: ");
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    };
    let cases: &[&[&[u8]]] = &[
        &[b"close, X-User-Sub"],
        &[b"x-user-sub, x-user-roles, x-hop"],
        &[b"keep-alive", b"X-User-Sub"],
        &[b"keep-alive, \xe9", b"X-User-Sub"],
        &[b"\xff, X-User-Sub, X-Own"],
        &[b"Host, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, traceparent"],
        &[b"cookie, x_user_sub"],
        &[b",, ,X-User-Sub,,"],
    ];
    for lines in cases {
        let context = format!(
            "{:?}",
            lines
                .iter()
                .map(|line| String::from_utf8_lossy(line))
                .collect::<Vec<_>>()
        );
        world.upstream.forget();
        let reply = world.ask(request_with(lines)).await;
        if context.contains("cookie") {
            assert_eq!(reply.status, 401, "a client may take away its own cookie");
            continue;
        }
        assert_eq!(reply.status, 200, "{context}");
        let seen = world.upstream.only();
        for present in [
            "x-user-sub",
            "x-user-roles",
            "x-hop",
            "host",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-request-id",
            "traceparent",
        ] {
            assert!(seen.header(present).is_some(), "{context}: {present} is gone");
        }
        assert_eq!(seen.header("connection"), None, "{context}");
        let nominated = context.contains("X-Own");
        assert_eq!(seen.header("x-own"), (!nominated).then_some("mine"), "{context}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_a_request_never_arrive() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for path in ["/public/x", "/closed"] {
        for trailer in ["X-User-Sub", "X_User_Sub", "X-Harmless", "Content-Length"] {
            world.upstream.forget();
            let message = format!(
                "POST {path} HTTP/1.1\r\nHost: app.example.com\r\nCookie: {cookies}\r\nTE: trailers\r\n\
                 Trailer: {trailer}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n{trailer}: forged\r\n\r\n"
            );
            assert_eq!(world.ask(message).await.status, 200, "{trailer}");
            let seen = world.upstream.only();
            assert_eq!(seen.body, "body");
            assert_eq!(seen.trailers, None, "{trailer}");
            assert_eq!((seen.header("trailer"), seen.header("te")), (None, None));
            assert_only_ours(&seen, trailer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxys_own_endpoints_believe_no_identity_header() {
    let world = world().await;
    for name in FORGED {
        let reply = world
            .ask(request("GET", "/.logto/user", &[(name, "forged")]))
            .await;
        assert_eq!(reply.status, 200, "{name}");
        assert_eq!(reply.json()["isAuthenticated"], false, "{name}");
        assert!(!reply.text().contains("forged"), "{name}");
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_handshake_is_stripped_too() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heads);
    let upstream = RawUpstream::start(move |mut wire, _| {
        let noted = Arc::clone(&noted);
        async move {
            let (_, fields) = wire.head().await;
            noted.lock().unwrap().push(fields);
            wire.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
    })
    .await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/public/*", "public")
        .section("[headers]\n\"X-Tenant\" = \"custom_data.tenant\"\n\"X-Hop\" = { constant = \"ours\" }\n")
        .start()
        .await;
    let mut browser = world.browser();
    let page = browser.to_sign_in_page("/.logto/sign-in").await;
    let callback = browser.choose(&page, "admin").await;
    browser.open(callback.location()).await;
    let cookies = browser.cookie_field();
    for path in ["/public/socket", "/socket"] {
        let mut fields = HANDSHAKE.to_vec();
        fields.extend(FORGED.iter().map(|name| (*name, "forged")));
        fields.push(("Cookie", &cookies));
        assert_eq!(
            world.ask(request("GET", path, &fields)).await.status,
            403,
            "{path}"
        );
        let seen = heads.lock().unwrap().pop().unwrap();
        assert!(seen.iter().all(|(_, value)| value != "forged"), "{seen:?}");
        let told = seen
            .iter()
            .any(|(name, value)| name == "x-user-sub" && value == "adminuser001");
        assert_eq!(told, path == "/socket");
        assert!(
            seen.iter().all(|(name, _)| name != "cookie"),
            "own cookies stay here: {seen:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_cookies_are_cut_and_foreign_ones_arrive_byte_for_byte() {
    let world = world().await;
    let ours = world.signed_in("admin").await.cookie_field();
    for (path, sent, expected) in [
        (
            "/closed",
            format!("a=1; {ours}; b=\"x y\""),
            Some("a=1; b=\"x y\""),
        ),
        ("/public/x", format!("{ours}; a=1"), Some("a=1")),
        ("/public/x", ours.clone(), None),
        (
            "/public/x",
            "__Host-logto=old; __Host-logto.1=x; __Host-logto.9=y; a=1".to_owned(),
            Some("a=1"),
        ),
        (
            "/public/x",
            "__Host-logto2=x; x__Host-logto=y".to_owned(),
            Some("__Host-logto2=x; x__Host-logto=y"),
        ),
        (
            "/public/x",
            "a=1;b=2;  c ;;=;d=e=f".to_owned(),
            Some("a=1;b=2;  c ;;=;d=e=f"),
        ),
    ] {
        world.upstream.forget();
        assert_eq!(
            world.ask(request("GET", path, &[("Cookie", &sent)])).await.status,
            200,
            "{sent}"
        );
        assert_eq!(world.upstream.only().header("cookie"), expected, "{sent}");
    }
}

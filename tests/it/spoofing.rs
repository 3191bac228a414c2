//! Nothing a client sends can pass for what the proxy says about a user.

use crate::support::{World, proxy, raw};

/// Every way to spell a header that some upstream would read as `X-User-Sub`, and the rest of the families.
const SPOOFS: &[&str] = &[
    "X-User-Sub",
    "x-user-sub",
    "X_User_Sub",
    "X-User_Sub",
    "X.User.Sub",
    "X~User~Sub",
    "x_user_roles",
    "X-User-Anything-New",
    "X-User-HF-Id",
    "X-Forwarded-User",
    "X-Auth-Request-Email",
    "Remote-User",
    "Logto-ID-Token",
    "X-Logto-Assertion",
    "Cf-Access-Authenticated-User-Email",
    "X-Goog-Authenticated-User-Id",
];

async fn world() -> World {
    proxy()
        .route("/public/*", "public")
        .route("/optional/*", "optional")
        .start()
        .await
}

fn request(path: &str, method: &str, cookies: &str, fields: &str) -> String {
    let cookie = if cookies.is_empty() {
        String::new()
    } else {
        format!("Cookie: {cookies}\r\n")
    };
    format!("{method} {path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n{cookie}{fields}\r\n")
}

fn assert_nothing_spoofed(world: &World, about: &str) {
    for seen in world.upstream.seen() {
        for (name, value) in &seen.headers {
            assert!(
                !value.as_bytes().starts_with(b"spoofed"),
                "{about}: {name} arrived"
            );
        }
        if let Some(trailers) = seen.trailers {
            assert!(trailers.is_empty(), "{about}: trailers arrived: {trailers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_is_stripped_on_every_route_with_and_without_a_session() {
    let world = world().await;
    let browser = world.signed_in("admin").await;
    let fields: String = SPOOFS
        .iter()
        .map(|name| format!("{name}: spoofed\r\n{name}: spoofed2\r\n"))
        .collect();
    for (path, method) in [
        ("/public/x", "GET"),
        ("/public/x", "OPTIONS"),
        ("/public/x", "DELETE"),
        ("/optional/x", "GET"),
        ("/closed", "GET"),
        ("/closed", "OPTIONS"),
        ("/closed", "PROPFIND"),
    ] {
        for cookies in [String::new(), browser.cookie_field()] {
            world.upstream.forget();
            let signed_in = !cookies.is_empty();
            let answer = world.raw(request(path, method, &cookies, &fields)).await;
            let forwarded = signed_in || path != "/closed";
            assert_eq!(
                raw::status(&answer),
                if forwarded { 200 } else { 401 },
                "{method} {path}"
            );
            assert_eq!(
                world.upstream.seen().len(),
                usize::from(forwarded),
                "{method} {path}"
            );
            assert_nothing_spoofed(&world, &format!("{method} {path}"));
            if forwarded {
                let subject = world.upstream.only().header("x-user-sub").map(str::to_owned);
                let expected = signed_in && !path.starts_with("/public");
                assert_eq!(
                    subject.as_deref(),
                    expected.then_some("adminuser001"),
                    "{method} {path}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_absent_leaves_its_header_absent() {
    let world = world().await;
    // The plain persona has no picture, no roles, no organisations.
    let browser = world.signed_in("plain").await;
    let fields = "X-User-Picture: spoofed\r\nX-User-Roles: spoofed\r\nX-User-Orgs: spoofed\r\nX-User-HF-Id: spoofed\r\n";
    world
        .raw(request("/x", "GET", &browser.cookie_field(), fields))
        .await;
    let seen = world.upstream.only();
    assert_eq!(seen.header("x-user-sub"), Some("plainuser001"));
    for name in ["x-user-picture", "x-user-roles", "x-user-orgs", "x-user-hf-id"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_cannot_nominate_identity_away() {
    let world = world().await;
    let browser = world.signed_in("admin").await;
    for nominations in [
        "Connection: close, X-User-Sub\r\n",
        "Connection: x-user-sub\r\nConnection: X-User-Roles, host, content-length\r\n",
        "Connection: \u{e9}\r\nConnection: X-User-Sub\r\n",
    ] {
        world.upstream.forget();
        let request = format!(
            "GET /x HTTP/1.1\r\nHost: app.example.com\r\nCookie: {}\r\n{nominations}X-User-Sub: spoofed\r\n\r\n",
            browser.cookie_field()
        );
        let answer = world.raw(request).await;
        assert_eq!(raw::status(&answer), 200, "{nominations:?}");
        let seen = world.upstream.only();
        assert_eq!(seen.header("x-user-sub"), Some("adminuser001"), "{nominations:?}");
        assert_eq!(seen.header("host"), Some("app.example.com"), "{nominations:?}");
        assert_nothing_spoofed(&world, nominations);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nominated_fields_are_removed_and_hop_by_hop_fields_never_pass() {
    let world = world().await;
    let fields = "Connection: X-Private, keep-alive\r\nX-Private: gone\r\nX-Kept: kept\r\nKeep-Alive: timeout=9\r\n\
                  TE: trailers\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: close\r\n";
    let request = format!("GET /public/x HTTP/1.1\r\nHost: app.example.com\r\n{fields}\r\n");
    assert_eq!(raw::status(&world.raw(request).await), 200);
    let seen = world.upstream.only();
    assert_eq!(seen.header("x-kept"), Some("kept"));
    for name in [
        "x-private",
        "keep-alive",
        "te",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_never_reach_the_upstream() {
    let world = world().await;
    let browser = world.signed_in("admin").await;
    let request = format!(
        "POST /x HTTP/1.1\r\nHost: app.example.com\r\nCookie: {}\r\nTransfer-Encoding: chunked\r\nTrailer: X-User-Sub\r\n\
         Connection: close\r\n\r\n5\r\nhello\r\n0\r\nX-User-Sub: spoofed\r\n\r\n",
        browser.cookie_field()
    );
    assert_eq!(raw::status(&world.raw(request).await), 200);
    let seen = world.upstream.only();
    assert_eq!(seen.body, "hello");
    assert_eq!(seen.header("x-user-sub"), Some("adminuser001"));
    assert_eq!(seen.header("trailer"), None);
    assert_nothing_spoofed(&world, "trailers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_was_taken_out_of_the_configuration_is_still_stripped() {
    let world = proxy()
        .section("[headers]\n\"X-User-Email\" = false\n\"X-Team\" = \"roles\"\n")
        .start()
        .await;
    let browser = world.signed_in("admin").await;
    let fields = "X-User-Email: spoofed\r\nX_Team: spoofed\r\nx-team: spoofed\r\n";
    world
        .raw(request("/x", "GET", &browser.cookie_field(), fields))
        .await;
    let seen = world.upstream.only();
    assert_eq!(seen.header("x-user-email"), None);
    assert_eq!(seen.header("x-team"), Some("admin,editor"));
    assert_nothing_spoofed(&world, "configured headers");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_could_reroute_the_app_are_dropped_from_strangers() {
    let world = world().await;
    let fields: String = [
        "X-Original-URL",
        "X_Original_URL",
        "X-Rewrite-URL",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X_Forwarded_Proto",
        "X-Real-IP",
        "Forwarded",
    ]
    .iter()
    .map(|name| format!("{name}: spoofed\r\n"))
    .collect();
    world.raw(request("/public/x", "GET", "", &fields)).await;
    assert_eq!(world.upstream.seen().len(), 1);
    assert_nothing_spoofed(&world, "re-routing fields");
}

//! Routes that take ambiguous paths: what goes on to the app, for whom, and what is refused all the same.

use crate::bearer::{call, described, jwt, register};
use crate::support::{World, proxy, request};

const ROUTES: &str = r#"
[[route]]
path = "/open/*"
access = "public"

[[route]]
path = "/files/*"
ambiguous_path = "pass"

[[route]]
path = "/files/shared/*"
access = "public"

[[route]]
path = "/admin/*"
access = { any_role = ["admin"] }
cors = "pass"
ambiguous_path = "pass"

[[route]]
path = "/notes/*"
methods = ["GET"]
ambiguous_path = "pass"
"#;

async fn world() -> World {
    proxy()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .section(ROUTES)
        .start()
        .await
}

async fn status(world: &World, method: &str, target: &str, fields: &[(&str, &str)]) -> u16 {
    world.ask(request(method, target, fields)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_under_the_route_in_every_reading_goes_on_byte_for_byte() {
    let world = world().await;
    let admin = world.signed_in("admin").await.cookie_field();
    let plain = world.signed_in("plain").await.cookie_field();
    for (target, for_plain) in [
        ("/admin/a%2Fb", 403),
        ("/admin/a%5Cb?x=..%2f", 403),
        ("/admin//x", 403),
        ("/admin/x//", 403),
        ("/admin/x;v=1/y", 403),
        ("/admin/100%2525", 400),
        ("/admin/a%252fb%3f%23", 403),
        ("/files/x/a%2Fb", 200),
        ("/notes/a%2Fb", 200),
    ] {
        world.upstream.forget();
        assert_eq!(
            status(&world, "GET", target, &[("Cookie", &plain)]).await,
            for_plain,
            "{target}"
        );
        assert_eq!(
            world.upstream.seen().len(),
            usize::from(for_plain == 200),
            "{target}"
        );
        assert_eq!(
            status(&world, "GET", target, &[]).await,
            if for_plain == 400 { 400 } else { 401 },
            "{target}"
        );
        if for_plain == 400 {
            continue;
        }
        world.upstream.forget();
        assert_eq!(
            status(&world, "GET", target, &[("Cookie", &admin)]).await,
            200,
            "{target}"
        );
        let seen = world.upstream.only();
        assert_eq!(seen.target, target);
        assert_eq!(seen.header("x-user-sub"), Some("adminuser001"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_might_be_another_routes_or_nobodys_is_refused_for_everyone() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for target in [
        "/open/a%2fb",
        "/open/..;/files/x",
        "/elsewhere/a%2fb",
        // A route of another kind might be meant.
        "/files/a%2fb",
        "/files//shared/x",
        "/files/;x/shared",
        "/files/shared/a%2fb",
        "/files%2fx/y",
        "//files/x",
        "/%61dmin/a%2fb",
        "/admin/../open/x",
        "/admin/%2e%2e/open",
        "/admin/..%2fopen",
        "/admin/..;/open",
        "/admin/%252e%252e/open",
        "/admin/x%5c..%5c..%5copen",
        "/admin/%ff",
        "/admin/%c0%ae%c0%ae/open",
        // What no path may have.
        "/admin/%00",
        "/admin/a%2fb%00",
        "/admin/a%2fb%2500",
        "/admin/a%0d%0ab",
        "/admin/a%250ab",
        "/admin/%zz",
        "/admin/a\\b",
        "/admin/{a}//",
        "/admin/a|b//",
        // An endpoint of the proxy might be meant.
        "/.logto//callback?code=a&state=b",
        "//.logto/sign-out",
        "/admin/.logto%2fcallback?code=a",
        "/admin//.logto/auth/open/x",
        "/.logto/auth/open/a%2fb",
    ] {
        for fields in [&[][..], &[("Cookie", cookies.as_str())][..]] {
            let reply = world.refused(request("GET", target, fields), 400).await;
            assert_eq!(reply.json()["error"], "ambiguous_path", "{target}");
        }
    }
    assert_eq!(
        status(&world, "POST", "/notes/a%2fb", &[("Cookie", &cookies)]).await,
        400
    );
    world
        .refused(
            &b"GET /admin/a%2fb\xff HTTP/1.1\r\nHost: app.example.com\r\n\r\n"[..],
            400,
        )
        .await;
    assert!(world.upstream.seen().is_empty(), "{:?}", world.upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_to_an_ambiguous_path_passes_for_nobody() {
    let world = world().await;
    let preflight = [
        ("Origin", "https://www.example.com"),
        ("Access-Control-Request-Method", "PUT"),
    ];
    assert_eq!(status(&world, "OPTIONS", "/admin/a", &preflight).await, 200);
    world.upstream.forget();
    assert_eq!(status(&world, "OPTIONS", "/admin/a%2fb", &preflight).await, 401);
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_method_has_a_say_no_field_names_another() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    let fields = [("Cookie", cookies.as_str()), ("X-HTTP-Method-Override", "DELETE")];
    assert_eq!(status(&world, "GET", "/notes/a%2fb", &fields).await, 200);
    assert_eq!(world.upstream.only().header("x-http-method-override"), None);
    world.upstream.forget();
    assert_eq!(status(&world, "GET", "/admin/a%2fb", &fields).await, 200);
    assert_eq!(
        world.upstream.only().header("x-http-method-override"),
        Some("DELETE")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_comes_back_to_the_raw_path() {
    let world = world().await;
    for (target, came_back_to) in [
        ("/admin/a%2Fb;v=2//c?d=%2F..", "/admin/a%2Fb;v=2//c?d=%2F.."),
        ("/admin//x", "/admin//x"),
        ("/admin/%253Bx", "/admin/%253Bx"),
    ] {
        world.upstream.forget();
        let landed = world.browser().sign_in("admin", target).await;
        assert_eq!(landed.status, 200, "{target}: {landed:?}");
        assert_eq!(world.upstream.only().target, came_back_to);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_proxies_that_ask_are_told_no() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for (path, status_for_peer, fields) in [
        (
            "/.logto/auth",
            400,
            [
                ("X-Forwarded-Method", "GET"),
                ("X-Forwarded-Uri", "/admin/a%2fb"),
                ("X-Forwarded-Host", "app.example.com"),
            ],
        ),
        (
            "/.logto/auth",
            403,
            [
                ("X-Original-Method", "GET"),
                ("X-Original-URL", "https://app.example.com/admin/a%2fb"),
                ("Accept", "*/*"),
            ],
        ),
        (
            "/.logto/auth/admin/a%2fb",
            400,
            [("Accept", "*/*"), ("X-A", "a"), ("X-B", "b")],
        ),
    ] {
        let fields = [&fields[..], &[("Cookie", cookies.as_str())]].concat();
        assert_eq!(
            status(&world, "GET", path, &fields).await,
            status_for_peer,
            "{fields:?}"
        );
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_judged_by_the_route_that_takes_the_path() {
    let section = "[[route]]\npath = \"/raw/*\"\nbearer = true\naccess = { scope = [\"write\"] }\nambiguous_path = \"pass\"";
    let world = described().section(section).start().await;
    register(&world);
    let (writer, reader) = (
        jwt(&world, Some("admin"), &["write"]),
        jwt(&world, Some("admin"), &["read"]),
    );
    assert_eq!(call(&world, "/raw/a%2fb", &reader).await.status, 403);
    assert_eq!(call(&world, "/raw/a%2fb", "no token").await.status, 401);
    assert_eq!(call(&world, "/api/a%2fb", &writer).await.status, 400);
    assert!(world.upstream.seen().is_empty());
    assert_eq!(call(&world, "/raw/a%2fb", &writer).await.status, 200);
    assert_eq!(world.upstream.only().target, "/raw/a%2fb");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_closed_route_for_all_dot_segments_pass_too() {
    let section = "[[route]]\npath = \"/*\"\nambiguous_path = \"pass\"\n\
                   [[route]]\nhost = \"open.example.com\"\npath = \"/*\"\naccess = \"public\"";
    let world = proxy().section(section).start().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    for target in [
        "/a/../b",
        "/a/%2e%2e/b",
        "//evil.test/x",
        "/a%2fb",
        "/%ff",
        "/a/..;/b",
    ] {
        world.upstream.forget();
        assert_eq!(status(&world, "GET", target, &[]).await, 401, "{target}");
        assert_eq!(
            status(&world, "GET", target, &[("Cookie", &cookies)]).await,
            200,
            "{target}"
        );
        assert_eq!(world.upstream.only().target, target);
    }
}

//! Several apps behind one proxy: which one a request goes to, by what name, and for how long it is waited for.

use crate::support::{RawUpstream, Upstream, World, get, proxy, request};
use std::time::Duration;

/// A `[[route]]` that is open to all.
fn route(path: &str, lines: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\naccess = \"public\"\n{lines}\n")
}

async fn asked(world: &World, target: &str) -> u16 {
    world.ask(get(target)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_has_its_upstream_and_the_rest_the_first_one() {
    let other = Upstream::start().await;
    let world = proxy()
        .section(&route("/*", ""))
        .section(&route(
            "/reports/*",
            &format!("upstream = \"http://{}\"", other.address),
        ))
        .section(&route("/reports/mine/*", "methods = [\"POST\"]"))
        .start()
        .await;
    for (method, target, goes_to_other) in [
        ("GET", "/", false),
        ("GET", "/reports", true),
        ("GET", "/reports/7?a=%2F&b", true),
        ("GET", "/reportsx", false),
        ("GET", "/reports/mine/1", true),
        ("POST", "/reports/mine/1", false),
    ] {
        world.upstream.forget();
        other.forget();
        let message = request(method, target, &[("Content-Length", "0")]);
        assert_eq!(world.ask(message).await.status, 200, "{method} {target}");
        let (there, elsewhere) = if goes_to_other {
            (&other, &world.upstream)
        } else {
            (&world.upstream, &other)
        };
        assert_eq!(there.only().target, target, "{method} {target}");
        assert!(elsewhere.seen().is_empty(), "{method} {target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_upstream_is_told_the_host_that_its_route_says() {
    let other = Upstream::start().await;
    let url = format!("upstream = \"http://{}\"", other.address);
    let world = proxy()
        .top("upstream_host = \"rewrite\"")
        .section(&route("/*", ""))
        .section(&route("/a/*", &url))
        .section(&route("/b/*", &format!("{url}\nupstream_host = \"keep\"")))
        .section(&route("/c/*", "upstream_host = \"c.internal:8443\""))
        .start()
        .await;
    for (target, upstream, host) in [
        ("/", &world.upstream, world.upstream.address.to_string()),
        ("/a/x", &other, other.address.to_string()),
        ("/b/x", &other, "app.example.com".to_owned()),
        ("/c/x", &world.upstream, "c.internal:8443".to_owned()),
    ] {
        assert_eq!(asked(&world, target).await, 200);
        assert_eq!(upstream.last().header("host"), Some(host.as_str()), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_waits_for_as_long_as_it_says() {
    let silent = RawUpstream::start(|wire, _| async move {
        let _open = wire;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    let world = proxy()
        .upstream_url(silent.url())
        .section(&route("/*", ""))
        .section(&route("/hasty/*", "timeout = \"200ms\""))
        .section("[limits]\nupstream_response_timeout = \"3s\"")
        .start()
        .await;
    let begun = tokio::time::Instant::now();
    assert_eq!(asked(&world, "/hasty/x").await, 504);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(asked(&world, "/x").await, 504);
    assert!(begun.elapsed() > Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_one_upstream_is_its_own() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let world = proxy()
        .section(&route("/*", ""))
        .section(&route("/gone/*", &format!("upstream = \"{url}\"")))
        .start()
        .await;
    assert_eq!(asked(&world, "/gone/x").await, 502);
    assert_eq!(asked(&world, "/x").await, 200);
    let (_, numbers) = world.health("/metrics").await;
    let line = format!("upstream_failures_total{{upstream=\"{url}\",reason=\"refused\"}} 1");
    assert!(numbers.contains(&line), "{numbers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_moves_a_route_and_leaves_the_connections_of_the_others() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let moved =
        |upstream: &Upstream| route("/moved/*", &format!("upstream = \"http://{}\"", upstream.address));
    let world = proxy()
        .section(&route("/*", ""))
        .section(&moved(&first))
        .start()
        .await;
    for target in ["/x", "/moved/x"] {
        assert_eq!(asked(&world, target).await, 200);
    }
    let text = world
        .text
        .replace(&first.address.to_string(), &second.address.to_string());
    world.reload(&text).await;
    first.forget();
    for target in ["/x", "/moved/x"] {
        assert_eq!(asked(&world, target).await, 200);
    }
    assert!(first.seen().is_empty());
    assert_eq!(second.only().target, "/moved/x");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_is_asked_under_the_path_that_the_route_makes_of_it() {
    let world = proxy()
        .section(&route("/api/admin/*", "strip_prefix = \"/api\""))
        .section(&route("/old/*", "rewrite = \"/new/place\""))
        .section(&route(
            "/users/*/edit",
            "strip_prefix = \"/users\"\nrewrite = \"/u\"",
        ))
        .section(&route("/about", "rewrite = \"/pages/about.html\""))
        .start()
        .await;
    for (asked_for, arrives, prefix) in [
        ("/api/admin", "/admin", Some("/api")),
        (
            "/api/admin/a%20b?c=%2F..//d",
            "/admin/a%20b?c=%2F..//d",
            Some("/api"),
        ),
        ("/%61pi/admin/x", "/admin/x", Some("/api")),
        ("/old", "/new/place", None),
        ("/old/", "/new/place/", None),
        ("/old/x/y?z", "/new/place/x/y?z", None),
        ("/users/7/edit", "/u/7/edit", None),
        ("/about?x", "/pages/about.html?x", None),
    ] {
        world.upstream.forget();
        let message = request("GET", asked_for, &[("X-Forwarded-Prefix", "/evil")]);
        assert_eq!(world.ask(message).await.status, 200, "{asked_for}");
        let seen = world.upstream.only();
        assert_eq!(seen.target, arrives, "{asked_for}");
        assert_eq!(seen.header("x-forwarded-prefix"), prefix, "{asked_for}");
    }
    world.upstream.forget();
    for target in [
        "/old/../x",
        "/old/%2e%2e/x",
        "/old//x",
        "/old/..;/x",
        "/old/a%2f..%2fx",
        "/old\\..\\x",
    ] {
        assert_eq!(asked(&world, target).await, 400, "{target}");
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_sets_no_client_can_send() {
    let fields = "set_headers = { \"X-Tenant\" = \"a\", \"Authorization\" = \"Basic c2VjcmV0\" }";
    let world = proxy()
        .section(&route("/*", ""))
        .section(&route("/a/*", fields))
        .start()
        .await;
    let sent = [
        ("X-Tenant", "b"),
        ("x_tenant", "b"),
        ("X.Tenant", "b"),
        ("Authorization", "Basic own"),
    ];
    for more in [("X-Other", "x"), ("Connection", "x-tenant")] {
        world.upstream.forget();
        let message = request("GET", "/a/x", &[&sent[..], &[more]].concat());
        assert_eq!(world.ask(message).await.status, 200);
        assert_eq!(world.upstream.only().header("x-tenant"), Some("a"), "{more:?}");
    }
    let seen = world.upstream.only();
    assert_eq!(seen.header("authorization"), Some("Basic c2VjcmV0"));
    world.upstream.forget();
    assert_eq!(world.ask(request("GET", "/x", &sent)).await.status, 200);
    let elsewhere = world.upstream.only();
    assert_eq!(elsewhere.header("x-tenant"), None);
    assert_eq!(elsewhere.header("authorization"), Some("Basic own"));
    for seen in [seen, elsewhere] {
        assert!(!seen.headers.contains_key("x_tenant") && !seen.headers.contains_key("x.tenant"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_sets_has_no_look_alike_even_where_clients_may_send_the_name() {
    let fields = "set_headers = { \"Authorization\" = \"Basic c2VjcmV0\", \"User-Agent\" = \"proxy\" }";
    let world = proxy()
        .section(&route("/*", ""))
        .section(&route("/a/*", fields))
        .start()
        .await;
    let names = ["user-agent", "user_agent", "user.agent", "authorization"];
    let sent = names.map(|name| (name, "own"));
    for (target, expected) in [
        ("/x", [Some("own"); 4]),
        ("/a/x", [Some("proxy"), None, None, Some("Basic c2VjcmV0")]),
    ] {
        world.upstream.forget();
        assert_eq!(world.ask(request("GET", target, &sent)).await.status, 200);
        let seen = world.upstream.only();
        assert_eq!(names.map(|name| seen.header(name)), expected, "{target}");
    }
}

//! The host a request names: exactly one, and what the upstream is told of it.

use crate::support::{proxy, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_exactly_one_valid_host() {
    let world = proxy().route("/*", "public").start().await;
    for lines in [
        "",
        "Host:\r\n",
        "Host: \r\n",
        "Host: app.example.com\r\nHost: app.example.com\r\n",
        "Host: app.example.com\r\nHost: evil.test\r\n",
        "Host: app.example.com\r\nhost: evil.test\r\n",
        "Host: app.example.com, evil.test\r\n",
        "Host: app.example.com evil.test\r\n",
        "Host: user@app.example.com\r\n",
        "Host: app.example.com/admin?x\r\n",
        "Host: app.example.com#x\r\n",
        "Host: app.example.com\\evil.test\r\n",
        "Host: http://app.example.com\r\n",
        "Host: app.example.com:\r\n",
        "Host: app.example.com:0\r\n",
        "Host: app.example.com:99999\r\n",
        "Host: app.example.com:80:80\r\n",
        "Host: app.example.com:x\r\n",
        "Host: [::1\r\n",
        "Host: [::1%25eth0]\r\n",
        "Host: ::1\r\n",
        "Host: 0x7f.1\r\n",
        "Host: 127.1\r\n",
        "Host: app..example.com\r\n",
        "Host: %61pp.example.com\r\n",
        "Host: app.example.com\u{e9}\r\n",
        "Host: \"app.example.com\"\r\n",
    ] {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            world
                .refused(
                    format!("GET /x {version}\r\n{lines}Connection: keep-alive\r\n\r\n"),
                    400,
                )
                .await;
        }
    }
    assert!(world.upstream.seen().is_empty(), "{:?}", world.upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_kept_by_default() {
    let world = proxy().route("/*", "public").start().await;
    for (host, told) in [
        ("app.example.com", "app.example.com"),
        ("APP.Example.com:8443", "app.example.com:8443"),
        ("192.0.2.1:80", "192.0.2.1:80"),
        ("[2001:db8::1]:3000", "[2001:db8::1]:3000"),
    ] {
        world.upstream.forget();
        let reply = world
            .ask(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!(reply.status, 200, "{host}");
        let seen = world.upstream.only();
        assert!(seen.header("host").unwrap().eq_ignore_ascii_case(host), "{host}");
        assert_eq!(seen.header("x-forwarded-host"), Some(told));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_can_be_rewritten() {
    for (setting, expected) in [
        ("rewrite", None),
        ("app.internal:8080", Some("app.internal:8080")),
    ] {
        let world = proxy()
            .route("/*", "public")
            .top(&format!("upstream_host = \"{setting}\""))
            .start()
            .await;
        assert_eq!(world.ask(request("GET", "/x", &[])).await.status, 200);
        let seen = world.upstream.only();
        let own = world.upstream.address.to_string();
        assert_eq!(seen.header("host"), Some(expected.unwrap_or(&own)));
        assert_eq!(seen.header("x-forwarded-host"), Some("app.example.com"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_host_that_a_client_names_gets_into_a_link_of_ours() {
    let world = proxy().start().await;
    let fields = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
                  X-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.test\r\n";
    for path in [
        "/closed",
        "/.logto/sign-in",
        "/.logto/sign-out",
        "/.logto/callback?code=1",
    ] {
        let reply = world
            .ask(format!("GET {path} HTTP/1.1\r\nHost: evil.test\r\n{fields}\r\n"))
            .await;
        let said: String = reply.fields.iter().map(|(_, value)| value.as_str()).collect();
        assert!(
            !said.contains("evil") && !reply.text().contains("evil"),
            "{path}: {reply:?}"
        );
    }
    let reply = world.ask("GET /api HTTP/1.1\r\nHost: evil.test\r\n\r\n").await;
    assert_eq!(reply.status, 401);
    assert!(!reply.text().contains("evil"), "{reply:?}");
}

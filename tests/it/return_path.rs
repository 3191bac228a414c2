//! Where a browser goes after a sign-in: never off this site, and otherwise byte for byte where it wanted.

use crate::support::{Browser, World, proxy, raw};
use url::form_urlencoded::byte_serialize;

const HOSTILE: &[&str] = &[
    "//evil.test",
    "///evil.test",
    "////evil.test/x",
    "/\\evil.test",
    "\\/evil.test",
    "\\\\evil.test",
    "/\\/evil.test",
    "//\\evil.test",
    "https://evil.test",
    "HTTPS://evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https:\\\\evil.test",
    "http://app.example.com/",
    "https://app.example.com/x",
    "https://app.example.com@evil.test/",
    "https://app.example.com.evil.test/",
    "//app.example.com@evil.test",
    "//evil.test\\@app.example.com",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "/\tevil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r\n/evil.test",
    "\t//evil.test",
    " //evil.test",
    "/ /evil.test",
    "/\u{0}/evil.test",
    "/\u{a0}/evil.test",
    "/\u{2028}/evil.test",
    "\u{ff0f}\u{ff0f}evil.test",
    "/\u{3002}evil.test",
    "/.//evil.test",
    "/./\\evil.test",
    "/x/..//evil.test",
    "/..//evil.test",
    "/%2e%2e//evil.test",
    "/%2e//evil.test",
    ".evil.test",
    "@evil.test",
    ":evil.test",
    "?//evil.test",
    "#//evil.test",
    "evil.test",
    "x",
    "",
    "*",
    "/a\r\nSet-Cookie: x=y",
    "/.logto/sign-out",
    "/.logto/sign-out?redirect=/a",
    "/.logto/callback?code=x",
    "/.logto/sign-in",
    "/.logto/sign-up#x",
    "/.logto/user",
    "/x/../.logto/sign-out",
    "/%2elogto/sign-out",
    "/.logto/%73ign-out",
    "/./.logto/sign-out",
];

const HONEST: &[&str] = &[
    "/",
    "/reports",
    "/reports/",
    "/a?next=https://evil.test//x",
    "/a?b=1&c=%2F%2Fevil.test&d=a+b",
    "/a?x=//evil.test",
    "/caf%C3%A9?q=%20",
    "/a%2Fb",
    "/a#top?x=1//y",
    "/@me:x;v=1,2!$'()*",
    "/.logto",
    "/.logto/other",
    "/sign-out",
    "/.well-known/x",
];

/// Signs in by way of the endpoint, with a session at Logto, and gives the last `Location`.
async fn landing(world: &World, browser: &mut Browser, path: &str) -> String {
    browser.cookies.retain(|(_, name), _| name != "__Host-logto");
    // Rounds without a session are what the loop stop counts.
    world.hand.advance(31);
    let answer = browser.navigate(path).await;
    assert_eq!(answer.status, 302, "{path}");
    let callback = browser.open(answer.location()).await.location();
    let done = browser.open(callback).await;
    assert_eq!(done.status, 303, "{path}");
    done.header("location").unwrap().to_owned()
}

fn endpoint(redirect: &str) -> String {
    let redirect: String = byte_serialize(redirect.as_bytes()).collect();
    format!("/.logto/sign-in?redirect={redirect}")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_parameter_leads_away_or_to_our_own_endpoints() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    for payload in HOSTILE {
        let landing = landing(&world, &mut browser, &endpoint(payload)).await;
        assert_eq!(landing, "https://app.example.com/", "{payload:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_return_path_is_kept_byte_for_byte() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    for path in HONEST {
        let landing = landing(&world, &mut browser, &endpoint(path)).await;
        assert_eq!(landing, format!("https://app.example.com{path}"), "{path:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_link_is_its_own_return_path() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    for path in [
        "/a/b?x=1&x=2&y=%2F%2Fz",
        "/a%20b?c=%25&d",
        "/?",
        "/a?redirect=//evil.test",
    ] {
        let landing = landing(&world, &mut browser, path).await;
        assert_eq!(landing, format!("https://app.example.com{path}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_path_that_is_too_long_loses_its_query_or_becomes_the_root() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let query = format!("/reports?{}", "q".repeat(2_100));
    assert_eq!(
        landing(&world, &mut browser, &query).await,
        "https://app.example.com/reports"
    );
    let path = format!("/{}", "p".repeat(2_100));
    assert_eq!(
        landing(&world, &mut browser, &path).await,
        "https://app.example.com/"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_request_target_leads_nowhere() {
    let world = proxy().start().await;
    for target in [
        "//evil.test/x",
        "///evil.test",
        "/\\evil.test",
        "/.//evil.test",
        "/x/..//evil.test",
        "/%2f/evil.test",
        "/%5cevil.test",
        "//app.example.com@evil.test/",
        "http://evil.test/x",
        "https://evil.test//x",
    ] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: app.example.com\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n\r\n"
        );
        let answer = world.raw(request).await;
        assert_eq!(raw::status(&answer), 400, "{target}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("\r\nlocation:"), "{target}");
        assert!(!answer.contains("evil"), "{target} is echoed");
    }
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn host_and_forwarding_fields_have_no_say_in_where_browsers_are_sent() {
    let world = proxy().start().await;
    let request = "GET /reports HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: evil.test\r\n\
                   X-Forwarded-Proto: http\r\nForwarded: host=evil.test\r\nX-Original-URL: //evil.test\r\n\
                   Referer: https://evil.test/\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let answer = world.raw(request).await;
    assert_eq!(raw::status(&answer), 302, "{answer}");
    assert!(!answer.contains("evil.test"), "{answer}");
    assert!(answer.contains("redirect_uri=https%3A%2F%2Fapp.example.com%2F.logto%2Fcallback"));
}

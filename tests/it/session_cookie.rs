//! The session cookie: exactly what was sealed, or no session; ours never goes up, theirs arrives unchanged.

use crate::support::{Browser, Upstream, World, proxy};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;

const NAME: &str = "__Host-logto";

/// Asks as a program would, with `Cookie` lines as given.
async fn ask(world: &World, lines: &[Vec<u8>]) -> u16 {
    let mut request = b"GET /reports HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n".to_vec();
    for line in lines {
        request.extend_from_slice(b"Cookie: ");
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    crate::support::raw::status(&world.raw(request).await)
}

async fn ask_with(world: &World, cookies: &str) -> u16 {
    ask(world, &[cookies.as_bytes().to_vec()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_has_the_attributes_that_keep_it_here() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("admin", "/").await;
    let done = browser.open(callback).await;
    let lines = done.set_cookies();
    let line = lines
        .iter()
        .find(|line| line.starts_with("__Host-logto="))
        .unwrap();
    let (pair, attributes) = line.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "Max-Age=28800; Path=/; HttpOnly; Secure; SameSite=Lax"
    );
    assert!(pair.len() < 1_600, "{} bytes", pair.len());
    assert_eq!(done.header("cache-control"), Some("no-store"));
    for secret in ["adminuser001", "admin@example.com", "Admin"] {
        assert!(!pair.contains(secret));
    }

    let plain = proxy().origin("http://localhost:3000").start().await;
    let mut browser = plain.browser();
    let callback = browser.to_callback("plain", "/").await;
    let lines = browser.open(callback).await.set_cookies();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("logto=") && !line.contains("Secure"))
    );

    let shared = proxy().session("cookie_domain = \"example.com\"").start().await;
    let mut browser = shared.browser();
    let callback = browser.to_callback("plain", "/").await;
    let lines = browser.open(callback).await.set_cookies();
    let line = lines
        .iter()
        .find(|line| line.starts_with("__Secure-logto="))
        .unwrap();
    assert!(line.contains("; Domain=example.com;"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_with_any_bit_changed_opens_nothing() {
    let world = proxy().start().await;
    let cookie = world.signed_in("plain").await.cookie(NAME).unwrap().clone();
    assert_eq!(ask_with(&world, &format!("{NAME}={cookie}")).await, 200);
    for at in 0..cookie.len() {
        let mut changed = cookie.clone().into_bytes();
        // One step along the alphabet, so that it stays base64url.
        changed[at] = match changed[at] {
            b'z' | b'Z' | b'9' => b'-',
            b'-' | b'_' => b'A',
            other => other + 1,
        };
        let changed = String::from_utf8(changed).unwrap();
        let mut browser = world.browser();
        browser.set_cookie(NAME, &changed);
        assert_eq!(browser.fetch("/reports").await.status, 401, "byte {at}");
    }
    assert!(world.upstream.seen().len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_whole_cookie_opens_nothing_and_is_no_error() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let cookie = browser.cookie(NAME).unwrap().clone();
    let other = world.signed_in("admin").await.cookie(NAME).unwrap().clone();
    let state = browser.navigate("/.logto/sign-out?redirect=/a").await.location();
    let state = state
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let callback = world.browser().to_callback("plain", "/").await;
    let sign_in = callback
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let half = cookie.len() / 2;
    let cases: Vec<(&str, String)> = vec![
        ("cut", format!("{NAME}={}", &cookie[..cookie.len() - 1])),
        ("half", format!("{NAME}={}", &cookie[..half])),
        ("digit alone", format!("{NAME}=1")),
        ("without its digit", format!("{NAME}={}", &cookie[1..])),
        ("another digit", format!("{NAME}=2{}", &cookie[1..])),
        ("digit zero", format!("{NAME}=0{}", &cookie[1..])),
        ("digit nine", format!("{NAME}=9{}", &cookie[1..])),
        ("many digits", format!("{NAME}=99999999{}", &cookie[1..])),
        ("empty", format!("{NAME}=")),
        ("no value", NAME.to_owned()),
        ("padded", format!("{NAME}={cookie}=")),
        ("quoted", format!("{NAME}=\"{cookie}\"")),
        ("percent-encoded", format!("{NAME}=%31{}", &cookie[1..])),
        ("spliced", format!("{NAME}={}{}", &cookie[..half], &other[half..])),
        ("twice the same", format!("{NAME}={cookie}; {NAME}={cookie}")),
        ("two of them", format!("{NAME}={cookie}; {NAME}={other}")),
        (
            "a good one and a broken one",
            format!("{NAME}={cookie}; {NAME}=x"),
        ),
        ("a sign-out's state", format!("{NAME}=1{state}")),
        ("a sign-in's state", format!("{NAME}=1{sign_in}")),
        ("another name", format!("__host-logto={cookie}")),
        ("the name without its prefix", format!("logto={cookie}")),
        ("as a piece", format!("{NAME}.1={cookie}")),
        ("as the binding cookie", format!("{NAME}-browser={cookie}")),
        ("U+2000 before the name", format!("\u{2000}{NAME}={cookie}")),
        ("U+00A0 after the name", format!("{NAME}\u{a0}={cookie}")),
        ("U+FEFF before the name", format!("\u{feff}{NAME}={cookie}")),
        ("nameless", format!("={NAME}={cookie}")),
        ("behind a comma", format!("a=b, {NAME}={cookie}")),
        ("oversized", format!("{NAME}=1{}", "A".repeat(20_000))),
        (
            "oversized pieces",
            (1..5).fold(format!("{NAME}=5{}", "A".repeat(9_000)), |line, piece| {
                format!("{line}; {NAME}.{piece}={}", "A".repeat(9_000))
            }),
        ),
        ("semicolons", ";;;=;==;;".to_owned()),
    ];
    for (name, cookies) in &cases {
        assert_eq!(ask_with(&world, cookies).await, 401, "{name}");
    }
    let two_lines = [
        format!("{NAME}={cookie}").into_bytes(),
        format!("{NAME}={cookie}").into_bytes(),
    ];
    assert_eq!(ask(&world, &two_lines).await, 401, "twice, on two lines");
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_cookies_of_any_shape_do_not_hide_ours_and_reach_the_app_unchanged() {
    let world = proxy().start().await;
    let cookie = world.signed_in("plain").await.cookie(NAME).unwrap().clone();
    let ours = format!("{NAME}={cookie}");
    #[rustfmt::skip]
    let cases: Vec<(Vec<u8>, &[u8])> = vec![
        (format!("a=b; {ours}; c=d").into_bytes(), b"a=b; c=d"),
        (ours.clone().into_bytes(), b""),
        (format!("a=b;{ours};c=d").into_bytes(), b"a=b;c=d"),
        ([b"x=\xe9\xff\x80; ".as_slice(), ours.as_bytes()].concat(), b"x=\xe9\xff\x80"),
        ([ours.as_bytes(), b"; \xc3\xa9=\xc3\xa9"].concat(), b"\xc3\xa9=\xc3\xa9"),
        (format!("q=\"a b, c\"; {ours}; e==x=").into_bytes(), b"q=\"a b, c\"; e==x="),
        (format!("\u{2000}{NAME}=evil; {ours}").into_bytes(), "\u{2000}__Host-logto=evil".as_bytes()),
        (format!("__host-logto=mine; {ours}; __Host-logtoo=theirs; __Host-logto.10=x").into_bytes(),
         b"__host-logto=mine; __Host-logtoo=theirs; __Host-logto.10=x"),
        (format!("a=1; {NAME}-browser=x; {ours}; {NAME}-rounds=1.2; b=2").into_bytes(), b"a=1; b=2"),
        (format!("{ours}; {NAME}.3=stale; z=1").into_bytes(), b"z=1"),
    ];
    for (line, expected) in &cases {
        world.upstream.forget();
        let shown = String::from_utf8_lossy(line).replace(&cookie, "…");
        assert_eq!(ask(&world, std::slice::from_ref(line)).await, 200, "{shown}");
        let seen = world.upstream.only();
        let arrived = seen
            .headers
            .get("cookie")
            .map_or(&b""[..], |value| value.as_bytes());
        assert_eq!(
            String::from_utf8_lossy(arrived),
            String::from_utf8_lossy(expected),
            "{shown}"
        );
        assert_eq!(
            seen.headers.get_all("cookie").iter().count(),
            usize::from(!expected.is_empty())
        );
    }
    let lines = [b"a=1".to_vec(), ours.clone().into_bytes(), b"b=\xff".to_vec()];
    world.upstream.forget();
    assert_eq!(ask(&world, &lines).await, 200, "several lines");
    assert_eq!(world.upstream.only().headers["cookie"].as_bytes(), b"a=1; b=\xff");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_with_odd_foreign_cookies_signs_in() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    browser.set_cookie("caf\u{e9}", "\u{e9}\u{2000}");
    browser.set_cookie("odd", "a=b\"c, d");
    let answer = browser.sign_in("plain", "/reports").await;
    assert_eq!(answer.status, 200);
    let seen = world.upstream.last();
    let arrived = String::from_utf8_lossy(seen.headers["cookie"].as_bytes()).into_owned();
    assert_eq!(arrived, "caf\u{e9}=\u{e9}\u{2000}; odd=a=b\"c, d");
}

#[tokio::test(flavor = "multi_thread")]
async fn own_cookies_reach_no_upstream_on_any_route() {
    let world = proxy()
        .route("/open", "public")
        .route("/maybe", "optional")
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    for cookie in ["valid", "1broken"] {
        if cookie != "valid" {
            browser.set_cookie(NAME, cookie);
        }
        for path in ["/open", "/maybe"] {
            world.upstream.forget();
            assert_eq!(browser.navigate(path).await.status, 200);
            assert_eq!(world.upstream.only().header("cookie"), None, "{cookie} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_cannot_set_our_cookies() {
    const LINES: [&str; 9] = [
        "__Host-logto=1evil; Path=/; Secure",
        " __Host-logto =1evil",
        "__Host-logto.1=x; Secure; Path=/",
        "__Host-logto-browser=x; Secure; Path=/",
        "__Host-logto-rounds=; Max-Age=0",
        "__Host-logto",
        "__Host-logto; Path=/",
        "=__Host-logto=x",
        "= __Host-logto.4=x; Path=/",
    ];
    let upstream = Upstream::answering(|_| {
        let mut response = Response::builder().header("set-cookie", "theirs=1; Path=/");
        for line in LINES {
            response = response.header("set-cookie", line);
        }
        let response = response.header("set-cookie", "__Host-logtoo=2; Path=/; Secure");
        response.body(Full::new(Bytes::new())).unwrap()
    })
    .await;
    let world = proxy().upstream(upstream).route("/open", "public").start().await;
    let mut signed_in = world.signed_in("plain").await;
    for (browser, path) in [(&mut world.browser(), "/open"), (&mut signed_in, "/reports")] {
        let lines = browser.fetch(path).await.set_cookies();
        assert_eq!(
            lines,
            ["theirs=1; Path=/", "__Host-logtoo=2; Path=/; Secure"],
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_sealed_for_another_deployment_opens_nothing() {
    let world = proxy().start().await;
    let cookie = world.signed_in("plain").await.cookie(NAME).unwrap().clone();
    let with = |other: &World| {
        let mut browser: Browser = other.browser();
        let name = if other.origin.starts_with("https") {
            NAME
        } else {
            "logto"
        };
        browser.set_cookie(name, &cookie);
        browser
    };
    let other_key = proxy()
        .keys(&["ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="])
        .beside(&world);
    let other_host = proxy().origin("https://other.example.com").beside(&world);
    let other_tenant = proxy();
    let other_name = proxy().session("cookie_name = \"__Host-other\"").beside(&world);
    for (what, builder) in [("key", other_key), ("host", other_host), ("tenant", other_tenant)] {
        let other = builder.start().await;
        assert_eq!(with(&other).fetch("/").await.status, 401, "another {what}");
    }
    let other = other_name.start().await;
    let mut browser = other.browser();
    browser.set_cookie("__Host-other", &cookie);
    assert_eq!(browser.fetch("/").await.status, 401, "another name");
    let replica = proxy().beside(&world).start().await;
    assert_eq!(with(&replica).fetch("/").await.status, 200, "a replica opens it");
}

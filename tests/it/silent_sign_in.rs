//! Without a refresh token: userinfo while the access token lives, then a sign-in that asks nothing, at the next navigation.

use crate::support::{Answer, Browser, World, eventually, proxy};
use bytes::Bytes;
use logto_proxy::dev::provider::{EndpointFault, Faults, Misbehaviour};
use url::Url;

const RECHECK: i64 = 300;
const HOUR: i64 = 3_600;

/// Logto issues no refresh token.
async fn world() -> World {
    proxy()
        .route("/maybe", "optional")
        .client(|client| client.always_issue_refresh_token = false)
        .start()
        .await
}

async fn expired(persona: &str) -> (World, Browser) {
    let world = world().await;
    let browser = world.signed_in(persona).await;
    world.hand.advance(HOUR);
    (world, browser)
}

fn prompt(url: &Url) -> Option<String> {
    let mut prompts = url.query_pairs().filter(|(name, _)| name == "prompt");
    let prompt = prompts.next().map(|(_, value)| value.into_owned());
    assert!(prompts.next().is_none(), "{url}");
    prompt
}

/// Whether an answer sends the browser to Logto, and how.
fn sent_to_logto(world: &World, answer: &Answer) -> Option<String> {
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(
        answer.location().as_str().starts_with(&world.logto_url),
        "{answer:?}"
    );
    prompt(&answer.location())
}

#[tokio::test(flavor = "multi_thread")]
async fn userinfo_confirms_while_the_access_token_lives() {
    for mode in ["session", "none"] {
        let world = proxy()
            .logto(&format!("refresh = \"{mode}\""))
            .client(move |client| client.always_issue_refresh_token = mode == "none")
            .start()
            .await;
        let mut browser = world.signed_in("admin").await;
        let before = world.logto.counts();
        world.logto.set_roles("admin", &["reader"]);
        world.hand.advance(RECHECK);
        assert_eq!(browser.fetch("/").await.status, 200, "{mode}");
        assert_eq!(
            world.upstream.last().header("x-user-roles"),
            Some("reader"),
            "{mode}"
        );
        assert_eq!(browser.fetch("/").await.status, 200, "{mode}");
        let counts = world.logto.counts();
        assert_eq!(
            (counts.userinfo - before.userinfo, counts.refreshes),
            (1, 0),
            "{mode}"
        );
        world.logto.suspend("admin");
        world.hand.advance(RECHECK);
        assert_eq!(browser.fetch("/").await.status, 401, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_navigation_renews_the_session_without_a_page() {
    let (world, mut browser) = expired("admin").await;
    world.logto.set_roles("admin", &["reader"]);
    for _ in 0..3 {
        let answer = browser.fetch("/data").await;
        assert_eq!(answer.status, 401);
        assert!(answer.json()["hint"].is_string(), "{}", answer.body);
        assert!(browser.has_session());
    }
    assert_eq!(
        browser.fetch("/.logto/user").await.json()["isAuthenticated"],
        false
    );
    assert!(world.upstream.seen().is_empty());
    let began = browser.cookie_field();
    let answer = browser.navigate("/reports?a=1").await;
    assert_eq!(sent_to_logto(&world, &answer).as_deref(), Some("none"));
    let page = browser.follow(answer, |_| false).await;
    assert_eq!((page.status, page.url.path()), (200, "/reports"));
    assert_eq!(page.url.query(), Some("a=1"));
    assert_ne!(browser.cookie_field(), began);
    assert_eq!(world.upstream.last().header("x-user-roles"), Some("reader"));
    assert_eq!(browser.fetch("/data").await.status, 200);
    assert_eq!(world.logto.counts().silent_authorizations, 1);
    // And it is asked about by userinfo again.
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/data").await.status, 200);
    world.hand.advance(HOUR);
    let answer = browser.navigate("/").await;
    assert_eq!(sent_to_logto(&world, &answer).as_deref(), Some("none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_never_redirected() {
    let (world, mut browser) = expired("admin").await;
    let url: Url = format!("{}/save", world.origin).parse().unwrap();
    let answer = browser.submit(url, &[("a", "1")]).await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("was not sent"), "{answer:?}");
    assert!(browser.has_session() && world.upstream.seen().is_empty());
    assert_eq!(world.logto.counts().silent_authorizations, 0);
    let fields = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", world.origin.as_str()),
    ];
    let url: Url = format!("{}/socket", world.origin).parse().unwrap();
    assert_eq!(browser.send("GET", url, &fields, Bytes::new()).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_logto_must_ask_the_user_an_ordinary_sign_in_begins() {
    let (world, mut browser) = expired("plain").await;
    world.logto.end_sessions();
    let answer = browser.navigate("/reports").await;
    assert_eq!(sent_to_logto(&world, &answer).as_deref(), Some("none"));
    let origin: Url = world.origin.parse().unwrap();
    let at_origin = |url: &Url| url.origin() == origin.origin();
    let answer = browser.follow(answer, at_origin).await;
    assert!(
        answer
            .location()
            .query_pairs()
            .any(|(name, value)| name == "error" && value == "login_required")
    );
    let answer = browser.open(answer.location()).await;
    assert!(!browser.has_session());
    let page = browser.follow(answer, |_| false).await;
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/sign-in"),
        "Logto's own page"
    );
    assert_eq!(world.logto.counts().silent_authorizations, 1);
    let callback = browser.choose(&page, "plain").await;
    let done = browser.open(callback.location()).await;
    let page = browser.follow(done, |_| false).await;
    assert_eq!((page.status, page.url.path()), (200, "/reports"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_at_logto_gets_a_session_of_their_own() {
    let (world, mut browser) = expired("plain").await;
    let former = browser.clone();
    let other = world.signed_in("admin").await;
    world.upstream.forget();
    let at_logto = |(host, _): &(String, String)| host != "app.example.com";
    browser.cookies.retain(|key, _| !at_logto(key));
    browser
        .cookies
        .extend(other.cookies.into_iter().filter(|(key, _)| at_logto(key)));
    let answer = browser.navigate("/reports").await;
    assert_eq!(sent_to_logto(&world, &answer).as_deref(), Some("none"));
    let page = browser.follow(answer, |_| false).await;
    assert_eq!((page.status, page.url.path()), (200, "/reports"));
    assert_eq!(world.upstream.only().header("x-user-sub"), Some("adminuser001"));
    assert_eq!(
        former.clone().fetch("/").await.status,
        401,
        "not confirmed by another's sign-in"
    );
    let user = browser.fetch("/.logto/user").await.json();
    assert_eq!(user["claims"]["roles"][0], "admin", "{user}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logto_that_fails_for_a_moment_signs_nobody_out_and_makes_no_loop() {
    for faults in [
        Faults {
            code_exchange: Misbehaviour::Status(503).into(),
            ..Faults::default()
        },
        Faults {
            authorization_error: Some("temporarily_unavailable".to_owned()),
            ..Faults::default()
        },
        Faults {
            authorization_error: Some("server_error".to_owned()),
            ..Faults::default()
        },
    ] {
        let (world, mut browser) = expired("admin").await;
        let by_logto = faults.authorization_error.is_some();
        world.logto.set_faults(faults.clone());
        let answer = browser.navigate("/reports").await;
        assert_eq!(sent_to_logto(&world, &answer).as_deref(), Some("none"));
        // Follows at most a dozen redirects.
        let page = browser.follow(answer, |_| false).await;
        if by_logto {
            // Whoever holds the browser can say so as well: it proves nothing.
            assert_eq!(page.status, 503, "{faults:?}: {page:?}");
        } else {
            assert_eq!((page.status, page.url.path()), (200, "/reports"), "the grace");
            assert_eq!(
                world.logto.counts().code_exchanges + world.logto.counts().token,
                3,
                "one call more"
            );
        }
        assert!(browser.has_session(), "{faults:?}");
        world.logto.set_faults(Faults::default());
        world.hand.advance(40);
        let answer = browser.navigate("/reports").await;
        let page = browser.follow(answer, |_| false).await;
        assert_eq!((page.status, page.url.path()), (200, "/reports"), "{faults:?}");
        assert_eq!(browser.fetch("/data").await.status, 200, "{faults:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_logto_is_away_the_grace_counts_and_nobody_is_sent_there() {
    let world = proxy()
        .session("recheck_grace = \"2h\"")
        .client(|client| client.always_issue_refresh_token = false)
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    world.hand.advance(HOUR);
    let mut other = world.signed_in("plain").await;
    let reset = || EndpointFault::from(Misbehaviour::Reset);
    world.logto.set_faults(Faults {
        discovery: reset(),
        jwks: reset(),
        token: reset(),
        userinfo: reset(),
        ..Faults::default()
    });
    world.hand.advance(RECHECK);
    // Userinfo calls of another session find the outage.
    for _ in 0..4 {
        assert_eq!(other.fetch("/").await.status, 200);
        world.hand.advance(6);
    }
    assert_eq!(browser.fetch("/").await.status, 200, "Logto is away");
    assert_eq!(browser.navigate("/").await.status, 200);
    world.hand.advance(2 * HOUR);
    assert_eq!(browser.fetch("/").await.status, 401);
    let page = browser.navigate("/").await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("5")));
    assert!(browser.has_session());
    world.logto.set_faults(Faults::default());
    eventually("Logto is back", || {
        world.hand.advance(1);
        let mut browser = browser.clone();
        async move {
            let answer = browser.navigate("/").await;
            answer.status == 302 && prompt(&answer.location()).as_deref() == Some("none")
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optional_route_renews_too_and_serves_programs_without_a_user() {
    let (world, mut browser) = expired("admin").await;
    assert_eq!(browser.fetch("/maybe").await.status, 200);
    assert_eq!(world.upstream.only().header("x-user-sub"), None);
    assert!(browser.has_session());
    let answer = browser.navigate("/maybe").await;
    assert_eq!(sent_to_logto(&world, &answer).as_deref(), Some("none"));
    assert_eq!(browser.follow(answer, |_| false).await.status, 200);
    assert_eq!(world.upstream.last().header("x-user-sub"), Some("adminuser001"));

    world.hand.advance(HOUR);
    world.logto.end_sessions();
    let answer = browser.navigate("/maybe").await;
    assert_eq!(sent_to_logto(&world, &answer).as_deref(), Some("none"));
    let page = browser.follow(answer, |_| false).await;
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/maybe"),
        "served, as nobody"
    );
    assert_eq!(world.upstream.last().header("x-user-sub"), None);
    assert!(!browser.has_session());
}

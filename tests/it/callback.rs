//! Callbacks that are not right: no token call, no session, no page at a URL that holds a code.

use crate::support::{Answer, Browser, World, proxy};
use bytes::Bytes;
use logto_proxy::dev::provider::{CallbackIssuerFault, Faults};
use url::Url;

fn parameter(url: &Url, name: &str) -> String {
    let mut pairs = url.query_pairs();
    pairs.find(|(found, _)| found == name).unwrap().1.into_owned()
}

fn with(url: &Url, change: &[(&str, Option<&str>)]) -> Url {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .filter(|(name, _)| !change.iter().any(|(changed, _)| changed == name))
        .collect();
    let mut url = url.clone();
    let mut pairs = url.query_pairs_mut();
    pairs.clear().extend_pairs(kept);
    for (name, value) in change {
        if let Some(value) = value {
            pairs.append_pair(name, value);
        }
    }
    drop(pairs);
    url
}

/// The page that a failed callback ends at; nothing of the callback may be in its address.
async fn told(browser: &mut Browser, callback: &Url, answer: Answer) -> (String, Answer) {
    assert_eq!(answer.status, 303, "{callback}: {answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{callback}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert!(answer.body.is_empty(), "no page at the callback's address");
    let location = answer.location();
    assert_eq!(location.path(), "/.logto/sign-in", "{callback}");
    assert!(
        location
            .query_pairs()
            .all(|(name, _)| name == "problem" || name == "redirect"),
        "{location}"
    );
    let problem = answer.problem().unwrap();
    let page = browser.open(location).await;
    assert!(page.body.contains("<html"), "{page:?}");
    (problem, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_callback_asks_logto_nothing_opens_no_session_and_spoils_nothing() {
    let world = proxy().route("/open", "public").start().await;
    let mut browser = world.browser();
    let good = browser.to_callback("plain", "/reports").await;
    let (code, state) = (parameter(&good, "code"), parameter(&good, "state"));
    let issuer = world.issuer.clone();
    let cut = &state[..state.len() - 1];
    let flipped = format!(
        "{}{}",
        if state.starts_with('A') { 'B' } else { 'A' },
        &state[1..]
    );
    let long = "x".repeat(6_000);
    let other_issuer = format!("{issuer}/");
    #[rustfmt::skip]
    let changed: Vec<(&str, Url, &str)> = vec![
        ("no state", with(&good, &[("state", None)]), "bad_callback"),
        ("empty state", with(&good, &[("state", Some(""))]), "bad_callback"),
        ("cut state", with(&good, &[("state", Some(cut))]), "bad_callback"),
        ("changed state", with(&good, &[("state", Some(&flipped))]), "bad_callback"),
        ("foreign state", with(&good, &[("state", Some("xyz"))]), "bad_callback"),
        ("padded state", with(&good, &[("state", Some(&format!("{state}=")))]), "bad_callback"),
        ("endless state", with(&good, &[("state", Some(&long))]), "bad_callback"),
        ("a path as state", with(&good, &[("state", Some("//evil.test"))]), "bad_callback"),
        ("no code", with(&good, &[("code", None)]), "bad_callback"),
        ("empty code", with(&good, &[("code", Some(""))]), "bad_callback"),
        ("no iss", with(&good, &[("iss", None)]), "bad_callback"),
        ("another iss", with(&good, &[("iss", Some("https://evil.test/oidc"))]), "bad_callback"),
        ("nearly our iss", with(&good, &[("iss", Some(&other_issuer))]), "bad_callback"),
        ("two codes", with(&good, &[("code", Some(&code)), ("code", Some("other"))]), "bad_callback"),
        ("two states", with(&good, &[("state", Some(&state)), ("state", Some(&state))]), "bad_callback"),
        ("two issuers", with(&good, &[("iss", Some(&issuer)), ("iss", Some(&issuer))]), "bad_callback"),
        ("an error", with(&good, &[("code", None), ("error", Some("invalid_scope"))]), "refused_by_logto"),
        ("an error beside a code", with(&good, &[("error", Some("access_denied"))]), "access_denied"),
        ("an error without iss", with(&good, &[("iss", None), ("error", Some("access_denied"))]), "bad_callback"),
        ("a hostile error", with(&good, &[("code", None), ("error", Some("<script>alert(1)</script>\r\n"))]), "refused_by_logto"),
        ("an outage", with(&good, &[("code", None), ("error", Some("temporarily_unavailable"))]), "logto_unavailable"),
    ];
    let mut all: Vec<(&str, Url, &str)> = changed;
    for (name, query) in [
        ("nothing", ""),
        ("bytes that are no text", "?code=%ff%fe&state=%80&iss=%c0%af"),
        ("half escapes", "?code=%&state=%2&iss=%zz"),
        ("names alone", "?code&state&iss"),
        ("many parameters", "?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p"),
    ] {
        let url = format!("https://app.example.com/.logto/callback{query}");
        all.push((name, Url::parse(&url).unwrap(), "bad_callback"));
    }
    for (name, url, expected) in &all {
        let answer = browser.open(url.clone()).await;
        let (problem, page) = told(&mut browser, url, answer).await;
        assert_eq!(problem, *expected, "{name}");
        assert!(
            !page.body.contains(&code) && !page.body.contains("<script"),
            "{name}"
        );
        let expected_status = match *expected {
            "access_denied" => 403,
            "logto_unavailable" => 503,
            _ => 400,
        };
        assert_eq!(page.status, expected_status, "{name}");
        assert!(!browser.has_session(), "{name}");
    }
    assert_eq!(world.logto.counts().token, 0, "a broken callback calls nobody");

    let done = browser.open(good).await;
    assert_eq!(done.header("location"), Some("https://app.example.com/reports"));
    assert_eq!(world.logto.counts().code_exchanges, 1);
    assert!(browser.has_session());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_things_we_sealed_are_no_state() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let session = browser.cookie("__Host-logto").unwrap()[1..].to_owned();
    let answer = browser.navigate("/.logto/sign-out?redirect=/bye").await;
    let sign_out_state = parameter(&answer.location(), "state");
    let mut browser = world.browser();
    let good = browser.to_callback("plain", "/reports").await;
    let exchanges = world.logto.counts().code_exchanges;
    for other in [session, sign_out_state] {
        let url = with(&good, &[("state", Some(&other))]);
        let answer = browser.open(url).await;
        assert_eq!(answer.problem().as_deref(), Some("bad_callback"));
    }
    assert_eq!(world.logto.counts().code_exchanges, exchanges);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_of_another_issuer_is_refused_and_so_is_one_without() {
    let world = proxy().start().await;
    for fault in [
        CallbackIssuerFault::Missing,
        CallbackIssuerFault::Other("https://evil.test/oidc".to_owned()),
    ] {
        world.logto.set_faults(Faults {
            callback_issuer: Some(fault.clone()),
            ..Faults::default()
        });
        let mut browser = world.browser();
        let callback = browser.to_callback("plain", "/reports").await;
        let answer = browser.open(callback.clone()).await;
        let (problem, _) = told(&mut browser, &callback, answer).await;
        assert_eq!(problem, "bad_callback", "{fault:?}");
        assert!(!browser.has_session());
    }
    assert_eq!(world.logto.counts().token, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_callback_does_not_burn_the_code() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    for method in ["HEAD", "OPTIONS", "PUT"] {
        let answer = browser.send(method, callback.clone(), &[], Bytes::new()).await;
        assert_eq!(answer.status, 405, "{method}");
    }
    for field in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ] {
        let answer = browser
            .send("GET", callback.clone(), &[field], Bytes::new())
            .await;
        assert_eq!(answer.status, 403, "{field:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(world.logto.counts().token, 0);
    assert!(!browser.has_session());
    assert_eq!(browser.open(callback).await.status, 303);
    assert!(browser.has_session());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_took_too_long_starts_again() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports?q=1").await;
    world.hand.advance(601);
    let answer = browser.open(callback.clone()).await;
    let (problem, _) = told(&mut browser, &callback, answer).await;
    assert_eq!(problem, "sign_in_expired");
    assert_eq!(world.logto.counts().token, 0);
}

fn form(callback: &Url) -> Bytes {
    Bytes::from(callback.query().unwrap().to_owned())
}

async fn post(world: &World, url: &Url, content_type: &str, body: Bytes) -> Answer {
    let mut path = url.clone();
    path.set_query(None);
    let fields = [
        ("content-type", content_type),
        ("origin", world.logto_url.as_str()),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    // The form is another site's, so that the browser withholds its `SameSite=Lax` cookies.
    world.browser().send("POST", path, &fields, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_posted_as_a_form_signs_in() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    let answer = post(&world, &callback, FORM, form(&callback)).await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        world.logto.counts().token,
        0,
        "not before the browser shows its cookie"
    );
    let again = answer.location();
    assert_eq!(parameter(&again, "code"), parameter(&callback, "code"));
    let done = browser.open(again).await;
    assert_eq!(done.header("location"), Some("https://app.example.com/reports"));
    assert!(browser.has_session());

    let twice = Bytes::from(format!("{}&code=x", callback.query().unwrap()));
    let long = Bytes::from("x".repeat(40_000));
    for (content_type, body) in [
        ("text/plain", form(&callback)),
        ("multipart/form-data", form(&callback)),
        (FORM, twice),
        (FORM, long),
    ] {
        let answer = post(&world, &callback, content_type, body).await;
        assert_eq!(
            answer.problem().as_deref(),
            Some("bad_callback"),
            "{content_type}"
        );
    }
    assert_eq!(world.logto.counts().code_exchanges, 1);
}

//! Signing out: here, the refresh token, and the session at Logto; never because another site wants it.

use crate::support::{Answer, Browser, World, proxy};
use bytes::Bytes;
use logto_proxy::dev::provider::{EndpointFault, Faults, Misbehaviour};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use url::Url;

fn endpoint() -> Url {
    "https://app.example.com/.logto/sign-out".parse().unwrap()
}

fn query(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// Passes Logto's own sign-out, whose page sends its form by itself, and comes back.
async fn through_logto(browser: &mut Browser, answer: &Answer) -> Answer {
    let page = browser.open(answer.location()).await;
    if page.status != 200 {
        return page;
    }
    let secret = page.body.split("name=\"xsrf\" value=\"").nth(1).unwrap();
    let secret = secret.split('"').next().unwrap().to_owned();
    let confirm = page.url.join("/oidc/session/end/confirm").unwrap();
    browser
        .submit(confirm, &[("xsrf", &secret), ("logout", "yes")])
        .await
}

fn assert_cleared(answer: &Answer) {
    let line = "__Host-logto=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; Secure; SameSite=Lax";
    let lines = answer.set_cookies();
    assert!(lines.iter().any(|found| found == line), "{lines:?}");
}

async fn signed_in_with_refresh_token() -> (World, Browser) {
    let world = proxy()
        .client(|client| client.always_issue_refresh_token = true)
        .start()
        .await;
    let browser = world.signed_in("plain").await;
    (world, browser)
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_here_the_grant_and_the_session_at_logto() {
    let (world, mut browser) = signed_in_with_refresh_token().await;
    assert_eq!(world.logto.sessions(), 1);
    let answer = browser.navigate("/.logto/sign-out?redirect=/bye%3Fa%3D1").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_cleared(&answer);
    assert!(!browser.has_session());
    assert_eq!(world.logto.counts().revocation, 1);
    assert_eq!(world.logto.grants_revoked(), 1);

    let location = answer.location();
    assert!(
        location
            .as_str()
            .starts_with(&format!("{}/session/end?", world.issuer))
    );
    let parameters = query(&location);
    let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["client_id", "post_logout_redirect_uri", "state"],
        "no id_token_hint"
    );
    assert_eq!(parameters["client_id"], "test-app");
    assert_eq!(parameters["post_logout_redirect_uri"], "https://app.example.com/");
    assert!(!parameters["state"].contains("bye"));

    let back = through_logto(&mut browser, &answer).await;
    assert_eq!(world.logto.sessions(), 0);
    let landed = browser.open(back.location()).await;
    assert_eq!(landed.status, 303);
    assert_eq!(landed.header("location"), Some("https://app.example.com/bye?a=1"));
    assert_eq!(browser.fetch("/").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_redirect_there_is_no_state_and_the_configured_page_is_the_end() {
    let world = proxy()
        .section("[routes]\nafter_sign_out = \"/goodbye\"")
        .route("/goodbye", "public")
        .client(|client| {
            client.post_logout_redirect_uris = vec!["https://app.example.com/goodbye".to_owned()]
        })
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    let answer = browser.navigate("/.logto/sign-out").await;
    assert!(!query(&answer.location()).contains_key("state"));
    let back = through_logto(&mut browser, &answer).await;
    assert_eq!(back.header("location"), Some("https://app.example.com/goodbye"));
    assert_eq!(browser.open(back.location()).await.status, 200);

    let mut browser = world.signed_in("plain").await;
    let answer = browser.navigate("/.logto/sign-out?redirect=/next").await;
    let back = through_logto(&mut browser, &answer).await;
    assert_eq!(back.location().path(), "/goodbye");
    let landed = browser.open(back.location()).await;
    assert_eq!(landed.header("location"), Some("https://app.example.com/next"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_path_after_signing_out_leads_nowhere_else() {
    let world = proxy().start().await;
    for payload in [
        "//evil.test",
        "/%5Cevil.test",
        "https://evil.test",
        "/%09/evil.test",
        "/.logto/sign-in",
    ] {
        let mut browser = world.signed_in("plain").await;
        let answer = browser
            .navigate(&format!("/.logto/sign-out?redirect={payload}"))
            .await;
        let back = through_logto(&mut browser, &answer).await;
        let landed = browser.open(back.location()).await;
        assert_eq!(
            landed.header("location"),
            Some("https://app.example.com/"),
            "{payload}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_we_did_not_seal_for_this_goes_to_the_app_as_it_is() {
    let world = proxy().route("/", "public").start().await;
    let mut browser = world.signed_in("plain").await;
    let answer = browser.navigate("/.logto/sign-out?redirect=/bye").await;
    let state = query(&answer.location())["state"].clone();
    let sign_in = world
        .browser()
        .navigate("/.logto/sign-in?redirect=/bye")
        .await
        .location();
    let sign_in = query(&sign_in)["state"].clone();
    for (name, other) in [
        ("cut", &state[1..]),
        ("a sign-in's", sign_in.as_str()),
        ("foreign", "x"),
        ("empty", ""),
    ] {
        let landed = world.browser().navigate(&format!("/?state={other}")).await;
        assert_eq!(landed.status, 200, "{name}");
    }
    assert_eq!(
        world.browser().navigate(&format!("/?state={state}")).await.status,
        303
    );
    world.hand.advance(601);
    assert_eq!(
        world.browser().navigate(&format!("/?state={state}")).await.status,
        200,
        "too old"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_on_another_site_gets_a_question_first() {
    let (world, mut browser) = signed_in_with_refresh_token().await;
    for fields in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("referer", "https://evil.test/")],
        vec![("referer", "https://app.example.com.evil.test/")],
        vec![("origin", "null")],
        vec![("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "image")],
        vec![("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "iframe")],
    ] {
        let mut url = endpoint();
        url.set_query(Some("redirect=/bye"));
        let answer = browser.send("GET", url, &fields, Bytes::new()).await;
        assert_eq!(answer.status, 200, "{fields:?}");
        assert!(answer.set_cookies().is_empty(), "{fields:?}");
        assert!(browser.has_session());
        let policy = answer.header("content-security-policy").unwrap();
        let logto = Url::parse(&world.logto_url)
            .unwrap()
            .origin()
            .ascii_serialization();
        assert!(
            policy.contains(&format!("form-action 'self' {logto}")),
            "{policy}"
        );
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(answer.body.contains("method=\"post\"") && answer.body.contains("value=\"/bye\""));
    }
    assert_eq!(world.logto.counts().revocation, 0);

    let answer = browser
        .submit(endpoint(), &[("redirect", "/bye"), ("confirm", "yes")])
        .await;
    assert_eq!(answer.status, 303);
    assert!(!browser.has_session());
    let back = through_logto(&mut browser, &answer).await;
    let landed = browser.open(back.location()).await;
    assert_eq!(landed.header("location"), Some("https://app.example.com/bye"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_and_a_speculative_load_sign_nobody_out() {
    let (world, mut browser) = signed_in_with_refresh_token().await;
    let cases: [(&str, &[(&str, &str)]); 9] = [
        ("POST", &[("sec-fetch-site", "cross-site")]),
        ("POST", &[("sec-fetch-site", "same-site")]),
        ("POST", &[("origin", "https://evil.test")]),
        ("POST", &[("origin", "null")]),
        ("POST", &[("origin", "http://app.example.com")]),
        ("POST", &[("origin", "https://app.example.com.evil.test")]),
        (
            "POST",
            &[("referer", "https://evil.test/?https://app.example.com/")],
        ),
        (
            "GET",
            &[("sec-fetch-site", "same-origin"), ("sec-purpose", "prefetch")],
        ),
        (
            "GET",
            &[("sec-fetch-site", "same-origin"), ("purpose", "prefetch")],
        ),
    ];
    for (method, fields) in cases {
        let answer = browser.send(method, endpoint(), fields, Bytes::new()).await;
        assert_eq!(answer.status, 403, "{method} {fields:?}");
        assert!(answer.set_cookies().is_empty(), "{fields:?}");
    }
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(
            browser.send(method, endpoint(), &[], Bytes::new()).await.status,
            405,
            "{method}"
        );
    }
    assert_eq!(browser.fetch("/").await.status, 200);
    assert_eq!(world.logto.counts().revocation, 0);
    assert!(world.upstream.seen().len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_out_without_harm() {
    let world = proxy().start().await;
    for value in [None, Some("1broken")] {
        let mut browser = world.browser();
        if let Some(value) = value {
            browser.set_cookie("__Host-logto", value);
        }
        let answer = browser.navigate("/.logto/sign-out").await;
        assert_eq!(answer.status, 303, "{value:?}");
        assert!(!browser.has_session());
        let back = through_logto(&mut browser, &answer).await;
        assert_eq!(back.header("location"), Some("https://app.example.com/"));
    }
    let answer = world
        .browser()
        .navigate("/.logto/sign-out?redirect=/a&redirect=/b")
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_revocation_keeps_nobody_signed_in_and_strands_nobody_at_logto() {
    let (world, browser) = signed_in_with_refresh_token().await;
    drop(browser);
    let slow = EndpointFault {
        delay: Duration::from_secs(30),
        ..EndpointFault::default()
    };
    for fault in [Misbehaviour::Reset.into(), Misbehaviour::Status(500).into(), slow] {
        let mut browser = world.signed_in("plain").await;
        let mut copy = browser.clone();
        world.logto.set_faults(Faults {
            revocation: fault,
            ..Faults::default()
        });
        let begun = Instant::now();
        let answer = browser.navigate("/.logto/sign-out").await;
        assert_eq!(
            answer.status, 200,
            "a page here, no way to a Logto that does not answer"
        );
        assert!(answer.body.contains("You are signed out here"), "{}", answer.body);
        assert_cleared(&answer);
        assert!(begun.elapsed() < Duration::from_secs(4), "nobody waits for Logto");
        assert_eq!(copy.fetch("/.logto/user").await.json()["isAuthenticated"], false);
        world.logto.set_faults(Faults::default());
    }
    let mut browser = world.signed_in("plain").await;
    assert_eq!(browser.navigate("/.logto/sign-out").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_back_button_does_not_undo_a_sign_out() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    browser.open(callback.clone()).await;
    assert!(browser.has_session());
    browser.navigate("/.logto/sign-out").await;
    let back = browser.open(callback).await;
    assert_eq!(back.problem().as_deref(), Some("already_used"));
    assert!(!browser.has_session());
    assert_eq!(world.logto.counts().code_exchanges, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_piece_of_a_big_session_is_cleared() {
    let mut persona = logto_proxy::dev::provider::Persona::new("big", "biggguser001");
    persona.roles = (0..150)
        .map(|number| format!("role-{number:04}-with-a-long-name"))
        .collect();
    let world = proxy()
        .provider(|settings| settings.personas = vec![persona])
        .start()
        .await;
    let mut browser = world.signed_in("big").await;
    assert!(browser.cookie("__Host-logto.1").is_some());
    browser.navigate("/.logto/sign-out").await;
    let left: Vec<&String> = browser.cookies.keys().map(|(_, name)| name).collect();
    assert!(
        left.iter()
            .all(|name| !name.starts_with("__Host-logto") || *name == "__Host-logto-browser"),
        "{left:?}"
    );
}

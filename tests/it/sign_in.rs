//! Signing in: the whole way through Logto and back.

use crate::support::{Browser, World, proxy};
use std::collections::{BTreeMap, HashSet};

fn last_authorization(world: &World) -> BTreeMap<String, String> {
    let pairs = world.logto.last_authorization();
    let parameters: BTreeMap<String, String> = pairs.iter().cloned().collect();
    assert_eq!(parameters.len(), pairs.len(), "a parameter twice: {pairs:?}");
    parameters
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persona_signs_in_and_the_app_reads_who_it_is() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let answer = browser.sign_in("admin", "/reports?year=2026").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.url.as_str(), "https://app.example.com/reports?year=2026");
    let seen = world.upstream.last();
    assert_eq!(seen.target, "/reports?year=2026");
    assert_eq!(seen.header("x-user-sub"), Some("adminuser001"));
    assert_eq!(seen.header("x-user-roles"), Some("admin,editor"));
    assert_eq!(seen.header("cookie"), None, "own cookies stay here");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_authorization_request_has_pkce_a_nonce_and_a_state_of_its_own() {
    let world = proxy().start().await;
    let mut seen = HashSet::new();
    for _ in 0..5 {
        world.browser().to_sign_in_page("/reports").await;
        let parameters = last_authorization(&world);
        let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "client_id",
                "code_challenge",
                "code_challenge_method",
                "nonce",
                "redirect_uri",
                "response_type",
                "scope",
                "state"
            ]
        );
        assert_eq!(parameters["client_id"], "test-app");
        assert_eq!(parameters["code_challenge_method"], "S256");
        assert_eq!(
            parameters["redirect_uri"],
            "https://app.example.com/.logto/callback"
        );
        assert_eq!(parameters["response_type"], "code");
        assert!(parameters["scope"].starts_with("openid profile"));
        // 256 bits in base64url.
        assert_eq!(parameters["code_challenge"].len(), 43);
        assert!(parameters["nonce"].len() >= 43);
        for name in ["code_challenge", "nonce", "state"] {
            assert!(seen.insert(parameters[name].clone()), "{name} was used before");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_tells_nobody_where_the_browser_goes_or_what_the_verifier_is() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let answer = browser.navigate("/very-secret-report").await;
    let url = answer.location();
    assert!(!url.as_str().contains("secret-report"), "{url}");
    assert!(!url.as_str().contains("code_verifier"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_endpoint_leads_back_to_the_path_it_was_given() {
    let world = proxy().start().await;
    for endpoint in ["sign-in", "sign-up"] {
        let mut browser = world.browser();
        let answer = browser
            .navigate(&format!("/.logto/{endpoint}?redirect=/a%3Fb%3D1%26c%23d"))
            .await;
        let page = browser.follow(answer, |_| false).await;
        let sign_in = page.url.as_str().replace("/register?", "/sign-in?");
        let page = crate::support::Answer {
            url: sign_in.parse().unwrap(),
            ..page
        };
        let callback = browser.choose(&page, "plain").await.location();
        let done = browser.open(callback).await;
        assert_eq!(done.status, 303);
        assert_eq!(done.header("location"), Some("https://app.example.com/a?b=1&c#d"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sign_in_replaces_the_session_and_takes_nothing_from_the_first() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("admin").await;
    let before = browser.cookie("__Host-logto").cloned();
    world.logto.end_sessions();
    browser.sign_in("plain", "/.logto/sign-in?redirect=/me").await;
    assert_ne!(browser.cookie("__Host-logto").cloned(), before);
    let seen = world.upstream.last();
    assert_eq!(seen.header("x-user-sub"), Some("plainuser001"));
    assert_eq!(seen.header("x-user-roles"), None);
    assert_eq!(seen.header("x-user-picture"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_speculative_load_begins_no_sign_in() {
    let world = proxy().start().await;
    for field in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "Prefetch"),
        ("x-moz", "prefetch"),
    ] {
        for path in ["/.logto/sign-in", "/.logto/sign-up", "/reports"] {
            let mut browser = world.browser();
            browser.fields.push((field.0.to_owned(), field.1.to_owned()));
            let answer = browser.navigate(path).await;
            assert!(matches!(answer.status, 401 | 403), "{field:?} {path}: {answer:?}");
            assert!(answer.set_cookies().is_empty(), "{field:?} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_beyond_the_limit_of_an_address_wait_for_the_next_minute() {
    let world = proxy().section("[limits]\nsign_ins_per_minute = 6").start().await;
    let mut signed_in = world.signed_in("plain").await;
    world.hand.advance(60);
    for _ in 0..6 {
        // The clock may pass a minute on its own meanwhile, which only lets more through.
        let answer = world.browser().navigate("/reports").await;
        assert!(matches!(answer.status, 302 | 429), "{answer:?}");
    }
    let mut refused = None;
    for _ in 0..8 {
        let answer = world.browser().navigate("/reports").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert!(refused.set_cookies().is_empty());
    assert_eq!(
        signed_in.navigate("/reports").await.status,
        200,
        "no sign-in, no limit"
    );
    assert_eq!(world.browser().fetch("/reports").await.status, 401);
    world.hand.advance(60);
    assert_eq!(world.browser().navigate("/reports").await.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_get_begins_a_sign_in_at_the_endpoint() {
    let world = proxy().start().await;
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let mut browser: Browser = world.browser();
        let url = "https://app.example.com/.logto/sign-in".parse().unwrap();
        let answer = browser.send(method, url, &[], bytes::Bytes::new()).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET"));
        assert!(answer.set_cookies().is_empty());
    }
    assert!(world.upstream.seen().is_empty(), "own endpoints stay here");
}

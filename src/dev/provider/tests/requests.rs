//! The authorization endpoint's strictness.

use ::http::Method;
use serde_json::json;

use super::browser::{CALLBACK, start};

#[tokio::test]
async fn discovery_is_logtos() {
    let world = start().await;
    let answer = world.get("/oidc/.well-known/openid-configuration").await;
    let document = answer.json();
    assert_eq!(document["issuer"], world.issuer);
    assert_eq!(
        document["authorization_endpoint"],
        format!("http://{}/oidc/auth", world.address)
    );
    assert_eq!(
        document["userinfo_endpoint"],
        format!("http://{}/oidc/me", world.address)
    );
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(
        document["id_token_signing_alg_values_supported"],
        json!(["ES384"])
    );
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert!(answer.headers.contains_key("etag") && !answer.headers.contains_key("cache-control"));
    let jwks = world.get("/oidc/jwks").await;
    assert_eq!(jwks.headers["cache-control"], "no-cache, must-revalidate");
    assert_eq!(world.get("/.well-known/openid-configuration").await.status, 404);
    assert_eq!(world.get("/oidc/token").await.status, 404);
    assert_eq!(world.control.counts().discovery, 1);
}

#[tokio::test]
async fn a_relying_partys_library_reads_the_documents() {
    use openidconnect::core::{CoreJsonWebKeySet, CoreProviderMetadata};
    let world = start().await;
    world.control.rotate_to_rs256().unwrap();
    let document = world.get("/oidc/.well-known/openid-configuration").await.json();
    let metadata: CoreProviderMetadata = serde_json::from_value(document).unwrap();
    assert_eq!(metadata.issuer().as_str(), world.issuer);
    let jwks: CoreJsonWebKeySet = serde_json::from_value(world.get("/oidc/jwks").await.json()).unwrap();
    assert_eq!(jwks.keys().len(), 2);
}

#[tokio::test]
async fn a_client_or_redirect_uri_in_doubt_is_answered_on_the_spot() {
    let world = start().await;
    let mut browser = world.browser();
    for (changes, error) in [
        (&[("client_id", "nobody")][..], "invalid_client"),
        (&[("client_id", "")], "invalid_request"),
        (&[("redirect_uri", "")], "invalid_request"),
        (
            &[("redirect_uri", "http://127.0.0.1:9/.logto/callback/")],
            "invalid_redirect_uri",
        ),
        (
            &[("redirect_uri", "http://127.0.0.1:9/.logto/callback?x=1")],
            "invalid_redirect_uri",
        ),
        (
            &[("redirect_uri", "https://example.com/")],
            "invalid_redirect_uri",
        ),
    ] {
        let answer = browser.get(&world.authorize(changes)).await;
        assert_eq!(answer.error(), (400, error.to_owned()), "{changes:?}");
        assert!(!answer.headers.contains_key("location"));
        assert_eq!(answer.json()["code"], format!("oidc.{error}"));
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fexample.com", world.authorize(&[]));
    assert_eq!(
        browser.get(&twice).await.error(),
        (400, "invalid_request".to_owned())
    );
}

#[tokio::test]
async fn every_other_error_goes_to_the_callback_with_state_and_issuer() {
    let world = start().await;
    let mut browser = world.browser();
    for (changes, error) in [
        (&[("code_challenge", "")][..], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("response_type", "")], "invalid_request"),
        (&[("response_type", "magic")], "unsupported_response_type"),
        (&[("response_mode", "jwt")], "unsupported_response_mode"),
        (&[("prompt", "select_account")], "invalid_request"),
        (&[("prompt", "create")], "invalid_request"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("prompt", "none")], "login_required"),
        (&[("scope", "profile")], "invalid_request"),
        (&[("request", "x.y.z")], "request_not_supported"),
        (
            &[("request_uri", "https://example.com/x")],
            "request_uri_not_supported",
        ),
        (&[("resource", "https://api.example.com")], "invalid_target"),
        (&[("max_age", "soon")], "invalid_request"),
    ] {
        let callback = browser.get(&world.authorize(changes)).await.callback();
        assert_eq!(callback["error"], error, "{changes:?}");
        assert_eq!(callback["state"], "the-state");
        assert_eq!(callback["iss"], world.issuer);
        assert!(!callback.contains_key("code"));
    }
    let twice = format!("{}&scope=openid", world.authorize(&[]));
    assert_eq!(browser.get(&twice).await.callback()["error"], "invalid_request");
    let hybrid = browser
        .get(&world.authorize(&[("response_type", "code id_token")]))
        .await;
    assert!(
        hybrid
            .location()
            .starts_with(&format!("{CALLBACK}#error=invalid_request")),
        "{hybrid:?}"
    );
}

#[tokio::test]
async fn form_post_is_a_page_that_posts() {
    let world = start().await;
    let mut browser = world.browser();
    let page = browser
        .get(&world.authorize(&[("response_mode", "form_post")]))
        .await;
    let chosen = browser.post(page.location(), &[("persona", "plain")]).await;
    let answer = browser.follow(chosen).await;
    assert!(
        answer
            .body
            .contains(&format!(r#"<form method="post" action="{CALLBACK}">"#)),
        "{answer:?}"
    );
    for name in ["code", "state", "iss"] {
        assert!(answer.body.contains(&format!(r#"name="{name}""#)), "{name}");
    }
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:9;"),
        "{policy}"
    );
}

#[tokio::test]
async fn the_providers_session_signs_in_again_without_a_click() {
    let world = start().await;
    let mut browser = world.browser();
    browser.sign_in(&world.authorize(&[]), "plain").await;
    assert_eq!(world.control.sessions(), 1);
    assert!(
        browser
            .get(&world.authorize(&[("state", "second")]))
            .await
            .callback()
            .contains_key("code")
    );
    // Even when the request asks for Hugging Face: Logto's habit.
    let direct = world.authorize(&[("direct_sign_in", "social:huggingface")]);
    assert!(browser.get(&direct).await.callback().contains_key("code"));
    assert!(
        browser
            .get(&world.authorize(&[("prompt", "none")]))
            .await
            .callback()
            .contains_key("code")
    );
    assert!(
        browser
            .get(&world.authorize(&[("prompt", "login")]))
            .await
            .location()
            .starts_with("/sign-in?")
    );
    assert!(
        browser
            .get(&world.authorize(&[("max_age", "600")]))
            .await
            .callback()
            .contains_key("code")
    );
    world.clock.advance(601);
    assert!(
        browser
            .get(&world.authorize(&[("max_age", "600")]))
            .await
            .location()
            .starts_with("/sign-in?")
    );
    world.clock.advance(14 * 86_400);
    assert!(
        browser
            .get(&world.authorize(&[]))
            .await
            .location()
            .starts_with("/sign-in?"),
        "the session ended"
    );
    assert_eq!(
        world.browser().get(&world.authorize(&[])).await.status,
        303,
        "another browser has no session"
    );
}

#[tokio::test]
async fn the_first_tab_finishes_with_the_second_tabs_state() {
    let world = start().await;
    let mut browser = world.browser();
    let first = browser.get(&world.authorize(&[("state", "first")])).await;
    let second = browser.get(&world.authorize(&[("state", "second")])).await;
    let chosen = browser.post(first.location(), &[("persona", "plain")]).await;
    assert_eq!(browser.follow(chosen).await.callback()["state"], "second");
    let stuck = browser.post(second.location(), &[("persona", "plain")]).await;
    assert_eq!(stuck.location(), "/unknown-session");
    assert_eq!(browser.get("/unknown-session").await.status, 400);
}

#[tokio::test]
async fn a_pending_sign_in_is_its_browsers_own() {
    let world = start().await;
    let (mut browser, mut stranger) = (world.browser(), world.browser());
    let page = browser.get(&world.authorize(&[])).await;
    let chosen = browser.post(page.location(), &[("persona", "plain")]).await;
    assert_eq!(
        stranger.get(chosen.location()).await.location(),
        "/unknown-session"
    );
    assert_eq!(
        stranger
            .post(page.location(), &[("persona", "admin")])
            .await
            .location(),
        "/unknown-session"
    );
    assert!(
        browser
            .get(chosen.location())
            .await
            .callback()
            .contains_key("code")
    );
    assert_eq!(
        browser.get(chosen.location()).await.location(),
        "/unknown-session",
        "finished once"
    );
    world.clock.advance(3_601);
    let late = browser.get(&world.authorize(&[("prompt", "login")])).await;
    world.clock.advance(3_601);
    assert_eq!(
        browser
            .post(late.location(), &[("persona", "plain")])
            .await
            .location(),
        "/unknown-session"
    );
}

#[tokio::test]
async fn an_authorization_request_may_be_posted_by_another_site() {
    let world = start().await;
    let target = world.authorize(&[]);
    let query = target.strip_prefix("/oidc/auth?").unwrap();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let cross_site = [("sec-fetch-site", "cross-site")];
    let answer = world
        .browser()
        .request(Method::POST, "/oidc/auth", &pairs, &cross_site)
        .await;
    assert!(answer.location().starts_with("/sign-in?"));
    assert_eq!(world.control.last_authorization().len(), pairs.len());
}

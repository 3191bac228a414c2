//! Sign-out, asked for by the application.

use ::http::StatusCode;

use super::browser::{AFTER, Browser, VERIFIER, World, form, start};

fn end(pairs: &[(&str, &str)]) -> String {
    format!("/oidc/session/end?{}", form(pairs))
}

async fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    browser.sign_in(&world.authorize(&[]), "plain").await;
    browser
}

#[tokio::test]
async fn the_whole_session_ends_and_state_comes_back() {
    let world = start().await;
    let mut browser = signed_in(&world).await;
    let target = end(&[
        ("client_id", "app"),
        ("post_logout_redirect_uri", AFTER),
        ("state", "out&1"),
    ]);
    let page = browser.get(&target).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("document.forms[0].submit()"));
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("script-src 'sha256-")
    );
    let secret = page
        .body
        .split(r#"name="xsrf" value=""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let confirm = "/oidc/session/end/confirm";
    assert_eq!(
        world.browser().post(confirm, &[("xsrf", "guess")]).await.status,
        400
    );
    assert_eq!(world.control.sessions(), 1);
    let done = browser
        .post(confirm, &[("xsrf", &secret), ("logout", "yes")])
        .await;
    assert_eq!(done.location(), format!("{AFTER}?state=out%261"));
    assert_eq!(world.control.sessions(), 0);
    assert!(
        browser
            .get(&world.authorize(&[]))
            .await
            .location()
            .starts_with("/sign-in?")
    );
    let again = browser.get(&target).await;
    assert_eq!(
        again.location(),
        format!("{AFTER}?state=out%261"),
        "without a session: straight there"
    );
}

#[tokio::test]
async fn another_browser_cannot_confirm() {
    let world = start().await;
    let mut browser = signed_in(&world).await;
    let page = browser.get(&end(&[])).await;
    let secret = page
        .body
        .split(r#"name="xsrf" value=""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        world
            .browser()
            .post("/oidc/session/end/confirm", &[("xsrf", &secret)])
            .await
            .status,
        400
    );
    assert_eq!(world.control.sessions(), 1);
}

#[tokio::test]
async fn only_registered_places_are_gone_to() {
    let world = start().await;
    let mut browser = signed_in(&world).await;
    for pairs in [
        &[
            ("client_id", "app"),
            ("post_logout_redirect_uri", "https://example.com/"),
        ][..],
        &[
            ("client_id", "app"),
            ("post_logout_redirect_uri", "http://127.0.0.1:9/bye/"),
        ],
        &[("client_id", "nobody"), ("post_logout_redirect_uri", AFTER)],
        &[("id_token_hint", "a.b.c"), ("post_logout_redirect_uri", AFTER)],
        &[("client_id", "app"), ("client_id", "app")],
    ] {
        assert_eq!(browser.get(&end(pairs)).await.status, 400, "{pairs:?}");
    }
    let ignored = world
        .browser()
        .get(&end(&[("post_logout_redirect_uri", "https://example.com/")]))
        .await;
    assert_eq!(
        ignored.status,
        StatusCode::OK,
        "nobody named, nobody asked: the provider's own page"
    );
    assert!(ignored.body.contains("Signed out"));
}

#[tokio::test]
async fn a_hint_is_good_until_its_key_is_rotated_out() {
    let world = start().await;
    let mut browser = world.browser();
    let callback = browser.sign_in(&world.authorize(&[]), "plain").await;
    let tokens = world.redeem(&callback["code"], VERIFIER).await.json();
    let hint = tokens["id_token"].as_str().unwrap();
    let target = end(&[("id_token_hint", hint), ("post_logout_redirect_uri", AFTER)]);
    world.clock.advance(7_200);
    assert_eq!(
        world.browser().get(&target).await.location(),
        AFTER,
        "expired is fine"
    );
    let mismatch = end(&[("id_token_hint", hint), ("client_id", "other")]);
    assert_eq!(browser.get(&mismatch).await.status, 400);
    world.control.rotate_to_rs256().unwrap();
    let stranded = world.browser().get(&target).await;
    assert_eq!(
        stranded.json()["error_description"],
        "could not validate id_token_hint"
    );
}

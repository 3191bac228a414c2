//! What a person meets: the sign-in page, Hugging Face, a new account, refusals.

use ::http::header::HOST;
use ::http::{Method, Request, StatusCode};
use http_body_util::Full;

use super::browser::{VERIFIER, decode, send, start};

#[tokio::test]
async fn the_sign_in_page_has_a_button_for_each_persona() {
    let world = start().await;
    let mut browser = world.browser();
    let page_path = browser.get(&world.authorize(&[])).await.location().to_owned();
    let page = browser.get(&page_path).await;
    for key in ["plain", "admin", "huggingface", "acme", "suspended"] {
        assert!(
            page.body
                .contains(&format!(r#"name="persona" value="{key}" id="persona-{key}""#)),
            "{key}"
        );
    }
    assert!(page.body.contains(r#"name="social" value="huggingface""#));
    assert!(!page.body.contains("<script"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        policy.ends_with("frame-ancestors 'none'; form-action 'self' http://127.0.0.1:9"),
        "{policy}"
    );
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(
        world.browser().get("/sign-in?app_id=app").await.location(),
        "/unknown-session"
    );
}

#[tokio::test]
async fn a_suspended_user_is_refused_on_the_providers_own_page() {
    let world = start().await;
    let mut browser = world.browser();
    let page = browser.get(&world.authorize(&[])).await;
    let refused = browser.post(page.location(), &[("persona", "suspended")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused
            .body
            .contains(r#"<p class="alert" role="alert">This user is suspended.</p>"#)
    );
    assert_eq!(world.control.sessions(), 0);
    // Suspended between the click and the way back.
    let chosen = browser.post(page.location(), &[("persona", "plain")]).await;
    assert!(world.control.suspend("plain"));
    assert_eq!(
        browser.get(chosen.location()).await.location(),
        "/unknown-session"
    );
    assert!(!world.control.suspend("nobody"));
}

#[tokio::test]
async fn hugging_face_there_and_back() {
    let world = start().await;
    let mut browser = world.browser();
    let direct = browser
        .get(&world.authorize(&[("direct_sign_in", "social:huggingface")]))
        .await;
    assert_eq!(
        direct.location(),
        "/direct/social/huggingface?app_id=app&fallback=sign-in"
    );
    let consent = browser.follow(direct).await;
    assert!(
        consent
            .body
            .contains(r#"name="persona" value="huggingface" id="authorize-huggingface""#),
        "{consent:?}"
    );
    let visit = consent
        .body
        .split(r#"name="state" value=""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let path = "/huggingface/oauth/authorize";
    let authorized = browser
        .post(path, &[("state", &visit), ("persona", "huggingface")])
        .await;
    assert!(
        authorized
            .location()
            .starts_with("/callback/huggingface-universal?code=")
    );
    let back = authorized.location().to_owned();
    let mut victim = world.browser();
    victim.get(&world.authorize(&[])).await;
    assert_eq!(
        victim.get(&back).await.location(),
        "/unknown-session",
        "begun in another browser"
    );

    let page = browser.get(&world.authorize(&[])).await;
    let social = browser.post(page.location(), &[("social", "huggingface")]).await;
    let consent = browser.follow(social).await;
    let visit = consent
        .body
        .split(r#"name="state" value=""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let authorized = browser
        .post(path, &[("state", &visit), ("persona", "huggingface")])
        .await;
    let callback = browser.follow(authorized).await.callback();
    let tokens = world.redeem(&callback["code"], VERIFIER).await.json();
    let (_, id_token) = decode(tokens["id_token"].as_str().unwrap());
    assert_eq!(id_token["sub"], "hfaceuser001");
    assert!(id_token["username"].is_null() && id_token.get("identities").is_none());
    let userinfo = world
        .userinfo(tokens["access_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(
        userinfo["identities"]["huggingface"]["details"]["rawData"]["preferred_username"],
        "example-hf-user"
    );
}

#[tokio::test]
async fn cancelling_at_hugging_face_ends_on_logtos_page() {
    let world = start().await;
    let mut browser = world.browser();
    let direct = browser
        .get(&world.authorize(&[("direct_sign_in", "social:huggingface")]))
        .await;
    let consent = browser.follow(direct).await;
    let visit = consent
        .body
        .split(r#"name="state" value=""#)
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let path = "/huggingface/oauth/authorize";
    for decision in [("persona", "plain"), ("decision", "cancel")] {
        let cancelled = browser.post(path, &[("state", &visit), decision]).await;
        assert!(
            cancelled.location().contains("error=access_denied"),
            "{decision:?}: {cancelled:?}"
        );
    }
    let cancelled = browser
        .post(path, &[("state", &visit), ("decision", "cancel")])
        .await;
    let page = browser.follow(cancelled).await;
    assert!(page.body.contains("persona-plain"), "Logto's sign-in page");
    let replayed = browser
        .get(&format!("/callback/huggingface-universal?code=x&state={visit}"))
        .await;
    assert_eq!(replayed.location(), "/unknown-session");
    let direct = browser
        .get(&world.authorize(&[("direct_sign_in", "social:huggingface")]))
        .await;
    let consent_path = browser.get(direct.location()).await.location().to_owned();
    let elsewhere = &consent_path.replace("%2Fcallback%2F", "%2Felsewhere%2F");
    assert_eq!(browser.get(&consent_path).await.status, StatusCode::OK);
    assert_eq!(browser.get(elsewhere).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_unknown_target_falls_back_and_a_bad_screen_voids_everything() {
    let world = start().await;
    let mut browser = world.browser();
    let unknown = browser
        .get(&world.authorize(&[("direct_sign_in", "social:elsewhere")]))
        .await;
    assert!(unknown.location().starts_with("/direct/social/elsewhere?"));
    assert!(browser.follow(unknown).await.body.contains("persona-plain"));
    let misspelt = world.authorize(&[
        ("direct_sign_in", "social:huggingface"),
        ("first_screen", "identifier:sign-in"),
    ]);
    assert!(browser.get(&misspelt).await.location().starts_with("/sign-in?"));
}

#[tokio::test]
async fn a_new_account_signs_in() {
    let world = start().await;
    let mut browser = world.browser();
    let page = browser
        .get(&world.authorize(&[("first_screen", "register")]))
        .await;
    let path = page.location().to_owned();
    assert!(path.starts_with("/register?"));
    assert!(
        browser
            .get(&path)
            .await
            .body
            .contains(r#"<input id="email" name="email" type="email" required"#)
    );
    for (name, email) in [
        ("", "new@example.com"),
        ("New", "not an address"),
        ("New", "plain@example.com"),
    ] {
        assert_eq!(
            browser
                .post(&path, &[("name", name), ("email", email)])
                .await
                .status,
            400,
            "{email}"
        );
    }
    let created = browser
        .post(&path, &[("name", "<b>New</b>"), ("email", "new@example.com")])
        .await;
    let callback = browser.follow(created).await.callback();
    let tokens = world.redeem(&callback["code"], VERIFIER).await.json();
    let (_, id_token) = decode(tokens["id_token"].as_str().unwrap());
    assert_eq!(id_token["name"], "<b>New</b>");
    assert_eq!(id_token["sub"].as_str().unwrap().len(), 12);
    let page = browser.get(&world.authorize(&[("prompt", "login")])).await;
    let page_path = page.location().to_owned();
    let page = browser.get(&page_path).await;
    assert!(
        page.body.contains("&lt;b&gt;New") && !page.body.contains("<b>New"),
        "escaped"
    );
}

#[tokio::test]
async fn access_control_shows_its_three_faces() {
    let world = start().await;
    let mut browser = world.browser();
    let tokens = world
        .tokens_of(
            "plain",
            &[("scope", "openid offline_access"), ("prompt", "consent")],
        )
        .await;
    browser.sign_in(&world.authorize(&[]), "plain").await;
    assert!(
        world
            .control
            .update_persona("plain", |persona| persona.access_denied = true)
    );
    assert_eq!(
        browser.get(&world.authorize(&[])).await.callback()["error"],
        "access_denied"
    );
    assert_eq!(
        browser
            .get(&world.authorize(&[("prompt", "none")]))
            .await
            .callback()["error"],
        "consent_required"
    );
    let mut newcomer = world.browser();
    let page = newcomer.get(&world.authorize(&[])).await;
    let chosen = newcomer.post(page.location(), &[("persona", "plain")]).await;
    assert_eq!(newcomer.follow(chosen).await.status, StatusCode::FORBIDDEN);
    let refreshed = world.refresh(tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refreshed.error(), (400, "access_denied".to_owned()));
    let userinfo = world.userinfo(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(userinfo.status, StatusCode::OK, "userinfo goes on, as at Logto");
}

#[tokio::test]
async fn another_site_and_another_name_are_refused() {
    let world = start().await;
    let mut browser = world.browser();
    let page = browser.get(&world.authorize(&[])).await;
    let cross_site = [("sec-fetch-site", "cross-site")];
    let forged = browser
        .request(
            Method::POST,
            page.location(),
            &[("persona", "admin")],
            &cross_site,
        )
        .await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    for host in ["example.com", "localhost.example.com:80"] {
        for path in ["/", "/oidc/jwks", "/oidc/auth"] {
            let request = Request::get(path)
                .header(HOST, host)
                .body(Full::default())
                .unwrap();
            let answer = send(world.address, request).await.unwrap();
            assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host} {path}");
        }
    }
    assert_eq!(world.control.counts().jwks, 0);
}

//! The Secret Vault, and Hugging Face's userinfo.

use serde_json::json;
use std::time::Duration;

use super::super::{Faults, Misbehaviour, TokenStorage};
use super::browser::{Answer, VERIFIER, World, start};
use super::tokens::text;

const HOUR: TokenStorage = TokenStorage {
    lifetime: Some(Duration::from_secs(3_600)),
    renews: false,
};

async fn stored(world: &World, token: &str) -> Answer {
    world
        .get_as("/api/my-account/identities/huggingface/access-token", token)
        .await
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), text(&answer.json(), "code").to_owned())
}

async fn access_token(world: &World) -> String {
    let tokens = world.tokens_of("huggingface", &[]).await;
    text(&tokens, "access_token").to_owned()
}

#[tokio::test]
async fn each_refusal_is_logtos() {
    let world = start().await;
    let token = access_token(&world).await;
    assert_eq!(
        code(&stored(&world, "junk").await),
        (401, "auth.unauthorized".into())
    );
    assert_eq!(
        code(&stored(&world, &token).await),
        (400, "account_center.not_enabled".into())
    );
    world.control.set_account_center(true);
    let poor = world
        .tokens_of("huggingface", &[("scope", "openid profile")])
        .await;
    assert_eq!(
        code(&stored(&world, text(&poor, "access_token")).await),
        (403, "auth.forbidden".into())
    );
    let not_found = (404, "secrets.third_party_token_set.token_not_found".to_owned());
    assert_eq!(code(&stored(&world, &token).await), not_found);
    world.control.store_token("huggingface", "github", HOUR).unwrap();
    assert_eq!(code(&stored(&world, &token).await), not_found, "another target's");
    world
        .control
        .store_token("huggingface", "huggingface", HOUR)
        .unwrap();
    assert!(stored(&world, &token).await.status.is_success());
    world.clock.advance(3_599);
    assert!(
        stored(&world, &access_token(&world).await)
            .await
            .status
            .is_success()
    );
    world.clock.advance(1);
    let expired = (
        401,
        "secrets.third_party_token_set.access_token_expired".to_owned(),
    );
    let token = access_token(&world).await;
    assert_eq!(code(&stored(&world, &token).await), expired);
    assert_eq!(
        code(&stored(&world, &token).await),
        not_found,
        "and then it is gone"
    );
    world.control.suspend("huggingface");
    assert_eq!(
        code(&stored(&world, &token).await),
        (401, "auth.unauthorized".into())
    );
}

#[tokio::test]
async fn a_token_with_a_refresh_token_is_renewed() {
    let world = start().await;
    world.control.set_account_center(true);
    let renewing = TokenStorage { renews: true, ..HOUR };
    let first = world
        .control
        .store_token("huggingface", "huggingface", renewing)
        .unwrap();
    let token = access_token(&world).await;
    let answer = stored(&world, &token).await.json();
    assert_eq!(
        answer,
        json!({"access_token": first, "scope": "openid profile email", "token_type": "bearer", "expires_in": 3_600})
    );
    assert!(world.control.expire_stored_token("huggingface", "huggingface"));
    assert_eq!(
        world.get_as("/huggingface/oauth/userinfo", &first).await.status,
        401
    );
    let answer = stored(&world, &token).await.json();
    let second = text(&answer, "access_token");
    assert_ne!(second, first);
    assert_eq!(
        world
            .control
            .stored_token("huggingface", "huggingface")
            .as_deref(),
        Some(second)
    );
    assert!(
        world
            .get_as("/huggingface/oauth/userinfo", second)
            .await
            .status
            .is_success()
    );
    assert!(world.control.forget_stored_token("huggingface", "huggingface"));
    assert_eq!(stored(&world, &token).await.status, 404);
    let endless = TokenStorage {
        lifetime: None,
        renews: false,
    };
    world
        .control
        .store_token("huggingface", "huggingface", endless)
        .unwrap();
    assert!(stored(&world, &token).await.json().get("expires_in").is_none());
}

#[tokio::test]
async fn hugging_face_says_what_is_true_now_and_logto_what_was() {
    let world = start().await;
    let token = world
        .control
        .store_token("huggingface", "huggingface", HOUR)
        .unwrap();
    let now = world.get_as("/huggingface/oauth/userinfo", &token).await.json();
    let userinfo = world.userinfo(&access_token(&world).await).await.json();
    assert_eq!(now, userinfo["identities"]["huggingface"]["details"]["rawData"]);
    assert!(
        world
            .control
            .update_hugging_face("huggingface", |account| account.organizations.clear())
    );
    assert!(!world.control.update_hugging_face("plain", |_| {}));
    let later = world.get_as("/huggingface/oauth/userinfo", &token).await.json();
    assert_eq!(
        (later["orgs"].clone(), later["sub"].clone()),
        (json!([]), now["sub"].clone())
    );
    let unchanged = world.userinfo(&access_token(&world).await).await.json();
    assert_eq!(unchanged["identities"], userinfo["identities"]);
    assert_eq!(
        world
            .get_as("/huggingface/oauth/userinfo", "hf_junk")
            .await
            .status,
        401
    );
    assert_eq!(world.control.counts().hugging_face_userinfo, 3);
}

#[tokio::test]
async fn a_sign_in_through_hugging_face_stores_its_token() {
    let world = start().await;
    world.control.set_account_center(true);
    let direct = world.authorize(&[("direct_sign_in", "social:huggingface")]);
    let sign_in = async || {
        let mut browser = world.browser();
        let answer = browser.get(&direct).await;
        let page = browser.follow(answer).await;
        assert!(page.body.contains("authorize-huggingface"), "{page:?}");
        let visit = page.body.split("name=\"state\" value=\"").nth(1).unwrap();
        let visit = visit.split('"').next().unwrap().to_owned();
        let pairs = [("state", visit.as_str()), ("persona", "huggingface")];
        let decided = browser.post("/huggingface/oauth/authorize", &pairs).await;
        let callback = browser.follow(decided).await.callback();
        let tokens = world.redeem(&callback["code"], VERIFIER).await.json();
        text(&tokens, "access_token").to_owned()
    };
    assert_eq!(
        stored(&world, &sign_in().await).await.status,
        404,
        "storage is off"
    );
    world.control.set_token_storage("huggingface", Some(HOUR));
    assert!(stored(&world, &sign_in().await).await.status.is_success());
    let first = world.control.stored_token("huggingface", "huggingface");
    sign_in().await;
    assert_ne!(
        world.control.stored_token("huggingface", "huggingface"),
        first,
        "replaced"
    );
}

#[tokio::test]
async fn the_new_endpoints_can_fail() {
    let world = start().await;
    let failing = || Misbehaviour::Status(503).times(1).into();
    world.control.set_faults(Faults {
        introspection: failing(),
        token_exchange: failing(),
        stored_token: failing(),
        hugging_face_userinfo: failing(),
        ..Faults::default()
    });
    let exchange = [("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")];
    for status in [503, 401] {
        assert_eq!(stored(&world, "x").await.status, status);
        assert_eq!(
            world.get_as("/huggingface/oauth/userinfo", "x").await.status,
            status
        );
        let wrong = |path| world.post_as("app", "wrong", path, &exchange);
        assert_eq!(wrong("/oidc/token").await.status, status);
        assert_eq!(
            world
                .post_as("app", "wrong", "/oidc/token/introspection", &[("token", "x")])
                .await
                .status,
            status
        );
    }
    let counts = world.control.counts();
    assert_eq!((counts.stored_tokens, counts.introspection), (2, 2));
}

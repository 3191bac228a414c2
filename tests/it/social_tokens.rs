//! Third parties' tokens at the upstream, from Logto's Secret Vault: got once, renewed, asked for with consent.

use super::tokens::{get, header};
use crate::support::proxy::{Builder, ORIGIN};
use crate::support::{Browser, World, proxy};
use logto_proxy::dev::provider::{EndpointFault, Faults, Misbehaviour, TokenStorage};
use std::time::Duration;

const MODELS: &str = r#"
[[route]]
path = "/models/*"
social_token = { target = "huggingface", header = "X-HF-Token" }

[[route]]
path = "/must/*"
social_token = { target = "huggingface", header = "Authorization", when_absent = "refuse" }
"#;

pub const RENEWABLE: TokenStorage = TokenStorage {
    lifetime: Some(Duration::from_secs(600)),
    renews: true,
};

pub fn with_vault() -> Builder {
    proxy().section(MODELS).provider(|settings| {
        settings.account_center = true;
    })
}

pub async fn hf_token(world: &World, browser: &mut Browser) -> Option<String> {
    world.upstream.forget();
    assert_eq!(browser.fetch("/models/x").await.status, 200);
    header(world, "x-hf-token")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_token_arrives_and_after_its_end_the_renewed_one() {
    let world = with_vault().start().await;
    let stored = world
        .logto
        .store_token("huggingface", "huggingface", RENEWABLE)
        .unwrap();
    let mut browser = world.signed_in("huggingface").await;
    for _ in 0..5 {
        assert_eq!(hf_token(&world, &mut browser).await.as_ref(), Some(&stored));
    }
    assert_eq!(world.logto.counts().stored_tokens, 1, "asked once");
    assert_eq!(
        world.logto.counts().refreshes,
        0,
        "with the access token of the sign-in"
    );
    let answer = get(&mut browser, "/must/x", &[("authorization", "Bearer forged")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(header(&world, "authorization"), Some(format!("Bearer {stored}")));
    world.hand.advance(600);
    let renewed = hf_token(&world, &mut browser).await.unwrap();
    assert_ne!(renewed, stored);
    assert_eq!(
        world.logto.stored_token("huggingface", "huggingface"),
        Some(renewed)
    );
    assert_eq!(world.logto.counts().stored_tokens, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stored_token_the_header_is_absent_or_the_user_is_asked_to_connect_again() {
    let world = with_vault().start().await;
    let mut browser = world.signed_in("admin").await;
    assert_eq!(hf_token(&world, &mut browser).await, None);
    let answer = browser.fetch("/must/x").await;
    assert_eq!(
        (answer.status, answer.json()["error"].as_str()),
        (401, Some("consent_needed"))
    );
    assert_eq!(world.logto.counts().stored_tokens, 1, "not asked again at once");
    let url = answer.json()["sign_in_url"].as_str().unwrap().to_owned();
    let page = browser.navigate("/must/x").await;
    assert!(page.status == 401 && page.body.contains("direct_sign_in=social%3Ahuggingface"));
    // The link leads through the connector, though no sign-in URL may name one otherwise.
    let path = url.strip_prefix(ORIGIN).unwrap().to_owned();
    let begun = browser.navigate(&path).await;
    assert_eq!(begun.status, 302, "{begun:?}");
    let location = begun.location();
    let asked = |name: &str| {
        location
            .query_pairs()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.into_owned())
    };
    assert_eq!(asked("direct_sign_in").as_deref(), Some("social:huggingface"));
    assert_eq!(asked("prompt").as_deref(), Some("login"));
    let other = path.replace("huggingface", "github");
    assert_eq!(browser.navigate(&other).await.status, 400);
    // Stored meanwhile: there after a minute.
    let stored = world
        .logto
        .store_token("admin", "huggingface", RENEWABLE)
        .unwrap();
    world.hand.advance(60);
    assert_eq!(hf_token(&world, &mut browser).await, Some(stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_token_that_ended_for_good_asks_for_consent() {
    let world = with_vault().start().await;
    let storage = TokenStorage {
        renews: false,
        ..RENEWABLE
    };
    world.logto.store_token("admin", "huggingface", storage).unwrap();
    let mut browser = world.signed_in("admin").await;
    assert_eq!(browser.fetch("/must/x").await.status, 200);
    world.hand.advance(600);
    assert_eq!(browser.fetch("/must/x").await.status, 401);
    world.logto.set_account_center(false);
    world.hand.advance(60);
    assert_eq!(
        browser.fetch("/must/x").await.status,
        503,
        "an operator has to do something"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_token_is_used_through_an_outage_and_asked_for_with_a_live_access_token() {
    let world = with_vault().session("recheck = \"1d\"").start().await;
    let storage = TokenStorage {
        lifetime: Some(Duration::from_secs(8 * 3_600)),
        renews: true,
    };
    let stored = world.logto.store_token("admin", "huggingface", storage).unwrap();
    let mut browser = world.signed_in("admin").await;
    assert_eq!(hf_token(&world, &mut browser).await.as_ref(), Some(&stored));
    world.stop_provider().await;
    world.hand.advance(901);
    assert_eq!(
        hf_token(&world, &mut browser).await.as_ref(),
        Some(&stored),
        "it lives for hours"
    );
    world.restart_provider().await;
    // The access token of the sign-in is over by now: another one is got.
    world.hand.advance(3_600);
    crate::support::eventually("the vault is asked again", || {
        let mut browser = browser.clone();
        let logto = world.logto.clone();
        async move {
            browser.fetch("/models/x").await;
            logto.counts().stored_tokens >= 2
        }
    })
    .await;
    assert_eq!(hf_token(&world, &mut browser).await, Some(stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_logto_withdrew_is_replaced_and_the_vault_asked_again() {
    let world = with_vault().start().await;
    let stored = world
        .logto
        .store_token("admin", "huggingface", RENEWABLE)
        .unwrap();
    let browser = world.signed_in("admin").await;
    let withdrawn = EndpointFault {
        misbehaviour: Some(Misbehaviour::Status(401).times(1)),
        ..EndpointFault::default()
    };
    world.logto.set_faults(Faults {
        stored_token: withdrawn,
        ..Faults::default()
    });
    let requests = (0..20).map(|_| {
        let mut browser = browser.clone();
        async move { browser.fetch("/models/x").await.status }
    });
    let statuses = futures_util::future::join_all(requests).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let with = world
        .upstream
        .seen()
        .iter()
        .filter(|seen| seen.header("x-hf-token") == Some(&stored))
        .count();
    assert_eq!(with, 20);
    assert_eq!(world.logto.counts().stored_tokens, 2);
    assert_eq!(world.logto.counts().refreshes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_gets_their_own_stored_token() {
    let world = with_vault().start().await;
    let store = |persona: &str| world.logto.store_token(persona, "huggingface", RENEWABLE);
    let (admins, others) = (store("admin"), store("huggingface"));
    assert!(admins.is_some() && admins != others);
    let mut admin = world.signed_in("admin").await;
    let mut other = world.signed_in("huggingface").await;
    let mut plain = world.signed_in("plain").await;
    for _ in 0..2 {
        assert_eq!(hf_token(&world, &mut admin).await, admins);
        assert_eq!(hf_token(&world, &mut other).await, others);
        assert_eq!(hf_token(&world, &mut plain).await, None);
    }
}

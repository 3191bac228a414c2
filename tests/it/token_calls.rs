//! What happens while Logto is asked for tokens: the refresh token changes, the answer is lost, the session ends.

use super::social_tokens::{RENEWABLE, hf_token, with_vault};
use super::tokens::{API, claims, header, with_tokens};
use crate::support::proxy::APP_ID;
use crate::support::{Browser, World, eventually};
use logto_proxy::dev::provider::{ApiResource, EndpointFault, Faults, Misbehaviour, TokenStorage};
use std::time::Duration;
use tokio::task::JoinHandle;

const TWO: &str = r#"
[[route]]
path = "/two/*"
tokens = [
  { resource = "https://api.example.com", header = "X-Api-Token" },
  { organization = "exampleorg01", header = "X-Org-Token" },
]
"#;

fn refreshes(fault: impl Into<EndpointFault>) -> Faults {
    Faults {
        refresh: fault.into(),
        ..Faults::default()
    }
}

/// Logto does what it is asked at once, and takes its time to say so.
fn slowly() -> Faults {
    refreshes(Misbehaviour::AnswerLate(Duration::from_secs(1)))
}

fn fetch(browser: &Browser, path: &'static str) -> JoinHandle<u16> {
    let mut browser = browser.clone();
    tokio::spawn(async move { browser.fetch(path).await.status })
}

/// Logto has done so many, and has not answered the last.
async fn has_done(world: &World, refreshes: u64) {
    eventually("Logto was asked", || async {
        world.logto.counts().refreshes == refreshes
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_a_token_for_a_resource_replaced_is_the_one_in_use() {
    let world = with_tokens()
        .section(TWO)
        .session("recheck = \"1d\"")
        .client(|client| client.refresh_token_ttl = Duration::from_secs(100))
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(slowly());
    let waiting = fetch(&browser, "/two/x");
    has_done(&world, 1).await;
    assert_eq!(world.logto.counts().rotations, 0);
    world.hand.advance(80);
    has_done(&world, 2).await;
    assert_eq!(
        world.logto.counts().rotations,
        1,
        "with the token for the resource"
    );
    // Longer than Logto forgives the one from before.
    world.hand.advance(5);
    assert_eq!(waiting.await.unwrap(), 200);
    assert!(header(&world, "x-api-token").is_some() && header(&world, "x-org-token").is_some());
    assert_eq!(world.logto.grants_revoked(), 0, "within the call");
    world.logto.set_faults(Faults::default());
    world.hand.advance(5);
    // This browser has not met the answer.
    assert_eq!(browser.fetch("/both/x").await.status, 200);
    assert!(header(&world, "x-both").is_some());
    assert_eq!(world.logto.grants_revoked(), 0, "after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_no_use_has_the_refresh_token_in_use_all_the_same() {
    let world = with_tokens()
        .session("recheck = \"1d\"")
        .client(|client| client.refresh_token_ttl = Duration::from_secs(100))
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(Faults {
        resource_passed_over: true,
        ..slowly()
    });
    let waiting = fetch(&browser, "/api/x");
    has_done(&world, 1).await;
    world.hand.advance(80);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(
        header(&world, "authorization"),
        None,
        "an opaque token is for something else"
    );
    assert_eq!(world.logto.counts().rotations, 1);
    world.logto.set_faults(Faults::default());
    world.hand.advance(10);
    assert_eq!(browser.fetch("/api/x").await.status, 200);
    assert!(header(&world, "authorization").is_some());
    assert_eq!(world.logto.grants_revoked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_at_once_or_not_at_all() {
    for (delay, asked, given) in [(0, 3, true), (1_200, 2, false)] {
        let world = with_tokens().start().await;
        let browser = world.signed_in("admin").await;
        world.logto.set_faults(slowly());
        let waiting = fetch(&browser, "/api/x");
        has_done(&world, 1).await;
        world.logto.set_faults(refreshes(EndpointFault {
            delay: Duration::from_millis(delay),
            misbehaviour: Some(Misbehaviour::ResetAfterProcessing.times(1)),
        }));
        assert_eq!(waiting.await.unwrap(), 200);
        assert_eq!(header(&world, "authorization").is_some(), given, "{delay} ms");
        assert_eq!(world.logto.counts().refreshes, asked, "{delay} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_gone_when_the_token_is_asked_for_ends_the_session() {
    let world = with_tokens().section(TWO).start().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(slowly());
    let waiting = fetch(&browser, "/two/x");
    has_done(&world, 2).await;
    world.logto.evict_grants(APP_ID, "admin");
    assert_eq!(waiting.await.unwrap(), 401);
    assert!(world.upstream.seen().is_empty());
    assert_eq!(browser.fetch("/elsewhere").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_while_a_token_is_on_its_way_is_not_let_pass_with_it() {
    let world = with_tokens().start().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(slowly());
    let waiting = fetch(&browser, "/api/x");
    has_done(&world, 1).await;
    browser.navigate("/.logto/sign-out").await;
    assert_eq!(waiting.await.unwrap(), 401);
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_while_a_token_is_on_its_way_wait_for_the_same_one() {
    let world = with_tokens().session("recheck = \"10s\"").start().await;
    let browser = world.signed_in("admin").await;
    world.logto.set_faults(slowly());
    let first = fetch(&browser, "/api/x");
    has_done(&world, 1).await;
    let others: Vec<JoinHandle<u16>> = (0..20).map(|_| fetch(&browser, "/api/x")).collect();
    // They are there before the second call is over.
    has_done(&world, 2).await;
    assert_eq!(first.await.unwrap(), 200);
    for other in others {
        assert_eq!(other.await.unwrap(), 200);
    }
    assert_eq!(world.logto.counts().refreshes, 2);
    let seen = world.upstream.seen();
    let token = seen[0].header("authorization").unwrap();
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization") == Some(token))
    );
    assert_eq!(claims(token.strip_prefix("Bearer ").unwrap())["aud"], API);
}

/// Also by a replica that has not seen the sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_refresh_token_brings_its_access_token_along() {
    let replica = || {
        with_tokens()
            .logto("refresh = \"none\"")
            .section(
                "[[route]]\npath = \"/own/*\"\ntokens = [{ header = \"X-Token\", when_absent = \"refuse\" }]",
            )
            .session("recheck = \"1d\"")
    };
    let world = replica().start().await;
    let mut browser = world.signed_in("admin").await;
    assert_eq!(browser.fetch("/own/x").await.status, 200);
    let token = header(&world, "x-token");
    assert!(token.is_some());
    let other = replica().beside(&world).start().await;
    browser.move_to(other.address);
    assert_eq!(browser.fetch("/own/x").await.status, 200);
    assert_eq!(header(&other, "x-token"), token);
    world.hand.advance(3_600);
    let answer = browser.fetch("/own/x").await;
    assert_eq!(
        (answer.status, answer.json()["error"].as_str()),
        (503, Some("token_unavailable"))
    );
    assert_eq!(world.logto.counts().refreshes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_token_that_its_user_took_back_is_not_handed_on_for_the_rest_of_its_life() {
    let world = with_vault().session("recheck = \"1d\"").start().await;
    let storage = TokenStorage {
        lifetime: Some(Duration::from_secs(8 * 3_600)),
        ..RENEWABLE
    };
    world.logto.store_token("admin", "huggingface", storage).unwrap();
    let mut browser = world.signed_in("admin").await;
    assert!(hf_token(&world, &mut browser).await.is_some());
    assert!(world.logto.forget_stored_token("admin", "huggingface"));
    world.hand.advance(901);
    assert_eq!(hf_token(&world, &mut browser).await, None);
}

/// Routes `/of/<number>`, each with a token for an API of its own.
async fn with_apis(count: usize) -> World {
    let address = |number: usize| format!("https://{number}.example.com");
    let routes = (0..count).map(|number| {
        format!(
            "[[route]]\npath = \"/of/{number}\"\ntokens = [{{ resource = \"{}\", header = \"X-Api-Token\" }}]\n",
            address(number)
        )
    });
    with_tokens()
        .section(&routes.collect::<String>())
        .provider(|settings| {
            let apis = (0..count).map(|number| ApiResource::new(address(number), Vec::new()));
            settings.resources.extend(apis);
        })
        .start()
        .await
}

/// As many as a page opens at once.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_for_other_tokens_get_theirs_with_the_next_call() {
    let world = with_apis(8).await;
    let browser = world.signed_in("admin").await;
    world
        .logto
        .set_faults(refreshes(Misbehaviour::AnswerLate(Duration::from_millis(100))));
    let requests = (0..8).map(|number| {
        let mut browser = browser.clone();
        async move { browser.fetch(&format!("/of/{number}")).await.status }
    });
    let statuses = futures_util::future::join_all(requests).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let seen = world.upstream.seen();
    let given = seen.iter().filter(|seen| seen.header("x-api-token").is_some());
    assert_eq!(given.count(), 8);
    let calls = world.logto.counts().refreshes;
    assert!(
        calls <= 10,
        "{calls}: one for each, and one or two for the session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_wanted_one_after_the_other_are_all_got() {
    let world = with_apis(13).await;
    let mut browser = world.signed_in("admin").await;
    for number in 0..13 {
        assert_eq!(browser.fetch(&format!("/of/{number}")).await.status, 200);
        assert!(header(&world, "x-api-token").is_some(), "{number}");
    }
}

/// Another replica waits for a call no longer than a minute, and then uses the refresh token itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_which_nobody_waits_any_more_asks_for_nothing_further() {
    let world = with_tokens()
        .section(TWO)
        .session("recheck = \"1d\"")
        .start()
        .await;
    let browser = world.signed_in("admin").await;
    world
        .logto
        .set_faults(refreshes(Misbehaviour::AnswerLate(Duration::from_millis(6_300))));
    let waiting = fetch(&browser, "/two/x");
    has_done(&world, 2).await;
    assert_eq!(waiting.await.unwrap(), 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.logto.counts().refreshes, 2);
    world.logto.set_faults(Faults::default());
    world.hand.advance(6);
    assert_eq!(browser.clone().fetch("/two/x").await.status, 200);
    assert!(header(&world, "x-api-token").is_some() && header(&world, "x-org-token").is_some());
}

/// Its life begins when Logto makes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_long_on_its_way_ends_no_later() {
    let world = with_tokens()
        .section("[[route]]\npath = \"/own/*\"\ntokens = [{ header = \"X-Token\" }]")
        .session("recheck = \"1d\"")
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    world.hand.advance(3_600);
    world.logto.set_faults(slowly());
    let waiting = fetch(&browser, "/own/x");
    has_done(&world, 1).await;
    world.hand.advance(20);
    assert_eq!(waiting.await.unwrap(), 200);
    let waiting = fetch(&browser, "/api/x");
    has_done(&world, 3).await;
    world.hand.advance(20);
    assert_eq!(waiting.await.unwrap(), 200);
    assert!(header(&world, "authorization").is_some());
    world.stop_provider().await;
    world.hand.advance(3_590);
    for (path, name) in [("/own/x", "x-token"), ("/api/x", "authorization")] {
        assert_eq!(browser.fetch(path).await.status, 200);
        assert_eq!(header(&world, name), None, "{path}");
    }
}

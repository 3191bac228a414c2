//! A user lost a role: a token from before is handed on no more once Logto has been asked, whoever asked it.

use super::tokens::{header, with_tokens};
use crate::support::proxy::ORIGIN;
use crate::support::{Browser, Fleet, World};
use logto_proxy::dev::provider::{Faults, Hook, HookEvent, Misbehaviour};
use logto_proxy::secret::SecretText;

/// `session.recheck`, and a little more.
const RECHECK: i64 = 310;

/// The token for the API.
async fn token(world: &World, browser: &mut Browser) -> String {
    assert_eq!(browser.fetch("/api/x").await.status, 200);
    header(world, "authorization").expect("a token")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_drops_what_it_kept_when_it_meets_the_result() {
    let fleet = Fleet::start(2, |_| with_tokens()).await;
    let [first, other] = [&fleet.worlds[0], &fleet.worlds[1]];
    let mut browser = first.signed_in("admin").await;
    let before = browser.clone();
    let kept_by_first = token(first, &mut browser).await;
    browser.move_to(other.address);
    let kept_by_other = token(other, &mut browser).await;
    assert!(first.logto.set_roles("admin", &["reader"]));
    first.hand.advance(RECHECK);
    browser.move_to(first.address);
    assert_eq!(browser.fetch("/elsewhere").await.status, 200);
    assert_ne!(token(first, &mut browser).await, kept_by_first);
    browser.move_to(other.address);
    let now = token(other, &mut browser).await;
    assert_ne!(now, kept_by_other);
    // Kept again, also for a browser with a cookie from before, whatever it says.
    let calls = first.logto.counts().refreshes;
    assert_eq!(token(other, &mut browser).await, now);
    let mut before = before.clone();
    before.move_to(other.address);
    for _ in 0..3 {
        assert_eq!(token(other, &mut before.clone()).await, now);
    }
    assert_eq!(first.logto.counts().refreshes, calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_learnt_in_part_counts_too() {
    let world = with_tokens().logto("userinfo = \"always\"").start().await;
    let mut browser = world.signed_in("admin").await;
    let before = token(&world, &mut browser).await;
    assert!(world.logto.set_roles("admin", &["reader"]));
    world.logto.set_faults(Faults {
        userinfo: Misbehaviour::Status(500).into(),
        ..Faults::default()
    });
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/elsewhere").await.status, 200);
    world.logto.set_faults(Faults::default());
    world.hand.advance(RECHECK);
    assert_ne!(token(&world, &mut browser).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_no_header_and_no_rule_tells_of_counts_too() {
    let world = with_tokens()
        .section("[headers]\n\"X-User-Roles\" = false\n\"X-User-Orgs\" = false\n\"X-User-Org-Roles\" = false")
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    let before = token(&world, &mut browser).await;
    assert!(world.logto.set_roles("admin", &["reader"]));
    world.hand.advance(RECHECK);
    assert_ne!(token(&world, &mut browser).await, before);
}

const KEY: &str = "h8GJ2tVxQ0mZk3Yw7cRd5sLp9bNfTa1E";

/// Of several calls in one second each counts as of a later one: what Logto tells in that second is not answered by them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_right_after_tokens_were_got_counts_at_once() {
    let world = with_tokens()
        .section(&format!("[webhook]\nsigning_key = \"{KEY}\""))
        .start()
        .await;
    world.logto.route(ORIGIN, world.address);
    world.logto.set_hook(Hook {
        url: format!("{ORIGIN}/.logto/webhook"),
        signing_key: SecretText::new(KEY.to_owned()),
    });
    let mut browser = world.signed_in("admin").await;
    let mut calls = 0;
    for path in ["/api/x", "/both/x", "/org/x"] {
        assert_eq!(browser.fetch(path).await.status, 200);
        calls += 2;
    }
    assert_eq!(world.logto.counts().refreshes, calls);
    assert!(world.logto.set_organizations("admin", &[]));
    let webhook = world.logto.webhook(HookEvent::DataUpdated, "admin").unwrap();
    assert!(world.logto.send_webhook(&webhook).await.unwrap() < 300);
    // Nor by a call that was not answered.
    world.logto.set_faults(Faults {
        refresh: Misbehaviour::Status(503).times(1).into(),
        ..Faults::default()
    });
    assert_eq!(browser.fetch("/elsewhere").await.status, 200);
    world.logto.set_faults(Faults::default());
    world.hand.advance(6);
    let calls = world.logto.counts().refreshes;
    assert_eq!(browser.fetch("/elsewhere").await.status, 200);
    assert_eq!(world.logto.counts().refreshes, calls + 1);
    assert_eq!(browser.fetch("/org/x").await.status, 403);
    let calls = world.logto.counts().refreshes;
    assert_eq!(browser.fetch("/elsewhere").await.status, 200);
    assert_eq!(world.logto.counts().refreshes, calls, "answered");
}

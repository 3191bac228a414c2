//! Logto's webhooks: only signed and recent ones count, and only those that concern sessions do anything.

use crate::support::{Answer, Browser, World, proxy};
use bytes::Bytes;
use logto_proxy::dev::provider::{Hook, HookEvent, SIGNATURE_FIELD, Webhook};
use logto_proxy::secret::SecretText;
use url::Url;

const URL: &str = "https://app.example.com/.logto/webhook";
const KEY: &str = "h8GJ2tVxQ0mZk3Yw7cRd5sLp9bNfTa1E";

fn key() -> SecretText {
    SecretText::new(KEY.to_owned())
}

async fn world() -> World {
    let world = proxy()
        .section(&format!("[webhook]\nsigning_key = \"{KEY}\""))
        .start()
        .await;
    world.logto.route("https://app.example.com", world.address);
    world.logto.set_hook(Hook {
        url: URL.to_owned(),
        signing_key: key(),
    });
    world
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.fetch("/.logto/user").await.json()["isAuthenticated"] == true
}

async fn send(world: &World, event: HookEvent, persona: &str) -> u16 {
    let webhook = world.logto.webhook(event, persona).unwrap();
    world.logto.send_webhook(&webhook).await.unwrap()
}

async fn post(world: &World, fields: &[(&str, &str)], body: &str) -> Answer {
    let url: Url = URL.parse().unwrap();
    world
        .browser()
        .send("POST", url, fields, Bytes::from(body.to_owned()))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn suspension_and_deletion_end_all_sessions_of_the_user() {
    for event in [HookEvent::SuspensionUpdated, HookEvent::Deleted] {
        let world = world().await;
        let (mut one, mut two) = (world.signed_in("plain").await, world.signed_in("plain").await);
        let mut other = world.signed_in("admin").await;
        if event == HookEvent::Deleted {
            assert!(world.logto.delete("plain"));
        } else {
            assert!(world.logto.suspend("plain"));
        }
        assert_eq!(send(&world, event, "plain").await, 200, "{event:?}");
        assert!(
            !is_signed_in(&mut one).await && !is_signed_in(&mut two).await,
            "{event:?}"
        );
        assert!(is_signed_in(&mut other).await, "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_other_events_end_nothing() {
    let world = world().await;
    let mut browser = world.signed_in("plain").await;
    for (event, status) in [
        (HookEvent::SuspensionUpdated, 204),
        (HookEvent::DataUpdated, 200),
        (HookEvent::MemberRemoved, 200),
        (HookEvent::MembershipUpdated, 200),
        (HookEvent::GrantLimitExceeded, 200),
        (HookEvent::SignedIn, 204),
        (HookEvent::RoleUpdated, 204),
    ] {
        assert_eq!(send(&world, event, "plain").await, status, "{event:?}");
        assert!(is_signed_in(&mut browser).await, "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_key_or_too_old_is_refused_without_a_word() {
    let world = world().await;
    let mut browser = world.signed_in("plain").await;
    world.logto.suspend("plain");
    let right = world
        .logto
        .webhook(HookEvent::SuspensionUpdated, "plain")
        .unwrap();
    let other_key = SecretText::new("another key of sixteen bytes and more".to_owned());
    let forged = Webhook::sign(right.body.clone(), &other_key);
    let changed = right.body.replace("true", "true ");
    let cut = &right.signature[..60];
    let garbage = Webhook::sign("not JSON".to_owned(), &key());
    let mut bodies = Vec::new();
    for (fields, body) in [
        (vec![], right.body.as_str()),
        (vec![(SIGNATURE_FIELD, "")], right.body.as_str()),
        (vec![(SIGNATURE_FIELD, cut)], right.body.as_str()),
        (
            vec![(SIGNATURE_FIELD, forged.signature.as_str())],
            right.body.as_str(),
        ),
        (
            vec![(SIGNATURE_FIELD, right.signature.as_str())],
            changed.as_str(),
        ),
        (
            vec![(SIGNATURE_FIELD, garbage.signature.as_str())],
            garbage.body.as_str(),
        ),
        (
            vec![
                (SIGNATURE_FIELD, right.signature.as_str()),
                (SIGNATURE_FIELD, forged.signature.as_str()),
            ],
            right.body.as_str(),
        ),
    ] {
        let answer = post(&world, &fields, body).await;
        assert_eq!(answer.status, 401, "{fields:?}");
        bodies.push(answer.body);
    }
    for seconds in [301, -602] {
        world.hand.advance(seconds);
        let answer = post(&world, &[(SIGNATURE_FIELD, &right.signature)], &right.body).await;
        assert_eq!(answer.status, 401, "{seconds}");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "nobody learns which check failed: {bodies:?}");
    world.hand.advance(301);
    assert!(is_signed_in(&mut browser).await);
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_answered_alike_and_does_nothing() {
    let world = world().await;
    world.logto.suspend("plain");
    let webhook = world
        .logto
        .webhook(HookEvent::SuspensionUpdated, "plain")
        .unwrap();
    world.logto.unsuspend("plain");
    assert_eq!(world.logto.send_webhook(&webhook).await, Ok(200));
    world.hand.advance(1);
    let mut browser = world.signed_in("plain").await;
    world.hand.advance(1);
    assert_eq!(world.logto.send_webhook(&webhook).await, Ok(200));
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_message_and_another_method_are_refused() {
    let world = world().await;
    let huge = Webhook::sign(" ".repeat(300 * 1024), &key());
    let answer = post(&world, &[(SIGNATURE_FIELD, &huge.signature)], &huge.body).await;
    assert_eq!(answer.status, 413);
    for method in ["GET", "HEAD", "PUT"] {
        let answer = world
            .browser()
            .send(method, URL.parse().unwrap(), &[], Bytes::new())
            .await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("POST")),
            "{method}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_there_is_no_such_endpoint() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let webhook = Webhook::sign("{}".to_owned(), &SecretText::new(String::new()));
    let answer = post(&world, &[(SIGNATURE_FIELD, &webhook.signature)], &webhook.body).await;
    assert_eq!(answer.status, 404);
    assert!(is_signed_in(&mut browser).await);
    assert!(world.upstream.seen().is_empty());
}

//! Webhooks: signed bodies in Logto's shapes.

use serde_json::{Value, json};
use std::time::Duration;

use super::super::{DeliveryError, Hook, HookEvent, SIGNATURE_FIELD, Webhook};
use super::browser::{World, start};
use super::receiver::Receiver;
use crate::secret::SecretText;

const KEY: &str = "a-signing-key-of-logto";

fn hook(world: &World, url: String) {
    world.control.set_hook(Hook {
        url,
        signing_key: SecretText::new(KEY.into()),
    });
}

#[tokio::test]
async fn a_webhook_arrives_as_it_was_signed() {
    let world = start().await;
    assert!(
        world
            .control
            .webhook(HookEvent::SuspensionUpdated, "plain")
            .is_none(),
        "no hook, no key"
    );
    let receiver = Receiver::answering(200, Duration::ZERO).await;
    hook(&world, receiver.url("/hook"));
    world.control.suspend("plain");
    let webhook = world
        .control
        .webhook(HookEvent::SuspensionUpdated, "plain")
        .unwrap();
    assert_eq!(world.control.send_webhook(&webhook).await, Ok(200));
    let received = receiver.only();
    assert_eq!(received.path, "/hook");
    assert_eq!(received.headers["content-type"], "application/json");
    assert_eq!(received.headers["user-agent"], "Logto (https://logto.io/)");
    assert_eq!(received.body, webhook.body);
    let signature = received.headers[SIGNATURE_FIELD].to_str().unwrap();
    assert_eq!(
        signature,
        Webhook::sign(received.body, &SecretText::new(KEY.into())).signature
    );
    assert!(signature.len() == 64 && signature.bytes().all(|byte| b"0123456789abcdef".contains(&byte)));
}

#[tokio::test]
async fn each_event_names_its_user_where_logto_does() {
    let world = start().await;
    hook(&world, "http://127.0.0.1:9/".to_owned());
    let payload = |event: HookEvent| -> Value {
        let webhook = world.control.webhook(event, "admin").unwrap();
        serde_json::from_str(&webhook.body).unwrap()
    };
    for (event, name, pointer) in [
        (
            HookEvent::SuspensionUpdated,
            "User.SuspensionStatus.Updated",
            "/data/id",
        ),
        (HookEvent::Deleted, "User.Deleted", "/data/id"),
        (HookEvent::DataUpdated, "User.Data.Updated", "/data/id"),
        (HookEvent::DataUpdated, "User.Data.Updated", "/params/userId"),
        (
            HookEvent::CustomDataUpdated,
            "User.Data.Updated",
            "/params/userId",
        ),
        (HookEvent::AccountUpdated, "User.Data.Updated", "/data/id"),
        (
            HookEvent::MemberRemoved,
            "Organization.Membership.Updated",
            "/removedUserIds/0",
        ),
        (HookEvent::GrantLimitExceeded, "Grant.LimitExceeded", "/userId"),
        (HookEvent::SignedIn, "PostSignIn", "/userId"),
    ] {
        let payload = payload(event);
        assert_eq!(payload["event"], name);
        assert_eq!(payload.pointer(pointer), Some(&json!("adminuser001")), "{name}");
        assert!(payload["hookId"].is_string() && payload["createdAt"].as_str().unwrap().ends_with(".000Z"));
    }
    let custom = payload(HookEvent::CustomDataUpdated);
    assert_eq!(custom["data"], json!({"theme": "dark"}));
    for (event, name) in [
        (HookEvent::MembershipUpdated, "Organization.Membership.Updated"),
        (HookEvent::RoleUpdated, "Role.Scopes.Updated"),
    ] {
        let payload = payload(event);
        assert_eq!(payload["event"], name);
        assert!(!payload.to_string().contains("adminuser001"));
    }
}

#[tokio::test]
async fn a_webhook_tells_of_now_and_of_the_deleted() {
    let world = start().await;
    hook(&world, "http://192.0.2.1/".to_owned());
    let created = || -> String {
        let webhook = world.control.webhook(HookEvent::Deleted, "plain").unwrap();
        let payload: Value = serde_json::from_str(&webhook.body).unwrap();
        payload["createdAt"].as_str().unwrap().to_owned()
    };
    let before = created();
    world.clock.advance(86_400);
    assert!(world.control.delete("plain"));
    assert!(created() > before);
    let webhook = world.control.webhook(HookEvent::Deleted, "plain").unwrap();
    assert_eq!(
        world.control.send_webhook(&webhook).await,
        Err(DeliveryError::NotLoopback)
    );
}

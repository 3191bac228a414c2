//! What the provider sends goes to loopback, once, and is remembered.

use std::time::Duration;

use super::super::{Delivery, DeliveryError, DeliveryKind};
use super::browser::{World, start};
use super::receiver::Receiver;

fn register(world: &World, uri: &str) {
    assert!(
        world
            .control
            .update_client("app", |client| client.backchannel_logout_uri =
                Some(uri.to_owned()))
    );
}

#[tokio::test]
async fn nothing_leaves_this_machine() {
    let world = start().await;
    assert_eq!(
        world.control.send_logout("app", "plain").await,
        Err(DeliveryError::Nowhere)
    );
    for uri in [
        "http://192.0.2.1/",
        "http://example.com/",
        "http://localhost.example.com/",
        "https://127.0.0.1/",
        "ftp://127.0.0.1/",
    ] {
        register(&world, uri);
        assert_eq!(
            world.control.send_logout("app", "plain").await,
            Err(DeliveryError::NotLoopback),
            "{uri}"
        );
    }
    world
        .control
        .route("https://app.example.com", "192.0.2.1:80".parse().unwrap());
    register(&world, "https://app.example.com/logout");
    assert_eq!(
        world.control.send_logout("app", "plain").await,
        Err(DeliveryError::NotLoopback)
    );
}

#[tokio::test]
async fn an_origin_may_be_led_here() {
    let world = start().await;
    let receiver = Receiver::answering(200, Duration::ZERO).await;
    register(&world, "https://app.example.com/logout?x=1");
    world.control.route("https://app.example.com", receiver.address);
    assert_eq!(world.control.send_logout("app", "plain").await, Ok(200));
    let received = receiver.only();
    assert_eq!(received.path, "/logout?x=1");
    assert_eq!(received.headers["host"], "app.example.com");
}

#[tokio::test]
async fn one_try_and_no_redirect() {
    let world = start().await;
    for status in [307, 500, 503] {
        let receiver = Receiver::answering(status, Duration::ZERO).await;
        register(&world, &receiver.url("/logout"));
        assert_eq!(world.control.send_logout("app", "plain").await, Ok(status));
        assert_eq!(receiver.only().path, "/logout");
    }
    let gone = Receiver::answering(200, Duration::ZERO).await.url("/");
    register(&world, &gone);
    let last = || -> Delivery { world.control.deliveries().pop().unwrap() };
    assert_eq!(
        world.control.send_logout("app", "plain").await,
        Err(DeliveryError::Unreachable)
    );
    assert_eq!(
        (last().url, last().kind, last().outcome),
        (gone, DeliveryKind::LogoutToken, Err(DeliveryError::Unreachable))
    );
    for _ in 0..120 {
        let _ = world.control.send_logout("app", "plain").await;
    }
    assert_eq!(world.control.deliveries().len(), 100);
}

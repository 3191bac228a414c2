//! Logto away, slow, back again, and with new keys: how soon that is noticed, and how often Logto is asked.

use super::fake::{DISCOVERY, FakeLogto, Instead, JWKS, TOKEN, TestKey};
use super::{logto, request};
use crate::clock;
use crate::logto::attend::pause_after;
use crate::logto::{Availability, LogtoErrorKind, METADATA_TIMEOUT};
use crate::tasks::Tasks;
use serde_json::json;
use std::time::Duration;

async fn eventually(mut done: impl FnMut() -> bool) {
    let began = clock::monotonic();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_recovery_is_noticed_within_ten_seconds() {
    assert_eq!(pause_after(0), Duration::from_millis(250));
    assert_eq!(pause_after(4), Duration::from_secs(4));
    for failures in [5, 31, 32, u32::MAX] {
        assert_eq!(pause_after(failures), Duration::from_secs(5));
    }
    assert!(METADATA_TIMEOUT + pause_after(u32::MAX) < Duration::from_secs(10));
}

#[tokio::test]
async fn logto_may_come_later_than_the_proxy() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.state()
        .instead
        .insert(DISCOVERY, Instead::Answer(503, json!({})));
    let logto = logto(&fake);
    assert!(
        matches!(logto.availability(), Availability::Unavailable { reason, .. } if reason.contains("not asked"))
    );
    logto.start();
    logto.start();
    eventually(|| fake.calls(DISCOVERY).len() >= 2).await;
    assert!(
        matches!(logto.availability(), Availability::Unavailable { reason, .. } if reason.contains("503"))
    );

    // While that is known, callers are answered at once and cause no call.
    let (before, began) = (fake.calls(DISCOVERY).len(), clock::monotonic());
    for _ in 0..1000 {
        let error = logto.metadata_or_fetch().await.unwrap_err();
        assert_eq!(error.kind(), &LogtoErrorKind::ServerError { status: 503 });
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(fake.calls(DISCOVERY).len() <= before + 1);

    fake.state().instead.clear();
    eventually(|| logto.metadata().is_some()).await;
    let lacks_keys = || matches!(logto.availability(), Availability::Unavailable { reason, .. } if reason.contains("keys"));
    eventually(lacks_keys).await;
    fake.publish(&[&key]);
    eventually(|| logto.availability() == Availability::Ready).await;

    // Known is known: a later outage takes nothing away.
    fake.state().instead.insert(DISCOVERY, Instead::Reset);
    assert_eq!(logto.availability(), Availability::Ready);
    assert!(logto.metadata_or_fetch().await.is_ok());
}

#[tokio::test]
async fn nothing_listening_is_an_outage_and_asked_once_a_second() {
    let fake = FakeLogto::start();
    let address = fake.address;
    let logto = logto(&fake);
    drop(fake);
    eventually(|| std::net::TcpStream::connect(address).is_err()).await;
    let began = clock::monotonic();
    for _ in 0..100 {
        let error = logto.metadata_or_fetch().await.unwrap_err();
        assert_eq!(error.kind(), &LogtoErrorKind::Unreachable);
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    let fake = FakeLogto::start_on(address);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // With somebody else retrying, requests never do.
    logto.0.discovery.set_attended(true);
    assert!(logto.metadata_or_fetch().await.is_err());
    assert_eq!(fake.calls(DISCOVERY).len(), 0);
    logto.0.discovery.set_attended(false);
    logto.metadata_or_fetch().await.unwrap();
    assert_eq!(fake.calls(DISCOVERY).len(), 1);
}

#[tokio::test]
async fn a_hanging_logto_is_given_up() {
    let fake = FakeLogto::start();
    fake.state().instead.insert(DISCOVERY, Instead::Hang);
    let logto = logto(&fake);
    let began = clock::monotonic();
    let (one, two) = tokio::join!(logto.metadata_or_fetch(), logto.metadata_or_fetch());
    assert_eq!(one.unwrap_err().kind(), &LogtoErrorKind::Timeout);
    assert_eq!(two.unwrap_err().kind(), &LogtoErrorKind::Timeout);
    assert!(began.elapsed() < METADATA_TIMEOUT + Duration::from_secs(1));
    assert_eq!(fake.calls(DISCOVERY).len(), 1);
}

#[tokio::test]
async fn the_background_task_ends() {
    let fake = FakeLogto::start();
    fake.publish(&[&TestKey::ec("k1", "P-384")]);
    for ends_by_drop in [false, true] {
        let tasks = Tasks::new();
        let logto = super::Logto::new(
            super::settings(&fake),
            super::Clock::system(),
            tasks.clone(),
            super::Metrics::default(),
        )
        .unwrap();
        logto.start();
        eventually(|| logto.availability() == Availability::Ready).await;
        assert_eq!(tasks.running(), 1);
        if ends_by_drop {
            drop(logto);
        } else {
            logto.stop();
        }
        tokio::time::timeout(Duration::from_secs(1), tasks.drained())
            .await
            .unwrap();
    }
}

/// Default rotation at Logto: the new key signs at once, perhaps with another algorithm, and the old one stays published.
#[tokio::test]
async fn rotations_cost_one_fetch_and_no_sign_in() {
    let fake = FakeLogto::start();
    let (old, new) = (TestKey::ec("k1", "P-384"), TestKey::rsa("k2", "RS256"));
    fake.publish(&[&old]);
    fake.hand_out(&old.sign(&fake.claims()));
    let logto = logto(&fake);
    logto.redeem(request()).await.unwrap();
    assert_eq!(fake.calls(JWKS).len(), 1);

    fake.publish(&[&new, &old]);
    fake.hand_out(&new.sign(&fake.claims()));
    let sign_ins = futures_util::future::join_all((0..20).map(|_| logto.redeem(request()))).await;
    assert!(sign_ins.iter().all(Result::is_ok));
    assert_eq!(fake.calls(JWKS).len(), 2, "one fetch for all of them");
    fake.hand_out(&old.sign(&fake.claims()));
    logto.redeem(request()).await.unwrap();
    assert_eq!(fake.calls(JWKS).len(), 2);
}

#[tokio::test]
async fn unknown_keys_cause_no_flood() {
    let fake = FakeLogto::start();
    let (key, stranger) = (TestKey::ec("k1", "P-384"), TestKey::ec("k2", "P-384"));
    fake.publish(&[&key]);
    fake.hand_out(&stranger.sign(&fake.claims()));
    let logto = logto(&fake);
    for _ in 0..30 {
        let error = logto.redeem(request()).await.unwrap_err();
        assert_eq!(error.kind(), &LogtoErrorKind::InvalidToken { check: "kid" });
    }
    assert_eq!(fake.calls(JWKS).len(), 2, "the first fetch and one search");
    assert_eq!(fake.calls(TOKEN).len(), 30);
}

#[tokio::test]
async fn a_failing_key_fetch_takes_no_keys_away() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let stranger = TestKey::ec("k2", "P-384");
    fake.publish(&[&key]);
    let logto = logto(&fake);
    fake.hand_out(&key.sign(&fake.claims()));
    logto.redeem(request()).await.unwrap();
    for instead in [
        Instead::Answer(200, json!({ "keys": [] })),
        Instead::Text(200, "no".into()),
        Instead::Reset,
    ] {
        fake.state().instead.insert(JWKS, instead);
        fake.hand_out(&stranger.sign(&fake.claims()));
        assert!(logto.redeem(request()).await.is_err());
        fake.hand_out(&key.sign(&fake.claims()));
        logto.redeem(request()).await.unwrap();
    }
}

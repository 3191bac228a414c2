//! Replicas that share a Redis which is there.

use super::redis_server::{Redis, Replica, client};
use super::*;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_notice_reaches_every_replica_at_once() {
    let Some(redis) = Redis::start(&[]) else { return };
    let [a, b, c] = [
        Replica::start(&redis.url()).await,
        Replica::start(&redis.url()).await,
        Replica::start(&redis.url()).await,
    ];
    for (number, replica) in [(1, &a), (2, &b), (3, &c)] {
        let began = monotonic();
        replica.store.publish_notice(ending(number)).await.unwrap();
        assert!(is_over(&replica.store, number));
        assert_eq!(replica.store.health().pending, 0, "acknowledged");
        for other in [&a, &b, &c] {
            other.hears(number).await;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    let line = |origin| {
        format!(r#"logto_proxy_notices_total{{scope="session",effect="sign_out",origin="{origin}"}}"#)
    };
    assert_eq!((a.count(&line("here")), a.count(&line("replica"))), (1, 2));
    assert_eq!(a.count("logto_proxy_store_available"), 1);
    let health = a.store.health();
    assert_eq!(
        (health.kind, health.available, health.reason),
        ("redis", true, None)
    );
}

#[tokio::test]
async fn a_replica_that_starts_later_reads_everything_first() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let publishing = (0..2_500).map(|number| a.store.publish_notice(ending(number)));
    futures_util::future::join_all(publishing).await;
    drop(a);
    let b = Replica::start(&redis.url()).await;
    assert!((0..2_500).all(|number| is_over(&b.store, number)));
    assert_eq!(
        b.count(r#"logto_proxy_notices_total{scope="session",effect="sign_out",origin="replica"}"#),
        0
    );
    // The same application elsewhere, and another one.
    let other = Settings {
        namespace: "fedcba9876543210".to_owned(),
        ..at_url(&redis.url())
    };
    let other = Replica::begin(other);
    other.store.caught_up().await;
    assert!(other.store.revocations().is_empty());
}

#[tokio::test]
async fn a_users_sessions_are_known_to_all_and_show_nobody_who_the_user_is() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    let subject = "user-4711-Müller";
    for number in 1..=60 {
        a.store.note_session(record(number, subject));
    }
    let mut long = record(61, subject);
    long.expires_at = now().plus(HOUR * 3);
    b.store.note_session(long.clone());
    let mut listed = Vec::new();
    for _ in 0..400 {
        listed = b.store.sessions_of(subject).await.unwrap();
        if listed.len() == 50 && listed[0].id == session(61) && listed[49].id == session(12) {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(listed[0], long, "read back as written");
    let numbers: Vec<SessionId> = (12..=61).rev().map(session).collect();
    assert_eq!(listed.iter().map(|record| record.id).collect::<Vec<_>>(), numbers);
    assert!(b.store.knows_since().is_some_and(|since| since >= now()));
    assert_eq!(a.store.knows_since(), b.store.knows_since());
    b.store.publish_notice(ending(61)).await.unwrap();
    assert_eq!(b.store.sessions_of(subject).await.unwrap().len(), 49);
    assert_eq!(b.store.sessions_of("nobody").await.unwrap(), []);

    assert!(a.store.first_use("logout", subject.as_bytes(), HOUR).await);
    let mut client = client(&redis.url()).await;
    let keys: Vec<String> = ::redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut client)
        .await
        .unwrap();
    for key in &keys {
        assert!(key.starts_with("logto-proxy:{0123456789abcdef}:"), "{key}");
        assert!(!key.contains("4711"), "{key}");
        let lasts: i64 = ::redis::cmd("TTL")
            .arg(key)
            .query_async(&mut client)
            .await
            .unwrap();
        assert!(lasts > 0, "{key} stays for ever");
    }
    let sessions = keys.iter().find(|key| key.contains(":sessions:")).unwrap();
    let mut read = ::redis::cmd("HGETALL");
    let values: String = {
        let values: Vec<String> = read.arg(sessions).query_async(&mut client).await.unwrap();
        assert_eq!(values.len(), 100, "what is too much is deleted");
        values.concat()
    };
    assert!(!values.contains("4711") && values.contains("Browser/1.0"));
    let lasts: u64 = ::redis::cmd("TTL")
        .arg(sessions)
        .query_async(&mut client)
        .await
        .unwrap();
    assert!(
        (HOUR.as_secs() * 3 - 60..=HOUR.as_secs() * 3).contains(&lasts),
        "to the end of the last: {lasts}"
    );
}

#[tokio::test]
async fn what_works_once_works_once_on_all_replicas() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    let keep = Duration::from_millis(1_500);
    assert!(a.store.first_use("logout", b"jti", keep).await);
    assert!(!b.store.first_use("logout", b"jti", keep).await);
    assert!(b.store.first_use("logout", b"other", keep).await);
    let uses = (0..40).map(|turn| {
        let store = if turn % 2 == 0 { &a.store } else { &b.store };
        store.first_use("logout", b"at the same time", keep)
    });
    let first = futures_util::future::join_all(uses).await;
    assert_eq!(first.iter().filter(|first| **first).count(), 1);
    sleep(Duration::from_millis(1_600)).await;
    let c = Replica::start(&redis.url()).await;
    assert!(
        c.store.first_use("logout", b"jti", keep).await,
        "forgotten in time"
    );
}

#[tokio::test]
async fn what_a_later_version_writes_is_passed_over() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let mut client = client(&redis.url()).await;
    let stream = "logto-proxy:{0123456789abcdef}:notices";
    for (field, value) in [
        ("notice", r#"{"scope":"planet"}"#),
        ("other", "x"),
        ("notice", "\u{0}"),
    ] {
        let mut add = ::redis::cmd("XADD");
        let _: String = add
            .arg(stream)
            .arg("*")
            .arg(field)
            .arg(value)
            .query_async(&mut client)
            .await
            .unwrap();
    }
    let b = Replica::start(&redis.url()).await;
    b.store.publish_notice(ending(1)).await.unwrap();
    a.hears(1).await;
}

#[tokio::test]
async fn old_entries_are_deleted_by_the_clock_of_the_redis() {
    let Some(redis) = Redis::start(&[]) else { return };
    let mut client = client(&redis.url()).await;
    let stream = "logto-proxy:{0123456789abcdef}:notices";
    let json = serde_json::to_string(&ending(1)).unwrap();
    let mut add = ::redis::cmd("XADD");
    let _: String = add
        .arg(stream)
        .arg("1000-0")
        .arg("notice")
        .arg(json)
        .query_async(&mut client)
        .await
        .unwrap();
    // This replica believes that it is next year.
    let (clock, hand) = Clock::movable();
    hand.advance(365 * 24 * 3_600);
    let tasks = Tasks::new();
    let store = Store::open(at_url(&redis.url()), clock, tasks, Metrics::new()).unwrap();
    store.start();
    store.caught_up().await;
    assert!(is_over(&store, 1));
    store.publish_notice(ending(2)).await.unwrap();
    let left = async |mut client: ::redis::aio::MultiplexedConnection| -> Vec<u32> {
        let reply: ::redis::streams::StreamRangeReply = ::redis::cmd("XRANGE")
            .arg(stream)
            .arg("-")
            .arg("+")
            .query_async(&mut client)
            .await
            .unwrap();
        let notices = reply
            .ids
            .iter()
            .map(|entry| entry.get::<String>("notice").unwrap());
        let numbers = notices.map(|json| u32::from(json.contains("00000002")) + 1);
        numbers.collect::<BTreeSet<_>>().into_iter().collect()
    };
    assert_eq!(left(client.clone()).await, [1, 2]);
    let deadline = monotonic() + Duration::from_secs(9);
    while left(client.clone()).await != [2] {
        assert!(monotonic() < deadline, "not trimmed");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_flood_of_notices_neither_fills_the_redis_nor_revives_a_session() {
    let Some(redis) = Redis::start(&[]) else { return };
    let few = || Settings {
        most_notices: 10,
        ..at_url(&redis.url())
    };
    let a = Replica::begin(few());
    a.store.caught_up().await;
    for number in 0..100 {
        a.store.publish_notice(ending(number)).await.unwrap();
    }
    let mut client = client(&redis.url()).await;
    let mut length = ::redis::cmd("XLEN");
    length.arg("logto-proxy:{0123456789abcdef}:notices");
    let deadline = monotonic() + Duration::from_secs(9);
    loop {
        let length: usize = length.query_async(&mut client).await.unwrap();
        assert!(length >= 10, "what is in force is always there");
        if length < 30 {
            break;
        }
        assert!(monotonic() < deadline, "{length} entries");
        sleep(Duration::from_millis(50)).await;
    }
    let b = Replica::begin(few());
    b.store.caught_up().await;
    for replica in [&a, &b] {
        for number in 0..100 {
            let marks = Marks {
                id: session(number),
                sid: None,
                subject: "somebody",
                signed_in_at: UnixSeconds::new(now().as_u64() - 60),
            };
            assert!(
                replica.store.revocations().ended(&marks).is_some(),
                "session {number} is back"
            );
        }
    }
    a.store.publish_notice(ending(100)).await.unwrap();
    b.hears(100).await;
}

#[tokio::test]
async fn a_record_that_is_refused_holds_nothing_else_up() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    a.store.note_session(record(1, "user"));
    let mut client = client(&redis.url()).await;
    let keys = async |client: &mut ::redis::aio::MultiplexedConnection| -> Vec<String> {
        ::redis::cmd("KEYS")
            .arg("*sessions*")
            .query_async(client)
            .await
            .unwrap()
    };
    while keys(&mut client).await.is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    // What is under this key is something else.
    let key = keys(&mut client).await.remove(0);
    let _: String = ::redis::cmd("SET")
        .arg(&key)
        .arg("x")
        .query_async(&mut client)
        .await
        .unwrap();
    a.store.note_session(record(2, "user"));
    a.store.note_session(record(3, "other"));
    for _ in 0..200 {
        if !a.store.sessions_of("other").await.unwrap().is_empty() {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(a.store.sessions_of("other").await.unwrap().len(), 1);
    assert!(a.store.health().available);
    a.store.publish_notice(ending(1)).await.unwrap();
    assert_eq!(a.store.health().pending, 0);
}

//! A Redis that goes away, comes back empty, or says nothing.

use super::redis_server::{Redis, Replica, client};
use super::*;

#[tokio::test]
async fn what_is_ended_during_an_outage_reaches_the_others_after_it() {
    let Some(mut redis) = Redis::start(&[]) else {
        return;
    };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    a.store.publish_notice(ending(1)).await.unwrap();
    b.hears(1).await;
    redis.kill();
    a.knows(false).await;
    b.knows(false).await;
    assert_eq!(a.count("logto_proxy_store_available"), 0);
    let began = monotonic();
    for number in 2..600 {
        a.store.publish_notice(ending(number)).await.unwrap();
    }
    b.store.publish_notice(ending(600)).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "nobody waits for a Redis that is away"
    );
    assert!(is_over(&a.store, 599) && !is_over(&b.store, 599));
    let health = a.store.health();
    assert_eq!((health.available, health.pending), (false, 598));
    let reason = || a.store.health().reason.unwrap_or_default();
    within(Duration::from_secs(3), "the reason", || {
        reason().contains("refused")
    })
    .await;

    // It comes back without its memory.
    redis.restart();
    for number in 1..=600 {
        a.hears(number).await;
        b.hears(number).await;
    }
    a.knows(true).await;
    b.knows(true).await;
    assert_eq!(a.store.health().pending, 0);
    // What only they remembered is in it again.
    let c = Replica::start(&redis.url()).await;
    assert!((1..=600).all(|number| is_over(&c.store, number)));
}

#[tokio::test]
async fn broken_connections_leave_no_gap() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    let mut client = client(&redis.url()).await;
    let address: String = ::redis::cmd("CLIENT")
        .arg("INFO")
        .query_async(&mut client)
        .await
        .unwrap();
    let own = address
        .split(' ')
        .find_map(|part| part.strip_prefix("addr="))
        .unwrap()
        .to_owned();
    for number in 0..300 {
        if number % 60 == 20 {
            let list: String = ::redis::cmd("CLIENT")
                .arg("LIST")
                .query_async(&mut client)
                .await
                .unwrap();
            let others = list
                .lines()
                .filter_map(|line| line.split(' ').find_map(|part| part.strip_prefix("addr=")));
            for other in others.filter(|other| *other != own) {
                let _: ::redis::Value = ::redis::cmd("CLIENT")
                    .arg("KILL")
                    .arg(other)
                    .query_async(&mut client)
                    .await
                    .unwrap_or(::redis::Value::Nil);
            }
        }
        let publisher = if number % 3 == 0 { &b } else { &a };
        publisher.store.publish_notice(ending(number)).await.unwrap();
    }
    for number in 0..300 {
        a.hears(number).await;
        b.hears(number).await;
    }
}

#[tokio::test]
async fn a_redis_that_forgets_without_a_word_is_filled_again() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    for number in 0..50 {
        a.store.publish_notice(ending(number)).await.unwrap();
    }
    let mut client = client(&redis.url()).await;
    let _: String = ::redis::cmd("FLUSHALL").query_async(&mut client).await.unwrap();
    // New entries hide from a mere look at the last one that something was lost.
    a.store.publish_notice(ending(50)).await.unwrap();
    let length = async |mut client: ::redis::aio::MultiplexedConnection| -> u64 {
        let mut length = ::redis::cmd("XLEN");
        length.arg("logto-proxy:{0123456789abcdef}:notices");
        length.query_async(&mut client).await.unwrap()
    };
    let deadline = monotonic() + Duration::from_secs(9);
    while length(client.clone()).await < 51 {
        assert!(monotonic() < deadline, "not filled again");
        sleep(Duration::from_millis(50)).await;
    }
    let b = Replica::start(&redis.url()).await;
    assert!((0..=50).all(|number| is_over(&b.store, number)));
    assert!(a.store.health().available);
}

#[tokio::test]
async fn a_primary_that_lacks_the_newest_entries_gets_them_again() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    for number in 0..5 {
        a.store.publish_notice(ending(number)).await.unwrap();
    }
    let mut client = client(&redis.url()).await;
    let stream = "logto-proxy:{0123456789abcdef}:notices";
    let newest: ::redis::streams::StreamRangeReply = ::redis::cmd("XREVRANGE")
        .arg(stream)
        .arg("+")
        .arg("-")
        .arg("COUNT")
        .arg(2)
        .query_async(&mut client)
        .await
        .unwrap();
    for entry in &newest.ids {
        let _: u64 = ::redis::cmd("XDEL")
            .arg(stream)
            .arg(&entry.id)
            .query_async(&mut client)
            .await
            .unwrap();
    }
    let _: u64 = ::redis::cmd("CLIENT")
        .arg("KILL")
        .arg("TYPE")
        .arg("normal")
        .query_async(&mut client)
        .await
        .unwrap();
    a.knows(false).await;
    a.knows(true).await;
    let b = Replica::start(&redis.url()).await;
    assert!((0..5).all(|number| is_over(&b.store, number)));
}

#[tokio::test]
async fn more_than_may_wait_is_still_told_after_the_outage() {
    let Some(redis) = Redis::start(&[]) else {
        return;
    };
    let a = Replica::start(&redis.url()).await;
    // Away, and with its memory when it is back.
    redis.freeze();
    a.knows(false).await;
    for number in 0..10_100 {
        a.store.publish_notice(ending(number)).await.unwrap();
    }
    assert_eq!(a.store.health().pending, 10_000, "the queue is bounded");
    redis.thaw();
    a.knows(true).await;
    let b = Replica::start(&redis.url()).await;
    assert!((0..10_100).all(|number| is_over(&b.store, number)));
}

#[tokio::test]
async fn a_redis_that_cannot_be_written_is_still_listened_to() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let mut client = client(&redis.url()).await;
    // Nothing is allowed that needs memory.
    let set = async |mut client: ::redis::aio::MultiplexedConnection, limit: &str| {
        let mut set = ::redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(limit);
        let _: String = set.query_async(&mut client).await.unwrap();
    };
    set(client.clone(), "1").await;
    a.store.publish_notice(ending(1)).await.unwrap();
    a.knows(false).await;
    let told = |a: &Replica| {
        a.store
            .health()
            .reason
            .is_some_and(|reason| reason.contains("OOM"))
    };
    within(Duration::from_secs(3), "the reason", || told(&a)).await;
    let stream = "logto-proxy:{0123456789abcdef}:notices";
    set(client.clone(), "0").await;
    let json = serde_json::to_string(&ending(2)).unwrap();
    let mut both = ::redis::pipe();
    both.cmd("XADD")
        .arg(stream)
        .arg("*")
        .arg("notice")
        .arg(json)
        .ignore();
    both.cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").ignore();
    both.exec_async(&mut client).await.unwrap();
    a.hears(2).await;
    // Also by a replica that starts now, and cannot mark the memory of the Redis as known.
    let _: u64 = ::redis::cmd("DEL")
        .arg("logto-proxy:{0123456789abcdef}:epoch")
        .query_async(&mut client)
        .await
        .unwrap();
    let b = Replica::begin(at_url(&redis.url()));
    b.hears(2).await;
    assert!(!b.store.health().available);
    set(client.clone(), "0").await;
    a.knows(true).await;
    assert_eq!(a.store.health().pending, 0);
}

#[tokio::test]
async fn a_redis_that_says_nothing_holds_nobody_up() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    a.store.note_session(record(1, "user"));
    redis.freeze();
    let took = async |what: &str, limit: u64, work: &mut (dyn Future<Output = ()> + Send + Unpin)| {
        let began = monotonic();
        work.await;
        let limit = Duration::from_millis(limit);
        assert!(began.elapsed() < limit, "{what} took {:?}", began.elapsed());
    };
    use futures_util::FutureExt as _;
    let mut turn = a
        .store
        .begin_recheck(session(1), now(), HOUR)
        .map(|turn| assert!(matches!(turn, Turn::Alone)))
        .boxed();
    took("a turn", 900, &mut turn).await;
    drop(turn);
    let mut first = a
        .store
        .first_use("logout", b"jti", HOUR)
        .map(|first| assert!(first))
        .boxed();
    took("a use", 900, &mut first).await;
    drop(first);
    let mut read = a
        .store
        .published(session(1))
        .map(|result| assert_eq!(result, None))
        .boxed();
    took("a result", 900, &mut read).await;
    drop(read);
    let mut publish = a
        .store
        .publish_notice(ending(1))
        .map(|kept| kept.unwrap())
        .boxed();
    took("a notice", 1_900, &mut publish).await;
    drop(publish);
    let mut list = a
        .store
        .sessions_of("user")
        .map(|list| assert_eq!(list, Err(StoreError::Away)))
        .boxed();
    took("the sessions", 1_900, &mut list).await;
    drop(list);
    a.knows(false).await;
    redis.thaw();
    a.knows(true).await;
    assert_eq!(a.store.health().pending, 0);
    assert!(
        !a.store.first_use("logout", b"jti", HOUR).await,
        "it is remembered here"
    );
}

#[tokio::test]
async fn while_the_redis_is_away_each_replica_goes_on_alone() {
    let a = Replica::begin(at_url("redis://127.0.0.1:1"));
    a.knows(false).await;
    let began = monotonic();
    assert!(matches!(
        a.store.begin_recheck(session(1), now(), HOUR).await,
        Turn::Alone
    ));
    assert!(a.store.first_use("logout", b"jti", HOUR).await);
    assert!(!a.store.first_use("logout", b"jti", HOUR).await);
    a.store.note_session(record(1, "user"));
    assert_eq!(a.store.sessions_of("user").await, Err(StoreError::Away));
    a.store
        .keep_published(session(1), &result(5), HOUR)
        .await
        .unwrap();
    assert_eq!(a.store.published(session(1)).await, Some(result(5)));
    a.store.publish_notice(ending(1)).await.unwrap();
    assert!(is_over(&a.store, 1));
    assert!(
        began.elapsed() < Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn what_waited_is_written_when_the_redis_comes() {
    let Some(mut redis) = Redis::start(&[]) else {
        return;
    };
    redis.kill();
    let a = Replica::begin(at_url(&redis.url()));
    a.knows(false).await;
    a.store.note_session(record(1, "user"));
    a.store
        .keep_published(session(1), &result(5), HOUR)
        .await
        .unwrap();
    redis.restart();
    let b = Replica::start(&redis.url()).await;
    a.knows(true).await;
    for _ in 0..200 {
        if b.store.published(session(1)).await.is_some()
            && !b.store.sessions_of("user").await.unwrap().is_empty()
        {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("not written");
}

#[tokio::test]
async fn stopping_takes_less_than_a_second() {
    let Some(redis) = Redis::start(&[]) else { return };
    let there = Replica::start(&redis.url()).await;
    let away = Replica::begin(at_url("redis://127.0.0.1:1"));
    let lease = there.store.begin_recheck(session(1), now(), HOUR).await;
    assert!(matches!(lease, Turn::Lead(_)));
    // Queued a moment before the end, and written all the same.
    there.store.note_session(record(1, "user"));
    for replica in [&there, &away] {
        let began = monotonic();
        replica.store.stop();
        tokio::time::timeout(Duration::from_secs(1), replica.tasks.drained())
            .await
            .unwrap();
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    let other = Replica::start(&redis.url()).await;
    assert_eq!(other.store.sessions_of("user").await.unwrap().len(), 1);
    let frozen = Replica::start(&redis.url()).await;
    redis.freeze();
    frozen.store.note_session(record(2, "user"));
    sleep(Duration::from_millis(50)).await;
    frozen.store.stop();
    tokio::time::timeout(Duration::from_secs(1), frozen.tasks.drained())
        .await
        .unwrap();
    redis.thaw();
}

//! One re-check of a session at a time, over replicas.

use super::redis_server::{Redis, Replica, client};
use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

async fn turn(replica: &Replica, newer_than: u64) -> Turn {
    replica
        .store
        .begin_recheck(session(1), UnixSeconds::new(newer_than), PATIENCE)
        .await
}

async fn leads(replica: &Replica, newer_than: u64) -> Lease {
    match turn(replica, newer_than).await {
        Turn::Lead(lease) => lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_callers_on_three_replicas_one_leads() {
    let Some(redis) = Redis::start(&[]) else { return };
    let replicas = [
        Replica::start(&redis.url()).await,
        Replica::start(&redis.url()).await,
        Replica::start(&redis.url()).await,
    ];
    let tasks = Tasks::new();
    let callers: Vec<_> = (0..100)
        .map(|caller| {
            let store = replicas[caller % 3].store.clone();
            tasks.spawn(async move {
                match store
                    .begin_recheck(session(1), UnixSeconds::new(100), PATIENCE)
                    .await
                {
                    Turn::Lead(lease) => {
                        // Longer than a lease lasts that is not renewed.
                        sleep(Duration::from_millis(2_300)).await;
                        lease.publish(&result(200), HOUR).await;
                        true
                    }
                    Turn::Done(done) => {
                        assert_eq!(done, result(200));
                        false
                    }
                    other => panic!("nobody is alone here: {other:?}"),
                }
            })
        })
        .collect();
    let mut leaders = 0;
    for caller in callers {
        leaders += usize::from(caller.await.unwrap());
    }
    assert_eq!(leaders, 1);
    // Latecomers with the old cookie share it; with the new one they lead again.
    for replica in &replicas {
        assert!(matches!(turn(replica, 199).await, Turn::Done(done) if done == result(200)));
        assert_eq!(replica.store.published(session(1)).await, Some(result(200)));
    }
    let lease = leads(&replicas[2], 200).await;
    assert!(format!("{lease:?}").starts_with("Lease("));
}

#[tokio::test]
async fn a_leader_that_gives_up_is_followed_at_once() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    drop(leads(&a, 100).await);
    let began = monotonic();
    let lease = leads(&b, 100).await;
    assert!(
        began.elapsed() < Duration::from_millis(600),
        "{:?}",
        began.elapsed()
    );
    // Of another session nobody has to wait.
    let other = a
        .store
        .begin_recheck(session(2), UnixSeconds::new(1), PATIENCE)
        .await;
    assert!(matches!(other, Turn::Lead(_)));
    // Whoever has waited long enough goes on alone.
    let patience = Duration::from_millis(200);
    let turn = a
        .store
        .begin_recheck(session(1), UnixSeconds::new(1), patience)
        .await;
    assert!(matches!(turn, Turn::Alone));
    lease.publish(&result(150), HOUR).await;
    let turn = a
        .store
        .begin_recheck(session(1), UnixSeconds::new(1), patience)
        .await;
    assert!(matches!(turn, Turn::Done(_)));
}

#[tokio::test]
async fn a_replica_that_stops_does_not_spend_what_another_may_have_spent() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    let _lease = leads(&a, 100).await;
    let stop = async {
        sleep(Duration::from_millis(100)).await;
        b.store.stop();
    };
    let (turn, ()) = tokio::join!(turn(&b, 100), stop);
    assert!(matches!(turn, Turn::Stopping), "{turn:?}");
}

#[tokio::test]
async fn a_leader_that_died_is_replaced_before_logto_stops_forgiving() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    let lease = leads(&a, 100).await;
    // It has been renewed for some time when its process dies.
    sleep(Duration::from_millis(1_200)).await;
    lease.die();
    let began = monotonic();
    let lease = leads(&b, 100).await;
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "a lease is not stolen: {:?}",
        began.elapsed()
    );
    assert!(
        began.elapsed() < Duration::from_millis(2_900),
        "{:?}",
        began.elapsed()
    );
    lease.publish(&result(300), HOUR).await;
    assert!(matches!(turn(&a, 100).await, Turn::Done(done) if done == result(300)));
}

#[tokio::test]
async fn a_lease_that_is_anothers_by_now_is_left_alone() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let lease = leads(&a, 100).await;
    let key = format!("logto-proxy:{{0123456789abcdef}}:lease:{}", session(1));
    let mut client = client(&redis.url()).await;
    let _: String = ::redis::cmd("SET")
        .arg(&key)
        .arg("another")
        .query_async(&mut client)
        .await
        .unwrap();
    sleep(Duration::from_millis(700)).await;
    lease.publish(&result(200), HOUR).await;
    let holder: String = ::redis::cmd("GET")
        .arg(&key)
        .query_async(&mut client)
        .await
        .unwrap();
    assert_eq!(holder, "another");
    // It has no end, since the test set none: it was not renewed either.
    let lasts: i64 = ::redis::cmd("PTTL")
        .arg(&key)
        .query_async(&mut client)
        .await
        .unwrap();
    assert_eq!(lasts, -1);
    assert_eq!(
        a.store.published(session(1)).await,
        Some(result(200)),
        "the result counts"
    );
}

#[tokio::test]
async fn an_older_result_never_replaces_a_newer_one() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    leads(&a, 0).await.publish(&result(70_000), HOUR).await;
    b.store
        .keep_published(session(1), &result(256), HOUR)
        .await
        .unwrap();
    sleep(Duration::from_millis(200)).await;
    let c = Replica::start(&redis.url()).await;
    assert_eq!(c.store.published(session(1)).await, Some(result(70_000)));
    assert_eq!(b.store.published(session(1)).await, Some(result(70_000)));
}

#[tokio::test]
async fn a_newer_result_is_kept_for_as_long_as_the_one_before() {
    let Some(redis) = Redis::start(&[]) else { return };
    let a = Replica::start(&redis.url()).await;
    leads(&a, 0).await.publish(&result(100), HOUR).await;
    leads(&a, 100)
        .await
        .publish(&result(200), Duration::from_millis(100))
        .await;
    let b = Replica::start(&redis.url()).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(b.store.published(session(1)).await, Some(result(200)));
}

#[tokio::test]
async fn a_lease_and_its_result_outlive_a_redis_that_restarts() {
    let Some(mut redis) = Redis::start(&[]) else {
        return;
    };
    let a = Replica::start(&redis.url()).await;
    let b = Replica::start(&redis.url()).await;
    let lease = leads(&a, 100).await;
    redis.kill();
    a.knows(false).await;
    b.knows(false).await;
    lease.publish(&result(200), HOUR).await;
    assert_eq!(a.store.published(session(1)).await, Some(result(200)));
    let held = {
        redis.restart();
        a.knows(true).await;
        b.knows(true).await;
        let mut turn = turn(&b, 100).await;
        for _ in 0..100 {
            if matches!(turn, Turn::Done(_)) {
                break;
            }
            // Asked before what waited was written; a moment later.
            drop(turn);
            sleep(Duration::from_millis(10)).await;
            turn = self::turn(&b, 100).await;
        }
        turn
    };
    assert!(matches!(held, Turn::Done(done) if done == result(200)));
}

//! The store in memory, and what every store holds in memory.

use super::super::expiring::Expiring;
use super::super::published::Results;
use super::super::records::{MOST_OF_A_SUBJECT, Records};
use super::*;

#[test]
fn a_map_lets_go_of_what_has_ended_and_of_what_ends_first() {
    let at = UnixSeconds::new;
    let mut map = Expiring::new(3);
    assert!(map.insert("a", 1, at(10), at(0)).is_empty());
    assert!(map.insert("b", 2, at(30), at(0)).is_empty());
    assert!(map.insert("c", 3, at(20), at(0)).is_empty());
    assert_eq!(map.get(&"a", at(9)), Some(&1));
    assert_eq!(map.get(&"a", at(10)), None, "an ended entry is not seen");
    assert_eq!(
        map.insert("d", 4, at(40), at(0)),
        [("a", 1)],
        "the first to end makes room"
    );
    assert_eq!(map.insert("b", 5, at(50), at(0)), [], "a new value needs no room");
    assert_eq!(
        map.insert("e", 6, at(60), at(25)),
        [("c", 3)],
        "an ended entry leaves"
    );
    assert_eq!((map.len(), map.get(&"b", at(49))), (3, Some(&5)));
    assert_eq!(map.remove(&"b"), Some(5));
    assert_eq!(map.forget_ended(at(100), 1).len(), 1);
    assert_eq!(map.forget_ended(at(100), 9).len(), 1);
    assert_eq!(map.len(), 0);
}

#[tokio::test]
async fn a_notice_is_in_force_at_once() {
    let store = memory();
    store.start();
    assert!(!is_over(&store, 1));
    store.publish_notice(ending(1)).await.unwrap();
    assert!(is_over(&store, 1) && !is_over(&store, 2));
    let health = store.health();
    assert_eq!(
        (health.kind, health.available, health.reason),
        ("memory", true, None)
    );
    store.caught_up().await;
}

#[tokio::test]
async fn only_new_notices_are_counted() {
    let metrics = Metrics::new();
    let store = Store::open(
        settings(Kind::Memory),
        Clock::system(),
        Tasks::new(),
        metrics.clone(),
    )
    .unwrap();
    let notice = ending(1);
    store.publish_notice(notice.clone()).await.unwrap();
    store.publish_notice(notice).await.unwrap();
    let text = metrics.render();
    let line = r#"logto_proxy_notices_total{scope="session",effect="sign_out",origin="here"} 1"#;
    assert!(text.contains(line), "{text}");
    assert!(text.contains("logto_proxy_store_available 1"), "{text}");
}

#[tokio::test]
async fn a_user_is_shown_live_sessions_only_the_last_used_first() {
    let (store, hand) = open_with_clock(settings(Kind::Memory));
    for number in 1..=4 {
        store.note_session(record(number, "user"));
    }
    store.note_session(record(9, "other"));
    let mut short = record(5, "user");
    short.expires_at = now().plus(Duration::from_secs(60));
    store.note_session(short);
    store.publish_notice(ending(3)).await.unwrap();
    let numbers = async |store: &Store| -> Vec<SessionId> {
        let records = store.sessions_of("user").await.unwrap();
        records.iter().map(|record| record.id).collect()
    };
    assert_eq!(numbers(&store).await, [5, 4, 2, 1].map(session));
    hand.advance(61);
    assert_eq!(numbers(&store).await, [4, 2, 1].map(session), "one has expired");
    let mut again = record(1, "user");
    again.last_seen = now().plus(HOUR);
    store.note_session(again);
    assert_eq!(
        numbers(&store).await,
        [1, 4, 2].map(session),
        "one was seen again"
    );
    store
        .publish_notice(ending_of("user", Some(session(2))))
        .await
        .unwrap();
    assert_eq!(numbers(&store).await, [2].map(session), "all but one were ended");
    assert_eq!(store.sessions_of("nobody").await.unwrap(), []);
    assert!(store.knows_since().unwrap() >= now());
}

#[test]
fn records_are_bounded_for_each_user_and_in_all() {
    let mut records = Records::with_room_for(120);
    for number in 0..200 {
        records.note(record(number, "user"), now());
    }
    let kept = records.of("user", now());
    assert_eq!(kept.len(), MOST_OF_A_SUBJECT);
    assert!(
        kept.iter().all(|record| record.id >= session(150)),
        "the least recent leave first"
    );
    for number in 1_000..1_200 {
        records.note(record(number, &format!("user-{number}")), now());
    }
    assert_eq!(records.len().0, 120);
    assert!(records.len().1 <= 120, "no user is listed without a session");
    let forgotten = records.forget_expired(now().plus(HOUR * 2));
    assert_eq!((forgotten.len(), records.len()), (120, (0, 0)));
}

#[test]
fn what_left_a_record_behind_is_told() {
    let mut records = Records::with_room_for(2);
    assert_eq!(records.note(record(1, "a"), now()), []);
    assert_eq!(records.note(record(2, "b"), now()), []);
    assert_eq!(records.note(record(3, "c"), now()), [session(1)]);
    assert_eq!(records.note(record(3, "d"), now()), [], "the same session again");
    assert!(records.of("c", now()).is_empty() && records.of("d", now()).len() == 1);
}

#[tokio::test]
async fn what_a_client_calls_itself_is_cut() {
    let store = memory();
    let mut long = record(1, "user");
    long.agent = Some("ä".repeat(150));
    store.note_session(long);
    let agent = store.sessions_of("user").await.unwrap().remove(0).agent.unwrap();
    assert_eq!(agent.len(), 200);
    let mut odd = record(1, "user");
    odd.agent = Some(format!("x{}", "ä".repeat(150)));
    store.note_session(odd);
    let agent = store.sessions_of("user").await.unwrap().remove(0).agent.unwrap();
    assert_eq!(agent.len(), 199, "never through a character");
}

#[tokio::test]
async fn what_works_once_works_once_while_it_is_remembered() {
    let (store, hand) = open_with_clock(settings(Kind::Memory));
    let keep = Duration::from_secs(120);
    assert!(store.first_use("logout", b"jti", keep).await);
    assert!(!store.first_use("logout", b"jti", keep).await);
    assert!(store.first_use("webhook", b"jti", keep).await, "another kind");
    assert!(store.first_use("logout", b"jti2", keep).await);
    hand.advance(119);
    assert!(!store.first_use("logout", b"jti", keep).await);
    hand.advance(2);
    assert!(store.first_use("logout", b"jti", keep).await);
}

#[tokio::test]
async fn latecomers_get_the_result_while_it_is_kept() {
    let (store, hand) = open_with_clock(settings(Kind::Memory));
    let keep = Duration::from_secs(60);
    let begin = async |newer_than| {
        store
            .begin_recheck(session(1), UnixSeconds::new(newer_than), Duration::from_secs(5))
            .await
    };
    assert!(matches!(begin(100).await, Turn::Alone));
    store
        .keep_published(session(1), &result(200), keep)
        .await
        .unwrap();
    store
        .keep_published(session(1), &result(150), keep)
        .await
        .unwrap();
    assert_eq!(
        store.published(session(1)).await,
        Some(result(200)),
        "the newer one stays"
    );
    assert!(matches!(begin(100).await, Turn::Done(done) if done == result(200)));
    assert!(matches!(begin(200).await, Turn::Alone), "it has that one already");
    assert_eq!(store.published(session(2)).await, None);
    hand.advance(61);
    assert_eq!(store.published(session(1)).await, None);
}

#[tokio::test]
async fn a_newer_result_is_kept_for_as_long_as_the_one_before() {
    let (store, hand) = open_with_clock(settings(Kind::Memory));
    for (at, keep) in [(100, HOUR), (200, Duration::from_secs(60))] {
        store.keep_published(session(1), &result(at), keep).await.unwrap();
    }
    hand.advance(61);
    assert_eq!(
        store.published(session(1)).await,
        Some(result(200)),
        "for those who come with the cookie from before the first"
    );
    hand.advance(3_600);
    assert_eq!(store.published(session(1)).await, None);
}

#[test]
fn results_are_bounded() {
    let results = Results::new();
    for number in 0..21_000 {
        results.keep(session(number), &result(1), HOUR, now());
    }
    let kept = |number| results.get(session(number), now()).is_some();
    assert!(!kept(999) && kept(1_000) && kept(20_999));
}

#[test]
fn a_result_reads_back_as_written() {
    assert_eq!(Published::from_bytes(&result(77).to_bytes()), Some(result(77)));
    assert_eq!(Published::from_bytes(&[0; 7]), None);
    assert_eq!(format!("{:?}", result(77)), "Published(77)");
}

#[tokio::test]
async fn stopping_ends_the_work_in_the_background() {
    let tasks = Tasks::new();
    let store = Store::open(
        settings(Kind::Memory),
        Clock::system(),
        tasks.clone(),
        Metrics::new(),
    )
    .unwrap();
    store.start();
    store.start();
    assert_eq!(tasks.running(), 1);
    drop(store.clone());
    sleep(Duration::from_millis(20)).await;
    assert_eq!(tasks.running(), 1, "a clone is the same store");
    drop(store);
    within(Duration::from_secs(1), "dropped", || tasks.running() == 0).await;
}

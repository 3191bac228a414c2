//! The store in a file.

use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let store = open(at_path(&path));
    let notices = [
        ending(1),
        ending_of("user", Some(session(7))),
        Notice {
            scope: Scope::LogtoSession("sid".to_owned()),
            ..ending(0)
        },
        Notice {
            scope: Scope::Everyone,
            effect: Effect::Recheck,
            ..ending(0)
        },
    ];
    for notice in &notices {
        store.publish_notice(notice.clone()).await.unwrap();
    }
    store.note_session(record(5, "somebody"));
    store
        .keep_published(session(6), &result(1), Duration::from_secs(60))
        .await
        .unwrap();
    let since = store.knows_since();
    assert!(since.is_some_and(|since| since >= now()));
    drop(store);

    let metrics = Metrics::new();
    let store = Store::open(at_path(&path), Clock::system(), Tasks::new(), metrics.clone()).unwrap();
    let in_force = store.revocations().notices();
    assert_eq!(in_force.len(), 4);
    assert!(
        notices.iter().all(|notice| in_force.contains(notice)),
        "{in_force:?}"
    );
    assert_eq!(
        store.sessions_of("somebody").await.unwrap(),
        [record(5, "somebody")]
    );
    assert_eq!(store.published(session(6)).await, Some(result(1)));
    assert_eq!(store.knows_since(), since);
    assert!(
        !metrics.render().contains("logto_proxy_notices_total{"),
        "reading is no news"
    );
    assert_eq!(store.health().kind, "file");
}

#[tokio::test]
async fn the_file_is_its_users_alone() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
    drop(open(at_path(&path)));
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    drop(open(at_path(&path)));
    assert_eq!(mode(), 0o600, "tightened");
}

#[tokio::test]
async fn what_has_expired_is_deleted() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let store = open(at_path(&path));
    let mut short = ending(1);
    short.until = now().plus(Duration::from_secs(60));
    store.publish_notice(short).await.unwrap();
    store.publish_notice(ending(2)).await.unwrap();
    let mut brief = record(3, "user");
    brief.expires_at = now().plus(Duration::from_secs(60));
    store.note_session(brief);
    store.note_session(record(4, "user"));
    for number in [5, 6] {
        let keep = Duration::from_secs(if number == 5 { 60 } else { 3_000 });
        store
            .keep_published(session(number), &result(1), keep)
            .await
            .unwrap();
    }
    drop(store);

    let (clock, hand) = Clock::movable();
    hand.advance(62);
    drop(Store::open(at_path(&path), clock, Tasks::new(), Metrics::new()).unwrap());
    // By this clock nothing has expired: what is missing was deleted.
    let store = open(at_path(&path));
    assert!(!is_over(&store, 1) && is_over(&store, 2));
    assert_eq!(store.sessions_of("user").await.unwrap(), [record(4, "user")]);
    assert_eq!(store.published(session(5)).await, None);
    assert_eq!(store.published(session(6)).await, Some(result(1)));
}

#[tokio::test]
async fn a_flood_of_notices_neither_fills_the_disk_nor_revives_a_session() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let few = Settings {
        most_notices: 10,
        ..at_path(&path)
    };
    let store = open(few);
    for number in 0..100 {
        store.publish_notice(ending(number)).await.unwrap();
    }
    drop(store);
    let store = open(at_path(&path));
    let kept = store.revocations().len();
    assert!((10..=21).contains(&kept), "{kept} of 100 are kept");
    for number in 0..100 {
        let marks = Marks {
            id: session(number),
            sid: None,
            subject: "somebody",
            signed_in_at: UnixSeconds::new(now().as_u64() - 60),
        };
        assert!(
            store.revocations().ended(&marks).is_some(),
            "session {number} is back"
        );
    }
}

#[tokio::test]
async fn sessions_that_made_room_are_deleted_too() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let store = open(at_path(&path));
    for number in 0..120 {
        store.note_session(record(number, "user"));
    }
    drop(store);
    let store = open(at_path(&path));
    let kept = store.sessions_of("user").await.unwrap();
    assert_eq!(kept.len(), 50);
    assert!(kept.iter().all(|record| record.id >= session(70)));
}

#[tokio::test]
async fn another_applications_entries_are_left_alone() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let store = open(at_path(&path));
    store.publish_notice(ending(1)).await.unwrap();
    drop(store);
    let other = open(Settings {
        namespace: "fedcba9876543210".to_owned(),
        ..at_path(&path)
    });
    assert!(!is_over(&other, 1));
    other.publish_notice(ending(2)).await.unwrap();
    drop(other);
    let store = open(at_path(&path));
    assert!(is_over(&store, 1) && !is_over(&store, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_notices_shares_commits() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let store = open(at_path(&path));
    let tasks = Tasks::new();
    let began = monotonic();
    let all: Vec<_> = (0..2_000)
        .map(|number| {
            let store = store.clone();
            tasks.spawn(async move { store.publish_notice(ending(number)).await })
        })
        .collect();
    for publishing in all {
        publishing.await.unwrap().unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(store.health().pending, 0);
    drop(store);
    assert_eq!(open(at_path(&path)).revocations().len(), 2_000);
}

#[tokio::test]
async fn stopping_writes_what_waits() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let tasks = Tasks::new();
    let store = Store::open(at_path(&path), Clock::system(), tasks.clone(), Metrics::new()).unwrap();
    store.start();
    store.note_session(record(1, "user"));
    store.stop();
    tokio::time::timeout(Duration::from_secs(1), tasks.drained())
        .await
        .unwrap();
    // A copy, since the file itself is still held.
    let copy = folder.path().join("copy.redb");
    fs::copy(&path, &copy).unwrap();
    assert_eq!(open(at_path(&copy)).sessions_of("user").await.unwrap().len(), 1);
}

#[test]
fn two_processes_cannot_have_one_file() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let store = open(at_path(&path));
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(path.to_str().unwrap()) && text.contains("Redis"),
        "{text}"
    );
    drop(store);
    drop(open(at_path(&path)));
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join("notes.txt");
    for content in ["shopping", &"list\n".repeat(10_000)] {
        fs::write(&path, content).unwrap();
        let error = refusal(&path);
        assert!(matches!(error, OpenError::NotAStore(_)), "{error}");
        assert!(error.to_string().contains("notes.txt"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let error = refusal(folder.path());
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    let error = refusal(&folder.path().join("missing/sessions.redb"));
    assert!(matches!(error, OpenError::NoDirectory(_)), "{error}");
    assert!(error.to_string().contains("create it"), "{error}");
}

pub(super) fn refusal(path: &Path) -> OpenError {
    Store::open(at_path(path), Clock::system(), Tasks::new(), Metrics::new()).unwrap_err()
}

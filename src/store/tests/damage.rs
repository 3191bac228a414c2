//! A file that is damaged is an error, never a store that has forgotten something.

use super::file::refusal;
use super::*;
use std::fs;

/// A file with notices: closed in good order, or as a crash leaves it.
async fn written(path: &Path, closed: bool) -> Vec<u8> {
    let store = open(at_path(path));
    for number in 0..300 {
        store.publish_notice(ending(number)).await.unwrap();
    }
    let as_after_a_crash = fs::read(path).unwrap();
    drop(store);
    if closed {
        fs::read(path).unwrap()
    } else {
        as_after_a_crash
    }
}

/// Opens what a file has become: all notices, or an error that names the damage.
fn judge(path: &Path, content: &[u8], what: &str) -> bool {
    fs::write(path, content).unwrap();
    match Store::open(at_path(path), Clock::system(), Tasks::new(), Metrics::new()) {
        Ok(store) => {
            let in_force = (0..300).filter(|number| is_over(&store, *number)).count();
            assert_eq!(in_force, 300, "{what}: forgot without a word");
            false
        }
        Err(error) => {
            assert!(
                matches!(
                    error,
                    OpenError::Damaged { .. } | OpenError::NotAStore(_) | OpenError::Newer(_)
                ),
                "{what}: {error}"
            );
            assert!(error.to_string().contains("sessions.redb"), "{error}");
            true
        }
    }
}

#[tokio::test]
async fn damage_is_never_taken_for_an_empty_store() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    for closed in [true, false] {
        let whole = written(&path, closed).await;
        fs::remove_file(&path).unwrap();
        assert!(!judge(&path, &whole, "untouched"));
        // The first digit of a session's id: what is read is still a notice, of another session.
        let needle = br#""session":""#;
        let places = whole.windows(needle.len()).enumerate();
        let places: Vec<usize> = places
            .filter(|(_, bytes)| bytes == needle)
            .map(|(at, _)| at)
            .collect();
        let mut found = 0;
        // The newest notice stands in the newest commit alone, in whose place an older one must not be taken.
        let newest = format!("\"session\":\"{}", session(299));
        let newest = whole
            .windows(newest.len())
            .position(|bytes| bytes == newest.as_bytes());
        for at in places.iter().step_by(places.len() / 8).chain(&newest) {
            let mut content = whole.clone();
            content[*at + needle.len()] ^= 1;
            found += usize::from(judge(
                &path,
                &content,
                &format!("a bit at {at}, closed: {closed}"),
            ));
        }
        assert!(newest.is_some() && found > 0, "no damage in a notice was found");
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn damage_anywhere_is_found_or_does_no_harm() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let whole = written(&path, true).await;
    for at in (0..512)
        .step_by(64)
        .chain((4_096..whole.len()).step_by(whole.len() / 8))
    {
        let mut content = whole.clone();
        for byte in content.iter_mut().skip(at).take(64) {
            *byte ^= 0xA5;
        }
        judge(&path, &content, &format!("64 bytes at {at}"));
    }
    for length in [1, 100, 4_096, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let content = whole.get(..length).unwrap();
        assert!(
            judge(&path, content, &format!("cut to {length} bytes")),
            "cut to {length} bytes"
        );
    }
}

#[tokio::test]
async fn an_entry_that_is_not_understood_is_an_error() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    drop(open(at_path(&path)));
    let change = |change: &dyn Fn(&redb::WriteTransaction)| {
        let database = redb::Database::open(&path).unwrap();
        let mut transaction = database.begin_write().unwrap();
        transaction.set_two_phase_commit(true);
        change(&transaction);
        transaction.commit().unwrap();
    };
    change(&|transaction| {
        let notices = redb::TableDefinition::<&[u8], &[u8]>::new("0123456789abcdef/notices");
        let mut notices = transaction.open_table(notices).unwrap();
        notices.insert([0xFF; 40].as_slice(), b"{}".as_slice()).unwrap();
    });
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
    change(&|transaction| {
        let about = redb::TableDefinition::<&str, u64>::new("about");
        transaction
            .open_table(about)
            .unwrap()
            .insert("format", 2)
            .unwrap();
    });
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Newer(_)), "{error}");
}

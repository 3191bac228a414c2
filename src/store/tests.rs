//! The promises of each kind of store, held to real files and a real Redis.

mod damage;
mod file;
mod killed;
mod leases;
mod memory;
mod outages;
mod redis_server;
mod replicas;
mod transports;

use super::*;
use crate::clock::ClockHand;
use crate::clock::monotonic;
use crate::secret::SecretText;
use crate::session::{Cause, Effect, Scope};
use std::path::Path;
use std::sync::LazyLock;

const HOUR: Duration = Duration::from_secs(3600);

fn settings(kind: Kind) -> Settings {
    Settings {
        kind,
        namespace: "0123456789abcdef".to_owned(),
        lifetime: HOUR * 24,
        most_notices: 200_000,
    }
}

fn memory() -> Store {
    open(settings(Kind::Memory))
}

fn at_path(path: &Path) -> Settings {
    settings(Kind::File {
        path: path.to_owned(),
    })
}

fn at_url(url: &str) -> Settings {
    settings(Kind::Redis {
        url: SecretText::new(url.to_owned()),
        ca: Vec::new(),
    })
}

fn open(settings: Settings) -> Store {
    Store::open(settings, Clock::system(), Tasks::new(), Metrics::new()).unwrap()
}

/// A store whose clock can be moved.
fn open_with_clock(settings: Settings) -> (Store, ClockHand) {
    let (clock, hand) = Clock::movable();
    let store = Store::open(settings, clock, Tasks::new(), Metrics::new()).unwrap();
    (store, hand)
}

/// A folder for a test's files; in memory where the system has that, since these tests are about files, not disks.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// The same moment for all of a test: when these tests began.
fn now() -> UnixSeconds {
    static NOW: LazyLock<UnixSeconds> = LazyLock::new(|| Clock::system().now());
    *NOW
}

fn session(number: u32) -> SessionId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(id)
}

fn ending(number: u32) -> Notice {
    Notice {
        scope: Scope::Session(session(number)),
        effect: Effect::End(Cause::SignOut),
        at: now(),
        until: now().plus(HOUR),
    }
}

fn ending_of(subject: &str, except: Option<SessionId>) -> Notice {
    Notice {
        scope: Scope::Subject {
            subject: subject.to_owned(),
            except,
        },
        effect: Effect::End(Cause::Suspended),
        at: now(),
        until: now().plus(HOUR),
    }
}

/// Whether a session of this number is over here.
fn is_over(store: &Store, number: u32) -> bool {
    let marks = Marks {
        id: session(number),
        sid: None,
        subject: "somebody",
        // Later than any notice of these tests, so that only its name can end it.
        signed_in_at: now().plus(HOUR),
    };
    store.revocations().ended(&marks).is_some()
}

fn record(number: u32, subject: &str) -> SessionRecord {
    SessionRecord {
        id: session(number),
        subject: subject.to_owned(),
        sid: Some(format!("sid-{number}")),
        signed_in_at: now(),
        last_seen: now().plus(Duration::from_secs(u64::from(number))),
        expires_at: now().plus(HOUR),
        address: Some([192, 0, 2, 1].into()),
        agent: Some("Browser/1.0".to_owned()),
    }
}

fn result(checked_at: u64) -> Published {
    Published {
        checked_at: UnixSeconds::new(checked_at),
        sealed: vec![0, 1, 2, 0xFF, b'\r', b'\n'],
    }
}

/// Waits until something holds, at most so long.
async fn within(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let deadline = monotonic() + limit;
    while !holds() {
        assert!(monotonic() < deadline, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

mod properties;

use super::super::notice::Effect;
use super::*;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub(super) const AT: UnixSeconds = UnixSeconds::new(1_000);
pub(super) const UNTIL: UnixSeconds = UnixSeconds::new(9_000);

pub(super) const fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

pub(super) fn subject(except: Option<u8>) -> Scope {
    Scope::Subject {
        subject: "admin".to_owned(),
        except: except.map(id),
    }
}

pub(super) const fn ends(scope: Scope, at: u64) -> Notice {
    Notice {
        scope,
        effect: Effect::End(Cause::SignOut),
        at: UnixSeconds::new(at),
        until: UNTIL,
    }
}

pub(super) const fn rechecks(scope: Scope, at: u64) -> Notice {
    Notice {
        scope,
        effect: Effect::Recheck,
        at: UnixSeconds::new(at),
        until: UNTIL,
    }
}

/// Session 1 of Admin, in Logto's session `s`.
pub(super) const fn marks(signed_in_at: u64) -> Marks<'static> {
    Marks {
        id: id(1),
        sid: Some("s"),
        subject: "admin",
        signed_in_at: UnixSeconds::new(signed_in_at),
    }
}

pub(super) fn set(most: usize, notices: &[Notice]) -> Revocations {
    let revocations = Revocations::new(most);
    for notice in notices {
        revocations.apply(notice);
    }
    revocations
}

#[test]
fn a_scope_ends_the_sessions_it_names_and_no_others() {
    let logto = |sid: &str| Scope::LogtoSession(sid.to_owned());
    let other = Scope::Subject {
        subject: "plain".to_owned(),
        except: None,
    };
    for (scope, over) in [
        (Scope::Session(id(1)), true),
        (Scope::Session(id(2)), false),
        (logto("s"), true),
        (logto("t"), false),
        (logto(""), false),
        (subject(None), true),
        (subject(Some(2)), true),
        (subject(Some(1)), false),
        (other, false),
        (Scope::Everyone, true),
    ] {
        let notice = ends(scope.clone(), 1_000);
        let revocations = set(10, std::slice::from_ref(&notice));
        let expected = over.then_some(Cause::SignOut);
        assert_eq!(revocations.ended(&marks(1_000)), expected, "{scope:?}");
        assert!(!revocations.recheck_due(&marks(1_000), UnixSeconds::new(0)));
        assert_eq!(revocations.notices(), [notice]);
    }
    let no_sid = Marks {
        sid: None,
        ..marks(1_000)
    };
    assert_eq!(set(10, &[ends(logto(""), 1_000)]).ended(&no_sid), None);
}

#[test]
fn a_users_sessions_end_that_were_signed_in_no_later() {
    for scope in [subject(None), Scope::Everyone] {
        let revocations = set(10, &[ends(scope, 1_000)]);
        assert!(revocations.ended(&marks(999)).is_some());
        assert!(
            revocations.ended(&marks(1_000)).is_some(),
            "in the very second: who knows which was first"
        );
        assert!(revocations.ended(&marks(1_001)).is_none());
    }
    // A session that was named is over even by a clock that is ahead.
    assert!(
        set(10, &[ends(Scope::Session(id(1)), 1_000)])
            .ended(&marks(1_001))
            .is_some()
    );
}

#[test]
fn an_exception_holds_for_its_own_ending_only() {
    let over = |notices: &[Notice], signed_in_at| {
        let all = [notices.to_vec(), notices.iter().rev().cloned().collect()];
        let verdicts = all.map(|notices| set(10, &notices).ended(&marks(signed_in_at)).is_some());
        assert_eq!(verdicts[0], verdicts[1], "{notices:?}");
        verdicts[0]
    };
    let (this, that, none) = (Some(1), Some(2), None);
    let notice = |except, at| ends(subject(except), at);
    assert!(!over(&[notice(this, 1_000), notice(this, 1_010)], 1_000));
    assert!(over(&[notice(this, 1_000), notice(that, 1_000)], 1_000));
    assert!(over(&[notice(this, 1_000), notice(none, 1_000)], 1_000));
    assert!(over(&[notice(this, 1_000), notice(none, 1_010)], 1_005));
    assert!(over(&[notice(this, 1_000), notice(that, 1_010)], 1_005));
    // Ended by the first, so the second does not bring it back.
    assert!(over(&[notice(that, 1_000), notice(this, 1_010)], 1_000));
    assert!(over(&[notice(none, 1_000), notice(this, 1_010)], 1_000));
    assert!(!over(&[notice(none, 1_000), notice(this, 1_010)], 1_001));
}

#[test]
fn marks_for_a_re_check_are_answered_by_a_later_one() {
    for scope in [
        Scope::Session(id(1)),
        Scope::LogtoSession("s".to_owned()),
        subject(None),
        subject(Some(1)),
        Scope::Everyone,
    ] {
        let revocations = set(10, &[rechecks(scope.clone(), 1_000), rechecks(scope, 990)]);
        let due = |checked_at| revocations.recheck_due(&marks(0), UnixSeconds::new(checked_at));
        assert_eq!((due(999), due(1_000), due(1_001)), (true, true, false));
        assert_eq!(revocations.recheck_asked_at(&marks(0)), Some(AT));
        assert_eq!(revocations.ended(&marks(0)), None);
        let other = Marks {
            id: id(2),
            sid: None,
            subject: "plain",
            ..marks(0)
        };
        let everyone = revocations.is_empty();
        assert_eq!(revocations.recheck_asked_at(&other).is_some(), everyone);
    }
}

#[test]
fn applying_again_changes_nothing_and_is_not_announced() {
    let revocations = Revocations::new(2);
    let mut changes = revocations.changes();
    let announced = |changes: &mut watch::Receiver<u64>| {
        let announced = changes.has_changed().unwrap();
        changes.mark_unchanged();
        announced
    };
    for notice in [
        ends(subject(None), 1_000),
        rechecks(subject(None), 1_000),
        ends(Scope::Everyone, 10),
        rechecks(Scope::Everyone, 1_000),
    ] {
        assert!(revocations.apply(&notice) && announced(&mut changes));
        assert!(!revocations.apply(&notice) && !announced(&mut changes));
        let older = Notice {
            at: UnixSeconds::new(9),
            ..notice
        };
        assert!(!revocations.apply(&older) && !announced(&mut changes));
    }
    assert_eq!(revocations.len(), 2);
    // Full: an ending takes the place of the mark, which then holds for everyone.
    assert!(revocations.apply(&ends(Scope::Session(id(3)), 500)));
    // One that is older than what stands for the dropped ones says nothing new.
    assert!(revocations.apply(&ends(Scope::Session(id(4)), 400)) && announced(&mut changes));
    assert!(!revocations.apply(&ends(Scope::Session(id(5)), 400)) && !announced(&mut changes));
    assert_eq!(revocations.len(), 2);
}

#[test]
fn a_full_set_ends_the_oldest_sessions_rather_than_forget_an_ending() {
    let of = |number: u8| ends(Scope::Session(id(number)), 1_000 + u64::from(number));
    let revocations = set(3, &[of(1), of(2), of(3), of(4), of(5)]);
    assert_eq!(revocations.len(), 3);
    let over = |number, signed_in_at| {
        revocations.ended(&Marks {
            id: id(number),
            sid: None,
            ..marks(signed_in_at)
        })
    };
    assert_eq!(over(1, 900), Some(Cause::Forgotten));
    assert_eq!(over(2, 1_002), Some(Cause::Forgotten));
    assert_eq!(over(3, 900), Some(Cause::SignOut));
    assert_eq!(over(9, 1_002), Some(Cause::Forgotten), "no other way to be sure");
    assert_eq!(over(9, 1_003), None);
}

#[test]
fn a_full_set_gives_up_marks_before_endings() {
    let revocations = set(
        2,
        &[
            ends(Scope::Session(id(1)), 10),
            rechecks(subject(None), 1_000),
            rechecks(Scope::LogtoSession("t".to_owned()), 900),
            rechecks(Scope::LogtoSession("u".to_owned()), 800),
        ],
    );
    assert_eq!(revocations.ended(&marks(10)), Some(Cause::SignOut));
    let other = Marks {
        id: id(2),
        sid: None,
        subject: "plain",
        ..marks(5)
    };
    assert_eq!(revocations.ended(&other), None, "nobody ended for a mark");
    let asked_at = revocations.recheck_asked_at(&other);
    assert_eq!(asked_at, Some(UnixSeconds::new(900)), "asked of everyone instead");
    assert_eq!(revocations.recheck_asked_at(&marks(5)), Some(AT));
}

#[test]
fn a_set_that_keeps_nothing_fails_closed() {
    let revocations = set(0, &[ends(Scope::Session(id(1)), 1_000)]);
    assert!(revocations.is_empty());
    assert_eq!(revocations.ended(&marks(1_000)), Some(Cause::Forgotten));
    assert_eq!(revocations.ended(&marks(1_001)), None);
}

#[test]
fn what_can_concern_nobody_any_more_is_forgotten() {
    let until = |notice: Notice, until| Notice {
        until: UnixSeconds::new(until),
        ..notice
    };
    let revocations = set(
        10,
        &[
            until(ends(Scope::Session(id(1)), 1_000), 2_000),
            until(rechecks(Scope::Session(id(1)), 1_000), 3_000),
            until(ends(subject(None), 1_000), 3_000),
            until(ends(subject(None), 900), 4_000),
            until(rechecks(Scope::Everyone, 1_000), 5_000),
        ],
    );
    let seen = |now| {
        revocations.forget_expired(UnixSeconds::new(now));
        let ended = revocations.ended(&marks(900)).is_some();
        (revocations.len(), ended, revocations.notices().len())
    };
    assert_eq!(seen(1_999), (3, true, 4));
    assert_eq!(seen(2_000), (2, true, 3));
    assert_eq!(seen(3_000), (1, true, 2), "the later end counts");
    assert_eq!(seen(4_000), (0, false, 1));
    assert!(revocations.in_force.load(Ordering::Relaxed));
    assert_eq!(seen(5_000), (0, false, 0));
    assert!(
        !revocations.in_force.load(Ordering::Relaxed),
        "back to one load a request"
    );
    assert!(revocations.apply(&ends(subject(None), 6_000)));
    assert!(revocations.ended(&marks(900)).is_some());
}

#[test]
fn what_stands_for_dropped_endings_is_never_forgotten() {
    let revocations = set(0, &[ends(subject(None), 1_000)]);
    revocations.forget_expired(UNTIL.plus(Duration::from_secs(1)));
    assert_eq!(revocations.ended(&marks(1_000)), Some(Cause::Forgotten));
}

#[test]
fn a_check_takes_no_lock() {
    let empty = Revocations::new(10);
    let revocations = set(
        10,
        &[ends(subject(None), 1_000), rechecks(Scope::Everyone, 1_000)],
    );
    let (_one, _other) = (empty.lock(), revocations.lock());
    assert_eq!(empty.ended(&marks(1)), None);
    assert!(!empty.recheck_due(&marks(1), UnixSeconds::new(1)));
    assert!(revocations.ended(&marks(1)).is_some());
    assert!(revocations.recheck_due(&marks(1), UnixSeconds::new(1)));
}

#[test]
fn a_thread_that_dies_neither_blocks_nor_revives_anything() {
    let revocations = set(10, &[ends(Scope::Session(id(1)), 1_000)]);
    let died = std::thread::scope(|scope| {
        let dying = scope.spawn(|| {
            let _held = revocations.lock();
            std::panic::resume_unwind(Box::new("dies with the lock"));
        });
        dying.join().is_err()
    });
    assert!(died && revocations.order.is_poisoned());
    assert!(revocations.ended(&marks(1)).is_some());
    assert!(revocations.apply(&ends(Scope::Session(id(2)), 1_000)));
    assert_eq!(revocations.len(), 2);
    revocations.forget_expired(UNTIL);
    assert_eq!(revocations.len(), 0);
}

#[test]
fn while_others_push_it_out_an_ended_session_is_never_seen_alive() {
    const ROUNDS: u64 = 20_000;
    let named = |number: u64| SessionId::from_bytes(u128::from(number).to_be_bytes());
    let revocations = set(1, &[]);
    // The last that is known to have been ended; each pushes out the one before.
    let latest = AtomicU64::new(0);
    let first_seen_alive = || loop {
        let number = latest.load(Ordering::Acquire);
        let marks = Marks {
            id: named(number),
            ..marks(number)
        };
        if number > 0 && revocations.ended(&marks).is_none() {
            return Some(number);
        }
        if number == ROUNDS {
            return None;
        }
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(first_seen_alive), scope.spawn(first_seen_alive)];
        for number in 1..=ROUNDS {
            revocations.apply(&ends(Scope::Session(named(number)), number));
            latest.store(number, Ordering::Release);
        }
        assert_eq!(readers.map(|reader| reader.join().unwrap()), [None, None]);
    });
}

#[test]
fn debug_names_nobody() {
    let revocations = set(10, &[ends(subject(None), 1_000)]);
    assert_eq!(format!("{revocations:?}"), "Revocations(1 of 10)");
}

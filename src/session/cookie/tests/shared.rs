//! Sessions handed from one replica to another.

use super::*;

fn shared(ring: &[u8]) -> (SessionCookies, Session, String) {
    let (cookies, session) = (with(host_cookie(), ring), session(10));
    let sealed = cookies.seal_shared(&session).unwrap();
    (cookies, session, sealed)
}

#[test]
fn a_shared_session_comes_back_whole() {
    let (_, session, sealed) = shared(&[1]);
    for ring in [&[1][..], &[2, 1]] {
        let opened = with(host_cookie(), ring).open_shared(session.id(), sealed.as_bytes(), START);
        let opened = opened.unwrap();
        assert_eq!(*opened.to_plaintext(), *session.to_plaintext());
        assert_eq!(opened.refresh_token(), session.refresh_token());
    }
}

#[test]
fn it_opens_for_its_own_session_only() {
    let (cookies, one, sealed) = shared(&[1]);
    let other = session(10);
    assert!(
        cookies
            .open_shared(other.id(), sealed.as_bytes(), START)
            .is_none()
    );
    // Not even when whoever sealed it mixed up the ids.
    let mixed_up = cookies
        .keyring
        .seal(Purpose::Shared, other.id().as_bytes(), &one.to_plaintext())
        .unwrap();
    assert!(
        cookies
            .open_shared(other.id(), mixed_up.as_bytes(), START)
            .is_none()
    );
}

#[test]
fn a_cookie_is_no_shared_session_nor_the_other_way_round() {
    let (cookies, session, sealed) = shared(&[1]);
    assert_eq!(
        reason(&[&format!("__Host-logto=1{sealed}")]),
        Some(Reason::Seal(SealReason::Tag))
    );
    let pairs = pairs_of(&cookies.seal(&session, &HeaderMap::new()).unwrap());
    let sealed = pairs[0].split_once("=1").unwrap().1;
    assert!(
        cookies
            .open_shared(session.id(), sealed.as_bytes(), START)
            .is_none()
    );
}

#[test]
fn a_shared_session_that_is_over_is_refused() {
    let (cookies, session, sealed) = shared(&[1]);
    let at = |seconds| {
        let now = START.plus(Duration::from_secs(seconds));
        cookies.open_shared(session.id(), sealed.as_bytes(), now)
    };
    assert!(at(8 * 3600).is_some(), "a stream may keep it in use unseen");
    assert!(at(7 * 86_400 - 1).is_some());
    assert!(at(7 * 86_400).is_none(), "lifetime");
    let before = UnixSeconds::new(START.as_u64() - 61);
    assert!(
        cookies
            .open_shared(session.id(), sealed.as_bytes(), before)
            .is_none()
    );
}

proptest! {
    #[test]
    fn any_other_bytes_are_no_session(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), to: u8) {
        let (cookies, session, sealed) = shared(&[1]);
        prop_assert!(cookies.open_shared(session.id(), &bytes, START).is_none());
        let mut changed = sealed.into_bytes();
        let place = at.index(changed.len());
        prop_assume!(changed[place] != to);
        changed[place] = to;
        prop_assert!(cookies.open_shared(session.id(), &changed, START).is_none());
    }
}

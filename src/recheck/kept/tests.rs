use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(1_000_000 + seconds)
}

/// Another one each time.
fn id() -> SessionId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    SessionId::from_bytes(bytes)
}

fn token(text: &str, life: u64) -> Token {
    Token::living(&SecretText::new(text.to_owned()), at(0), Some(life)).unwrap()
}

fn said(confirmed_at: u64, role: &str) -> Ground {
    let claims = serde_json::json!({ "roles": [role], "identities": { "at": confirmed_at } });
    let claims = serde_json::from_value(claims).unwrap();
    Ground::new(at(confirmed_at), &Claims::new(claims))
}

fn want(organization: &str) -> Want {
    Want::For {
        resource: None,
        organization: Some(organization.to_owned()),
    }
}

#[test]
fn a_token_is_given_to_its_session_while_it_lives() {
    let kept = KeptTokens::default();
    let (one, other) = (id(), id());
    kept.keep(one, Want::Access, token("abc", 600), said(0, "a"), at(0));
    let held = kept.get(one, &Want::Access, at(1));
    assert_eq!(held.token.as_ref().unwrap().raw(), "abc");
    assert_eq!(held.token.as_ref().unwrap().bearer(), "Bearer abc");
    assert!(!held.is_wanting(at(1)) && held.is_wanting(at(511)));
    assert!(kept.get(one, &Want::Id, at(1)).is_wanting(at(1)));
    assert!(kept.get(other, &Want::Access, at(1)).token.is_none());
    assert!(kept.get(one, &Want::Access, at(599)).token.is_some());
    // Also when another one of the session lives on.
    kept.keep(one, Want::Id, token("def", 900), said(0, "a"), at(0));
    assert!(kept.get(one, &Want::Access, at(600)).token.is_none());
    assert!(kept.get(one, &Want::Id, at(600)).token.is_some());
    assert!(kept.get(one, &Want::Id, at(900)).token.is_none());
    kept.forget_session(one);
    assert!(kept.get(one, &Want::Access, at(1)).token.is_none());
}

#[test]
fn a_short_life_is_used_to_its_half() {
    let token = token("abc", 60);
    assert!(!token.is_due(at(29)) && token.is_due(at(31)));
}

#[test]
fn a_refusal_is_remembered_for_a_while_and_an_outage_takes_nothing_away() {
    let kept = KeptTokens::default();
    let session = id();
    kept.keep(session, want("a"), token("abc", 60), said(0, "a"), at(0));
    let unavailable = (Lack::Unavailable, Duration::from_secs(5));
    kept.lacks(session, want("a"), unavailable, None, at(40));
    let held = kept.get(session, &want("a"), at(41));
    assert!(held.token.is_some() && held.lack == Some(Lack::Unavailable) && !held.is_wanting(at(41)));
    assert!(kept.get(session, &want("a"), at(45)).is_wanting(at(45)));
    let not_granted = (Lack::NotGranted, Duration::from_secs(60));
    kept.lacks(session, want("a"), not_granted, None, at(45));
    let held = kept.get(session, &want("a"), at(46));
    assert!(held.token.is_none() && held.lack == Some(Lack::NotGranted) && !held.is_wanting(at(46)));
    assert!(kept.get(session, &want("a"), at(105)).is_wanting(at(105)));
}

#[test]
fn what_may_be_lost_with_a_role_is_forgotten_alone() {
    let kept = KeptTokens::default();
    let session = id();
    kept.keep(session, Want::Access, token("a", 600), said(0, "a"), at(0));
    kept.keep(session, want("a"), token("b", 600), said(0, "a"), at(0));
    kept.keep(session, Want::Id, token("c", 600), said(0, "a"), at(0));
    let lack = (Lack::NotGranted, Duration::from_secs(60));
    kept.lacks(session, want("b"), lack, Some(said(0, "a")), at(0));
    let is_known =
        |want: &Want, confirmed_at| kept.get_since(session, want, at(confirmed_at), at(1)).is_some();
    for want in [Want::Id, want("a"), want("b")] {
        assert!(is_known(&want, 0) && !is_known(&want, 1), "{want:?}");
    }
    assert!(is_known(&Want::Access, 1));
    // The same as before.
    kept.stand(session, said(1, "a"), at(1));
    assert!(is_known(&want("a"), 1) && !is_known(&want("a"), 2));
    assert!(kept.get(session, &want("a"), at(1)).token.is_some());
    // What was said earlier takes nothing away from what was issued later.
    kept.stand(session, said(0, "b"), at(1));
    assert!(kept.get(session, &want("a"), at(1)).token.is_some());
    kept.stand(session, said(2, "b"), at(1));
    assert!(kept.get(session, &Want::Access, at(1)).token.is_some());
    for want in [Want::Id, want("a"), want("b")] {
        let held = kept.get(session, &want, at(1));
        assert!(held.token.is_none() && held.lack.is_none(), "{want:?}");
    }
    kept.forget(session, &Want::Access, &token("former", 600), at(1));
    assert!(kept.get(session, &Want::Access, at(1)).token.is_some());
    kept.forget(session, &Want::Access, &token("a", 600), at(1));
    assert!(kept.get(session, &Want::Access, at(1)).token.is_none());
}

#[test]
fn there_are_bounds() {
    let kept = KeptTokens::default();
    let session = id();
    for number in 0..100 {
        kept.keep(
            session,
            want(&number.to_string()),
            token("a", 600),
            said(0, "a"),
            at(0),
        );
    }
    assert_eq!(kept.lock().get(&session, at(1)).unwrap().len(), MOST_OF_A_SESSION);
    assert!(
        kept.get(session, &want("99"), at(1)).token.is_some(),
        "the one that was asked for last"
    );
    for _ in 0..=MOST_SESSIONS {
        kept.keep(id(), Want::Id, token("a", 700), said(0, "a"), at(0));
    }
    assert_eq!(kept.lock().len(), MOST_SESSIONS);
    assert!(
        kept.get(session, &want("1"), at(1)).token.is_none(),
        "the first to end"
    );
}

#[test]
fn a_token_is_never_shown_and_never_too_long() {
    assert!(!format!("{:?}", token("abc", 1)).contains("abc"));
    for text in ["", &"x".repeat(LONGEST + 1), "a\nb"] {
        assert!(Token::living(&SecretText::new(text.to_owned()), at(0), None).is_none());
    }
    assert!(token("abc", 1).raw().is_sensitive() && token("abc", 1).bearer().is_sensitive());
}

use super::*;
use serde_json::json;

pub(in crate::session) const DAY: Duration = Duration::from_secs(86_400);
pub(in crate::session) const LIMITS: Limits = Limits {
    idle: Duration::from_secs(8 * 3600),
    lifetime: Duration::from_secs(7 * 86_400),
};
pub(in crate::session) const START: UnixSeconds = UnixSeconds::new(1_800_000_000);

const EXPIRES: UnixSeconds = START.plus(Duration::from_secs(3600));

pub(in crate::session) fn rules() -> HeaderRules {
    HeaderRules::new(HeaderRules::defaults()).unwrap()
}

pub(in crate::session) fn established(claims: &serde_json::Value) -> Established {
    let claims = Claims::from_json(claims.to_string().as_bytes()).unwrap();
    Established {
        subject: "k3vqk4f8mu7s".to_owned(),
        sid: Some("sid1".to_owned()),
        signed_in_at: START,
        lifetime: LIMITS.lifetime,
        refresh_token: Some(SecretText::new("r".repeat(43))),
        access_token: None,
        headers: rules().project(&claims),
        fingerprint: rules().fingerprint(),
        claims,
    }
}

/// The same sign-in with an access token, which counts only where `refresh_token` says there is no refresh token.
fn with_access_token(refresh_token: Option<&str>, access_token: &str) -> Session {
    Session::establish(Established {
        refresh_token: refresh_token.map(secret),
        access_token: Some((secret(access_token), EXPIRES)),
        ..established(&json!({"sub": "k3vqk4f8mu7s"}))
    })
    .unwrap()
}

fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn session() -> Session {
    let claims = json!({"sub": "k3vqk4f8mu7s", "name": "Café", "roles": ["admin"]});
    Session::establish(established(&claims)).unwrap()
}

fn view(session: &Session) -> SessionView {
    SessionView::read(session.to_plaintext()).unwrap()
}

#[test]
fn a_session_survives_being_written_and_read() {
    let session = session();
    let view = view(&session);
    assert_eq!(view.id(), session.id());
    assert_eq!(view.subject(), "k3vqk4f8mu7s");
    assert_eq!(view.sid(), Some("sid1"));
    assert_eq!((view.signed_in_at(), view.renewed_at()), (START, START));
    assert_eq!(view.expires_at(), START.plus(LIMITS.lifetime));
    assert_eq!(view.checked_at(), START);
    assert_eq!(view.refresh_token(), session.refresh_token().cloned());
    assert!(view.refresh_token().is_some() && view.access_token().is_none());
    assert_eq!(view.headers(&rules()), session.headers);
    let again = view.to_session();
    assert_eq!(again.claims(), session.claims());
    assert_eq!(*again.to_plaintext(), *session.to_plaintext());
}

#[test]
fn what_is_absent_stays_absent() {
    let session = Session::establish(Established {
        sid: None,
        refresh_token: None,
        ..established(&json!({}))
    })
    .unwrap();
    let view = view(&session);
    assert_eq!(view.sid(), None);
    assert_eq!(view.refresh_token(), None);
    let session = view.to_session();
    assert!(session.sid().is_none() && session.refresh_token().is_none());
    assert_eq!(session.claims(), &Claims::default());
}

#[test]
fn every_sign_in_has_a_new_id() {
    assert_ne!(session().id(), session().id());
    assert_eq!(session().id().to_string().len(), 32);
}

#[test]
fn limits_are_judged_to_the_second() {
    let hour = Duration::from_secs(3600);
    let second = Duration::from_secs(1);
    let mut session = session();
    let judge = |session: &Session, limits: Limits, now| view(session).judge(limits, now);
    assert_eq!(judge(&session, LIMITS, START), Ok(()));
    assert_eq!(judge(&session, LIMITS, START.plus(8 * hour - second)), Ok(()));
    assert_eq!(judge(&session, LIMITS, START.plus(8 * hour)), Err(Ended::Idle));

    session.renew(START.plus(7 * DAY - 2 * second));
    assert_eq!(judge(&session, LIMITS, START.plus(7 * DAY - second)), Ok(()));
    assert_eq!(judge(&session, LIMITS, START.plus(7 * DAY)), Err(Ended::Lifetime));
    assert_eq!(session.idle_expires_at(LIMITS.idle), session.expires_at());

    // A longer lifetime configured later does not revive it; a shorter one ends it.
    let longer = Limits {
        lifetime: 30 * DAY,
        ..LIMITS
    };
    assert_eq!(judge(&session, longer, START.plus(7 * DAY)), Err(Ended::Lifetime));
    let shorter = Limits {
        lifetime: DAY,
        ..LIMITS
    };
    assert_eq!(
        judge(&session, shorter, START.plus(7 * DAY - second)),
        Err(Ended::Lifetime)
    );
}

#[test]
fn a_session_from_the_future_is_none() {
    let session = session();
    let now = |before: u64| UnixSeconds::new(START.as_u64() - before);
    assert_eq!(view(&session).judge(LIMITS, now(60)), Ok(()));
    assert_eq!(view(&session).judge(LIMITS, now(61)), Err(Ended::Future));
    let mut renewed_ahead = session;
    renewed_ahead.renew(START.plus(Duration::from_secs(61)));
    assert_eq!(view(&renewed_ahead).judge(LIMITS, START), Err(Ended::Future));
}

#[test]
fn renewing_moves_the_idle_end_only() {
    let mut session = session();
    let later = START.plus(Duration::from_secs(3600));
    session.renew(later);
    assert_eq!(session.renewed_at(), later);
    assert_eq!((session.signed_in_at(), session.checked_at()), (START, START));
    assert_eq!(session.expires_at(), START.plus(LIMITS.lifetime));
    assert_eq!(session.idle_expires_at(LIMITS.idle), later.plus(LIMITS.idle));
}

#[test]
fn an_access_token_is_kept_only_without_a_refresh_token() {
    for session in [
        with_access_token(None, "access"),
        with_access_token(Some(""), "access"),
    ] {
        assert_eq!(session.access_token(), Some((&secret("access"), EXPIRES)));
        assert_eq!(session.refresh_token(), None);
        let view = view(&session);
        assert_eq!(view.access_token(), Some((secret("access"), EXPIRES)));
        assert_eq!(view.refresh_token(), None);
        let again = view.to_session();
        assert_eq!(again.access_token(), session.access_token());
    }
    let session = with_access_token(Some("refresh"), "access");
    assert_eq!(session.access_token(), None);
    assert_eq!(view(&session).refresh_token(), Some(secret("refresh")));
    let plaintext = session.to_plaintext();
    assert!(!plaintext.windows(6).any(|bytes| bytes == b"access"));
    assert_eq!(with_access_token(None, "").access_token(), None);
}

fn confirmation(claims: &serde_json::Value) -> Confirmation {
    let Established {
        claims,
        headers,
        fingerprint,
        ..
    } = established(claims);
    Confirmation {
        at: START.plus(Duration::from_secs(300)),
        claims,
        headers,
        fingerprint,
        refresh_token: Some(secret("rotated")),
        access_token: None,
    }
}

#[test]
fn a_re_check_replaces_what_logto_says_and_nothing_else() {
    let mut session = session();
    let used_at = START.plus(Duration::from_secs(200));
    session.renew(used_at);
    let found = confirmation(&json!({"sub": "k3vqk4f8mu7s", "name": "Café", "roles": []}));
    let (at, claims, headers) = (found.at, found.claims.clone(), found.headers.clone());
    let confirmed = session.confirmed(Confirmation {
        fingerprint: 7,
        ..found
    });
    assert_eq!(confirmed.checked_at(), at);
    assert_eq!((confirmed.claims(), &confirmed.headers), (&claims, &headers));
    assert_ne!(confirmed.claims(), session.claims(), "the role is gone");
    assert_eq!(confirmed.numbers.fingerprint, 7);
    assert_eq!(confirmed.refresh_token(), Some(&secret("rotated")));
    assert_eq!(confirmed.marks(), session.marks());
    assert_eq!(confirmed.renewed_at(), used_at, "a re-check is no use");
    assert_eq!(confirmed.expires_at(), session.expires_at());
    assert_eq!(view(&confirmed).checked_at(), at);
}

#[test]
fn a_re_check_leaves_the_access_token_or_brings_a_new_one() {
    let session = with_access_token(None, "access");
    let confirmed = |refresh_token: Option<&str>, access_token: Option<&str>| {
        let confirmed = session.confirmed(Confirmation {
            refresh_token: refresh_token.map(secret),
            access_token: access_token.map(|token| (secret(token), START)),
            ..confirmation(&json!({}))
        });
        let access_token = confirmed.access_token();
        let access_token = access_token.map(|(token, at)| (token.expose().to_owned(), at));
        (confirmed.refresh_token().cloned(), access_token)
    };
    assert_eq!(
        confirmed(None, None),
        (None, Some(("access".to_owned(), EXPIRES)))
    );
    assert_eq!(
        confirmed(None, Some("new")),
        (None, Some(("new".to_owned(), START)))
    );
    assert_eq!(confirmed(Some("r"), None), (Some(secret("r")), None));
    assert_eq!(confirmed(Some("r"), Some("new")), (Some(secret("r")), None));
}

#[test]
fn a_view_bears_the_marks_of_its_session_and_may_be_shared() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let session = session();
    let view = std::sync::Arc::new(view(&session));
    shared(&view);
    let marks = Marks {
        id: session.id(),
        sid: Some("sid1"),
        subject: "k3vqk4f8mu7s",
        signed_in_at: START,
    };
    assert_eq!(session.marks(), marks);
    assert_eq!(view.marks(), marks);
    let nameless = Session::establish(Established {
        sid: Some(String::new()),
        ..established(&json!({}))
    })
    .unwrap();
    assert_eq!(nameless.marks().sid, None);
}

#[test]
fn other_header_rules_make_the_headers_anew() {
    let other = HeaderRules::new(HeaderRules::standard().split_off(1)).unwrap();
    let mut session = session();
    let expected = other.project(session.claims());
    assert_ne!(session.headers, expected, "positions have moved");
    assert_eq!(view(&session).headers(&other), expected);
    session.project(&other);
    assert_eq!(session.headers, expected);
    assert_eq!(view(&session).headers(&other), expected);
}

#[test]
fn debug_names_the_session_and_nothing_else() {
    let session = session();
    assert_eq!(format!("{session:?}"), format!("Session({})", session.id()));
    assert_eq!(
        format!("{:?}", view(&session)),
        format!("SessionView({})", session.id())
    );
}

#[test]
fn text_that_is_not_utf_8_is_no_session() {
    let mut plaintext = session().to_plaintext();
    let subject = codec::read(&plaintext).unwrap().subject;
    plaintext[subject.start] = 0xFF;
    assert!(SessionView::read(plaintext).is_none());
}

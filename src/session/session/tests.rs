use super::*;
use serde_json::json;

pub(in crate::session) const DAY: Duration = Duration::from_secs(86_400);
pub(in crate::session) const LIMITS: Limits = Limits {
    idle: Duration::from_secs(8 * 3600),
    lifetime: Duration::from_secs(7 * 86_400),
};
pub(in crate::session) const START: UnixSeconds = UnixSeconds::new(1_800_000_000);

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

fn session() -> Session {
    let claims = json!({"sub": "k3vqk4f8mu7s", "name": "Zoë", "roles": ["admin"]});
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
    assert_eq!(view.refresh_token(), session.refresh_token().cloned());
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
    assert_eq!(session.signed_in_at(), START);
    assert_eq!(session.expires_at(), START.plus(LIMITS.lifetime));
    assert_eq!(session.idle_expires_at(LIMITS.idle), later.plus(LIMITS.idle));
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

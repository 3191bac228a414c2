use super::*;
use crate::identity::{Claims, HeaderRules};
use crate::secret::SecretText;
use crate::session::cookie::SameSite;
use crate::session::keyring::{KeyContext, SessionKey};
use crate::session::session::Limits;
use crate::session::{
    Cause, Confirmation, CookieSettings, Effect, Established, KeyRing, Notice, Presented, Scope, Session,
    SessionCookies,
};
use ::http::{HeaderMap, HeaderValue, header};
use std::future::pending;
use std::time::Duration;

const START: UnixSeconds = UnixSeconds::new(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

/// A session of this user as a request presents it.
fn session(subject: &str) -> Arc<SessionView> {
    let context = KeyContext {
        issuer: "https://logto.example.com/oidc".to_owned(),
        client_id: "app".to_owned(),
        public_origin: "https://app.example.com".to_owned(),
    };
    let key = SecretText::new("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned());
    let keyring = Arc::new(KeyRing::new(vec![SessionKey::parse(&key).unwrap()], &context).unwrap());
    let settings = CookieSettings {
        name: "session".to_owned(),
        secure: true,
        same_site: SameSite::Lax,
        domain: None,
        cookie_bytes: 16_384,
    };
    let limits = Limits {
        idle: HOUR,
        lifetime: HOUR,
    };
    let cookies = SessionCookies::new(settings, keyring, limits).unwrap();
    let rules = HeaderRules::new(HeaderRules::defaults()).unwrap();
    let claims = Claims::from_json(b"{}").unwrap();
    let session = Session::establish(Established {
        subject: subject.to_owned(),
        sid: None,
        headers: rules.project(&claims),
        fingerprint: rules.fingerprint(),
        claims,
        signed_in_at: START,
        lifetime: HOUR,
        refresh_token: None,
        access_token: None,
    })
    .unwrap();
    let line = cookies.seal(&session, &HeaderMap::new()).unwrap().remove(0);
    let pair = line.to_str().unwrap().split(';').next().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_str(pair).unwrap());
    match cookies.open(&headers, START) {
        Presented::Session(view, _) => Arc::new(view),
        other => panic!("{other:?}"),
    }
}

fn suspended(subject: &str) -> Notice {
    Notice {
        scope: Scope::Subject {
            subject: subject.to_owned(),
            except: None,
        },
        effect: Effect::End(Cause::Suspended),
        at: START,
        until: START.plus(HOUR),
    }
}

fn admit(streams: &Streams, session: &Arc<SessionView>) -> InFlight {
    let until = session.expires_at();
    streams
        .connection()
        .admit(Ground::Session(Arc::clone(session)), until, None)
}

/// The same session, confirmed so many seconds after its start.
fn confirmed(view: &SessionView, seconds: u64) -> Arc<SessionView> {
    let session = view.to_session();
    let confirmed = session.confirmed(Confirmation {
        at: START.plus(Duration::from_secs(seconds)),
        claims: Claims::default(),
        headers: session.headers().clone(),
        fingerprint: 0,
        refresh_token: None,
        access_token: None,
    });
    Arc::new(SessionView::of(&confirmed).unwrap())
}

fn is_over(in_flight: &InFlight) -> bool {
    in_flight.stop().reason() == Some(Reason::SessionOver)
}

#[tokio::test]
async fn a_sweep_ends_what_belongs_to_revoked_sessions_and_nothing_else() {
    let metrics = Metrics::new();
    let streams = Streams::new(metrics.clone());
    let revocations = Revocations::new(10);
    let (admin, plain) = (session("admin"), session("plain"));

    let request = admit(&streams, &admin);
    let others = admit(&streams, &plain);
    let connection = streams.connection();
    let serving = Tasks::new().spawn(pending::<()>());
    connection.served_by(serving.abort_handle());
    let response = connection.admit(Ground::Session(Arc::clone(&admin)), admin.expires_at(), None);
    response.answering();
    let waiting = streams.connection();
    let served = Tasks::new().spawn(pending::<()>());
    waiting.served_by(served.abort_handle());
    let unanswered = waiting.admit(Ground::Session(Arc::clone(&admin)), admin.expires_at(), None);
    let (told, mut ended) = tokio::sync::mpsc::unbounded_channel();
    for in_flight in [Some(admit(&streams, &admin)), Some(admit(&streams, &plain)), None] {
        let told = told.clone();
        streams.spawn_tunnel(in_flight, |stop| async move { told.send(stop.stopped().await) });
    }
    assert_eq!(streams.in_flight(), 7);
    assert!(metrics.render().contains("logto_proxy_open_websockets 3\n"));

    assert_eq!(streams.sweep(&revocations, START), 0);
    assert!(revocations.apply(&suspended("admin")));
    assert_eq!(streams.sweep(&revocations, START), 4);
    assert!(is_over(&request) && is_over(&response) && is_over(&unanswered) && !is_over(&others));
    assert!(serving.await.unwrap_err().is_cancelled(), "an answer is cut");
    assert!(!served.is_finished(), "one that is waited for is told");
    assert_eq!(ended.recv().await, Some(Reason::SessionOver));
    assert_eq!(streams.sweep(&revocations, START), 0, "each is counted once");
    drop((request, response, unanswered));
    assert_eq!(streams.in_flight(), 3);
    assert!(ended.try_recv().is_err());
    let counted = metrics.render();
    for line in [
        "streams_ended_total{kind=\"request\"} 2\n",
        "streams_ended_total{kind=\"response\"} 1\n",
        "streams_ended_total{kind=\"websocket\"} 1\n",
        "open_websockets 2\n",
    ] {
        assert!(
            counted.contains(&format!("logto_proxy_{line}")),
            "{line}: {counted}"
        );
    }
}

#[test]
fn nothing_outlives_the_end_it_was_told() {
    let streams = Streams::new(Metrics::new());
    let admin = session("admin");
    let request = admit(&streams, &admin);
    let minute = START.plus(Duration::from_secs(60));
    let shorter = streams
        .connection()
        .admit(Ground::Session(Arc::clone(&admin)), minute, None);
    assert_eq!(streams.expire(START.plus(Duration::from_secs(59))), 0);
    assert_eq!(streams.expire(START.plus(Duration::from_secs(60))), 1);
    assert!(is_over(&shorter) && !is_over(&request));
    let end = admin.expires_at();
    assert_eq!(streams.sweep(&Revocations::new(1), end), 1, "a sweep looks too");
    assert!(is_over(&request));
}

#[test]
fn places_are_used_again() {
    let streams = Streams::new(Metrics::new());
    let admin = session("admin");
    for _ in 0..100 {
        let three = [0; 3].map(|_| admit(&streams, &admin));
        assert_eq!(streams.in_flight(), 3);
        let [first, middle, _last] = three;
        drop(middle);
        let again = admit(&streams, &admin);
        assert_eq!(streams.end_sessions(|view| view.subject() == "admin"), 3);
        assert!(is_over(&first) && is_over(&again));
    }
    assert_eq!(streams.in_flight(), 0);
    assert_eq!(streams.lock().places.len(), 3);
    assert_eq!(Arc::strong_count(&admin), 1, "the session is let go");
}

#[test]
fn a_session_in_flight_is_looked_at_once_and_by_its_latest_confirmation() {
    let streams = Streams::new(Metrics::new());
    let (admin, plain) = (session("admin"), session("plain"));
    let due = |now: u64| {
        let mut due: Vec<String> = streams
            .sessions_due(|view| view.checked_at().as_u64() + 300 <= START.as_u64() + now)
            .iter()
            .map(|view| view.subject().to_owned())
            .collect();
        due.sort();
        due
    };
    let _in_flight = [
        admit(&streams, &admin),
        admit(&streams, &admin),
        admit(&streams, &plain),
    ];
    assert!(due(299).is_empty());
    assert_eq!(due(300), ["admin", "plain"]);
    let later = confirmed(&admin, 10);
    streams.confirmed(&later);
    assert_eq!(due(300), ["plain"]);
    let _older_cookie = admit(&streams, &admin);
    assert_eq!(due(300), ["plain"]);
    assert_eq!(due(310), ["admin", "plain"]);
    streams.confirmed(&admin);
    assert_eq!(due(309), ["plain"], "a confirmation is never taken back");
    let held = streams.sessions_due(|view| view.subject() == "admin");
    assert!(
        Arc::ptr_eq(&held[0], &later),
        "asked about with what was learnt last"
    );
}

#[tokio::test]
async fn a_tunnel_takes_over_what_its_request_was_told() {
    let streams = Streams::new(Metrics::new());
    let request = admit(&streams, &session("admin"));
    assert_eq!(streams.end_sessions(|_| true), 1);
    let (told, ended) = tokio::sync::oneshot::channel();
    streams.spawn_tunnel(
        Some(request),
        |stop| async move { told.send(stop.stopped().await) },
    );
    assert_eq!(ended.await.unwrap(), Reason::SessionOver);
}

#[tokio::test]
async fn no_tunnel_stays_when_the_proxy_stops() {
    let streams = Streams::new(Metrics::new());
    let request = admit(&streams, &session("admin"));
    let (told, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let tunnel = |in_flight| {
        let told = told.clone();
        streams.spawn_tunnel(in_flight, |stop| async move { told.send(stop.stopped().await) });
    };
    tunnel(None);
    tunnel(Some(admit(&streams, &session("admin"))));
    streams.stop_tunnels();
    tunnel(None);
    for _ in 0..3 {
        assert_eq!(ended.recv().await, Some(Reason::ProxyStopping));
    }
    streams.tunnels_ended().await;
    assert_eq!(request.stop().reason(), None, "requests finish");
    assert_eq!(streams.in_flight(), 1);
}

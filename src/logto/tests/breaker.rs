//! The circuit breaker: when it opens, how few calls an outage costs, and how soon a recovery is noticed.

use super::fake::{DISCOVERY, FakeLogto, Instead, REVOCATION, TOKEN, USERINFO};
use super::{logto, logto_with, ready, request, settings};
use crate::clock::{self, Clock};
use crate::logto::breaker::{Breaker, PROBE_INTERVAL};
use crate::logto::{
    Availability, Call, Logto, LogtoError, LogtoErrorKind, METADATA_TIMEOUT, RefreshRequest, Userinfo,
    Verdict,
};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

/// A breaker, and a time that stands still.
struct Bench {
    breaker: Breaker,
    metrics: Metrics,
    now: Instant,
}

impl Bench {
    fn new(attended: bool) -> Self {
        let metrics = Metrics::default();
        let breaker = Breaker::new(Clock::system(), metrics.clone());
        breaker.set_attended(attended);
        Self {
            breaker,
            metrics,
            now: clock::monotonic(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn admits(&self, call: Call) -> bool {
        match self.breaker.admit(call, self.now) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind(), &LogtoErrorKind::Away);
                assert!(error.is_transient());
                false
            }
        }
    }

    /// A call that begins and ends now.
    fn ended(&self, call: Call, kind: Option<LogtoErrorKind>) {
        self.ended_since(call, self.now, kind);
    }

    fn ended_since(&self, call: Call, began: Instant, kind: Option<LogtoErrorKind>) {
        let error = kind.map(|kind| LogtoError::new(call, kind));
        self.breaker.ended(call, began, error.as_ref(), self.now);
    }

    fn fail(&self, times: u32) {
        for _ in 0..times {
            self.ended(Call::Token, Some(LogtoErrorKind::Timeout));
        }
    }

    fn gauge(&self) -> bool {
        self.metrics.render().contains("logto_circuit_open 1")
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn three_outages_in_a_row_open_it() {
    for kind in [
        LogtoErrorKind::Unreachable,
        LogtoErrorKind::Interrupted,
        LogtoErrorKind::Timeout,
        LogtoErrorKind::ServerError { status: 503 },
    ] {
        let bench = Bench::new(true);
        for call in [Call::Token, Call::UserInfo, Call::Revocation] {
            assert!(!bench.breaker.is_open());
            assert!(bench.admits(Call::Token));
            bench.ended(call, Some(kind.clone()));
        }
        assert!(bench.breaker.is_open() && bench.gauge());
        for call in [Call::Token, Call::UserInfo, Call::Revocation] {
            assert!(!bench.admits(call));
        }
        assert_eq!(bench.breaker.outage().unwrap().1.kind(), &kind);
    }
}

#[test]
fn an_answer_of_any_kind_is_none() {
    let answers = [
        None,
        Some(LogtoErrorKind::Refused {
            error: "invalid_grant".into(),
        }),
        Some(LogtoErrorKind::BadAnswer { what: "x" }),
        Some(LogtoErrorKind::Misconfigured { what: "x".into() }),
    ];
    for answer in answers {
        let bench = Bench::new(true);
        for _ in 0..5 {
            bench.fail(2);
            bench.ended(Call::UserInfo, answer.clone());
        }
        assert!(!bench.breaker.is_open(), "{answer:?}");
    }
    // Metadata answer from memory where tokens need a database: they do not make up for it.
    let bench = Bench::new(true);
    bench.fail(2);
    bench.ended(Call::Discovery, None);
    bench.fail(1);
    assert!(bench.breaker.is_open());
}

#[test]
fn only_the_probe_passes_while_it_is_open() {
    let mut bench = Bench::new(true);
    bench.fail(3);
    // Somebody probes, so calls never do.
    for _ in 0..5 {
        bench.pass(PROBE_INTERVAL);
        assert!(!bench.admits(Call::Token));
        assert!(bench.admits(Call::Discovery));
        bench.ended(Call::Discovery, Some(LogtoErrorKind::Unreachable));
        assert!(bench.breaker.is_open());
    }
    // Unless nobody does after all.
    bench.pass(SECOND * 11);
    assert!(!bench.admits(Call::Token));
    bench.pass(SECOND);
    assert!(bench.admits(Call::Token));
    assert!(!bench.admits(Call::Token));

    bench.ended(Call::Discovery, None);
    assert!(!bench.breaker.is_open() && !bench.gauge());
    assert!(bench.breaker.outage().is_none());
    assert!(bench.admits(Call::Token));
}

#[test]
fn without_a_background_task_one_call_in_four_seconds_is_the_probe() {
    let mut bench = Bench::new(false);
    bench.fail(3);
    assert!(!bench.admits(Call::Token));
    bench.pass(PROBE_INTERVAL - Duration::from_millis(1));
    assert!(!bench.admits(Call::Token));
    bench.pass(Duration::from_millis(1));
    assert!(bench.admits(Call::UserInfo));
    assert!(!bench.admits(Call::Token), "one");
    // Given up by its caller, it never ends; the next one comes.
    bench.pass(PROBE_INTERVAL);
    assert!(bench.admits(Call::Token));
    bench.ended(Call::Token, Some(LogtoErrorKind::Timeout));
    assert!(!bench.admits(Call::Token));
    bench.pass(PROBE_INTERVAL);
    assert!(bench.admits(Call::Token));
    bench.ended(
        Call::Token,
        Some(LogtoErrorKind::Refused {
            error: "invalid_grant".into(),
        }),
    );
    assert!(!bench.breaker.is_open());
    bench.fail(2);
    assert!(!bench.breaker.is_open(), "three again");
}

#[test]
fn metadata_alone_earn_one_try() {
    let mut bench = Bench::new(true);
    bench.fail(3);
    for _ in 0..3 {
        bench.pass(PROBE_INTERVAL);
        bench.ended(Call::Discovery, None);
        bench.pass(SECOND);
        assert!(bench.admits(Call::Token));
        bench.fail(1);
        assert!(bench.breaker.is_open());
    }
    bench.pass(PROBE_INTERVAL);
    bench.ended(Call::Discovery, None);
    bench.ended(Call::Token, None);
    bench.pass(SECOND);
    bench.fail(2);
    assert!(!bench.breaker.is_open());
}

/// Calls that hang through a short outage end after it is over.
#[test]
fn old_failures_say_nothing_about_the_present() {
    let mut bench = Bench::new(true);
    let began = bench.now;
    bench.pass(SECOND * 5);
    bench.ended(Call::Token, None);
    bench.pass(SECOND * 5);
    for _ in 0..10 {
        bench.ended_since(Call::Token, began, Some(LogtoErrorKind::Timeout));
    }
    assert!(!bench.breaker.is_open());

    bench.fail(3);
    bench.pass(SECOND);
    bench.ended(Call::Discovery, None);
    bench.ended_since(Call::Token, began, Some(LogtoErrorKind::Timeout));
    assert!(!bench.breaker.is_open());
    // A slow success is a success.
    bench.pass(SECOND);
    bench.fail(3);
    assert!(bench.breaker.is_open());
    bench.ended_since(Call::Token, began, None);
    assert!(!bench.breaker.is_open());
}

fn refresh_request() -> RefreshRequest {
    RefreshRequest {
        refresh_token: SecretText::new("the-refresh-token".into()),
        subject: "user-1".into(),
        until: clock::monotonic() + Duration::from_secs(60),
    }
}

fn started(fake: &FakeLogto) -> (Logto, Metrics, Tasks) {
    let (metrics, tasks) = (Metrics::default(), Tasks::new());
    let settings = super::Settings {
        userinfo: Userinfo::Always,
        ..settings(fake)
    };
    let logto = Logto::new(settings, Clock::system(), tasks.clone(), metrics.clone()).unwrap();
    logto.start();
    (logto, metrics, tasks)
}

async fn until(mut done: impl FnMut() -> bool) -> Duration {
    let began = clock::monotonic();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

fn all_away(fake: &FakeLogto, instead: &Instead) {
    for path in [DISCOVERY, TOKEN, USERINFO, REVOCATION] {
        fake.state().instead.insert(path, instead.clone());
    }
}

#[tokio::test]
async fn an_outage_costs_few_calls_and_its_end_is_noticed() {
    let (fake, _) = ready();
    fake.state().userinfo = json!({ "sub": "user-1" });
    let (logto, metrics, tasks) = started(&fake);
    until(|| logto.availability() == Availability::Ready).await;
    assert!(!logto.is_away());
    logto.refresh(refresh_request()).await.unwrap();
    fake.state().calls.clear();

    all_away(&fake, &Instead::Answer(503, json!({})));
    let began = clock::monotonic();
    let mut held_back = 0;
    for _ in 0..200 {
        let failure = logto.refresh(refresh_request()).await.unwrap_err();
        assert_eq!(failure.verdict, Verdict::Transient);
        held_back += u32::from(failure.error.kind() == &LogtoErrorKind::Away);
    }
    assert_eq!(held_back, 197);
    assert_eq!(fake.calls(TOKEN).len(), 3);
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(logto.is_away());
    assert!(matches!(logto.availability(), Availability::Away { reason, .. } if reason.contains("503")));
    let token = SecretText::new("t".into());
    assert!(logto.redeem(request()).await.unwrap_err().is_transient());
    assert!(logto.check(&token, "user-1").await.is_err());
    assert!(logto.revoke_refresh_token(&token).await.is_err());
    assert_eq!(fake.calls(TOKEN).len(), 3, "the code was not spent");
    assert!(fake.calls(USERINFO).is_empty() && fake.calls(REVOCATION).is_empty());
    let text = metrics.render();
    assert!(text.contains("logto_circuit_open 1"));
    assert!(
        text.contains(r#"logto_calls_total{endpoint="token",outcome="ok"} 1"#),
        "{text}"
    );
    assert!(text.contains(r#"logto_calls_total{endpoint="token",outcome="unavailable"} 3"#));

    // The probe goes on by itself, and finds out.
    until(|| !fake.calls(DISCOVERY).is_empty()).await;
    fake.state().instead.clear();
    let noticed = until(|| !logto.is_away()).await;
    assert!(noticed < PROBE_INTERVAL + Duration::from_secs(1), "{noticed:?}");
    assert_eq!(fake.calls(DISCOVERY).len(), 2);
    assert_eq!(logto.availability(), Availability::Ready);
    assert!(metrics.render().contains("logto_circuit_open 0"));
    logto.refresh(refresh_request()).await.unwrap();

    logto.stop();
    tokio::time::timeout(Duration::from_secs(1), tasks.drained())
        .await
        .unwrap();
}

/// In the worst case the probe before hangs until just after the recovery.
#[test]
fn a_recovery_is_noticed_in_less_than_ten_seconds() {
    let answer = Duration::from_secs(1);
    assert!(METADATA_TIMEOUT.max(PROBE_INTERVAL) + answer < Duration::from_secs(10));
}

#[tokio::test]
async fn the_probe_ends_with_the_tenant() {
    for ends_by_drop in [false, true] {
        let (fake, _) = ready();
        fake.state().userinfo = json!({ "sub": "user-1" });
        let (logto, _, tasks) = started(&fake);
        until(|| logto.availability() == Availability::Ready).await;
        all_away(&fake, &Instead::Hang);
        fake.state().instead.insert(TOKEN, Instead::Reset);
        for _ in 0..3 {
            assert!(logto.refresh(refresh_request()).await.is_err());
        }
        assert!(logto.is_away());
        // One of them while a probe hangs.
        if ends_by_drop {
            until(|| fake.calls(DISCOVERY).len() >= 2).await;
            drop(logto);
        } else {
            logto.stop();
        }
        tokio::time::timeout(METADATA_TIMEOUT + Duration::from_secs(1), tasks.drained())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn it_works_without_a_background_task() {
    let (fake, _) = ready();
    let logto = logto(&fake);
    logto.refresh(refresh_request()).await.unwrap();
    fake.state().instead.insert(TOKEN, Instead::Reset);
    for _ in 0..10 {
        assert!(logto.refresh(refresh_request()).await.is_err());
    }
    assert_eq!(fake.calls(TOKEN).len(), 4);
    fake.state().instead.clear();
    assert!(logto.refresh(refresh_request()).await.is_err(), "too early");
    tokio::time::sleep(PROBE_INTERVAL).await;
    logto.refresh(refresh_request()).await.unwrap();
    assert!(!logto.is_away());
    assert_eq!(fake.calls(TOKEN).len(), 5);
}

/// What Logto refuses is an answer, however often.
#[tokio::test]
async fn refusals_open_nothing() {
    let (fake, _) = ready();
    let (logto, _) = logto_with(settings(&fake));
    for error in [
        "invalid_grant",
        "access_denied",
        "invalid_client",
        "invalid_request",
    ] {
        fake.state()
            .instead
            .insert(TOKEN, Instead::Answer(400, json!({ "error": error })));
        for _ in 0..5 {
            assert!(logto.refresh(refresh_request()).await.is_err());
        }
    }
    assert_eq!(fake.calls(TOKEN).len(), 20);
    assert!(!logto.is_away());
}

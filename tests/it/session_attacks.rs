//! Ways to get more out of a session than it is worth: after it was ended, before it is confirmed, by an older copy of
//! its cookie, or through a store that somebody else writes to.

use crate::support::{Answer, Browser, Fleet, RawUpstream, Redis, Wire, World, eventually, proxy};
use logto_proxy::dev::provider::{EndpointFault, Faults, IdTokenFault, Misbehaviour};
use logto_proxy::session::{Cause, Effect, Notice, Scope};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

const PAST_RECHECK: i64 = 301;

/// Says that everybody is to be confirmed anew, as a webhook does.
fn mark_everybody(world: &World) {
    let now = world.clock.now();
    let notice = Notice {
        scope: Scope::Everyone,
        effect: Effect::Recheck,
        at: now,
        until: now.plus(Duration::from_secs(300)),
    };
    assert!(world.revocations.apply(&notice));
}

fn refresh_fault(world: &World, delay: u64, misbehaviour: Misbehaviour) {
    let faults = Faults {
        refresh: EndpointFault {
            delay: Duration::from_millis(delay),
            misbehaviour: Some(misbehaviour),
        },
        ..Faults::default()
    };
    world.logto.set_faults(faults);
}

/// The roles that the upstream is told of; `None` when the request does not reach it.
async fn roles(world: &World, browser: &mut Browser) -> Option<String> {
    world.upstream.forget();
    let answer = browser.fetch("/").await;
    let seen = world.upstream.seen();
    assert_eq!(answer.status == 200, !seen.is_empty(), "{answer:?}");
    let seen = seen.last()?;
    Some(seen.header("x-user-roles").unwrap_or_default().to_owned())
}

async fn signed_in_as_boss(world: &World) -> Browser {
    assert!(world.logto.set_roles("plain", &["boss"]));
    let mut browser = world.signed_in("plain").await;
    assert_eq!(roles(world, &mut browser).await.as_deref(), Some("boss"));
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_another_replica_counts_only_while_it_is_fresh() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.url();
    let fleet = Fleet::start(2, move |_| {
        proxy().section(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\""))
    })
    .await;
    let [one, other] = &fleet.worlds[..] else { panic!() };
    let mut browser = signed_in_as_boss(one).await;
    let mut copy = browser.clone();
    copy.move_to(other.address);
    one.hand.advance(PAST_RECHECK);
    assert_eq!(roles(one, &mut browser).await.as_deref(), Some("boss"));
    let calls = one.logto.counts().refreshes;
    // The result is shared with the other replica, which would take it for an answer to what it learns now.
    one.logto.set_roles("plain", &[]);
    mark_everybody(other);
    assert_eq!(roles(one, &mut copy).await.as_deref(), Some(""));
    assert_eq!(one.logto.counts().refreshes, calls + 1, "Logto was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_began_before_a_change_is_no_answer_to_it() {
    let world = proxy().logto("userinfo = \"never\"").start().await;
    let browser = signed_in_as_boss(&world).await;
    let (mut first, mut second) = (browser.clone(), browser);
    world.hand.advance(PAST_RECHECK);
    refresh_fault(
        &world,
        0,
        Misbehaviour::AnswerLate(Duration::from_millis(800)).times(1),
    );
    let calls = world.logto.counts().refreshes;
    let waiting = tokio::spawn(async move { first.fetch("/").await.status });
    eventually("Logto is asked", || async {
        world.logto.counts().refreshes > calls
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.logto.set_roles("plain", &[]);
    mark_everybody(&world);
    second.fetch("/").await;
    let seen = world.upstream.seen();
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(seen.last().unwrap().header("x-user-roles"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_cookie_brings_no_role_back_while_logto_is_away() {
    let world = proxy().start().await;
    let mut browser = signed_in_as_boss(&world).await;
    let mut older = browser.clone();
    world.logto.set_roles("plain", &[]);
    world.hand.advance(PAST_RECHECK);
    assert_eq!(roles(&world, &mut browser).await.as_deref(), Some(""));
    refresh_fault(&world, 0, Misbehaviour::Status(500));
    mark_everybody(&world);
    assert_eq!(
        roles(&world, &mut older).await.as_deref(),
        Some(""),
        "asked in vain"
    );
    assert_eq!(roles(&world, &mut older).await.as_deref(), Some(""), "not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_past_its_grace_is_not_served_because_a_newer_one_is() {
    let world = proxy().start().await;
    let mut browser = signed_in_as_boss(&world).await;
    let mut older = browser.clone();
    world.logto.set_roles("plain", &[]);
    world.hand.advance(3_650);
    assert_eq!(roles(&world, &mut browser).await.as_deref(), Some(""));
    world.hand.advance(PAST_RECHECK);
    // The older cookie is now past five minutes and the grace, and the result of the call is no longer kept.
    refresh_fault(&world, 1_000, Misbehaviour::Status(500));
    let newer = tokio::spawn(async move { browser.fetch("/").await.status });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(older.fetch("/").await.status, 401);
    assert_eq!(newer.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_sessions_is_closed_to_whom_logto_shut_out() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let page = browser.fetch("/.logto/sessions").await;
    let token = page.json()["formToken"].as_str().unwrap().to_owned();
    let mut thief = browser.clone();
    world.logto.suspend("plain");
    world.hand.advance(PAST_RECHECK);
    assert_eq!(thief.fetch("/.logto/sessions").await.status, 401);
    let navigation = browser.navigate("/.logto/sessions").await;
    assert_eq!(navigation.status, 302, "to the sign-in: {navigation:?}");
    let revoke = "https://app.example.com/.logto/sessions/revoke".parse().unwrap();
    let answer = thief
        .submit(revoke, &[("token", &token), ("others", "yes")])
        .await;
    assert_eq!(answer.location().query(), None, "nothing was ended: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_asked_about_at_once_is_a_queue_at_logto_not_a_flood() {
    let world = proxy().start().await;
    let mut browsers = Vec::new();
    for _ in 0..40 {
        browsers.push(world.signed_in("plain").await);
    }
    refresh_fault(&world, 0, Misbehaviour::AnswerLate(Duration::from_millis(1_500)));
    mark_everybody(&world);
    let before = world.logto.counts().refreshes;
    let served = browsers
        .into_iter()
        .map(|mut browser| tokio::spawn(async move { browser.fetch("/").await.status }));
    let served: Vec<_> = served.collect();
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let under_way = world.logto.counts().refreshes - before;
    assert!((1..=32).contains(&under_way), "{under_way} at once");
    for status in served {
        assert_eq!(status.await.unwrap(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_from_far_ahead_neither_locks_out_nor_has_logto_asked_every_time() {
    let Some(redis) = Redis::start() else { return };
    let world = proxy()
        .section(&format!("[store]\nkind = \"redis\"\nurl = \"{}\"", redis.url()))
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    let ahead = world.clock.now().plus(Duration::from_secs(10 * 365 * 86_400));
    let put = |effect| {
        let notice = Notice {
            scope: Scope::Everyone,
            effect,
            at: ahead,
            until: ahead,
        };
        let epoch = redis.command(&["EVAL", "return redis.call('KEYS', '*:epoch')[1]", "0"]);
        let key = format!("{}:notices", epoch.trim().strip_suffix(":epoch").unwrap());
        let json = serde_json::to_string(&notice).unwrap();
        redis.command(&["XADD", &key, "*", "notice", &json]);
    };
    put(Effect::Recheck);
    let before = world.logto.counts().refreshes;
    eventually("it is in force", || async {
        !world.revocations.notices().is_empty()
    })
    .await;
    for _ in 0..5 {
        assert_eq!(browser.fetch("/").await.status, 200);
        world.hand.advance(1);
    }
    let calls = world.logto.counts().refreshes - before;
    assert!((1..=3).contains(&calls), "{calls} calls for 5 requests");
    put(Effect::End(Cause::Suspended));
    eventually("sessions are over", || async {
        world.browser().fetch("/").await;
        let mut copy = browser.clone();
        copy.fetch("/").await.status == 401
    })
    .await;
    world.hand.advance(2);
    let mut again = world.signed_in("plain").await;
    assert_eq!(
        again.fetch("/").await.status,
        200,
        "who signs in afterwards is in"
    );
}

/// Ends every session, as other replicas or Logto may at any moment.
fn end_everybody(world: &World) {
    let now = world.clock.now();
    let notice = Notice {
        scope: Scope::Everyone,
        effect: Effect::End(Cause::Suspended),
        at: now,
        until: now.plus(Duration::from_secs(3_600)),
    };
    assert!(world.revocations.apply(&notice));
}

/// An app that answers `…/slow` when it is told to, and counts who waits for that.
async fn slow_app() -> (RawUpstream, Arc<Notify>, Arc<AtomicUsize>) {
    let (go_on, waiting) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (told, counted) = (Arc::clone(&go_on), Arc::clone(&waiting));
    let app = RawUpstream::start(move |mut wire: Wire, _| {
        let (told, counted) = (Arc::clone(&told), Arc::clone(&counted));
        async move {
            let (line, _) = wire.head().await;
            if line.contains("/slow ") {
                counted.fetch_add(1, Ordering::SeqCst);
                told.notified().await;
            }
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        }
    })
    .await;
    (app, go_on, waiting)
}

fn sets_session(answer: &Answer) -> bool {
    let lines = answer.set_cookies();
    lines
        .iter()
        .any(|line| line.starts_with("__Host-logto=") && !line.contains("Max-Age=0"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_while_logto_confirms_it_is_over() {
    for path in ["/", "/.logto/user", "/.logto/sessions"] {
        let world = proxy().start().await;
        let mut browser = world.signed_in("plain").await;
        world.hand.advance(PAST_RECHECK);
        refresh_fault(&world, 0, Misbehaviour::AnswerLate(Duration::from_millis(800)));
        let waiting = tokio::spawn(async move { browser.fetch(path).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        end_everybody(&world);
        let answer = waiting.await.unwrap();
        let is_refused = answer.status == 401 || answer.json()["isAuthenticated"] == false;
        assert!(is_refused && !sets_session(&answer), "{path}: {answer:?}");
        assert!(world.upstream.seen().is_empty(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_hands_out_no_cookie_of_a_session_that_has_ended_or_is_newer_by_then() {
    let (app, go_on, waiting) = slow_app().await;
    let world = proxy()
        .upstream_url(app.url())
        .route("/open/*", "public")
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    let begin = |browser: &Browser, path: &'static str| {
        let mut slow = browser.clone();
        tokio::spawn(async move { slow.fetch(path).await })
    };
    world.hand.advance(290);
    let slow = begin(&browser, "/slow");
    eventually("it waits", || async { waiting.load(Ordering::SeqCst) == 1 }).await;
    world.hand.advance(15);
    assert!(sets_session(&browser.fetch("/").await), "confirmed meanwhile");
    go_on.notify_one();
    let answer = slow.await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(!sets_session(&answer), "an older cookie: {answer:?}");

    world.hand.advance(61);
    let slow = begin(&browser, "/open/slow");
    eventually("it waits", || async { waiting.load(Ordering::SeqCst) == 2 }).await;
    end_everybody(&world);
    go_on.notify_one();
    let answer = slow.await.unwrap();
    assert_eq!(answer.status, 200, "anybody may");
    assert!(!sets_session(&answer), "back from the dead: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_for_anybody_knows_nobody_whom_logto_shut_out() {
    let world = proxy().route("/maybe/*", "optional").start().await;
    let mut browser = world.signed_in("plain").await;
    assert_eq!(browser.fetch("/maybe/x").await.status, 200);
    assert!(world.upstream.only().header("x-user-sub").is_some());
    world.logto.suspend("plain");
    world.hand.advance(PAST_RECHECK);
    world.upstream.forget();
    assert_eq!(browser.fetch("/maybe/x").await.status, 200);
    assert_eq!(world.upstream.only().header("x-user-sub"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_somebody_else_ends_the_session() {
    let refreshed = Faults {
        refreshed_id_token: Some(IdTokenFault::OtherSubject),
        ..Faults::default()
    };
    let asked = Faults {
        userinfo_subject: Some("somebody-else".to_owned()),
        ..Faults::default()
    };
    for (faults, has_refresh_token) in [(refreshed, true), (asked, false)] {
        let world = proxy()
            .client(move |client| client.always_issue_refresh_token = has_refresh_token)
            .start()
            .await;
        let mut browser = world.signed_in("plain").await;
        let mut copy = browser.clone();
        world.logto.set_faults(faults);
        world.hand.advance(PAST_RECHECK);
        assert_eq!(browser.fetch("/").await.status, 401);
        world.logto.set_faults(Faults::default());
        assert_eq!(copy.fetch("/").await.status, 401, "it stays ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_from_a_clock_ten_minutes_ahead_costs_few_calls() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let at = world.clock.now().plus(Duration::from_secs(600));
    let until = at.plus(Duration::from_secs(300));
    let (scope, effect) = (Scope::Everyone, Effect::Recheck);
    assert!(world.revocations.apply(&Notice {
        scope,
        effect,
        at,
        until
    }));
    let before = world.logto.counts().refreshes;
    for _ in 0..5 {
        assert_eq!(browser.fetch("/").await.status, 200);
    }
    let calls = world.logto.counts().refreshes - before;
    assert!((1..=2).contains(&calls), "{calls} calls for 5 requests");
}

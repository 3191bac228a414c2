//! However many requests, tabs and impatient browsers: one call about a session, and nobody is signed out by a race.

use crate::support::{Browser, World, eventually, proxy, request};
use logto_proxy::dev::provider::{EndpointFault, Faults};
use std::time::{Duration, Instant};

const RECHECK: i64 = 300;

/// One request with these cookies: status, and the session cookie to use from now on.
async fn ask(world: &World, cookie: &str) -> (u16, Option<String>) {
    let reply = world
        .ask(request(
            "GET",
            "/",
            &[("Cookie", cookie), ("Connection", "close")],
        ))
        .await;
    let set = reply.fields.iter().find_map(|(name, value)| {
        let value = value.strip_prefix("__Host-logto=")?;
        name.eq_ignore_ascii_case("set-cookie")
            .then(|| format!("__Host-logto={}", value.split(';').next().unwrap()))
    });
    (reply.status, set)
}

/// Sends a request, gives the proxy the time to read it, and closes the socket.
async fn abort(world: &World, cookie: &str) {
    let mut wire = world.wire().await;
    wire.send(request("GET", "/", &[("Cookie", cookie)])).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
}

fn session_cookie(browser: &Browser) -> String {
    format!("__Host-logto={}", browser.cookie("__Host-logto").unwrap())
}

fn slow(milliseconds: u64) -> Faults {
    Faults {
        refresh: EndpointFault {
            delay: Duration::from_millis(milliseconds),
            misbehaviour: None,
        },
        ..Faults::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_at_the_moment_a_recheck_is_due_make_one_call() {
    let world = proxy().start().await;
    let browser = world.signed_in("admin").await;
    let cookie = session_cookie(&browser);
    world.logto.set_roles("admin", &["reader"]);
    world.logto.set_faults(slow(100));
    world.hand.advance(RECHECK);
    let begun = Instant::now();
    let asked = (0..100).map(|_| ask(&world, &cookie));
    let answers = futures_util::future::join_all(asked).await;
    println!(
        "100 parallel requests at a due re-check: {:?}, {} token call",
        begun.elapsed(),
        world.logto.counts().refreshes
    );
    assert!(
        answers
            .iter()
            .all(|(status, set)| *status == 200 && set.is_some()),
        "{answers:?}"
    );
    assert_eq!(world.logto.counts().refreshes, 1);
    let seen = world.upstream.seen();
    assert_eq!(seen.len(), 100);
    assert!(
        seen.iter()
            .all(|seen| seen.header("x-user-roles") == Some("reader"))
    );

    // Latecomers with the cookie from before: for a minute.
    for seconds in [1, 29, 28] {
        world.hand.advance(seconds);
        let (status, set) = ask(&world, &cookie).await;
        assert!(status == 200 && set.is_some());
        assert_eq!(world.upstream.last().header("x-user-roles"), Some("reader"));
    }
    assert_eq!(world.logto.counts().refreshes, 1);
    world.hand.advance(60);
    assert_eq!(
        ask(&world, &cookie).await.0,
        200,
        "asked about again: nothing was rotated"
    );
    assert_eq!(world.logto.counts().refreshes, 2);
    let new = answers[0].1.clone().unwrap();
    assert_eq!(ask(&world, &new).await.0, 200);
    assert_eq!(world.logto.counts().refreshes, 2, "the new cookie is not due");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_asked_about_each_by_itself() {
    let world = proxy().start().await;
    let one = session_cookie(&world.signed_in("admin").await);
    let two = session_cookie(&world.signed_in("admin").await);
    world.hand.advance(RECHECK);
    for cookie in [&one, &two, &one, &two] {
        assert_eq!(ask(&world, cookie).await.0, 200);
    }
    assert_eq!(world.logto.counts().refreshes, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_from_before_a_rotation_works_for_as_long_as_it_may_come_back() {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let world = proxy()
        .session("idle_timeout = \"24h\"\nrecheck = \"5m\"")
        .client(move |client| client.refresh_token_ttl = hours(10))
        .start()
        .await;
    let cookie = session_cookie(&world.signed_in("admin").await);
    world.hand.advance(7 * 3_600);
    assert_eq!(ask(&world, &cookie).await.0, 200);
    assert_eq!(world.logto.counts().rotations, 1);
    // From now on Logto would take the old token for a stolen one.
    for (seconds, calls) in [
        (4, 1),
        (200, 1),
        (6 * 3_600, 2),
        (70, 2),
        (400, 3),
        (1_000, 4),
        (3_600, 5),
        (3_600, 6),
    ] {
        world.hand.advance(seconds);
        assert_eq!(ask(&world, &cookie).await.0, 200, "after {seconds}");
        assert_eq!(world.logto.counts().refreshes, calls, "after {seconds}");
    }
    assert_eq!(
        (world.logto.counts().rotations, world.logto.grants_revoked()),
        (2, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_leaves_in_the_middle_loses_nothing() {
    let world = proxy()
        .client(|client| client.refresh_token_ttl = Duration::from_secs(400))
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    let cookie = session_cookie(&browser);
    world.logto.set_faults(slow(300));
    world.hand.advance(RECHECK);
    let rotated = || async {
        abort(&world, &cookie).await;
        world.logto.counts().rotations == 1
    };
    eventually("the call goes on", rotated).await;
    world.logto.set_faults(Faults::default());
    world.hand.advance(10);
    assert_eq!(
        browser.fetch("/").await.status,
        200,
        "with the cookie from before"
    );
    assert_eq!(world.logto.counts().refreshes, 1, "and its result");
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/").await.status, 200, "with the token of after");
    assert_eq!(
        (world.logto.counts().rotations, world.logto.grants_revoked()),
        (2, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_rotations_under_load_with_aborting_clients_lose_no_session() {
    const SESSIONS: usize = 20;
    // Each re-check comes after 70 % of the token's life.
    let world = proxy()
        .client(|client| client.refresh_token_ttl = Duration::from_secs(420))
        .start()
        .await;
    let mut cookies = Vec::new();
    for _ in 0..SESSIONS {
        cookies.push(session_cookie(&world.signed_in("plain").await));
        world.hand.advance(2);
    }
    world.hand.advance(RECHECK);
    world.logto.set_faults(slow(15));
    let begun = Instant::now();
    let (mut answered, mut aborted, mut round) = (0, 0, 0);
    while world.logto.counts().rotations < 1_000 {
        let visits = cookies.iter().enumerate().map(|(number, cookie)| {
            let (world, all_leave) = (&world, (round + number) % 3 == 0);
            async move {
                if all_leave {
                    tokio::join!(abort(world, cookie), abort(world, cookie));
                    return Vec::new();
                }
                let (first, second, ()) =
                    tokio::join!(ask(world, cookie), ask(world, cookie), abort(world, cookie));
                vec![first, second]
            }
        });
        let mut visited = futures_util::future::join_all(visits).await;
        // Later than Logto would forgive the token from before.
        world.hand.advance(5);
        let all_left: Vec<bool> = visited.iter().map(Vec::is_empty).collect();
        let late = (0..SESSIONS).filter(|number| all_left[*number]);
        let late = late.map(async |number| (number, ask(&world, &cookies[number]).await));
        for (number, answer) in futures_util::future::join_all(late).await {
            visited[number].push(answer);
        }
        for (number, cookie) in cookies.iter_mut().enumerate() {
            let (answers, all_left) = (&mut visited[number], all_left[number]);
            aborted += if all_left { 2 } else { 1 };
            // Now and then the browser does not get that one either, and stays with a cookie from several rotations ago.
            let is_lost = all_left && round % 2 == 0;
            for (status, set) in answers.drain(..) {
                assert_eq!(status, 200, "round {round}");
                answered += 1;
                *cookie = set.filter(|_| !is_lost).unwrap_or_else(|| cookie.clone());
            }
        }
        round += 1;
        world.hand.advance(RECHECK);
    }
    let counts = world.logto.counts();
    let took = begun.elapsed();
    let mut lost = 0;
    for cookie in &cookies {
        lost += usize::from(ask(&world, cookie).await.0 != 200);
    }
    println!(
        "{} refreshes, {} of them rotations, {answered} answers, {aborted} aborted requests in {took:?}: {lost} of {SESSIONS} sessions lost",
        counts.refreshes, counts.rotations
    );
    let most = (SESSIONS * round) as u64;
    assert!(
        counts.refreshes <= most,
        "one call for each re-check, {most}: {counts:?}"
    );
    assert_eq!((lost, world.logto.grants_revoked()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_logto_holds_requests_up_for_two_seconds_and_its_answer_reaches_the_next() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_roles("admin", &["reader"]);
    world.logto.set_faults(slow(4_000));
    world.hand.advance(RECHECK);
    let begun = Instant::now();
    assert_eq!(browser.fetch("/").await.status, 200);
    let first = begun.elapsed();
    assert!(
        first > Duration::from_millis(1_800) && first < Duration::from_millis(3_000),
        "{first:?}"
    );
    assert_eq!(world.upstream.last().header("x-user-roles"), Some("admin,editor"));
    // Those that come while the same call is under way have been waited for already.
    let again = Instant::now();
    assert_eq!(browser.fetch("/").await.status, 200);
    println!(
        "Logto takes 4 s: the first request took {first:?}, the next {:?}",
        again.elapsed()
    );
    assert!(again.elapsed() < Duration::from_secs(1), "{:?}", again.elapsed());
    let told = || async {
        browser.clone().fetch("/").await;
        world.upstream.last().header("x-user-roles") == Some("reader")
    };
    eventually("the answer arrives", told).await;
    assert_eq!(world.logto.counts().refreshes, 1);
}

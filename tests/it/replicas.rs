//! Replicas that share a Redis are one to the user and to Logto: one token call, whoever asks, and whoever dies.

use crate::support::proxy::{APP_ID, Builder};
use crate::support::{Browser, Fleet, Load, Processes, Redis, drill, eventually, ms, proxy};
use bytes::Bytes;
use logto_proxy::dev::provider::{EndpointFault, Faults, Hook, HookEvent, Misbehaviour};
use logto_proxy::secret::SecretText;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const NAME: &str = "__Host-logto";
const ORIGIN: &str = "https://app.example.com";
const KEY: &str = "h8GJ2tVxQ0mZk3Yw7cRd5sLp9bNfTa1E";
const RECHECK: i64 = 300;

/// A replica at this Redis that hears of webhooks.
fn replica(url: &str) -> Builder {
    proxy()
        .section(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\""))
        .section(&format!("[webhook]\nsigning_key = \"{KEY}\""))
}

async fn three(redis: &Redis, each: impl Fn(Builder) -> Builder + 'static) -> Fleet {
    let url = redis.url();
    let fleet = Fleet::start(3, move |_| each(replica(&url))).await;
    for world in &fleet.worlds {
        eventually("Redis is reached", || async {
            world.health("/readyz").await.1.contains("\"available\":true")
        })
        .await;
    }
    let signing_key = SecretText::new(KEY.to_owned());
    let url = format!("{ORIGIN}/.logto/webhook");
    fleet.first().logto.set_hook(Hook { url, signing_key });
    fleet
}

/// As many requests at once, dealt out to the replicas; their statuses, and the browser of one that got a new cookie.
async fn at_once(fleet: &Fleet, browser: &Browser, count: usize) -> (Vec<u16>, Option<Browser>) {
    let mut all = JoinSet::new();
    for number in 0..count {
        let mut one = browser.clone();
        one.move_to(fleet.addresses()[number % fleet.worlds.len()]);
        all.spawn(async move {
            let answer = one.fetch("/").await;
            (
                answer.status,
                answer.header("set-cookie").is_some().then_some(one),
            )
        });
    }
    let (statuses, renewed): (Vec<u16>, Vec<_>) = all.join_all().await.into_iter().unzip();
    (statuses, renewed.into_iter().flatten().next())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_requests_at_the_moment_of_a_re_check_cost_one_token_call() {
    let Some(redis) = Redis::start() else { return };
    // Past the rotation point at every re-check.
    let fleet = three(&redis, |builder| {
        builder.client(|client| client.refresh_token_ttl = Duration::from_secs(400))
    })
    .await;
    let logto = &fleet.first().logto;
    let mut browser = fleet.signed_in("plain").await;
    let first = browser.clone();
    for round in 1..=3 {
        fleet.first().hand.advance(RECHECK + 1);
        let begun = Instant::now();
        let (statuses, renewed) = at_once(&fleet, &browser, 300).await;
        let took = ms(begun);
        assert_eq!(statuses, vec![200; 300]);
        assert_eq!(
            (logto.counts().refreshes, logto.counts().rotations),
            (round, round)
        );
        drill(
            "300 parallel requests at a due re-check, 3 replicas",
            format!("1 token call, 300 x 200, {took}"),
        );
        browser.cookies = renewed.expect("the new session is sent").cookies;
    }
    // Long after Logto's leeway the very first cookie still leads to the newest session, on each replica.
    fleet.first().hand.advance(60);
    let (statuses, _) = at_once(&fleet, &first, 30).await;
    assert_eq!(statuses, vec![200; 30]);
    // One more where a machine under load lets a lease run out; Logto forgives that for three seconds.
    let refreshes = logto.counts().refreshes;
    assert!((3..=4).contains(&refreshes), "{refreshes}");
    assert_eq!(logto.grants_revoked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_too_old_by_now_confirms_nothing() {
    let Some(redis) = Redis::start() else { return };
    let fleet = three(&redis, |builder| {
        builder.client(|client| client.refresh_token_ttl = Duration::from_secs(2_000))
    })
    .await;
    let logto = &fleet.first().logto;
    let mut browser = fleet.signed_in("plain").await;
    let mut old = browser.clone();
    fleet.first().hand.advance(1_500);
    browser.move_to(fleet.addresses()[0]);
    assert_eq!(browser.fetch("/").await.status, 200);
    assert_eq!(logto.counts().rotations, 1);
    // Kept for old cookies, but not for ever confirmed.
    fleet.first().hand.advance(RECHECK + 1);
    logto.set_roles("plain", &["new"]);
    old.move_to(fleet.addresses()[1]);
    assert_eq!(old.fetch("/").await.status, 200);
    assert_eq!(logto.counts().refreshes, 2, "Logto is asked again");
    assert_eq!(fleet.first().upstream.last().header("x-user-roles"), Some("new"));
    assert_eq!(logto.grants_revoked(), 0);

    // Nor is a result from before a webhook an answer to it.
    fleet.first().hand.advance(5);
    logto.route(ORIGIN, fleet.addresses()[2]);
    let change = logto.webhook(HookEvent::DataUpdated, "plain").unwrap();
    logto.set_roles("plain", &["newer"]);
    assert_eq!(logto.send_webhook(&change).await, Ok(200));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut third = fleet.browser();
    third.cookies = browser.cookies.clone();
    third.move_to(fleet.addresses()[2]);
    assert_eq!(third.fetch("/").await.status, 200);
    assert_eq!(
        fleet.first().upstream.last().header("x-user-roles"),
        Some("newer")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_learnt_once_and_known_everywhere() {
    let Some(redis) = Redis::start() else { return };
    let fleet = three(&redis, |builder| builder).await;
    let logto = &fleet.first().logto;
    let browser = fleet.signed_in("plain").await;
    logto.end_sessions_of("plain");
    fleet.first().hand.advance(RECHECK + 1);
    let (statuses, _) = at_once(&fleet, &browser, 90).await;
    assert_eq!(statuses, vec![401; 90]);
    assert_eq!(logto.counts().refreshes, 1);
    let (statuses, _) = at_once(&fleet, &browser, 9).await;
    assert_eq!(statuses, vec![401; 9]);
    assert_eq!(logto.counts().refreshes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_everyone_costs_one_call_for_each_session_in_use() {
    let Some(redis) = Redis::start() else { return };
    let fleet = three(&redis, |builder| builder).await;
    let logto = &fleet.first().logto;
    let mut browsers = Vec::new();
    for number in 0..8 {
        browsers.push(fleet.signed_in(["plain", "admin"][number % 2]).await);
    }
    let change = logto.webhook(HookEvent::MembershipUpdated, "plain").unwrap();
    let load = Load::start(browsers, 160);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(logto.counts().refreshes, 0);
    assert_eq!(logto.send_webhook(&change).await, Ok(200));
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let figures = load.end().await;
    assert_eq!(figures.failed(), 0);
    assert_eq!(logto.counts().refreshes, 8, "no stampede");
    drill(
        "a membership changed, 8 sessions in use, 3 replicas",
        format!(
            "{} token calls, {} requests",
            logto.counts().refreshes,
            figures.samples.len()
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_to_one_replica_ends_the_sessions_on_all() {
    let Some(redis) = Redis::start() else { return };
    let fleet = three(&redis, |builder| builder).await;
    let logto = &fleet.first().logto;
    let mut user = fleet.signed_in("plain").await;
    let mut other = fleet.signed_in("admin").await;
    assert!(logto.suspend("plain"));
    logto.route(ORIGIN, fleet.addresses()[2]);
    let told = logto.webhook(HookEvent::SuspensionUpdated, "plain").unwrap();
    let begun = Instant::now();
    assert_eq!(logto.send_webhook(&told).await, Ok(200));
    for address in fleet.addresses() {
        user.move_to(address);
        let mut copy = user.clone();
        eventually("the session is over", || {
            let mut copy = copy.clone();
            async move { !copy.is_signed_in().await }
        })
        .await;
        assert_eq!(copy.fetch("/").await.status, 401);
    }
    drill(
        "suspension by webhook to one of 3 replicas, refused at all",
        ms(begun),
    );
    for address in fleet.addresses() {
        other.move_to(address);
        assert!(other.is_signed_in().await, "another user");
    }
    assert_eq!(logto.counts().refreshes, 0, "nobody had to be asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_token_is_taken_by_one_replica_only() {
    let Some(redis) = Redis::start() else { return };
    let fleet = three(&redis, |builder| builder.back_channel_logout(false)).await;
    let logto = &fleet.first().logto;
    let browser = fleet.signed_in("plain").await;
    let token = logto.logout_token(APP_ID, "plain").unwrap().sign().unwrap();
    let mut statuses = JoinSet::new();
    for address in fleet.addresses() {
        let mut sender = fleet.browser();
        sender.move_to(address);
        let body = Bytes::from(format!("logout_token={token}"));
        statuses.spawn(async move {
            let url = format!("{ORIGIN}/.logto/back-channel-logout").parse().unwrap();
            let form = [("content-type", "application/x-www-form-urlencoded")];
            sender.send("POST", url, &form, body).await.status
        });
    }
    let mut statuses = statuses.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400]);
    for address in fleet.addresses() {
        let mut copy = browser.clone();
        copy.move_to(address);
        assert!(!copy.is_signed_in().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_holds_nobody_up() {
    let Some(redis) = Redis::start() else { return };
    let fleet = three(&redis, |builder| builder).await;
    let browser = fleet.signed_in("plain").await;
    fleet.first().hand.advance(RECHECK + 1);
    redis.freeze();
    let begun = Instant::now();
    let (statuses, _) = at_once(&fleet, &browser, 30).await;
    assert_eq!(statuses, vec![200; 30]);
    let calls = fleet.first().logto.counts().refreshes;
    assert!((1..=3).contains(&calls), "one for each replica at most: {calls}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drill(
        "30 requests at a due re-check, Redis frozen",
        format!("{calls} token calls, {}", ms(begun)),
    );
    let begun = Instant::now();
    let mut leaving = browser.clone();
    leaving.move_to(fleet.addresses()[0]);
    assert_eq!(leaving.navigate("/.logto/sign-out").await.status, 303);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let mut copy = browser.clone();
    copy.move_to(fleet.addresses()[0]);
    assert!(!copy.is_signed_in().await, "over here at once");
    redis.thaw();
    for address in fleet.addresses() {
        eventually("it is over everywhere", || {
            let mut copy = browser.clone();
            copy.move_to(address);
            async move { !copy.is_signed_in().await }
        })
        .await;
    }
    drill("sign-out while Redis was frozen, refused at all", ms(begun));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_in_the_middle_of_a_rotation_is_replaced_in_time() {
    let Some(redis) = Redis::start() else { return };
    let builder = replica(&redis.url()).client(|client| client.refresh_token_ttl = Duration::from_secs(20));
    let mut processes = Processes::start(builder, vec![Vec::new(); 3]).await;
    let logto = processes.logto.clone();
    let signing_key = SecretText::new(KEY.to_owned());
    let url = format!("{ORIGIN}/.logto/webhook");
    logto.set_hook(Hook { url, signing_key });
    let mut browser = processes.signed_in("plain").await;
    logto.update_client(APP_ID, |client| {
        client.refresh_token_ttl = Duration::from_secs(86_400)
    });
    // Seven tenths of the refresh token's life: from here on Logto gives another.
    tokio::time::sleep(Duration::from_millis(14_050)).await;
    let change = logto.webhook(HookEvent::DataUpdated, "plain").unwrap();
    assert_eq!(logto.send_webhook(&change).await, Ok(200));
    tokio::time::sleep(Duration::from_millis(100)).await;
    logto.set_faults(Faults {
        refresh: EndpointFault::from(Misbehaviour::AnswerLate(Duration::from_secs(8)).times(1)),
        ..Faults::default()
    });
    let old = browser.clone();
    let addresses = processes.addresses().to_vec();
    let asking = |number: usize| {
        let mut one = old.clone();
        one.move_to(addresses[number]);
        tokio::spawn(async move {
            let answer = one.try_fetch("/").await.map_or(0, |answer| answer.status);
            (answer, one)
        })
    };
    let doomed = asking(0);
    eventually("Logto has given another token", || async {
        logto.counts().rotations == 1
    })
    .await;
    let rotated = Instant::now();
    let waiting = [asking(1), asking(2)];
    tokio::time::sleep(Duration::from_millis(300)).await;
    processes.kill(0);
    assert_eq!(doomed.await.unwrap().0, 0, "its connection broke");
    for request in waiting {
        assert_eq!(request.await.unwrap().0, 200, "served while another takes over");
    }
    eventually("another has taken over", || async {
        logto.counts().rotations == 2
    })
    .await;
    let taken_over = rotated.elapsed();
    assert!(taken_over < Duration::from_secs(3), "{taken_over:?}");
    drill(
        "leader killed 300 ms after the rotation",
        format!(
            "another has taken over {} ms after the rotation",
            taken_over.as_millis()
        ),
    );
    // Past the leeway: old cookie and new one, at whichever replica.
    tokio::time::sleep(Duration::from_millis(3_100).saturating_sub(rotated.elapsed())).await;
    processes.restart(0).await;
    for number in 0..3 {
        let (status, renewed) = asking(number).await.unwrap();
        assert_eq!(status, 200, "replica {number}");
        browser = renewed;
    }
    assert_ne!(browser.cookie(NAME), old.cookie(NAME));
    let change = logto.webhook(HookEvent::DataUpdated, "plain").unwrap();
    assert_eq!(logto.send_webhook(&change).await, Ok(200));
    for address in processes.addresses() {
        browser.move_to(*address);
        assert_eq!(browser.fetch("/").await.status, 200);
    }
    assert_eq!((logto.counts().refreshes, logto.grants_revoked()), (3, 0));
}

//! What operators fear, under load: Redis dies, keys change, every replica is restarted. Nobody may notice.
//!
//! Each drill prints its figures (`--nocapture`). `LOGTO_PROXY_DRILL_SECONDS=30` makes the outages that long.

use crate::support::load::Figures;
use crate::support::proxy::{Builder, SESSION_KEY};
use crate::support::{
    Browser, Fleet, Load, Processes, Redis, World, drill, drill_time, eventually, ms, proxy,
};
use logto_proxy::dev::provider::{EndpointFault, Faults, Misbehaviour};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const RATE: u32 = 200;
const NAME: &str = "__Host-logto";
const NEXT_KEY: &str = "YW5vdGhlciBzZXNzaW9uIGtleSBvZiAzMiBieXRlcyEhISE=";

fn replica(url: &str) -> Builder {
    proxy().section(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\""))
}

async fn until_store(processes: &Processes, number: usize, available: bool) {
    eventually("the store is as expected", || async {
        let (status, body) = processes.health(number, "/readyz").await;
        assert_eq!(status, 200, "never out of service for it: {body}");
        assert!(body.contains("\"kind\":\"redis\""), "{body}");
        let (_, numbers) = processes.health(number, "/metrics").await;
        let gauge = format!("logto_proxy_store_available {}", u8::from(available));
        body.contains(&format!("\"available\":{available}")) && numbers.contains(&gauge)
    })
    .await;
}

async fn users(processes: &Processes, count: usize) -> Vec<Browser> {
    let mut browsers = Vec::new();
    for number in 0..count {
        browsers.push(processes.signed_in(["plain", "admin"][number % 2]).await);
    }
    browsers
}

fn at(browser: &Browser, address: SocketAddr) -> Browser {
    let mut copy = browser.clone();
    copy.move_to(address);
    copy
}

/// Redis dies under load and comes back empty, as a Redis without persistence does.
#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_under_load_and_nobody_notices() {
    let Some(mut redis) = Redis::start() else { return };
    let mut processes = Processes::start(replica(&redis.url()), vec![Vec::new(); 3]).await;
    until_store(&processes, 0, true).await;
    until_store(&processes, 1, true).await;
    let before = processes.signed_in("plain").await;
    let meanwhile = processes.signed_in("plain").await;
    let (first, second) = (processes.addresses()[0], processes.addresses()[1]);
    assert_eq!(at(&before, first).navigate("/.logto/sign-out").await.status, 303);

    let load = Load::start(users(&processes, 20).await, RATE);
    let begun = Instant::now();
    tokio::time::sleep(drill_time() / 2).await;
    redis.kill();
    let killed = Instant::now();
    until_store(&processes, 0, false).await;
    drill("Redis killed, /readyz and metric say so", ms(killed));
    // Ended at the first while nobody can tell the second.
    let leaving = Instant::now();
    assert_eq!(
        at(&meanwhile, first).navigate("/.logto/sign-out").await.status,
        303
    );
    drill("sign-out while Redis is away", ms(leaving));
    assert!(!at(&meanwhile, first).is_signed_in().await);
    assert!(at(&meanwhile, second).is_signed_in().await, "it cannot know");
    assert!(!at(&before, second).is_signed_in().await, "what it knew it knows");
    let (_, health) = processes.health(0, "/readyz").await;
    assert!(health.contains("\"pending\":1"), "{health}");
    // A process that starts now serves, and learns when Redis is back.
    processes.balancer.set(vec![first, second]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    processes.kill(2);
    let starting = Instant::now();
    processes.restart(2).await;
    drill("a replica started while Redis is away", ms(starting));
    processes.balancer.set(processes.addresses().to_vec());
    until_store(&processes, 2, false).await;
    tokio::time::sleep(drill_time().saturating_sub(killed.elapsed())).await;

    redis.restart();
    let back = Instant::now();
    let third = processes.addresses()[2];
    for (whom, session) in [
        ("ended meanwhile", &meanwhile),
        ("ended before, Redis being empty", &before),
    ] {
        for address in [second, third] {
            eventually("it is over everywhere", || async {
                !at(session, address).is_signed_in().await
            })
            .await;
        }
        drill(
            &format!("Redis back, a session {whom} is refused at all"),
            ms(back),
        );
    }
    until_store(&processes, 0, true).await;
    until_store(&processes, 2, true).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let end = Instant::now();
    let figures = load.end().await;
    drill("Redis there", figures.between(begun, killed));
    drill("Redis away", figures.between(killed, back));
    drill("Redis back", figures.between(back, end));
    let failed = figures.failed();
    drill(
        "Redis killed under load",
        format!("{failed} of {} failed", figures.samples.len()),
    );
    assert_eq!(figures.failures(), []);
    assert!(figures.samples.len() > 300, "{}", figures.samples.len());
}

/// Frozen is worse than dead: every connection stands, and nothing is answered.
#[tokio::test(flavor = "multi_thread")]
async fn redis_hangs_under_load_while_sessions_are_due_and_nobody_notices() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.url();
    let fleet = Fleet::start(2, move |_| replica(&url)).await;
    let mut browsers = Vec::new();
    for _ in 0..20 {
        browsers.push(fleet.signed_in("plain").await);
    }
    let load = Load::start(browsers, RATE);
    tokio::time::sleep(Duration::from_millis(500)).await;
    redis.freeze();
    let frozen = Instant::now();
    fleet.first().hand.advance(301);
    tokio::time::sleep(drill_time()).await;
    let thawed = Instant::now();
    redis.thaw();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let figures = load.end().await;
    drill(
        "Redis frozen while 20 sessions are due",
        figures.between(frozen, thawed),
    );
    let calls = fleet.first().logto.counts().refreshes;
    drill(
        "Redis frozen while 20 sessions are due",
        format!("{calls} token calls"),
    );
    assert_eq!(figures.failures(), []);
    assert_eq!(fleet.first().logto.grants_revoked(), 0);
    assert!((20..=40).contains(&calls), "{calls}");
}

/// The token endpoint rotates at once and answers long after Logto's leeway: nobody may spend the old token meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_answers_late_costs_no_session_and_little_time() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.url();
    let fleet = Fleet::start(3, move |_| {
        replica(&url).client(|client| client.refresh_token_ttl = Duration::from_secs(400))
    })
    .await;
    let logto = &fleet.first().logto;
    let browser = fleet.signed_in("plain").await;
    let late = (drill_time() + Duration::from_secs(1)).min(Duration::from_secs(15));
    logto.set_faults(Faults {
        refresh: EndpointFault::from(Misbehaviour::AnswerLate(late).times(1)),
        ..Faults::default()
    });
    fleet.first().hand.advance(301);
    let begun = Instant::now();
    let mut tabs = vec![browser.clone(); 21];
    for (number, tab) in tabs.iter_mut().enumerate() {
        let mut order = fleet.addresses();
        order.rotate_left(number % 3);
        tab.spread_over(order);
    }
    let load = Load::start(tabs, RATE);
    tokio::time::sleep(late + Duration::from_millis(500)).await;
    let figures = load.end().await;
    let served_again = begun + Duration::from_millis(2_100);
    drill(
        "token endpoint answers late, the first 2 s",
        figures.between(begun, served_again),
    );
    drill(
        "token endpoint answers late, until it does",
        figures.between(served_again, begun + late),
    );
    told(
        &format!("token endpoint answers after {} s, 3 replicas", late.as_secs()),
        &figures,
    );
    assert_eq!((logto.counts().refreshes, logto.grants_revoked()), (1, 0));
    let quick = figures
        .samples
        .iter()
        .filter(|(at, ..)| (served_again..begun + late).contains(at));
    assert!(quick.count() > 100, "who comes later does not wait");
    // The cookie from before, at each replica.
    for address in fleet.addresses() {
        assert_eq!(at(&browser, address).fetch("/").await.status, 200);
    }
    assert_eq!((logto.counts().refreshes, logto.grants_revoked()), (1, 0));
}

impl World {
    /// The session keys, in another order or others.
    async fn set_keys(&self, keys: &[&str]) {
        let (before, rest) = self.text.split_once("[session]\nkeys = ").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        self.reload(&format!("{before}[session]\nkeys = {keys:?}\n{after}"))
            .await;
    }
}

fn told(name: &str, figures: &Figures) {
    let failed = figures.failed();
    drill(name, format!("{failed} of {} failed", figures.samples.len()));
    assert_eq!(figures.failures(), [], "{name}");
}

/// The order of `docs/operations.md`: known everywhere, then used everywhere, then alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_session_key_is_changed_on_all_replicas_under_load_without_a_sign_out() {
    let fleet = Fleet::start(3, |_| proxy()).await;
    let mut browsers = Vec::new();
    for _ in 0..12 {
        browsers.push(fleet.signed_in("plain").await);
    }
    let old: Vec<_> = browsers
        .iter()
        .map(|browser| browser.cookie(NAME).cloned())
        .collect();
    let load = Load::start(browsers, RATE);
    for keys in [
        vec![SESSION_KEY, NEXT_KEY],
        vec![NEXT_KEY, SESSION_KEY],
        vec![NEXT_KEY],
    ] {
        for world in &fleet.worlds {
            world.set_keys(&keys).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Cookies in use are sealed anew.
        fleet.first().hand.advance(61);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let figures = load.end().await;
    told("key changed on 3 replicas under load", &figures);
    for (mut browser, old) in figures.browsers.into_iter().zip(old) {
        assert_ne!(browser.cookie(NAME), old.as_ref());
        assert!(browser.is_signed_in().await);
    }
    assert_eq!(
        fleet.first().logto.counts().code_exchanges,
        12,
        "nobody signed in again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_replicas_are_restarted_one_by_one_under_load_without_a_sign_out() {
    let Some(redis) = Redis::start() else { return };
    let mut processes = Processes::start(replica(&redis.url()), vec![Vec::new(); 3]).await;
    let ended = processes.signed_in("plain").await;
    let first = processes.addresses()[0];
    assert_eq!(at(&ended, first).navigate("/.logto/sign-out").await.status, 303);
    let load = Load::start(users(&processes, 20).await, RATE);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    let all = processes.addresses().to_vec();
    for number in 0..3 {
        // As a balancer does that looks at `/readyz`.
        let others = all.iter().copied().filter(|address| *address != all[number]);
        processes.balancer.set(others.collect());
        tokio::time::sleep(Duration::from_millis(100)).await;
        processes.terminate(number);
        processes.restart(number).await;
        processes.balancer.set(all.clone());
    }
    drill("rolling restart of 3 replicas", ms(begun));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let figures = load.end().await;
    told("rolling restart of 3 replicas under load", &figures);
    for address in processes.addresses() {
        assert!(
            !at(&ended, *address).is_signed_in().await,
            "what was ended stays so"
        );
    }
    assert_eq!(
        processes.logto.counts().code_exchanges,
        21,
        "nobody signed in again"
    );
}

/// New keys and new processes at the same time, one replica after the other, as an upgrade with a new secret is.
#[tokio::test(flavor = "multi_thread")]
async fn keys_change_with_the_files_of_running_processes_under_load() {
    let mut processes = Processes::start(proxy(), vec![Vec::new(); 2]).await;
    let load = Load::start(users(&processes, 10).await, RATE);
    for (from, to) in [
        (
            format!("keys = {:?}", [SESSION_KEY]),
            format!("keys = {:?}", [SESSION_KEY, NEXT_KEY]),
        ),
        (
            format!("keys = {:?}", [SESSION_KEY, NEXT_KEY]),
            format!("keys = {:?}", [NEXT_KEY, SESSION_KEY]),
        ),
    ] {
        processes.reload(|text| {
            assert!(text.contains(&from), "{text}");
            text.replace(&from, &to)
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (first, second) = (processes.addresses()[0], processes.addresses()[1]);
    processes.balancer.set(vec![second]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    processes.terminate(0);
    processes.restart(0).await;
    processes.balancer.set(vec![first, second]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let figures = load.end().await;
    told("keys changed by SIGHUP and a restart under load", &figures);
    assert_eq!(
        processes.logto.counts().code_exchanges,
        10,
        "nobody signed in again"
    );
}

//! Another configuration is put in force while requests are served, and nobody notices but those it is for.

mod program;

use crate::support::wire::HANDSHAKE;
use crate::support::{RawUpstream, Upstream, Wire, World, eventually, get, proxy, request};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use logto_proxy::live::Reloaded;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Strong keys, as many as asked for.
fn key(number: usize) -> String {
    format!("{number:04}: a session key that nobody would guess, {number:04}")
}

impl World {
    /// The same configuration but for one piece of its text.
    fn with(&self, old: &str, new: &str) -> String {
        assert!(self.text.contains(old), "no {old:?} in {}", self.text);
        self.text.replace(old, new)
    }

    /// The same configuration with these session keys.
    fn with_keys(&self, keys: &[String]) -> String {
        let (before, rest) = self.text.split_once("[session]\nkeys = ").unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        format!("{before}[session]\nkeys = {keys:?}\n{after}")
    }

    async fn count_of(&self, sample: &str) -> u64 {
        let (_, numbers) = self.health("/metrics").await;
        let value = numbers.lines().find_map(|line| line.strip_prefix(sample));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }
}

async fn served_twice<T>(clients: &[(T, Arc<AtomicU64>)]) {
    let served = |(_, rounds): &(T, Arc<AtomicU64>)| rounds.load(Ordering::Relaxed);
    let before: Vec<u64> = clients.iter().map(served).collect();
    eventually("every client was served twice", || async {
        clients
            .iter()
            .map(served)
            .zip(&before)
            .all(|(now, before)| now >= before + 2)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_load_without_a_sign_out_or_a_failed_request() {
    const ROTATIONS: usize = 20;
    let world = Arc::new(proxy().keys(&[&key(0)]).start().await);
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..12 {
        let persona = ["plain", "admin"][number % 2];
        let mut browser = world.signed_in(persona).await;
        let rounds = Arc::new(AtomicU64::new(0));
        let (over, counted) = (Arc::clone(&over), Arc::clone(&rounds));
        let client = tokio::spawn(async move {
            let mut renewals = 0;
            while !over.load(Ordering::Relaxed) {
                let answer = browser.fetch("/page").await;
                assert_eq!(answer.status, 200, "signed out or failed: {answer:?}");
                assert!(answer.body.starts_with("upstream saw"), "{answer:?}");
                renewals += usize::from(answer.header("set-cookie").is_some());
                counted.fetch_add(1, Ordering::Relaxed);
            }
            renewals
        });
        clients.push((client, rounds));
    }
    for rotation in 1..=ROTATIONS {
        // The new key in front; the cookies of the one before last are renewed by now.
        let keys: Vec<String> = (rotation.saturating_sub(1)..=rotation).rev().map(key).collect();
        assert_eq!(world.reload(&world.with_keys(&keys)).await, Reloaded::Applied);
        // What was judged by the former configuration is answered before a minute passes.
        served_twice(&clients).await;
        world.hand.advance(61);
        served_twice(&clients).await;
    }
    over.store(true, Ordering::Relaxed);
    for (client, _) in clients {
        let renewals = client.await.expect("no client was signed out or failed");
        assert!(renewals >= ROTATIONS, "sealed anew by each key: {renewals}");
    }
    assert_eq!(
        world
            .count_of("logto_proxy_config_reloads_total{outcome=\"applied\"} ")
            .await,
        20
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_away_opens_nothing() {
    let world = proxy().keys(&[&key(1)]).start().await;
    let mut browser = world.signed_in("plain").await;
    assert_eq!(browser.fetch("/page").await.status, 200);
    world.reload(&world.with_keys(&[key(2), key(1)])).await;
    let unrenewed = browser.clone();
    assert_eq!(
        browser.fetch("/page").await.status,
        200,
        "an older key still opens"
    );
    world.hand.advance(61);
    let answer = browser.fetch("/page").await;
    assert!(answer.header("set-cookie").is_some(), "renewed: {answer:?}");
    world.reload(&world.with_keys(&[key(2)])).await;
    assert_eq!(browser.fetch("/page").await.status, 200, "sealed by the new key");
    let mut unrenewed = unrenewed;
    assert_eq!(unrenewed.fetch("/page").await.status, 401);
    assert_eq!(unrenewed.navigate("/page").await.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_changes_nothing() {
    let world = proxy().route("/open", "public").start().await;
    let wrong = [
        world.text.replace("[logto]", "[logto"),
        world.with("workers = 2", "workers = \"many\""),
        world.with_keys(&["short".to_owned()]),
        // Its values are right, each alone.
        format!("{}\n[headers]\n\"X-User-Name\" = \"a..b\"\n", world.text),
        String::new(),
    ];
    for text in &wrong {
        assert_eq!(world.reload(text).await, Reloaded::Refused, "{text}");
        assert_eq!(world.ask(get("/open")).await.status, 200);
        assert_eq!(world.ask(get("/closed")).await.status, 401);
    }
    assert_eq!(world.reload(&world.text).await, Reloaded::Unchanged);
    let opened = world.with("path = \"/open\"", "path = \"/closed\"");
    assert_eq!(world.reload(&opened).await, Reloaded::Applied);
    assert_eq!(world.ask(get("/open")).await.status, 401);
    assert_eq!(world.ask(get("/closed")).await.status, 200);
    for (outcome, times) in [("refused", 5), ("unchanged", 1), ("applied", 1)] {
        let sample = format!("logto_proxy_config_reloads_total{{outcome=\"{outcome}\"}} ");
        assert_eq!(world.count_of(&sample).await, times, "{outcome}");
    }
}

/// An app that answers `/slow` when told, and holds WebSockets open.
async fn slow(name: &'static str) -> (RawUpstream, Arc<Notify>) {
    let finish = Arc::new(Notify::new());
    let told = Arc::clone(&finish);
    let upstream = RawUpstream::start(move |mut wire: Wire, _| {
        let told = Arc::clone(&told);
        async move {
            while let Some((line, _)) = wire.next_head().await {
                if line.contains("/socket") {
                    wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
                        .await;
                    told.notified().await;
                    wire.send(name).await;
                    return;
                }
                if line.contains("/slow") {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").await;
                    told.notified().await;
                    wire.send("half").await;
                } else {
                    let length = name.len();
                    wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"))
                        .await;
                }
            }
        }
    })
    .await;
    (upstream, finish)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_upstream_gets_what_comes_and_the_old_one_finishes_what_it_began() {
    let (old, finish) = slow("old").await;
    let (new, _) = slow("new").await;
    let world = proxy()
        .upstream_url(old.url())
        .route("/*", "public")
        .start()
        .await;
    let mut busy = world.wire().await;
    busy.send(get("/slow")).await;
    assert_eq!(busy.head().await.0, "HTTP/1.1 200 OK");
    assert_eq!(busy.take(4).await, b"half");
    let mut socket = world.wire().await;
    socket.send(request("GET", "/socket", HANDSHAKE)).await;
    assert!(socket.head().await.0.contains("101"));
    // On both workers, so that both have a connection to spare.
    let mut idle = [world.wire().await, world.wire().await];
    for wire in &mut idle {
        wire.send(get("/quick")).await;
        assert_eq!(wire.reply().await.text(), "old");
    }
    assert_eq!(old.open(), 4);

    let text = world.with(&old.url(), &new.url());
    assert_eq!(world.reload(&text).await, Reloaded::Applied);
    eventually("the old app's unused connections are closed", || async {
        old.open() == 2
    })
    .await;
    for wire in &mut idle {
        wire.send(get("/quick")).await;
        assert_eq!(wire.reply().await.text(), "new", "on the same client connection");
    }
    finish.notify_waiters();
    assert_eq!(busy.take(4).await, b"half", "what was begun is finished");
    assert_eq!(socket.take(3).await, b"old");
    eventually("the old app has no connection left", || async { old.open() == 0 }).await;
    busy.send(get("/quick")).await;
    assert_eq!(busy.reply().await.text(), "new");
    assert_eq!(new.connections(), new.open());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_an_unchanged_upstream_are_kept() {
    let (upstream, _) = slow("app").await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut wire = world.wire().await;
    for round in 0..5 {
        wire.send(get("/quick")).await;
        assert_eq!(wire.reply().await.status, 200);
        let text = format!("{}\n[[route]]\npath = \"/{round}\"\n", world.text);
        assert_eq!(world.reload(&text).await, Reloaded::Applied);
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_the_rules_it_began_with() {
    let (upstream, finish) = slow("app").await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let mut busy = world.wire().await;
    busy.send(get("/slow")).await;
    assert_eq!(busy.head().await.0, "HTTP/1.1 200 OK");
    let closed = world.with("access = \"public\"", "access = \"authenticated\"");
    world.reload(&closed).await;
    assert_eq!(world.ask(get("/slow")).await.status, 401);
    finish.notify_waiters();
    assert_eq!(busy.take(8).await, b"halfhalf");
    busy.send(get("/slow")).await;
    assert_eq!(
        busy.reply().await.status,
        401,
        "the next one on the same connection"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_under_way_is_finished_and_a_spent_one_stays_spent() {
    let world = proxy().start().await;
    let other = |number: usize| format!("{}\n[pages]\ntitle = \"number {number}\"\n", world.text);
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    let stolen = browser.clone();
    assert_eq!(world.reload(&other(1)).await, Reloaded::Applied);
    browser.open(callback.clone()).await;
    assert!(browser.has_session());
    assert_eq!(world.reload(&other(2)).await, Reloaded::Applied);
    world.hand.advance(30);
    let mut stolen = stolen;
    stolen.open(callback).await;
    assert!(!stolen.has_session());
    assert_eq!(world.logto.counts().code_exchanges, 1, "never redeemed again");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_were_used_up_stay_used_up() {
    let limits = "[limits]\nsign_ins_per_minute = 3\n";
    let world = proxy().section(limits).start().await;
    // Whatever was used to find out that it is ready does not count here.
    world.hand.advance(60);
    let mut browser = world.browser();
    for _ in 0..3 {
        assert_eq!(browser.navigate("/.logto/sign-in").await.status, 302);
    }
    let text = format!("{}\n[pages]\ntitle = \"other\"\n", world.text);
    assert_eq!(world.reload(&text).await, Reloaded::Applied);
    assert_eq!(browser.navigate("/.logto/sign-in").await.status, 429);
    let more = text.replace("sign_ins_per_minute = 3", "sign_ins_per_minute = 100");
    assert_eq!(world.reload(&more).await, Reloaded::Applied);
    assert_eq!(browser.navigate("/.logto/sign-in").await.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_logto_outlasts_a_reload() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    assert_eq!(browser.navigate("/.logto/sign-in").await.status, 302);
    world.stop_provider().await;
    let kept = format!("{}\n[pages]\ntitle = \"other\"\n", world.text);
    assert_eq!(world.reload(&kept).await, Reloaded::Applied);
    assert_eq!(
        world.health("/readyz").await.0,
        200,
        "nothing about Logto changed"
    );
    let other_scopes = kept.replace("\"identities\"", "\"phone\"");
    assert_eq!(world.reload(&other_scopes).await, Reloaded::Applied);
    assert_eq!(world.health("/readyz").await.0, 200, "the same Logto");
    let answer = browser.navigate("/.logto/sign-in").await;
    assert!(answer.location().as_str().contains("phone"), "{answer:?}");
    let other_logto = kept.replace(&world.logto_url, "http://127.0.0.1:9");
    assert_eq!(world.reload(&other_logto).await, Reloaded::Applied);
    let (status, body) = world.health("/readyz").await;
    assert_eq!(status, 503, "of another Logto nothing is known: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_limits_and_pages_follow() {
    let upstream = Upstream::answering(|_| Response::new(Full::new(Bytes::new()))).await;
    let world = proxy().upstream(upstream).start().await;
    let mut browser = world.signed_in("plain").await;
    let text = format!(
        "{}\n[headers]\n\"X-Tenant\" = {{ constant = \"acme\" }}\n[limits]\ntarget_bytes = 600\n\
         [pages]\ntitle = \"Another name\"\n[shutdown]\ntimeout = \"1s\"\n",
        world.text
    );
    assert_eq!(world.reload(&text).await, Reloaded::Applied);
    assert_eq!(browser.fetch("/page").await.status, 200);
    assert_eq!(world.upstream.last().header("x-tenant"), Some("acme"));
    assert_eq!(world.ask(get(&format!("/{}", "x".repeat(700)))).await.status, 414);
    let answer = world
        .browser()
        .navigate("/.logto/sign-in?problem=bad_callback")
        .await;
    assert!(answer.body.contains("Another name"), "{answer:?}");
}

#[tokio::test]
async fn a_hundred_reloads_leave_nothing_behind() {
    let (upstream, _) = slow("app").await;
    let world = proxy()
        .upstream_url(upstream.url())
        .route("/*", "public")
        .start()
        .await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let visit = async || {
        for _ in 0..2 {
            assert_eq!(world.ask(get("/quick")).await.status, 200);
        }
    };
    visit().await;
    let before = tasks();
    for round in 0..100 {
        // Each time another client of Logto and other pools.
        let text = world
            .with("\"identities\"", &format!("\"scope{round}\""))
            .replace("workers = 2\n", "workers = 2\nupstream_host = \"rewrite\"\n")
            + &format!("[limits]\nupstream_connect_timeout = \"{}s\"\n", round + 1);
        assert_eq!(world.reload(&text).await, Reloaded::Applied);
        visit().await;
    }
    eventually("old connections are closed", || async { upstream.open() <= 2 }).await;
    eventually("old tasks have ended", || async { tasks() <= before + 2 }).await;
    assert_eq!(world.health("/readyz").await.0, 200);
    world.stop.cancel();
    assert!(world.running.await.unwrap().unwrap());
}

//! A Redis that is wrong, late or away: what each replica says and does.

use crate::support::proxy::{APP_ID, Builder};
use crate::support::{Browser, Fleet, Processes, Redis, World, drill, eventually, ms, proxy};
use serde_json::Value;
use std::time::{Duration, Instant};

fn replica(url: &str) -> Builder {
    proxy().section(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\""))
}

async fn until_available(world: &World, available: bool) -> Value {
    let mut seen = Value::Null;
    for _ in 0..500 {
        let (status, body) = world.health("/readyz").await;
        assert_eq!(status, 200, "{body}");
        seen = serde_json::from_str(&body).unwrap();
        if seen["store"]["available"] == available {
            return seen["store"].take();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never so: {seen}");
}

async fn listed(browser: &mut Browser) -> Value {
    browser.fetch("/.logto/sessions").await.json()
}

fn at(browser: &Browser, world: &World) -> Browser {
    let mut copy = browser.clone();
    copy.move_to(world.address);
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_without_being_shown_and_nobody_is_kept_from_anything() {
    let Some(redis) = Redis::start_with(&["--requirepass", "the-right-one"]) else {
        return;
    };
    for (url, reason) in [
        (format!("redis://:the-wrong-one@{}", redis.address()), "refused"),
        (format!("redis://{}", redis.address()), "password is needed"),
    ] {
        let mut processes = Processes::start(replica(&url), vec![Vec::new()]).await;
        let mut browser = processes.signed_in("plain").await;
        assert_eq!(browser.fetch("/").await.status, 200);
        let (status, body) = processes.health(0, "/readyz").await;
        assert_eq!(status, 200);
        assert!(
            body.contains(reason) && body.contains("\"available\":false"),
            "{body}"
        );
        let (_, numbers) = processes.health(0, "/metrics").await;
        assert!(numbers.contains("logto_proxy_store_available 0"), "{numbers}");
        let said = processes.until_said(0, "the store cannot be reached");
        let said = format!("{said}{body}{}", processes.terminate(0));
        assert!(said.contains(reason), "{said}");
        assert!(!said.contains("the-wrong-one"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_lists_what_other_replicas_saw_and_says_so_when_it_cannot() {
    let Some(mut redis) = Redis::start() else { return };
    let url = redis.url();
    let mut fleet = Fleet::start(2, move |_| replica(&url)).await;
    for world in &fleet.worlds {
        until_available(world, true).await;
    }
    let mut early = fleet.first().signed_in("plain").await;
    let list = listed(&mut early).await;
    assert_eq!(list["isComplete"], false, "what was there before this Redis?");
    assert!(list["knownSince"].is_u64());
    // Longer than any session lives.
    fleet.first().hand.advance(8 * 86_400);
    let mut browsers = Vec::new();
    for world in [0, 1, 1] {
        let world = &fleet.worlds[world];
        browsers.push(world.signed_in("plain").await);
    }
    let stranger = fleet.signed_in("admin").await;
    for world in &fleet.worlds {
        eventually("all are listed", || async {
            listed(&mut at(&browsers[0], world)).await["sessions"]
                .as_array()
                .unwrap()
                .len()
                == 3
        })
        .await;
        assert_eq!(listed(&mut at(&browsers[0], world)).await["isComplete"], true);
        assert_eq!(
            listed(&mut at(&stranger, world)).await["sessions"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    // They are not lost with a replica.
    fleet.restart(1).await;
    until_available(&fleet.worlds[1], true).await;
    let list = listed(&mut at(&browsers[0], &fleet.worlds[1])).await;
    assert_eq!(list["sessions"].as_array().unwrap().len(), 3);

    redis.kill();
    until_available(&fleet.worlds[0], false).await;
    let mut here = at(&browsers[0], &fleet.worlds[0]);
    let list = listed(&mut here).await;
    assert_eq!(
        list["sessions"].as_array().unwrap().len(),
        1,
        "this one at least: {list}"
    );
    assert_eq!(list["isComplete"], false);
    // All others can still be ended: their names are not needed for that.
    let url: url::Url = "https://app.example.com/.logto/sessions/revoke".parse().unwrap();
    let token = list["formToken"].as_str().unwrap();
    let answer = here.submit(url, &[("token", token), ("others", "yes")]).await;
    assert_eq!(answer.status, 303);
    assert!(!at(&browsers[1], &fleet.worlds[0]).is_signed_in().await);
    redis.restart();
    eventually("the other replica hears of it", || async {
        !at(&browsers[1], &fleet.worlds[1]).is_signed_in().await
    })
    .await;
    assert!(here.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_emptied_is_filled_again_by_whoever_knows() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.url();
    let mut fleet = Fleet::start(2, move |_| replica(&url).back_channel_logout(false)).await;
    for world in &fleet.worlds {
        until_available(world, true).await;
    }
    let ended = fleet.signed_in("plain").await;
    assert_eq!(fleet.first().logto.send_logout(APP_ID, "plain").await, Ok(200));
    redis.flush();
    redis.disconnect_all();
    let begun = Instant::now();
    eventually("it is filled again", || async {
        redis.command(&["DBSIZE"]) != ":0\r\n"
    })
    .await;
    drill("Redis emptied, filled again by the replicas", ms(begun));
    tokio::time::sleep(Duration::from_millis(500)).await;
    // A replica that starts now learns it from there.
    fleet.restart(1).await;
    until_available(&fleet.worlds[1], true).await;
    assert!(!at(&ended, &fleet.worlds[1]).is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_knows_all_endings_before_it_serves() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.url();
    let mut fleet = Fleet::start(2, move |_| replica(&url)).await;
    until_available(&fleet.worlds[0], true).await;
    let mut ended = Vec::new();
    for _ in 0..5 {
        let mut browser = at(&fleet.signed_in("plain").await, &fleet.worlds[0]);
        ended.push(browser.clone());
        assert_eq!(browser.navigate("/.logto/sign-out").await.status, 303);
    }
    let kept = fleet.signed_in("plain").await;
    // It answers nothing for a while, so that a replica that did not wait for it would serve too early.
    redis.command(&["CLIENT", "PAUSE", "1500"]);
    fleet.restart(1).await;
    for browser in &ended {
        assert!(!at(browser, &fleet.worlds[1]).is_signed_in().await);
    }
    assert!(at(&kept, &fleet.worlds[1]).is_signed_in().await);
}

//! The tests' own parts do what their names say: replicas, programs, Redis, a Logto that goes and comes.

use crate::support::{Fleet, Processes, Redis, proxy};
use std::net::TcpStream;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_moved_between_replicas() {
    let mut fleet = Fleet::start(3, |_| {
        proxy().client(|client| client.always_issue_refresh_token = true)
    })
    .await;
    let mut browser = fleet.signed_in("plain").await;
    for _ in 0..6 {
        assert_eq!(browser.fetch("/").await.status, 200);
    }
    assert_eq!(fleet.first().upstream.seen().len(), 6, "one upstream behind all");
    assert_eq!(fleet.first().logto.counts().code_exchanges, 1);
    let mut spread = fleet.browser();
    let answer = spread.sign_in("admin", "/anywhere").await;
    assert_eq!(
        answer.status, 200,
        "begun at one replica, finished at another: {answer:?}"
    );
    let former = fleet.worlds[0].address;
    fleet.restart(0).await;
    assert!(TcpStream::connect(former).is_err());
    browser.move_to(fleet.worlds[0].address);
    assert_eq!(browser.fetch("/").await.status, 200);
    fleet.worlds[0].hand.advance(30 * 86_400);
    browser.move_to(fleet.worlds[2].address);
    assert_eq!(browser.fetch("/").await.status, 401, "one time for all");
}

#[tokio::test(flavor = "multi_thread")]
async fn logto_goes_and_comes_back() {
    let fleet = Fleet::start(2, |_| proxy()).await;
    let control = &fleet.first().logto;
    control.set_roles("plain", &["kept"]);
    fleet.worlds[1].stop_provider().await;
    fleet.worlds[0].restart_provider().await;
    let mut browser = fleet.browser();
    assert_eq!(browser.sign_in("plain", "/").await.status, 200);
    assert_eq!(fleet.first().upstream.last().header("x-user-roles"), Some("kept"));
    fleet.worlds[0].stop_provider().await;
    fleet.worlds[1].restart_provider().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logto_reaches_the_proxy_by_its_public_name() {
    let world = proxy().back_channel_logout(true).start().await;
    world.signed_in("plain").await;
    assert_eq!(
        world
            .logto
            .session_ids(crate::support::proxy::APP_ID, "plain")
            .len(),
        1
    );
    let sent = world
        .logto
        .send_logout(crate::support::proxy::APP_ID, "plain")
        .await;
    assert!(sent.is_ok(), "whatever it answers, it was reached: {sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_killed_and_started_again_behind_one_address() {
    let mut processes = Processes::start(proxy(), vec![Vec::new(), Vec::new()]).await;
    assert_ne!(processes.addresses()[0], processes.addresses()[1]);
    let mut browser = processes.signed_in("plain").await;
    for _ in 0..4 {
        assert_eq!(browser.fetch("/").await.status, 200);
    }
    processes.kill(0);
    assert!(TcpStream::connect(processes.addresses()[0]).is_err());
    for _ in 0..4 {
        assert_eq!(browser.fetch("/").await.status, 200, "the other one serves");
    }
    processes.restart(0).await;
    browser.move_to(processes.addresses()[0]);
    assert_eq!(browser.fetch("/").await.status, 200);
    assert!(TcpStream::connect(processes.admin(0)).is_ok());
    assert!(!processes.terminate(1).is_empty());
}

#[test]
fn redis_is_killed_started_emptied_and_frozen() {
    let Some(mut redis) = Redis::start() else { return };
    assert_eq!(redis.command(&["SET", "a", "1"]), "+OK\r\n");
    assert_eq!(redis.command(&["GET", "a"]), "1");
    assert_eq!(redis.calls("set"), 1);
    redis.flush();
    assert_eq!(redis.command(&["GET", "a"]), "$-1\r\n");
    redis.command(&["SET", "a", "2"]);
    let address = redis.address();
    redis.kill();
    assert!(TcpStream::connect(address).is_err());
    redis.restart();
    assert_eq!(redis.address(), address);
    assert_eq!(redis.command(&["GET", "a"]), "$-1\r\n", "nothing was on disk");
    redis.disconnect_all();
    redis.freeze();
    let silent = TcpStream::connect(address).unwrap();
    silent.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    std::io::Write::write_all(&mut &silent, b"PING\r\n").unwrap();
    let mut byte = [0];
    assert!(std::io::Read::read(&mut &silent, &mut byte).is_err(), "frozen");
    redis.thaw();
    assert_eq!(redis.command(&["PING"]), "+PONG\r\n");
}

#[test]
fn redis_may_ask_for_a_password() {
    let Some(redis) = Redis::start_with(&["--requirepass", "a-secret"]) else {
        return;
    };
    assert_eq!(redis.url(), format!("redis://:a-secret@{}", redis.address()));
    assert_eq!(redis.command(&["PING"]), "+PONG\r\n");
}

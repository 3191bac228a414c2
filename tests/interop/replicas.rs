//! Three processes behind one address, joined by a real `redis-server`, and one process with a file that is killed.

use std::time::Duration;

use logto_proxy::clock::monotonic;
use serde_json::json;
use tokio::time::sleep;

use crate::refresh::{RECHECK, all_served};
use crate::support::oidc_provider::OidcProvider;
use crate::support::proxy::Place;
use crate::support::redis::Redis;
use crate::support::runner::Scenarios;
use crate::support::setting::{Around, metric};
use crate::support::socket::Socket;
use crate::support::visitor::Visitor;
use crate::support::wait::eventually;
use crate::support::webhook;

const PLAIN: &str = "plain0000001";

pub fn add_to(scenarios: &mut Scenarios) {
    scenarios.add_patient(
        "replicas::three_hundred_requests_ask_once",
        three_hundred_requests_ask_once,
    );
    scenarios.add(
        "replicas::a_logout_reaches_the_other_replica",
        a_logout_reaches_the_other_replica,
    );
    scenarios.add_patient(
        "replicas::a_killed_proxy_with_a_file_forgets_nothing",
        a_killed_proxy_with_a_file_forgets_nothing,
    );
}

async fn three_hundred_requests_ask_once() {
    let Some(redis) = Redis::start() else { return };
    // Rotated at the re-check, with Logto's own leeway: a second replica that asked with the old token would be let off once,
    // and be counted.
    let around = Around::new(Place::choose(), json!({ "refresh_token_ttl": 13 })).await;
    let replicas = around.replicas(3, &redis.url()).await;
    let provider = &around.provider;
    let mut visitor = Visitor::new();
    visitor.sign_in(&replicas.url("/headers"), "plain").await;
    let three_hundred = || (0..300).map(|_| visitor.copied());

    sleep(RECHECK).await;
    provider.fault("refresh_token", "slow", 500, Some(1)).await;
    let took = all_served(three_hundred(), &replicas.url("/headers")).await;

    let calls = provider.token_calls("refresh_token").await;
    println!(
        "  300 requests at three replicas in {} ms: {calls} token call",
        took.as_millis()
    );
    assert_eq!((calls, provider.rotations().await), (1, 1));
    for proxy in &replicas.proxies {
        let served = metric(proxy, "logto_proxy_requests_total{").await;
        assert!(served >= 100.0, "{served}");
    }
    // The cookie from before the rotation, late, at each of them.
    all_served(three_hundred().take(30), &replicas.url("/headers")).await;
    assert_eq!(provider.token_calls("refresh_token").await, 1);
    assert_eq!(provider.count("grant.error").await, 0);
}

async fn a_logout_reaches_the_other_replica() {
    let Some(redis) = Redis::start() else { return };
    let place = Place::choose();
    let logout = OidcProvider::back_channel_logout(&place.public_url(), true);
    let around = Around::new(place, logout).await;
    let replicas = around.replicas(2, &redis.url()).await;
    let mut visitor = Visitor::new();
    visitor.sign_in(&replicas.url("/headers"), "plain").await;
    let other = &replicas.proxies[1];
    let socket = Socket::open(&visitor, other).await;
    let mut copy = visitor.copied();
    assert!(copy.fetch(&other.own_url("/headers")).await.user().is_some());

    // Logto calls the first replica.
    replicas.only(&[0]);
    let end_session = format!("{}/oidc/session/end", around.provider.endpoint());
    let page = visitor.open(&end_session).await;
    let began = monotonic();
    let waiting = async {
        let code = socket.closed().await;
        (code, began.elapsed())
    };
    let refused = async {
        eventually("the other replica refuses the cookie", || async {
            let answer = visitor.copied().fetch(&other.own_url("/headers")).await;
            (answer.status == 401).then(|| began.elapsed())
        })
        .await
    };
    let (mut leaving, cookies) = (visitor.tab(), visitor.copied());
    let (_, (code, closed_after), refused_after) =
        tokio::join!(leaving.post_only_form(&page), waiting, refused);
    println!(
        "  from the sign-out at Logto, on the other replica: WebSocket closed after {} ms, cookie refused after {} ms",
        closed_after.as_millis(),
        refused_after.as_millis()
    );
    assert_eq!(code, Some(1008));
    assert!(closed_after < Duration::from_secs(2), "{closed_after:?}");
    for proxy in &replicas.proxies {
        assert_eq!(
            cookies.copied().fetch(&proxy.own_url("/headers")).await.status,
            401
        );
    }
}

async fn a_killed_proxy_with_a_file_forgets_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sessions.redb");
    let place = Place::choose();
    // Rotated at the re-check; the old token is good for nothing a moment later.
    let settings = json!({ "refresh_token_ttl": 8, "refresh_token_leeway_ms": 100 });
    let around = Around::new(place, settings).await;
    let store = format!("[store]\nkind = \"file\"\npath = \"{}\"", path.display());
    let mut proxy = around
        .deployment_with_recheck("60s")
        .section(&store)
        .start()
        .await;
    let address = proxy.url("/headers");
    let mut staying = Visitor::new();
    staying.sign_in(&address, "plain").await;
    let mut leaving = Visitor::new();
    leaving.sign_in(&address, "admin").await;
    let (asleep, stolen) = (staying.copied(), leaving.copied());
    sleep(Duration::from_millis(6_100)).await;

    leaving.open(&proxy.url("/.logto/sign-out")).await;
    webhook::user_changed(&proxy.url(""), PLAIN).await;
    all_served([staying.tab()], &address).await;
    assert_eq!(around.provider.rotations().await, 1);
    proxy.kill();
    proxy.restart().await;

    let answer = stolen.copied().fetch(&address).await;
    assert_eq!(answer.status, 401, "signed out before the crash: {answer:?}");
    // With the refresh token from before the rotation in its cookie.
    all_served([asleep.copied(), staying.tab()], &address).await;
    assert_eq!(around.provider.count("grant.error").await, 0);
    assert_eq!(around.provider.token_calls("refresh_token").await, 1);
}

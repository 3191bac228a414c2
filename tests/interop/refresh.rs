//! Sessions that are confirmed by a refresh token: they outlast rotation, many tabs, a slow and a broken token endpoint.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use logto_proxy::clock::monotonic;
use serde_json::json;
use tokio::time::sleep;

use crate::support::proxy::Place;
use crate::support::runner::Scenarios;
use crate::support::setting::{Around, metric};
use crate::support::visitor::Visitor;
use crate::support::webhook;

/// `session.recheck` of these scenarios, and a little more.
pub const RECHECK: Duration = Duration::from_millis(10_300);

const PLAIN: &str = "plain0000001";

pub fn add_to(scenarios: &mut Scenarios) {
    scenarios.add_patient(
        "refresh::tabs_work_through_rotations",
        tabs_work_through_rotations,
    );
    scenarios.add_patient(
        "refresh::a_slow_token_endpoint_is_asked_once",
        a_slow_token_endpoint_is_asked_once,
    );
    scenarios.add_patient(
        "refresh::broken_connections_lose_no_session",
        broken_connections_lose_no_session,
    );
    scenarios.add("refresh::a_code_is_never_sent_twice", a_code_is_never_sent_twice);
}

/// Every tab is answered by the app, for its user.
pub async fn all_served(tabs: impl IntoIterator<Item = Visitor>, address: &str) -> Duration {
    let began = monotonic();
    let answers = join_all(
        tabs.into_iter()
            .map(|mut tab| async move { tab.fetch(address).await }),
    )
    .await;
    let took = began.elapsed();
    for answer in answers {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.user().as_deref(), Some(PLAIN), "{answer:?}");
    }
    took
}

async fn tabs_work_through_rotations() {
    // A token is rotated from 9.1 s on and dead after 13 s, so that every re-check rotates.
    let around = Around::new(Place::choose(), json!({ "refresh_token_ttl": 13 })).await;
    let proxy = around.proxy().await;
    let address = proxy.url("/headers");
    let mut visitor = Visitor::new();
    visitor.sign_in(&address, "plain").await;
    let asleep = visitor.copied();

    let end = monotonic() + 3 * RECHECK;
    let tabs = (0..6).map(|number| {
        let (mut tab, address) = (visitor.tab(), &address);
        async move {
            let mut requests = 0_u32;
            while monotonic() < end {
                let answer = tab.fetch(address).await;
                assert_eq!(answer.user().as_deref(), Some(PLAIN), "{answer:?}");
                requests += 1;
                sleep(Duration::from_millis(40 + 7 * number)).await;
            }
            requests
        }
    });
    let requests: u32 = join_all(tabs).await.into_iter().sum();

    let provider = &around.provider;
    let (rotations, calls) = (
        provider.rotations().await,
        provider.token_calls("refresh_token").await,
    );
    println!("  {requests} requests from 6 tabs: {calls} token calls, {rotations} rotations");
    assert_eq!((rotations, calls), (3, 3));
    assert_eq!(provider.count("grant.error").await, 0, "no token was used twice");

    // A browser that comes back with the cookies of the sign-in: their refresh token is spent three times over.
    all_served([asleep], &address).await;
    assert_eq!(provider.count("grant.error").await, 0);
    assert!(provider.token_calls("refresh_token").await <= 4);
}

async fn a_slow_token_endpoint_is_asked_once() {
    let around = Around::new(Place::choose(), json!({})).await;
    // Longer than the slowest call: one that began before the interval is over has to be made again.
    let proxy = around.deployment_with_recheck("60s").start().await;
    let provider = &around.provider;
    let address = proxy.url("/headers");
    let mut visitor = Visitor::new();
    visitor.sign_in(&address, "plain").await;
    let hundred = || (0..100).map(|_| visitor.copied());

    for (calls, seconds) in [(1, 1), (2, 5), (3, 15)] {
        let slow = Duration::from_secs(seconds);
        webhook::user_changed(&proxy.url(""), PLAIN).await;
        provider
            .fault("refresh_token", "slow", seconds * 1_000, Some(1))
            .await;
        let began = monotonic();
        let took = all_served(hundred(), &address).await;
        let again = all_served(hundred(), &address).await;
        println!(
            "  a token endpoint that takes {seconds} s: 100 requests in {} ms, 100 more in {} ms",
            took.as_millis(),
            again.as_millis()
        );
        assert!(took.max(again) < Duration::from_secs(4), "{took:?}, {again:?}");
        sleep((slow + Duration::from_secs(1)).saturating_sub(began.elapsed())).await;
        all_served([visitor.tab()], &address).await;
        assert_eq!(provider.token_calls("refresh_token").await, calls);
        // The next webhook is of a later second than the confirmation.
        sleep(Duration::from_secs(1)).await;
    }
    let confirmed = metric(&proxy, "logto_proxy_rechecks_total{outcome=\"confirmed\"").await;
    assert!((confirmed - 3.0).abs() < f64::EPSILON, "{confirmed}");
}

async fn broken_connections_lose_no_session() {
    // From 5.6 s on a token is rotated; the old one is good for two seconds then, and after that ends the whole grant.
    let settings = json!({ "refresh_token_ttl": 8, "refresh_token_leeway_ms": 2_000 });
    let around = Around::new(Place::choose(), settings).await;
    let proxy = around.deployment_with_recheck("60s").start().await;
    let provider = &around.provider;
    let address = proxy.url("/headers");
    let mut visitors = Vec::new();
    for (persona, subject) in [("plain", PLAIN), ("admin", "admin0000001")] {
        let mut visitor = Visitor::new();
        visitor.sign_in(&address, persona).await;
        visitors.push((visitor, subject));
    }
    sleep(Duration::from_millis(6_100)).await;
    for ((visitor, subject), kind) in visitors.iter().zip(["reset", "lost"]) {
        let (calls, rotations) = (
            provider.token_calls("refresh_token").await,
            provider.rotations().await,
        );
        provider.fault("refresh_token", kind, 0, Some(1)).await;
        webhook::user_changed(&proxy.url(""), subject).await;

        let tabs = (0..10).map(|_| async { visitor.tab().fetch(&address).await.user() });
        for user in join_all(tabs).await {
            assert_eq!(user.as_deref(), Some(*subject), "{kind}");
        }

        let calls = provider.token_calls("refresh_token").await - calls;
        let rotations = provider.rotations().await - rotations;
        println!("  refresh, {kind}: {calls} token calls, {rotations} rotations");
        assert_eq!(calls, 2, "{kind}: the call, and once more");
        assert!(rotations > 0, "{kind}");
    }
    // What came of it is good: asked again with it, after the leeway, Logto confirms it.
    sleep(Duration::from_millis(2_500)).await;
    for (visitor, subject) in &visitors {
        webhook::user_changed(&proxy.url(""), subject).await;
        let user = visitor.tab().fetch(&address).await.user();
        assert_eq!(user.as_deref(), Some(*subject));
    }
    assert_eq!(provider.count("grant.error").await, 0);
}

async fn a_code_is_never_sent_twice() {
    let around = Around::new(Place::choose(), json!({})).await;
    let (proxy, provider) = (around.proxy().await, &around.provider);
    let mut calls = 0;
    for kind in ["reset", "lost"] {
        provider.fault("authorization_code", kind, 0, None).await;
        let mut visitor = Visitor::new();

        let page = visitor.sign_in(&proxy.url("/headers?of=mine"), "plain").await;

        calls += 1;
        assert_eq!(provider.token_calls("authorization_code").await, calls, "{kind}");
        assert!(
            page.status.is_client_error() || page.status.is_server_error(),
            "{page:?}"
        );
        assert!(page.body.contains("<h1>"), "the user is told: {page:?}");
        assert_eq!(page.user(), None);

        // The link on that page leads through Logto, where the user is signed in, to where they wanted to go.
        provider.heal("authorization_code").await;
        let link = again(&page.body);
        let page = visitor.open(&proxy.url(&link)).await;
        calls += 1;
        assert_eq!(page.user().as_deref(), Some(PLAIN), "{page:?}");
        assert_eq!(page.url.as_str(), proxy.url("/headers?of=mine"));
        assert_eq!(provider.token_calls("authorization_code").await, calls, "{kind}");
    }
}

/// Where the main action of a page leads.
fn again(page: &str) -> String {
    let (_, rest) = page
        .split_once("class=\"action\" href=\"")
        .unwrap_or_else(|| panic!("no way on: {page}"));
    let (link, _) = rest.split_once('"').expect("an attribute ends");
    link.replace("&amp;", "&")
}

//! Tokens for upstreams over replicas, for callers without a session, and for other proxies that only ask.

use super::tokens::{API, claims, get, header, with_tokens};
use crate::bearer;
use crate::support::{Fleet, Redis, eventually};
use std::time::Duration;

/// Each replica has tokens of its own got, with one refresh token that changes at every use.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_get_their_tokens_with_one_refresh_token_in_turn() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.url();
    let fleet = Fleet::start(2, move |_| {
        with_tokens()
            .section(&format!("[store]\nkind = \"redis\"\nurl = \"{url}\""))
            .session("recheck = \"10s\"")
            .client(|client| client.refresh_token_ttl = Duration::from_secs(100))
    })
    .await;
    for world in &fleet.worlds {
        eventually("Redis is reached", || async {
            world.health("/readyz").await.1.contains("\"available\":true")
        })
        .await;
    }
    let browser = fleet.first().signed_in("admin").await;
    let logto = &fleet.first().logto;
    let mut current = browser.clone();
    for round in 0..6 {
        let paths = ["/api/x", "/org/x", "/both/x", "/elsewhere"];
        let requests = fleet.addresses().into_iter().flat_map(|address| {
            let (current, browser) = (current.clone(), browser.clone());
            paths.into_iter().flat_map(move |path| {
                [current.clone(), browser.clone()].map(|mut tab| {
                    tab.move_to(address);
                    (tab, path)
                })
            })
        });
        let requests = requests.map(|(mut tab, path)| async move { tab.fetch(path).await.status });
        let statuses = futures_util::future::join_all(requests).await;
        assert!(
            statuses.iter().all(|status| *status == 200),
            "{round}: {statuses:?}"
        );
        current.move_to(fleet.addresses()[round % 2]);
        assert_eq!(current.fetch("/api/x").await.status, 200);
        assert_eq!(logto.grants_revoked(), 0, "{round}");
        fleet.first().hand.advance(80);
    }
    assert!(logto.counts().rotations > 3);
    let seen = fleet.first().upstream.seen();
    let tokens = seen.iter().filter_map(|seen| seen.header("authorization"));
    for token in tokens {
        assert_eq!(claims(token.strip_prefix("Bearer ").unwrap())["aud"], API);
    }
}

const BOTH: &str = r#"
[[route]]
path = "/api/tokens/*"
bearer = true
tokens = [{ header = "X-Token" }]

[[route]]
path = "/api/must/*"
bearer = true
tokens = [{ header = "X-Token", when_absent = "refuse" }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_by_a_bearer_token_gets_no_token_of_a_session() {
    let world = bearer::described().section(BOTH).start().await;
    bearer::register(&world);
    let mut browser = world.signed_in("admin").await;
    assert_eq!(browser.fetch("/api/tokens/x").await.status, 200);
    assert!(header(&world, "x-token").is_some());
    let jwt = format!("Bearer {}", bearer::jwt(&world, Some("admin"), &[]));
    let fields = [("authorization", jwt.as_str()), ("x-token", "forged")];
    assert_eq!(get(&mut browser, "/api/tokens/x", &fields).await.status, 200);
    assert_eq!(header(&world, "x-token"), None);
    let answer = get(&mut browser, "/api/must/x", &fields).await;
    assert_eq!(
        (answer.status, answer.json()["error"].as_str()),
        (403, Some("token_not_granted"))
    );
}

/// What becomes of the client's own is for that proxy to see to: it is told of ours, or that there is none.
#[tokio::test(flavor = "multi_thread")]
async fn another_proxy_is_told_the_tokens_too() {
    let world = with_tokens()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    let asked = [
        ("authorization", "Bearer forged"),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example.com"),
        ("x-forwarded-uri", "/api/x"),
    ];
    let answer = get(&mut browser, "/.logto/auth", &asked).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.header("authorization").unwrap();
    assert_eq!(claims(token.strip_prefix("Bearer ").unwrap())["aud"], API);
    assert!(world.upstream.seen().is_empty());
}

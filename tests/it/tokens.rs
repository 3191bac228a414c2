//! The user's tokens at the upstream: the right one, alive, for nobody else, and got without a second use of a refresh token.

use crate::support::proxy::{APP_ID, Builder, ORIGIN};
use crate::support::{Answer, Browser, World, proxy};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use logto_proxy::dev::provider::{ApiResource, EndpointFault, Faults, Permission};
use serde_json::Value;
use std::time::Duration;

pub const API: &str = "https://api.example.com";
pub const ROUTES: &str = r#"
[[route]]
path = "/api/*"
tokens = [{ resource = "https://api.example.com", header = "Authorization" }]

[[route]]
path = "/org/*"
tokens = [
  { organization = "exampleorg01", header = "X-Org-Token", when_absent = "refuse" },
  { header = "X-Access-Token" },
  { token = "id", header = "X-Id-Token" },
]

[[route]]
path = "/both/*"
tokens = [{ resource = "https://api.example.com", organization = "exampleorg01", header = "X-Both" }]

[[route]]
path = "/maybe/*"
access = "optional"
tokens = [{ header = "Authorization" }, { header = "X-Access-Token" }]
"#;

pub fn with_tokens() -> Builder {
    proxy().section(ROUTES).logto("").provider(|settings| {
        settings.resources = vec![ApiResource::new(
            API,
            vec![Permission::new("read:things", &["admin"])],
        )];
    })
}

pub fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub fn header(world: &World, name: &str) -> Option<String> {
    world.upstream.last().header(name).map(str::to_owned)
}

pub async fn get(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    let url = format!("{ORIGIN}{path}").parse().unwrap();
    browser.send("GET", url, fields, Bytes::new()).await
}

async fn bearer(world: &World, browser: &mut Browser) -> String {
    assert_eq!(browser.fetch("/api/x").await.status, 200);
    header(world, "authorization").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_a_resource_takes_the_place_of_the_clients() {
    let world = with_tokens().start().await;
    let mut browser = world.signed_in("admin").await;
    let asked = world.logto.last_authorization();
    assert!(
        asked.contains(&("resource".to_owned(), API.to_owned())),
        "{asked:?}"
    );
    let answer = get(&mut browser, "/api/x", &[("authorization", "Bearer forged")]).await;
    assert_eq!(answer.status, 200);
    let sent = header(&world, "authorization").unwrap();
    let token = claims(sent.strip_prefix("Bearer ").unwrap());
    assert_eq!(token["aud"], API, "{token}");
    assert_eq!(token["client_id"], APP_ID, "{token}");
    let calls = world.logto.counts().refreshes;
    assert_eq!(calls, 2, "the session, and with what that gave, the token");
    // Kept from then on.
    for _ in 0..5 {
        assert_eq!(bearer(&world, &mut browser).await, sent);
    }
    assert_eq!(world.logto.counts().refreshes, calls);
    // Elsewhere Authorization is the app's own.
    get(&mut browser, "/elsewhere", &[("authorization", "Bearer mine")]).await;
    assert_eq!(header(&world, "authorization").as_deref(), Some("Bearer mine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_gets_their_own_and_nobody_none() {
    let world = with_tokens().start().await;
    let mut admin = world.signed_in("admin").await;
    let mut plain = world.signed_in("plain").await;
    let first = claims(&bearer(&world, &mut admin).await);
    let second = claims(&bearer(&world, &mut plain).await);
    assert_ne!(first["sub"], second["sub"]);
    assert_eq!(claims(&bearer(&world, &mut admin).await)["sub"], first["sub"]);
    let mut nobody = world.browser();
    let forged = [("authorization", "Bearer forged"), ("x-access-token", "forged")];
    assert_eq!(get(&mut nobody, "/maybe/x", &forged).await.status, 200);
    assert_eq!(
        (header(&world, "authorization"), header(&world, "x-access-token")),
        (None, None)
    );
    // Also where no token goes.
    assert_eq!(
        get(&mut admin, "/elsewhere", &[("x_access.token", "forged")])
            .await
            .status,
        200
    );
    assert_eq!(header(&world, "x_access.token"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn organization_access_and_id_tokens() {
    let world = with_tokens().start().await;
    let mut admin = world.signed_in("admin").await;
    assert_eq!(admin.fetch("/org/x").await.status, 200);
    let organization = claims(&header(&world, "x-org-token").unwrap());
    assert_eq!(organization["aud"], "urn:logto:organization:exampleorg01");
    let id = claims(&header(&world, "x-id-token").unwrap());
    assert_eq!(
        (&id["aud"], &id["sub"]),
        (&Value::from(APP_ID), &organization["sub"])
    );
    let access = header(&world, "x-access-token").unwrap();
    assert!(
        !access.contains('.') && !access.contains(' '),
        "opaque, and alone"
    );
    assert_eq!(admin.fetch("/both/x").await.status, 200);
    let both = claims(&header(&world, "x-both").unwrap());
    assert_eq!(
        (both["aud"].as_str(), both["organization_id"].as_str()),
        (Some(API), Some("exampleorg01"))
    );
    // Who is not a member is refused where the route insists, asked about once, and goes on without elsewhere.
    let mut plain = world.signed_in("plain").await;
    let answer = plain.fetch("/org/x").await;
    assert_eq!(
        (answer.status, answer.json()["error"].as_str()),
        (403, Some("token_not_granted"))
    );
    let calls = world.logto.counts().refreshes;
    assert_eq!(plain.fetch("/org/x").await.status, 403);
    assert_eq!(world.logto.counts().refreshes, calls, "not asked again at once");
    assert!(plain.navigate("/org/x").await.status == 403);
    world.upstream.forget();
    assert_eq!(plain.fetch("/both/x").await.status, 200);
    assert_eq!(header(&world, "x-both"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_and_id_tokens_of_the_sign_in_cost_no_call() {
    let world = proxy()
        .section("[headers]\n\"X-Id\" = { token = \"id\" }\n\"X-Access\" = { token = \"access\" }")
        .route("/open/*", "public")
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    assert_eq!(browser.fetch("/x").await.status, 200);
    let first = (header(&world, "x-id"), header(&world, "x-access"));
    assert!(first.0.is_some() && first.1.is_some());
    assert_eq!(world.logto.counts().refreshes, 0);
    get(&mut browser, "/open/x", &[("x-id", "forged")]).await;
    assert_eq!(header(&world, "x-id"), None, "a public route has no user");
    // Each re-check brings new ones.
    world.hand.advance(300);
    assert_eq!(browser.fetch("/x").await.status, 200);
    assert_eq!(world.logto.counts().refreshes, 1);
    assert_ne!((header(&world, "x-id"), header(&world, "x-access")), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_always_has_a_minute_left() {
    let world = with_tokens().session("recheck = \"1d\"").start().await;
    let mut browser = world.signed_in("admin").await;
    let mut seen = Vec::new();
    for _ in 0..240 {
        let token = bearer(&world, &mut browser).await;
        let exp = claims(&token)["exp"].as_u64().unwrap();
        let left = exp - world.clock.now().as_u64();
        assert!(left >= 60, "{left} s left");
        if seen.last() != Some(&token) {
            seen.push(token);
        }
        world.hand.advance(50);
    }
    assert_eq!(seen.len(), 4, "every 3,510 s of 12,000");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_requests_cause_one_call() {
    let world = with_tokens().start().await;
    let browser = world.signed_in("admin").await;
    let requests = (0..50).map(|number| {
        let mut browser = browser.clone();
        async move { browser.fetch(&format!("/api/{number}")).await.status }
    });
    let statuses = futures_util::future::join_all(requests).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(world.logto.counts().refreshes, 2);
    let tokens: std::collections::BTreeSet<String> = world
        .upstream
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(tokens.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_logto_a_token_is_used_while_it_lives() {
    let world = with_tokens().session("recheck = \"1h\"").start().await;
    let mut browser = world.signed_in("admin").await;
    let token = bearer(&world, &mut browser).await;
    assert_eq!(browser.fetch("/org/x").await.status, 200);
    world.stop_provider().await;
    world.hand.advance(3_550);
    assert_eq!(bearer(&world, &mut browser).await, token, "50 s are left");
    world.hand.advance(60);
    assert_eq!(browser.fetch("/api/x").await.status, 200);
    assert_eq!(header(&world, "authorization"), None);
    let answer = browser.fetch("/org/x").await;
    assert_eq!(
        (answer.status, answer.json()["error"].as_str()),
        (503, Some("token_unavailable"))
    );
    assert!(answer.header("retry-after").is_some());
    world.restart_provider().await;
    world.hand.advance(10);
    crate::support::eventually("there is a token again", || {
        let mut browser = browser.clone();
        async move { browser.fetch("/org/x").await.status == 200 }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_the_organization_loses_its_token_with_the_next_recheck() {
    let world = with_tokens().start().await;
    let mut browser = world.signed_in("admin").await;
    assert_eq!(browser.fetch("/org/x").await.status, 200);
    assert!(world.logto.set_organizations("admin", &[]));
    assert_eq!(browser.fetch("/org/x").await.status, 200, "not known yet");
    // The token was got in the second of the sign-in, and counts as got in the next.
    world.hand.advance(301);
    assert_eq!(browser.fetch("/org/x").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_logto_took_back_ends_when_a_token_is_wanted() {
    let world = with_tokens().start().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.evict_grants(APP_ID, "admin");
    assert_eq!(browser.fetch("/api/x").await.status, 401);
    assert!(world.upstream.seen().is_empty());
    assert_eq!(browser.fetch("/elsewhere").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_taken_counts_before_the_token_is_handed_on() {
    let world = proxy()
        .section(
            "[[route]]\npath = \"/admin/*\"\naccess = { any_role = [\"admin\"] }\n\
             tokens = [{ organization = \"exampleorg01\", header = \"X-Org-Token\" }]",
        )
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    assert!(world.logto.set_roles("admin", &["reader"]));
    assert_eq!(browser.fetch("/admin/x").await.status, 403, "learnt on the way");
    assert!(world.upstream.seen().is_empty());
}

/// With every refresh the refresh token changes, so that a second use of one would end the grant.
#[tokio::test(flavor = "multi_thread")]
async fn no_refresh_token_is_used_twice_whatever_it_is_used_for() {
    let world = with_tokens()
        .session("recheck = \"10s\"")
        .client(|client| client.refresh_token_ttl = Duration::from_secs(100))
        .start()
        .await;
    let browser = world.signed_in("admin").await;
    let paths = ["/api/x", "/org/x", "/both/x", "/elsewhere"];
    let mut tab = browser.clone();
    for round in 0..12 {
        // A browser that has missed the last cookies comes along.
        let requests = paths
            .iter()
            .flat_map(|path| [tab.clone(), browser.clone()].map(|tab| (tab, path)));
        let requests = requests.map(|(mut tab, path)| async move { tab.fetch(path).await.status });
        let statuses = futures_util::future::join_all(requests).await;
        assert!(
            statuses.iter().all(|status| *status == 200),
            "{round}: {statuses:?}"
        );
        assert_eq!(tab.fetch("/api/x").await.status, 200);
        world.hand.advance(80);
        assert_eq!(world.logto.grants_revoked(), 0, "{round}");
    }
    assert!(world.logto.counts().rotations > 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_resource_token_holds_back_no_request_that_needs_none() {
    let world = with_tokens().start().await;
    let browser = world.signed_in("admin").await;
    world.logto.set_faults(Faults {
        refresh: EndpointFault {
            delay: Duration::from_secs(3),
            ..EndpointFault::default()
        },
        ..Faults::default()
    });
    let mut waiting = browser.clone();
    let waits = tokio::spawn(async move { waiting.fetch("/api/x").await.status });
    let begun = tokio::time::Instant::now();
    let mut other = browser.clone();
    assert_eq!(other.fetch("/elsewhere").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(waits.await.unwrap(), 200);
}

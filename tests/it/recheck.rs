//! Sessions are confirmed with Logto from time to time: what changed there arrives, and what was taken back is gone.

use crate::support::proxy::APP_ID;
use crate::support::{Answer, Browser, RawUpstream, Wire, World, proxy, request};
use logto_proxy::dev::provider::{Control, Hook, HookEvent, Organization};
use logto_proxy::secret::SecretText;
use std::time::Duration;
use tokio::time::Instant;

/// `session.recheck`, seconds.
const RECHECK: i64 = 300;
const WEBHOOK_KEY: &str = "h8GJ2tVxQ0mZk3Yw7cRd5sLp9bNfTa1E";

fn change_admin(logto: &Control) {
    assert!(logto.set_roles("admin", &["reader"]));
    let organization = Organization {
        id: "exampleorg09".to_owned(),
        name: "Ninth".to_owned(),
        roles: vec!["guest".to_owned()],
    };
    assert!(logto.set_organizations("admin", &[organization]));
    assert!(logto.update_persona("admin", |admin| admin.name = Some("New Name".to_owned())));
}

/// Roles, organisations, roles in them, name; as the app was told last.
fn told(world: &World) -> [String; 4] {
    let last = world.upstream.last();
    ["x-user-roles", "x-user-orgs", "x-user-org-roles", "x-user-name"]
        .map(|name| last.header(name).unwrap_or_default().to_owned())
}

const BEFORE: [&str; 4] = [
    "admin,editor",
    "exampleorg01,exampleorg02",
    "exampleorg01:owner,exampleorg01:billing,exampleorg02:member",
    "Admin User",
];
const AFTER: [&str; 4] = ["reader", "exampleorg09", "exampleorg09:guest", "New Name"];

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.fetch("/.logto/user").await.json()["isAuthenticated"] == true
}

fn clears_the_session(answer: &Answer) -> bool {
    answer
        .set_cookies()
        .iter()
        .any(|line| line.starts_with("__Host-logto=;") && line.to_lowercase().contains("max-age=0"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_at_logto_arrives_with_the_next_recheck_and_not_before() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("admin").await;
    browser.fetch("/a").await;
    assert_eq!(told(&world), BEFORE);
    change_admin(&world.logto);
    world.hand.advance(RECHECK - 10);
    browser.fetch("/b").await;
    assert_eq!(told(&world), BEFORE, "not due yet");
    assert_eq!(world.logto.counts().refreshes, 0);
    world.hand.advance(10);
    assert_eq!(browser.fetch("/c").await.status, 200);
    assert_eq!(told(&world), AFTER);
    let claims = browser.fetch("/.logto/user").await.json()["claims"].clone();
    assert_eq!(claims["roles"][0], "reader", "{claims}");
    world.hand.advance(RECHECK - 10);
    browser.fetch("/d").await;
    assert_eq!(
        (told(&world), world.logto.counts().refreshes),
        (AFTER.map(str::to_owned), 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_has_the_session_confirmed_at_once() {
    let world = proxy()
        .section(&format!("[webhook]\nsigning_key = \"{WEBHOOK_KEY}\""))
        .start()
        .await;
    world.logto.set_hook(Hook {
        url: format!("{}/.logto/webhook", world.origin),
        signing_key: SecretText::new(WEBHOOK_KEY.to_owned()),
    });
    let mut browser = world.signed_in("admin").await;
    let mut other = world.signed_in("plain").await;
    change_admin(&world.logto);
    let webhook = world.logto.webhook(HookEvent::DataUpdated, "admin").unwrap();
    assert_eq!(world.logto.send_webhook(&webhook).await, Ok(200));
    for _ in 0..3 {
        assert_eq!(browser.fetch("/").await.status, 200);
        assert_eq!(told(&world), AFTER);
        assert_eq!(other.fetch("/").await.status, 200);
    }
    assert_eq!(world.logto.counts().refreshes, 1, "once, and nobody else's");
    // Nobody named: everybody is asked about.
    let webhook = world
        .logto
        .webhook(HookEvent::MembershipUpdated, "admin")
        .unwrap();
    world.hand.advance(2);
    world.logto.send_webhook(&webhook).await.unwrap();
    assert_eq!(browser.fetch("/").await.status, 200);
    assert_eq!(other.fetch("/").await.status, 200);
    assert_eq!(world.logto.counts().refreshes, 3);
    // What is gone is found at once too.
    world.logto.evict_grants(APP_ID, "plain");
    let webhook = world
        .logto
        .webhook(HookEvent::GrantLimitExceeded, "plain")
        .unwrap();
    world.hand.advance(2);
    world.logto.send_webhook(&webhook).await.unwrap();
    assert_eq!(other.fetch("/").await.status, 401);
    assert_eq!(browser.fetch("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_logto_takes_back_ends_the_session_its_copies_and_its_streams() {
    let take_back: [(&str, fn(&Control)); 5] = [
        ("suspended", |logto| assert!(logto.suspend("plain"))),
        ("deleted", |logto| assert!(logto.delete("plain"))),
        ("grant evicted", |logto| {
            assert_eq!(logto.evict_grants(APP_ID, "plain"), 1)
        }),
        ("session over", |logto| {
            assert_eq!(logto.end_sessions_of("plain"), 1)
        }),
        ("access rule removed", |logto| {
            assert!(logto.revoke_access("plain"))
        }),
    ];
    for (what, take_back) in take_back {
        let app = RawUpstream::start(|mut wire: Wire, _| async move {
            while let Some((line, _)) = wire.next_head().await {
                if line.contains("/events") {
                    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                        .await;
                } else {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
            }
        })
        .await;
        let world = proxy().upstream_url(app.url()).start().await;
        let mut browser = world.signed_in("plain").await;
        let mut other = world.signed_in("admin").await;
        let mut events = world.wire().await;
        let cookie = browser.cookie_field();
        events
            .send(request("GET", "/events", &[("Cookie", &cookie)]))
            .await;
        events.head().await;
        assert_eq!(events.chunk().await.unwrap(), b"first");
        take_back(&world.logto);
        assert_eq!(browser.fetch("/").await.status, 200, "{what}: not asked yet");
        world.hand.advance(RECHECK);
        let mut copy = browser.clone();
        let before = world.logto.counts().token;
        let begun = Instant::now();
        let answer = browser.fetch("/").await;
        assert_eq!(answer.status, 401, "{what}");
        assert!(
            answer.json()["hint"].is_null(),
            "{what}: no page would bring it back"
        );
        assert!(
            clears_the_session(&answer) && !browser.has_session(),
            "{what}: {answer:?}"
        );
        assert_eq!(events.chunk().await, None, "{what}: cut, not ended");
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{what}: {:?}",
            begun.elapsed()
        );
        assert!(!is_signed_in(&mut copy).await, "{what}: a copy");
        assert_eq!(copy.fetch("/").await.status, 401, "{what}: a copy");
        assert_eq!(
            world.logto.counts().token,
            before + 1,
            "{what}: known without asking again"
        );
        assert_eq!(other.fetch("/").await.status, 200, "{what}: another user's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_who_is_signed_in_finds_it_out_as_well() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    world.logto.suspend("plain");
    world.hand.advance(RECHECK);
    assert!(!is_signed_in(&mut browser).await);
    assert_eq!(browser.fetch("/").await.status, 401);
    assert_eq!(world.logto.counts().refreshes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn public_routes_ask_logto_nothing_and_optional_ones_do() {
    let world = proxy()
        .route("/open/*", "public")
        .route("/maybe", "optional")
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    world.logto.suspend("plain");
    world.hand.advance(RECHECK + 3_600);
    for _ in 0..5 {
        assert_eq!(browser.navigate("/open/page").await.status, 200);
        assert_eq!(world.upstream.last().header("x-user-sub"), None);
    }
    assert_eq!(world.logto.counts().token, 1, "the sign-in's");
    assert_eq!(browser.navigate("/maybe").await.status, 200);
    assert_eq!(
        world.upstream.last().header("x-user-sub"),
        None,
        "nobody any more"
    );
    assert_eq!(world.logto.counts().refreshes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offline_session_survives_the_one_at_logto_and_other_sessions_do_not() {
    for (mode, survives) in [("session", false), ("offline", true)] {
        let world = proxy()
            .logto(&format!("refresh = \"{mode}\""))
            .client(move |client| client.always_issue_refresh_token = !survives)
            .start()
            .await;
        let mut browser = world.signed_in("plain").await;
        let asked = world.logto.last_authorization();
        let of = |name: &str| {
            asked
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        let scope = of("scope").unwrap();
        assert_eq!(
            scope.split(' ').any(|word| word == "offline_access"),
            survives,
            "{scope}"
        );
        assert_eq!(of("prompt").as_deref() == Some("consent"), survives, "{asked:?}");
        world.logto.end_sessions_of("plain");
        world.hand.advance(RECHECK);
        assert_eq!(browser.fetch("/").await.status == 200, survives, "{mode}");
        assert_eq!(world.logto.counts().refreshes, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_jump_of_the_clock_leaves_a_session_unconfirmed() {
    let hour = 3_600;
    for jump in [
        2 * hour,
        30 * hour,
        100 * 24 * hour,
        -30,
        -2 * hour,
        -30 * hour,
        -100 * 24 * hour,
    ] {
        let world = proxy().session("idle_timeout = \"48h\"").start().await;
        let mut browser = world.signed_in("plain").await;
        assert_eq!(browser.fetch("/").await.status, 200);
        world.logto.suspend("plain");
        world.hand.advance(jump);
        // A clock that is behind by less than its usual error is waited for, no longer.
        world.hand.advance(if jump == -30 { RECHECK + 30 } else { 0 });
        assert_eq!(browser.fetch("/").await.status, 401, "{jump}");
        world.hand.advance(-jump);
        assert_eq!(browser.fetch("/").await.status, 401, "{jump} and back");
    }
    let world = proxy().session("idle_timeout = \"48h\"").start().await;
    let mut browser = world.signed_in("plain").await;
    for jump in [2 * hour, 30 * hour] {
        world.hand.advance(jump);
        assert_eq!(
            browser.fetch("/").await.status,
            200,
            "{jump}: Logto says it holds"
        );
    }
    assert_eq!(world.logto.counts().refreshes, 2);
}

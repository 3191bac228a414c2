//! Logto away: at the start, later, and in the middle of a sign-in.

use crate::support::{eventually, proxy};
use logto_proxy::dev::provider::{EndpointFault, Faults, Misbehaviour};
use std::time::{Duration, Instant};

fn down() -> Faults {
    let reset = || EndpointFault::from(Misbehaviour::Reset);
    Faults {
        discovery: reset(),
        jwks: reset(),
        token: reset(),
        userinfo: reset(),
        revocation: reset(),
        ..Faults::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_logto_serves_what_is_public_and_recovers_within_ten_seconds() {
    let mut world = proxy()
        .route("/open/*", "public")
        .route("/maybe", "optional")
        .logto_down_at_start()
        .start()
        .await;
    assert_eq!(world.browser().navigate("/open/page").await.status, 200);
    assert_eq!(world.browser().navigate("/maybe").await.status, 200);
    let user = world.browser().navigate("/.logto/user").await;
    assert_eq!(user.json()["isAuthenticated"], false);
    for path in ["/.logto/sign-in", "/.logto/sign-up", "/reports"] {
        let begun = Instant::now();
        let answer = world.browser().navigate(path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.header("retry-after").is_some(), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.body.contains("<html"));
        assert!(answer.set_cookies().is_empty());
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "nobody waits long for Logto"
        );
    }
    assert_eq!(world.browser().fetch("/reports").await.status, 401);
    assert_eq!(
        world
            .browser()
            .navigate("/.logto/callback?code=a&state=b")
            .await
            .status,
        303
    );
    assert_eq!(world.browser().navigate("/.logto/sign-out").await.status, 200);
    assert_eq!(world.health("/livez").await.0, 200);
    let (status, why) = world.health("/readyz").await;
    assert_eq!(status, 503);
    assert!(why.contains("Logto"), "{why}");

    world.start_provider();
    let begun = Instant::now();
    eventually("the proxy is ready", || async {
        world.health("/readyz").await.0 == 200
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(world.browser().sign_in("plain", "/reports").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_in_users_do_not_notice_that_logto_is_gone() {
    let world = proxy().route("/open/*", "public").start().await;
    let mut browser = world.signed_in("admin").await;
    world.stop_provider().await;
    for _ in 0..6 {
        world.hand.advance(600);
        let answer = browser.navigate("/reports").await;
        assert_eq!(answer.status, 200);
        assert_eq!(world.upstream.last().header("x-user-sub"), Some("adminuser001"));
    }
    assert_eq!(world.health("/readyz").await.0, 200);
    assert_eq!(world.browser().navigate("/open/x").await.status, 200);
    // Nobody is sent to a Logto that does not answer.
    let answer = world.browser().navigate("/reports").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));

    let answer = browser.navigate("/.logto/sign-out").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (200, None),
        "{answer:?}"
    );
    assert!(
        !browser.has_session(),
        "signed out here, whatever becomes of Logto's session"
    );
    assert_eq!(browser.fetch("/reports").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_meets_an_outage_is_told_so_and_can_be_tried_again() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/reports").await;
    world.logto.set_faults(down());
    let answer = browser.open(callback).await;
    assert_eq!(answer.problem().as_deref(), Some("logto_unavailable"));
    let page = browser.open(answer.location()).await;
    assert_eq!(page.status, 503);
    assert!(page.header("retry-after").is_some());
    assert!(
        page.body.contains("/.logto/sign-in?redirect=%2Freports"),
        "{}",
        page.body
    );
    assert!(!browser.has_session());

    world.logto.set_faults(Faults::default());
    assert_eq!(browser.sign_in("plain", "/reports").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_userinfo_outage_fails_a_sign_in_that_needs_userinfo() {
    let world = proxy().start().await;
    for misbehaviour in [
        Misbehaviour::Status(503),
        Misbehaviour::Status(401),
        Misbehaviour::Garbage,
        Misbehaviour::ResetAfterProcessing,
        Misbehaviour::Oversized(2 << 20),
    ] {
        let mut browser = world.browser();
        let callback = browser.to_callback("huggingface", "/reports").await;
        world.logto.set_faults(Faults {
            userinfo: misbehaviour.clone().into(),
            ..Faults::default()
        });
        let answer = browser.open(callback).await;
        assert!(answer.problem().is_some(), "{misbehaviour:?}");
        assert!(!browser.has_session(), "{misbehaviour:?}");
        world.logto.set_faults(Faults::default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_another_issuer_is_never_used() {
    for faults in [
        Faults {
            discovery_issuer: Some("https://evil.test/oidc".to_owned()),
            ..Faults::default()
        },
        Faults {
            endpoints_origin: Some("https://evil.test".to_owned()),
            ..Faults::default()
        },
        Faults {
            jwks: Misbehaviour::Status(500).into(),
            ..Faults::default()
        },
    ] {
        let mut world = proxy().logto_down_at_start().start().await;
        world.logto.set_faults(faults);
        world.start_provider();
        let asked = || async { world.logto.counts().discovery > 0 };
        eventually("the metadata are asked for", asked).await;
        assert_eq!(world.health("/readyz").await.0, 503);
        let answer = world.browser().navigate("/reports").await;
        let sent_away = answer.header("location").is_some_and(|url| url.contains("evil"));
        assert!(!sent_away, "{answer:?}");
    }
}

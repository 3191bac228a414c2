//! Logto away, slow, or saying something wrong while a session is confirmed: what is not about the user ends nothing before
//! the grace does, and no forged answer counts.

use crate::support::proxy::APP_ID;
use crate::support::{Browser, World, eventually, proxy};
use logto_proxy::dev::provider::{EndpointFault, Faults, IdTokenFault, Misbehaviour};
use logto_proxy::secret::SecretText;
use std::time::{Duration, Instant};

const RECHECK: i64 = 300;
const GRACE: i64 = 3_600;

fn refresh(misbehaviour: Misbehaviour) -> Faults {
    Faults {
        refresh: misbehaviour.into(),
        ..Faults::default()
    }
}

fn down() -> Faults {
    let reset = || EndpointFault::from(Misbehaviour::Reset);
    Faults {
        discovery: reset(),
        jwks: reset(),
        token: reset(),
        userinfo: reset(),
        ..Faults::default()
    }
}

/// Logto is back: the app hears the new roles before long, and the user is served all the time.
async fn until_told(world: &World, browser: &Browser, roles: &str) {
    eventually("the new roles arrive", || {
        // The pause between two calls is one of the clock's.
        world.hand.advance(1);
        let mut browser = browser.clone();
        async move {
            assert_eq!(browser.fetch("/").await.status, 200);
            world.upstream.last().header("x-user-roles") == Some(roles)
        }
    })
    .await;
}

/// Every re-check rotates the refresh token.
async fn rotating() -> World {
    proxy()
        .client(|client| client.refresh_token_ttl = Duration::from_secs(400))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_survived_to_the_end_of_the_grace_and_its_end_is_noticed() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(down());
    let (before, begun) = (world.logto.counts(), Instant::now());
    world.hand.advance(RECHECK);
    let mut waited = Duration::ZERO;
    for _ in 0..200 {
        let asked = Instant::now();
        assert_eq!(browser.fetch("/").await.status, 200);
        waited = waited.max(asked.elapsed());
        assert_eq!(world.upstream.last().header("x-user-roles"), Some("admin,editor"));
        world.hand.advance((GRACE - 100) / 200);
    }
    let counts = world.logto.counts();
    let calls =
        (counts.token - before.token) + (counts.discovery - before.discovery) + (counts.jwks - before.jwks);
    println!(
        "200 requests in an outage of an hour by the clock, {:?} real: {calls} calls, {} of them token calls; the longest wait {waited:?}",
        begun.elapsed(),
        counts.token - before.token
    );
    assert!(counts.token - before.token <= 4, "{counts:?}");
    assert!(waited < Duration::from_secs(3), "{waited:?}");

    world.hand.advance(200);
    assert_eq!(browser.fetch("/").await.status, 401);
    let page = browser.navigate("/reports").await;
    assert_eq!(
        (page.status, page.header("retry-after")),
        (503, Some("5")),
        "{page:?}"
    );
    assert!(browser.has_session(), "it may come to life again");
    assert_eq!(
        browser.fetch("/.logto/user").await.json()["isAuthenticated"],
        false
    );

    world.logto.set_faults(Faults::default());
    let back = Instant::now();
    eventually("it lives again", || {
        // The pause between two calls is one of the clock's.
        world.hand.advance(1);
        let mut browser = browser.clone();
        async move { browser.fetch("/").await.status == 200 }
    })
    .await;
    println!("alive {:?} after the outage", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(10));
    assert_eq!(world.logto.grants_revoked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_about_the_user_ends_nothing() {
    for (what, faults) in [
        ("500", refresh(Misbehaviour::Status(500))),
        ("503", refresh(Misbehaviour::Status(503))),
        ("429", refresh(Misbehaviour::Status(429))),
        ("reset", refresh(Misbehaviour::Reset)),
        ("garbage", refresh(Misbehaviour::Garbage)),
        ("oversized", refresh(Misbehaviour::Oversized(2 << 20))),
        (
            "redirect",
            refresh(Misbehaviour::Redirect("http://127.0.0.1:1/".to_owned())),
        ),
        ("400 without a known error", refresh(Misbehaviour::Status(400))),
    ] {
        let world = proxy().start().await;
        let mut browser = world.signed_in("admin").await;
        world.logto.set_faults(faults);
        world.hand.advance(RECHECK);
        assert_eq!(browser.fetch("/").await.status, 200, "{what}");
        assert_eq!(world.upstream.last().header("x-user-sub"), Some("adminuser001"));
        let calls = world.logto.counts().token;
        assert_eq!(browser.fetch("/").await.status, 200, "{what}");
        assert_eq!(
            world.logto.counts().token,
            calls,
            "{what}: not asked again at once"
        );
        world.logto.set_faults(Faults::default());
        world.logto.set_roles("admin", &["reader"]);
        until_told(&world, &browser, "reader").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_signs_nobody_out_and_sends_nobody_in_circles() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("admin").await;
    let right = |world: &World, is_right: bool| {
        let text = if is_right {
            crate::support::proxy::APP_SECRET
        } else {
            "another"
        };
        world.logto.update_client(APP_ID, |client| {
            client.secrets[0].text = SecretText::new(text.to_owned());
        })
    };
    assert!(right(&world, false));
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/").await.status, 200);
    world.hand.advance(GRACE);
    assert_eq!(browser.fetch("/").await.status, 401, "the grace is over");
    let answer = browser.navigate("/reports").await;
    let page = browser.follow(answer, |_| false).await;
    assert!(page.status >= 500, "{page:?}");
    assert!(
        page.url.path().ends_with("/sign-in"),
        "told at a page that can be loaded again: {}",
        page.url
    );
    assert!(browser.has_session());
    right(&world, true);
    world.hand.advance(6);
    assert_eq!(browser.fetch("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_rotation_is_asked_for_again_in_time() {
    for lost in [Misbehaviour::ResetAfterProcessing, Misbehaviour::CutAnswer] {
        let world = rotating().await;
        let mut browser = world.signed_in("admin").await;
        world.logto.set_faults(refresh(lost.clone().times(1)));
        world.hand.advance(RECHECK);
        assert_eq!(browser.fetch("/").await.status, 200, "{lost:?}");
        let counts = world.logto.counts();
        assert_eq!((counts.refreshes, counts.rotations), (2, 2), "{lost:?}");
        for _ in 0..2 {
            world.hand.advance(RECHECK);
            assert_eq!(browser.fetch("/").await.status, 200, "{lost:?}");
        }
        assert_eq!(world.logto.grants_revoked(), 0, "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_for_again_also_when_that_answer_is_lost_or_calls_are_held_back() {
    let world = rotating().await;
    let mut browser = world.signed_in("admin").await;
    world
        .logto
        .set_faults(refresh(Misbehaviour::ResetAfterProcessing.times(2)));
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/").await.status, 200);
    world.logto.set_faults(Faults::default());
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/").await.status, 200);
    assert_eq!(world.logto.grants_revoked(), 0);

    // Two outages before: the lost answer opens the circuit.
    let world = rotating().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(refresh(Misbehaviour::Status(503)));
    world.hand.advance(RECHECK);
    for _ in 0..2 {
        assert_eq!(browser.fetch("/").await.status, 200);
        world.hand.advance(6);
    }
    world
        .logto
        .set_faults(refresh(Misbehaviour::ResetAfterProcessing.times(1)));
    assert_eq!(browser.fetch("/").await.status, 200);
    assert_eq!(world.logto.counts().rotations, 2);
    world.logto.set_faults(Faults::default());
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/").await.status, 200);
    assert_eq!(world.logto.grants_revoked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_repeated_where_nothing_can_have_happened() {
    let world = rotating().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(refresh(Misbehaviour::Status(503)));
    world.hand.advance(RECHECK);
    let before = world.logto.counts().token;
    assert_eq!(browser.fetch("/").await.status, 200);
    assert_eq!(world.logto.counts().token, before + 1, "an answer is not lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_to_a_rotation_is_waited_for() {
    let world = rotating().await;
    let mut browser = world.signed_in("admin").await;
    world
        .logto
        .set_faults(refresh(Misbehaviour::AnswerLate(Duration::from_secs(4)).times(1)));
    world.hand.advance(RECHECK);
    let begun = Instant::now();
    assert_eq!(browser.fetch("/").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(3));
    world.hand.advance(10);
    eventually("the answer arrived", || {
        let mut browser = browser.clone();
        async move { !browser.fetch("/").await.set_cookies().is_empty() }
    })
    .await;
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/").await.status, 200, "the first cookie still");
    let counts = world.logto.counts();
    assert_eq!(
        (counts.refreshes, counts.rotations, world.logto.grants_revoked()),
        (2, 2, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_kept_from_an_answer_that_proved_nothing() {
    let world = rotating().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(Faults {
        refreshed_id_token: Some(IdTokenFault::Missing),
        userinfo: Misbehaviour::Status(503).into(),
        ..Faults::default()
    });
    world.hand.advance(RECHECK);
    assert_eq!(browser.fetch("/").await.status, 200, "within the grace");
    assert_eq!(world.logto.counts().rotations, 1);
    for fault in [Misbehaviour::Status(503), Misbehaviour::Garbage] {
        world.logto.set_faults(refresh(fault));
        world.hand.advance(10);
        assert_eq!(browser.fetch("/").await.status, 200);
    }
    world.logto.set_faults(Faults::default());
    world.logto.set_roles("admin", &["reader"]);
    until_told(&world, &browser, "reader").await;
    assert_eq!(world.logto.grants_revoked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refreshed_id_token_is_believed_only_when_it_is_logtos_about_the_same_user() {
    for (fault, lives) in [
        (IdTokenFault::OtherSubject, false),
        (IdTokenFault::WrongIssuer, false),
        (IdTokenFault::WrongAudience, false),
        (IdTokenFault::BadSignature, false),
        (IdTokenFault::AlgorithmNone, false),
        (IdTokenFault::Hs256WithClientSecret, false),
        (IdTokenFault::StolenKeyId, false),
        (IdTokenFault::NoSubject, false),
        (IdTokenFault::Malformed, false),
        // Clocks differ, and that is nobody's fault.
        (IdTokenFault::Expired, true),
        (IdTokenFault::IssuedInTheFuture, true),
        (IdTokenFault::Missing, true),
        (IdTokenFault::NoNonce, true),
    ] {
        let world = proxy().start().await;
        let mut browser = world.signed_in("admin").await;
        let copy = browser.clone();
        world.logto.set_faults(Faults {
            refreshed_id_token: Some(fault.clone()),
            ..Faults::default()
        });
        world.hand.advance(RECHECK);
        let answer = browser.fetch("/").await;
        assert_eq!(answer.status == 200, lives, "{fault:?}: {answer:?}");
        let subject = world
            .upstream
            .seen()
            .pop()
            .map(|seen| seen.header("x-user-sub").map(str::to_owned));
        assert_eq!(
            subject.flatten().as_deref(),
            lives.then_some("adminuser001"),
            "{fault:?}"
        );
        world.logto.set_faults(Faults::default());
        world.hand.advance(10);
        assert_eq!(
            copy.clone().fetch("/").await.status == 200,
            lives,
            "{fault:?}: for good"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_refresh_token_leaves_the_one_there_is() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("admin").await;
    world.logto.set_faults(Faults {
        refresh_token_withheld: true,
        ..Faults::default()
    });
    for count in 1..4 {
        world.hand.advance(RECHECK);
        assert_eq!(browser.fetch("/").await.status, 200);
        assert_eq!(world.logto.counts().refreshes, count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_exchanged_once_whatever_happens() {
    for lost in [
        Misbehaviour::ResetAfterProcessing,
        Misbehaviour::Reset,
        Misbehaviour::CutAnswer,
    ] {
        let world = proxy().start().await;
        let mut browser = world.browser();
        let callback = browser.to_callback("plain", "/").await;
        world.logto.set_faults(Faults {
            code_exchange: lost.clone().into(),
            ..Faults::default()
        });
        let answer = browser.open(callback.clone()).await;
        assert_eq!(answer.problem().as_deref(), Some("logto_unavailable"), "{lost:?}");
        world.logto.set_faults(Faults::default());
        browser.open(callback).await;
        assert_eq!(
            (world.logto.counts().token, world.logto.grants_revoked()),
            (1, 0),
            "{lost:?}"
        );
        assert!(!browser.has_session());
    }
}

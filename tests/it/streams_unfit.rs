//! A stream ends when its caller does not fulfil the rule any more that let it pass, however good session or token are.

use crate::bearer::{described, register};
use crate::recheck_streams::lasting;
use crate::support::wire::HANDSHAKE;
use crate::support::{Wire, World, eventually, proxy, request};
use std::time::Duration;

/// Just beyond `session.recheck`.
const DUE: i64 = 301;
const ADMIN: &str = "[[route]]\npath = \"/admin/*\"\naccess = { any_role = [\"admin\"] }";

pub async fn socket(world: &World, path: &str, field: (&str, &str)) -> Wire {
    let mut fields = HANDSHAKE.to_vec();
    fields.push(field);
    let mut wire = world.wire().await;
    wire.send(request("GET", path, &fields)).await;
    assert!(wire.head().await.0.contains("101"));
    wire
}

pub async fn is_closed(socket: &mut Wire) {
    assert_eq!(socket.take(2).await[0], 0x88, "a close frame");
    socket.is_cut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_a_role_loses_the_streams_that_it_opened_and_no_others() {
    let app = lasting().await;
    let world = proxy().upstream_url(app.url()).section(ADMIN).start().await;
    let cookie = world.signed_in("admin").await.cookie_field();
    let mut admins = socket(&world, "/admin/x", ("Cookie", &cookie)).await;
    let mut anybodys = socket(&world, "/x", ("Cookie", &cookie)).await;
    world.hand.advance(DUE);
    eventually("the session is confirmed", || async {
        world.logto.counts().refreshes == 1
    })
    .await;
    assert!(admins.is_silent_for(Duration::from_secs(3)).await);
    assert!(world.logto.set_roles("admin", &["reader"]));
    assert!(
        admins.is_silent_for(Duration::from_millis(300)).await,
        "not due yet"
    );
    world.hand.advance(DUE);
    is_closed(&mut admins).await;
    assert!(anybodys.is_silent_for(Duration::from_secs(1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_that_a_stream_had_to_fulfil_judges_it_again() {
    let app = lasting().await;
    let notes = "[[route]]\npath = \"/admin/notes/*\"\naccess = { any_role = [\"reader\"] }";
    let world = proxy()
        .upstream_url(app.url())
        .section(ADMIN)
        .section(notes)
        .start()
        .await;
    assert!(world.logto.set_roles("admin", &["admin", "reader"]));
    let cookie = world.signed_in("admin").await.cookie_field();
    let mut both = socket(&world, "/ADMIN/NOTES/x", ("Cookie", &cookie)).await;
    let mut one = socket(&world, "/admin/notes/x", ("Cookie", &cookie)).await;
    assert!(world.logto.set_roles("admin", &["reader"]));
    world.hand.advance(DUE);
    is_closed(&mut both).await;
    assert!(one.is_silent_for(Duration::from_secs(1)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn younger_streams_of_the_same_session_keep_none_from_being_judged() {
    let app = lasting().await;
    let world = proxy().upstream_url(app.url()).section(ADMIN).start().await;
    let mut browser = world.signed_in("admin").await;
    let mut old = socket(&world, "/admin/x", ("Cookie", &browser.cookie_field())).await;
    assert!(world.logto.set_roles("admin", &["reader"]));
    world.hand.advance(DUE);
    assert_eq!(browser.fetch("/x").await.status, 200, "confirmed by a request");
    let mut young = socket(&world, "/x", ("Cookie", &browser.cookie_field())).await;
    is_closed(&mut old).await;
    assert!(young.is_silent_for(Duration::from_millis(300)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_token_that_is_over_ends_the_streams_that_it_opened() {
    for reason in ["suspended", "role"] {
        let app = lasting().await;
        let world = described().upstream_url(app.url()).start().await;
        register(&world);
        let field = |persona: &str| {
            let token = world.logto.issue_personal_access_token(persona, None).unwrap();
            format!("Bearer {token}")
        };
        let (theirs, others) = (field("admin"), field("plain"));
        let mut theirs = socket(&world, "/api/admin/x", ("Authorization", &theirs)).await;
        let mut others = socket(&world, "/api/x", ("Authorization", &others)).await;
        world.hand.advance(DUE);
        eventually("both are asked about", || async {
            world.logto.counts().userinfo >= 4
        })
        .await;
        assert!(theirs.is_silent_for(Duration::from_millis(300)).await);
        if reason == "role" {
            assert!(world.logto.set_roles("admin", &["reader"]));
        } else {
            assert!(world.logto.suspend("admin"));
        }
        world.hand.advance(DUE);
        is_closed(&mut theirs).await;
        assert!(
            others.is_silent_for(Duration::from_millis(300)).await,
            "another user's stays"
        );
        world.stop_provider().await;
        world.hand.advance(DUE);
        assert!(
            others.is_silent_for(Duration::from_secs(3)).await,
            "an outage is no refusal"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_in_force_no_more_judges_nobody() {
    let app = lasting().await;
    let world = proxy().upstream_url(app.url()).section(ADMIN).start().await;
    let cookie = world.signed_in("admin").await.cookie_field();
    let mut admins = socket(&world, "/admin/x", ("Cookie", &cookie)).await;
    world
        .reload(
            &world
                .text
                .replace("any_role = [\"admin\"]", "any_role = [\"reader\"]"),
        )
        .await;
    assert!(world.logto.set_roles("admin", &[]));
    world.hand.advance(DUE);
    eventually("the session is confirmed", || async {
        world.logto.counts().refreshes == 1
    })
    .await;
    assert!(admins.is_silent_for(Duration::from_secs(3)).await);
    world.reload(&world.text).await;
    world.hand.advance(DUE);
    is_closed(&mut admins).await;
}

//! Many callers at once, and junk in masses.

use super::{World, fields, headers, world};
use crate::bearer::{BearerError, Presented};
use crate::clock;
use crate::dev::provider::{EndpointFault, Faults};
use futures_util::future::join_all;
use std::time::Duration;

fn slow(world: &World) {
    world.control.set_faults(Faults {
        introspection: EndpointFault {
            delay: Duration::from_millis(200),
            misbehaviour: None,
        },
        ..Faults::default()
    });
}

#[tokio::test]
async fn all_who_present_a_token_share_one_question() {
    let world = world().await;
    let token = world.opaque("app", "admin").await;
    slow(&world);
    let answers = join_all((0..100).map(|_| world.present(&token))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(world.control.counts().introspection, 1);
    let personal = world.personal("admin");
    let answers = join_all((0..100).map(|_| world.present(&personal))).await;
    assert!(answers.iter().all(Result::is_ok));
    let counts = world.control.counts();
    assert_eq!(counts.token_exchanges, 2, "one for the opaque token of this test");
}

#[tokio::test]
async fn a_caller_that_leaves_ends_no_question() {
    let world = world().await;
    let token = world.opaque("app", "admin").await;
    slow(&world);
    let headers = headers(&token);
    let presented = fields(&headers);
    let impatient = world.bearers.authenticate(&presented);
    assert!(
        tokio::time::timeout(Duration::from_millis(50), impatient)
            .await
            .is_err()
    );
    world.present(&token).await.unwrap();
    assert_eq!(world.control.counts().introspection, 1);
}

#[tokio::test]
async fn junk_cannot_flood_logto_nor_crowd_out_who_is_known() {
    let world = world().await;
    let known = world.opaque("app", "admin").await;
    world.present(&known).await.unwrap();
    let asked = || world.control.counts().introspection - 1;
    let junk = |number: usize| format!("{number:043}");
    let began = clock::monotonic();

    slow(&world);
    let texts: Vec<String> = (0..200).map(junk).collect();
    let answers = join_all(texts.iter().map(|text| world.present(text))).await;
    assert_eq!(asked(), 8, "so many at once");
    let busy = |answer: &Result<_, BearerError>| matches!(answer, Err(error) if error.retry_after() == Some(1) && error.status() == 503);
    assert_eq!(answers.iter().filter(|answer| busy(answer)).count(), 192);

    world.control.set_faults(Faults::default());
    for number in 200..400 {
        assert!(world.present(&junk(number)).await.is_err());
    }
    let seconds = began.elapsed().as_secs() + 1;
    assert!(asked() <= 20 + 10 * seconds, "{} in {seconds} s", asked());

    // A new caller has to wait; one that was good a moment ago has a share of its own, although its minute is over.
    world.hand.advance(61);
    world.present(&known).await.unwrap();
    let headers = headers(&known);
    let Presented::Caller(_) = world.bearers.authenticate(&fields(&headers)).await else {
        panic!("crowded out");
    };
}

#[tokio::test]
async fn outcomes_are_counted() {
    let world = world().await;
    world.present(&world.jwt(None)).await.unwrap();
    world.refusal("not.a.token").await;
    world.refusal("junk").await;
    let shown = world.metrics.render();
    for line in [
        r#"logto_proxy_bearer_tokens_total{kind="jwt",outcome="accepted"} 1"#,
        r#"logto_proxy_bearer_tokens_total{kind="jwt",outcome="refused"} 1"#,
        r#"logto_proxy_bearer_tokens_total{kind="unreadable",outcome="refused"} 1"#,
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

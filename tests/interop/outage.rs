//! The provider is away for a while: refused connections, and a program that stands still.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use http::header::RETRY_AFTER;
use logto_proxy::clock::monotonic;
use serde_json::json;
use tokio::time::sleep;

use crate::refresh::RECHECK;
use crate::support::proxy::{Place, Proxy};
use crate::support::runner::Scenarios;
use crate::support::setting::{Around, metric};
use crate::support::visitor::{Answer, Visitor};
use crate::support::wait::eventually;
use crate::support::webhook;

pub fn add_to(scenarios: &mut Scenarios) {
    scenarios.add_patient("outage::refused_connections", || outage(Kind::Refused));
    scenarios.add_patient("outage::a_frozen_provider", || outage(Kind::Frozen));
    scenarios.add_patient("outage::the_grace_ends", the_grace_ends);
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Refused,
    Frozen,
}

/// Four people who are signed in.
async fn people(proxy: &Proxy) -> Vec<Visitor> {
    let mut people = Vec::new();
    for _ in 0..4 {
        let mut visitor = Visitor::new();
        visitor.sign_in(&proxy.url("/headers"), "plain").await;
        people.push(visitor);
    }
    people
}

/// What a newcomer is answered at the app's door, without going further.
async fn at_the_door(proxy: &Proxy) -> Answer {
    let method = http::Method::GET;
    Visitor::new()
        .send(method, &proxy.url("/headers"), "", String::new())
        .await
}

fn is_unavailable(answer: &Answer) -> bool {
    let seconds = answer
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    answer.status == StatusCode::SERVICE_UNAVAILABLE
        && seconds.is_some_and(|text| text.parse::<u32>().is_ok())
}

async fn outage(kind: Kind) {
    let around = Around::new(Place::choose(), json!({})).await;
    // Newcomers from one address knock often here.
    let deployment = around.deployment().section("[limits]\nsign_ins_per_minute = 0");
    let (proxy, provider) = (deployment.start().await, &around.provider);
    let address = proxy.url("/headers");
    let people = people(&proxy).await;
    let lasts = match kind {
        Kind::Refused => {
            provider.listening(false).await;
            Duration::from_secs(12)
        }
        // A token call is given up after 30 s, since its answer may bring the one refresh token that is good.
        Kind::Frozen => {
            provider.freeze();
            Duration::from_secs(33)
        }
    };
    let began = monotonic();
    webhook::user_changed(&proxy.url(""), "plain0000001").await;

    // All are due, and go on working.
    let served = async {
        let work = people.iter().map(|person| {
            let (mut tab, address) = (person.tab(), &address);
            async move {
                let mut slowest = Duration::ZERO;
                while began.elapsed() < lasts {
                    let before = monotonic();
                    let answer = tab.fetch(address).await;
                    slowest = slowest.max(before.elapsed());
                    assert!(answer.user().is_some(), "{answer:?}");
                    sleep(Duration::from_millis(100)).await;
                }
                slowest
            }
        });
        join_all(work).await.into_iter().max().expect("somebody")
    };
    let known = async {
        while began.elapsed() < lasts {
            if is_unavailable(&at_the_door(&proxy).await) {
                return began.elapsed();
            }
            sleep(Duration::from_secs(1)).await;
        }
        panic!("newcomers were never told");
    };
    let (slowest, known) = tokio::join!(served, known);
    let calls = metric(&proxy, "logto_proxy_logto_calls_total{").await;

    match kind {
        Kind::Refused => provider.listening(true).await,
        Kind::Frozen => provider.thaw(),
    }
    let began = monotonic();
    let back = eventually("newcomers may sign in again", || async {
        at_the_door(&proxy)
            .await
            .status
            .is_redirection()
            .then(|| began.elapsed())
    })
    .await;
    let page = Visitor::new().sign_in(&address, "admin").await;
    assert!(page.user().is_some(), "{page:?}");
    for person in &people {
        assert!(person.tab().fetch(&address).await.user().is_some());
    }
    println!(
        "  {kind:?}: slowest answer to signed-in users {} ms; newcomers told after {:.1} s, let in again {:.1} s after its end; \
         {calls} calls of all kinds",
        slowest.as_millis(),
        known.as_secs_f32(),
        back.as_secs_f32()
    );
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    assert!(back < Duration::from_secs(10), "{back:?}");
}

/// With a short grace: away for longer than it, then back. Nobody has to sign in again for that.
async fn the_grace_ends() {
    let around = Around::new(Place::choose(), json!({})).await;
    let deployment = around.deployment().session("recheck_grace = \"4s\"");
    let (proxy, provider) = (deployment.start().await, &around.provider);
    let address = proxy.url("/headers");
    let people = people(&proxy).await;
    sleep(RECHECK).await;
    provider.listening(false).await;
    for person in &people {
        assert!(
            person.tab().fetch(&address).await.user().is_some(),
            "within the grace"
        );
    }
    sleep(Duration::from_secs(5)).await;
    let mut tab = people[0].tab();
    let answer = tab.fetch(&address).await;
    assert!(answer.user().is_none(), "{answer:?}");
    let answer = tab.open(&address).await;
    assert!(is_unavailable(&answer), "{answer:?}");

    provider.listening(true).await;
    let signed_in = provider.token_calls("authorization_code").await;
    let began = monotonic();
    eventually("the session is good again", || async {
        people[0].tab().fetch(&address).await.user()
    })
    .await;
    println!(
        "  served again {:.1} s after the end of the outage",
        began.elapsed().as_secs_f32()
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(provider.token_calls("authorization_code").await, signed_in);
}

//! `hf_org` as Hugging Face says it: at a sign-in, at every re-check, and when it does not say.

use crate::recheck_streams::lasting;
use crate::streams_unfit::{is_closed, socket};
use crate::support::proxy::Builder;
use crate::support::{Browser, World, proxy};
use logto_proxy::dev::provider::{Connector, Control, Faults, Misbehaviour, TokenStorage};
use logto_proxy::live::Reloaded;
use serde_json::{Value, json};
use std::time::Duration;

const LAB: &str = "[[route]]\npath = \"/lab/*\"\naccess = { hf_org = [\"65b000000000000000000001\"] }";
/// How the connector stores tokens, in most tests.
const STORED: TokenStorage = TokenStorage {
    lifetime: Some(Duration::from_secs(8 * 3600)),
    renews: true,
};
/// Just beyond `session.recheck`.
const DUE: i64 = 301;

async fn world(live_orgs: &str, storage: Option<TokenStorage>) -> World {
    world_of(proxy(), live_orgs, storage).await
}

async fn world_of(proxy: Builder, live_orgs: &str, storage: Option<TokenStorage>) -> World {
    let text = "[hugging_face]\nuserinfo_endpoint = \"http://127.0.0.1:1/oauth/userinfo\"\n";
    let mut world = proxy
        .section(LAB)
        .section("[sign_in]\nallow_params = [\"direct_sign_in\"]")
        .section(&format!("{text}live_orgs = \"{live_orgs}\""))
        .provider(move |provider| {
            provider.account_center = true;
            provider.connectors = vec![Connector {
                token_storage: storage,
                ..Connector::hugging_face()
            }];
        })
        .start()
        .await;
    // The address is known only now.
    let text = world
        .text
        .replace("http://127.0.0.1:1", &format!("{}/huggingface", world.logto_url));
    assert_eq!(world.reload(&text).await, Reloaded::Applied);
    world.text = text;
    world
}

/// A browser that signed in with the button of Hugging Face.
async fn signed_in(world: &World) -> Browser {
    let mut browser = world.browser();
    let begun = browser
        .navigate("/.logto/sign-in?direct_sign_in=social:huggingface")
        .await;
    let consent = browser.follow(begun, |_| false).await;
    let (_, state) = consent
        .url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap();
    let form = [("state", state.as_ref()), ("persona", "huggingface")];
    let answer = browser.submit(consent.url.clone(), &form).await;
    let answer = browser.follow(answer, |_| false).await;
    assert_eq!((answer.status, answer.url.path()), (200, "/"), "{answer:?}");
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_after_its_user_left_the_organization() {
    let app = lasting().await;
    let world = world_of(proxy().upstream_url(app.url()), "auto", Some(STORED)).await;
    let cookie = signed_in(&world).await.cookie_field();
    let mut lab = socket(&world, "/lab/x", ("Cookie", &cookie)).await;
    let mut others = socket(&world, "/x", ("Cookie", &cookie)).await;
    leave(&world.logto);
    assert!(lab.is_silent_for(Duration::from_millis(300)).await, "not due yet");
    world.hand.advance(DUE);
    is_closed(&mut lab).await;
    assert!(others.is_silent_for(Duration::from_millis(300)).await);
}

fn set_organizations(logto: &Control, organizations: &[(&str, &str)]) {
    let organizations = organizations
        .iter()
        .map(|(id, name)| ((*id).to_owned(), (*name).to_owned()))
        .collect();
    assert!(logto.update_hugging_face("huggingface", |account| account.organizations = organizations));
}

fn leave(logto: &Control) {
    set_organizations(logto, &[("65b000000000000000000002", "example-models")]);
}

fn join(logto: &Control) {
    set_organizations(logto, &[("65b000000000000000000001", "example-lab")]);
}

/// Leaves or joins on Hugging Face's own page, as somebody does who tries `logto-proxy dev`.
async fn at_hugging_face(world: &World, member: &str) {
    let page = format!("{}/huggingface/settings/organizations", world.logto_url);
    let form = [
        ("persona", "huggingface"),
        ("organization", "65b000000000000000000001"),
        ("member", member),
    ];
    let mut browser = world.browser();
    let answer = browser.submit(page.parse().unwrap(), &form).await;
    let shown = browser.follow(answer, |_| false).await.body;
    let offered = if member == "yes" {
        "Leave example-lab"
    } else {
        "Join example-lab"
    };
    assert!(shown.contains(offered), "{shown}");
}

/// What the user gets at the laboratory's door after the session is confirmed anew.
async fn after_recheck(world: &World, browser: &mut Browser) -> u16 {
    world.hand.advance(DUE);
    browser.fetch("/lab/x").await.status
}

async fn account(browser: &mut Browser) -> Value {
    let user: Value = browser.fetch("/.logto/user").await.json();
    user["claims"]["identities"]["huggingface"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_the_organization_is_refused_after_the_re_check_and_who_comes_back_passes() {
    let world = world("auto", Some(STORED)).await;
    let mut browser = signed_in(&world).await;
    assert_eq!(browser.fetch("/lab/x").await.status, 200);
    assert_eq!(world.logto.counts().hugging_face_userinfo, 1, "at the sign-in");
    at_hugging_face(&world, "no").await;
    assert_eq!(browser.fetch("/lab/x").await.status, 200, "not due yet");
    assert_eq!(after_recheck(&world, &mut browser).await, 403);
    assert_eq!(browser.fetch("/lab/x").await.status, 403);
    assert_eq!(browser.fetch("/").await.status, 200, "the session itself stands");
    assert_eq!(
        world.logto.counts().hugging_face_userinfo,
        2,
        "once for a re-check"
    );
    at_hugging_face(&world, "yes").await;
    assert_eq!(after_recheck(&world, &mut browser).await, 200);
    let known = account(&mut browser).await;
    assert_eq!(
        known["details"]["rawData"]["orgs"],
        json!([{"sub": "65b000000000000000000002", "name": "example-models", "preferred_username": "example-models",
                "roleInOrg": "contributor", "isEnterprise": false},
               {"sub": "65b000000000000000000001", "name": "example-lab", "preferred_username": "example-lab",
                "roleInOrg": "contributor", "isEnterprise": false}])
    );
    assert!(known["orgs_checked_at"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_before_the_sign_in_does_not_pass_by_what_logto_remembers() {
    let world = world("auto", Some(STORED)).await;
    leave(&world.logto);
    let mut browser = signed_in(&world).await;
    assert_eq!(browser.fetch("/lab/x").await.status, 403);
    // The same in a session that was begun with a password: the token is the account's, not the sign-in's.
    let mut other = world.signed_in("huggingface").await;
    assert_eq!(other.fetch("/lab/x").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ended_is_renewed_by_logto_and_goes_on_to_tell() {
    let world = world("auto", Some(STORED)).await;
    let mut browser = signed_in(&world).await;
    assert!(world.logto.expire_stored_token("huggingface", "huggingface"));
    assert_eq!(after_recheck(&world, &mut browser).await, 200);
    leave(&world.logto);
    assert!(world.logto.expire_stored_token("huggingface", "huggingface"));
    assert_eq!(after_recheck(&world, &mut browser).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_token_does_not_bring_back_what_logto_remembers() {
    let short = TokenStorage {
        lifetime: Some(Duration::from_secs(600)),
        renews: false,
    };
    let world = world("auto", Some(short)).await;
    let mut browser = signed_in(&world).await;
    leave(&world.logto);
    assert_eq!(after_recheck(&world, &mut browser).await, 403);
    // It ends, then Logto has forgotten it.
    for _ in 0..3 {
        assert_eq!(after_recheck(&world, &mut browser).await, 403);
    }
    assert_eq!(world.logto.stored_token("huggingface", "huggingface"), None);

    // Who was a member when the token ended is one for the grace, and then no longer.
    join(&world.logto);
    let mut member = signed_in(&world).await;
    assert!(world.logto.forget_stored_token("huggingface", "huggingface"));
    assert_eq!(after_recheck(&world, &mut member).await, 200);
    for _ in 0..12 {
        after_recheck(&world, &mut member).await;
    }
    assert_eq!(member.fetch("/lab/x").await.status, 403, "an hour later");
    assert_eq!(member.fetch("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_hugging_face_refuses_proves_nothing_at_once() {
    let world = world("auto", Some(STORED)).await;
    let mut browser = signed_in(&world).await;
    assert_eq!(browser.fetch("/lab/x").await.status, 200);
    // Revoked there, which Logto does not hear of.
    fail(&world, Misbehaviour::Status(401));
    assert_eq!(after_recheck(&world, &mut browser).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_hugging_face_is_away_its_last_word_holds_for_the_grace() {
    let world = world("auto", Some(STORED)).await;
    let mut browser = signed_in(&world).await;
    leave(&world.logto);
    fail(&world, Misbehaviour::Status(503));
    assert_eq!(after_recheck(&world, &mut browser).await, 200, "the last word");
    for _ in 0..12 {
        after_recheck(&world, &mut browser).await;
    }
    assert_eq!(browser.fetch("/lab/x").await.status, 403, "the grace is over");
    assert_eq!(browser.fetch("/").await.status, 200, "the session lives");

    // Nobody begins a session with a membership that cannot be told.
    let mut newcomer = signed_in(&world).await;
    assert_eq!(newcomer.fetch("/lab/x").await.status, 403);
    world.logto.set_faults(Faults::default());
    join(&world.logto);
    // The pause of calls to a service that is away is ten seconds of real time.
    for _ in 0..120 {
        if after_recheck(&world, &mut newcomer).await == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("Hugging Face is back, and nobody noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_stored_token_the_snapshot_counts_unless_it_is_not_to() {
    let world = world("auto", None).await;
    leave(&world.logto);
    let mut browser = signed_in(&world).await;
    assert_eq!(browser.fetch("/lab/x").await.status, 200, "as Logto recorded it");
    assert_eq!(after_recheck(&world, &mut browser).await, 200);
    assert_eq!(world.logto.counts().hugging_face_userinfo, 0);
    assert_eq!(account(&mut browser).await["orgs_checked_at"], Value::Null);

    let required = world.text.replace("\"auto\"", "\"required\"");
    assert_eq!(world.reload(&required).await, Reloaded::Applied);
    assert_eq!(browser.fetch("/lab/x").await.status, 403, "at once");
    assert_eq!(after_recheck(&world, &mut browser).await, 403);
    let mut other = signed_in(&world).await;
    assert_eq!(other.fetch("/lab/x").await.status, 403);
    world.logto.set_token_storage("huggingface", Some(STORED));
    join(&world.logto);
    let mut stored = signed_in(&world).await;
    assert_eq!(stored.fetch("/lab/x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_session_is_told_as_soon_as_there_is_a_token() {
    let world = world("auto", None).await;
    let mut browser = signed_in(&world).await;
    leave(&world.logto);
    world
        .logto
        .store_token("huggingface", "huggingface", STORED)
        .unwrap();
    fail(&world, Misbehaviour::Status(503));
    assert_eq!(
        after_recheck(&world, &mut browser).await,
        403,
        "never confirmed, so it proves nothing"
    );
    assert!(world.logto.forget_stored_token("huggingface", "huggingface"));
    assert_eq!(after_recheck(&world, &mut browser).await, 403, "and stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_cannot_be_asked_opens_nothing_and_takes_nothing() {
    let world = world("auto", Some(STORED)).await;
    let vault = Faults {
        stored_token: Misbehaviour::Garbage.into(),
        ..Faults::default()
    };
    let mut member = signed_in(&world).await;
    world.logto.set_faults(vault);
    assert_eq!(
        after_recheck(&world, &mut member).await,
        200,
        "the last word, within the grace"
    );
    let mut newcomer = signed_in(&world).await;
    assert_eq!(newcomer.fetch("/lab/x").await.status, 403);
    world.logto.set_faults(Faults::default());
    assert_eq!(after_recheck(&world, &mut newcomer).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_token_proves_nothing() {
    let world = world("auto", Some(STORED)).await;
    let mut browser = signed_in(&world).await;
    world.logto.update_hugging_face("huggingface", |account| {
        account.user_id = "65a000000000000000000009".to_owned();
    });
    assert_eq!(after_recheck(&world, &mut browser).await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_users_without_such_an_account_or_where_no_route_wants_to_know() {
    let world = world("auto", Some(STORED)).await;
    let mut plain = world.signed_in("plain").await;
    assert_eq!(after_recheck(&world, &mut plain).await, 403);
    assert_eq!(world.logto.counts().stored_tokens, 0);
    let elsewhere = world
        .text
        .replace("hf_org = [\"65b000000000000000000001\"]", "any_role = [\"x\"]");
    assert_ne!(elsewhere, world.text);
    assert_eq!(world.reload(&elsewhere).await, Reloaded::Applied);
    signed_in(&world).await;
    let off = world.text.replace("\"auto\"", "\"off\"");
    assert_eq!(world.reload(&off).await, Reloaded::Applied);
    leave(&world.logto);
    assert_eq!(
        signed_in(&world).await.fetch("/lab/x").await.status,
        200,
        "the snapshot"
    );
    let counts = world.logto.counts();
    assert_eq!((counts.stored_tokens, counts.hugging_face_userinfo), (0, 0));
}

/// Hugging Face answers like this from now on.
fn fail(world: &World, misbehaviour: Misbehaviour) {
    world.logto.set_faults(Faults {
        hugging_face_userinfo: misbehaviour.into(),
        ..Faults::default()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_very_many_organizations_sign_in_as_well() {
    for storage in [None, Some(STORED)] {
        let world = world("auto", storage).await;
        let names: Vec<(String, String)> = (1..=200)
            .map(|number| {
                (
                    format!("65b{number:021}"),
                    format!("organization-number-{number}"),
                )
            })
            .collect();
        let all: Vec<(&str, &str)> = names
            .iter()
            .map(|(id, name)| (id.as_str(), name.as_str()))
            .collect();
        set_organizations(&world.logto, &all);
        let mut browser = signed_in(&world).await;
        assert_eq!(browser.fetch("/").await.status, 200, "{storage:?}");
        assert_eq!(browser.fetch("/lab/x").await.status, 200, "{storage:?}");
        assert_eq!(after_recheck(&world, &mut browser).await, 200, "{storage:?}");
    }
}

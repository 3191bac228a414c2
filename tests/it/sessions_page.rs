//! The page of sessions: users see their own, end what they choose, and no other site or user can do it for them.

use crate::support::{Answer, Browser, World, proxy};
use bytes::Bytes;
use serde_json::Value;
use url::Url;

const PATH: &str = "/.logto/sessions";
const NAME: &str = "__Host-logto";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn revoke() -> Url {
    "https://app.example.com/.logto/sessions/revoke".parse().unwrap()
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.fetch("/.logto/user").await.json()["isAuthenticated"] == true
}

async fn listed(browser: &mut Browser) -> Value {
    let answer = browser.fetch(PATH).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The id of the session that asks.
async fn own_id(browser: &mut Browser) -> String {
    let document = listed(browser).await;
    let sessions = document["sessions"].as_array().unwrap();
    let current: Vec<&Value> = sessions
        .iter()
        .filter(|session| session["isCurrent"] == true)
        .collect();
    assert_eq!(current.len(), 1, "{document}");
    current[0]["id"].as_str().unwrap().to_owned()
}

async fn form_token(browser: &mut Browser) -> String {
    listed(browser).await["formToken"].as_str().unwrap().to_owned()
}

async fn submit(browser: &mut Browser, form: &[(&str, &str)]) -> Answer {
    browser.submit(revoke(), form).await
}

/// The same by a script, with the fields that it says of itself.
async fn send(browser: &mut Browser, fields: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let mut all = vec![
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
    ];
    all.extend_from_slice(fields);
    browser.send("POST", revoke(), &all, Bytes::from(body)).await
}

const SAME_ORIGIN: &[(&str, &str)] = &[
    ("sec-fetch-site", "same-origin"),
    ("origin", "https://app.example.com"),
];

async fn signed_in_with(world: &World, persona: &str, agent: &str) -> Browser {
    let mut browser = world.browser();
    browser.fields.push(("user-agent".to_owned(), agent.to_owned()));
    browser.sign_in(persona, "/.logto/sign-in").await;
    assert!(browser.has_session());
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_their_own_sessions_and_this_one_marked() {
    let world = proxy().start().await;
    let mut here = signed_in_with(&world, "plain", FIREFOX).await;
    world.hand.advance(60);
    let mut there = signed_in_with(&world, "plain", "<b>tool</b>/1").await;
    let mut other = world.signed_in("admin").await;
    let (here_id, there_id) = (own_id(&mut here).await, own_id(&mut there).await);
    let other_id = own_id(&mut other).await;

    let page = here.navigate(PATH).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(policy.contains("form-action 'self' http"), "{policy}");
    assert_eq!(
        page.header("referrer-policy"),
        Some("same-origin"),
        "forms must say their origin"
    );
    assert!(page.body.contains("Firefox on Linux") && page.body.contains("127.0.0.1"));
    assert!(page.body.contains("&lt;b&gt;tool") && !page.body.contains("<b>tool"));
    assert_eq!(page.body.matches("This browser").count(), 1);
    assert!(page.body.contains(&here_id) && page.body.contains(&there_id));
    assert!(!page.body.contains(&other_id));
    assert!(
        page.body.find(&here_id) < page.body.find(&there_id),
        "this one first"
    );
    assert!(page.body.contains("keeps its list since"), "what memory can know");
    assert!(!page.body.contains("<script"));
    here.fields.push(("accept-language".to_owned(), "ja".to_owned()));
    let page = here.navigate(PATH).await;
    assert!(page.body.contains("lang=\"ja\"") && page.body.contains("このブラウザー"));

    let document = listed(&mut there).await;
    assert_eq!(document["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(document["isComplete"], false);
    assert!(document["knownSince"].is_u64());
    assert_eq!(document["sessions"][1]["browser"], "Firefox");
    assert_eq!(document["sessions"][0]["userAgent"], "<b>tool</b>/1");
    assert!(!document.to_string().contains(&other_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_there_is_a_sign_in_that_leads_back_or_401() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    assert_eq!(browser.fetch(PATH).await.status, 401);
    let page = browser.sign_in("plain", PATH).await;
    assert_eq!((page.status, page.url.path()), (200, PATH));
    let mut nobody = world.browser();
    assert_eq!(
        send(&mut nobody, SAME_ORIGIN, &[("others", "yes")]).await.status,
        401
    );
    let answer = submit(&mut nobody, &[("others", "yes")]).await;
    assert_eq!((answer.status, answer.location().path()), (303, PATH));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_ended_and_its_copied_cookie_is_dead_at_once() {
    let world = proxy().start().await;
    let (mut here, mut there) = (world.signed_in("plain").await, world.signed_in("plain").await);
    let mut copy = there.clone();
    let id = own_id(&mut there).await;
    let token = form_token(&mut here).await;
    let answer = submit(&mut here, &[("token", &token), ("session", &id)]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.location().as_str(),
        "https://app.example.com/.logto/sessions?ended=yes"
    );
    assert!(!is_signed_in(&mut there).await && !is_signed_in(&mut copy).await);
    assert!(is_signed_in(&mut here).await);
    assert!(!listed(&mut here).await.to_string().contains(&id));
    // A second time there is none.
    let answer = submit(&mut here, &[("token", &token), ("session", &id)]).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_others_are_ended_and_this_one_stays() {
    let world = proxy().start().await;
    let mut here = world.signed_in("plain").await;
    let (mut one, mut two) = (world.signed_in("plain").await, world.signed_in("plain").await);
    let mut other = world.signed_in("admin").await;
    let token = form_token(&mut here).await;
    let form = [("token", token.as_str()), ("others", "yes")];
    let answer = send(&mut here, SAME_ORIGIN, &form).await;
    assert_eq!(
        (answer.status, answer.json()["ended"].clone()),
        (200, Value::Bool(true))
    );
    assert!(!is_signed_in(&mut one).await && !is_signed_in(&mut two).await);
    assert!(is_signed_in(&mut here).await && is_signed_in(&mut other).await);
    world.hand.advance(1);
    assert!(
        is_signed_in(&mut world.signed_in("plain").await).await,
        "a new sign-in is no other"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_this_session_is_signing_out() {
    let world = proxy()
        .client(|client| client.always_issue_refresh_token = true)
        .start()
        .await;
    let mut browser = world.signed_in("plain").await;
    let mut copy = browser.clone();
    let (id, token) = (own_id(&mut browser).await, form_token(&mut browser).await);
    let answer = submit(&mut browser, &[("token", &token), ("session", &id)]).await;
    assert_eq!(answer.status, 303);
    assert!(
        answer.location().path().ends_with("/session/end"),
        "{}",
        answer.location()
    );
    assert!(!browser.has_session() && !is_signed_in(&mut copy).await);
    assert_eq!(world.logto.grants_revoked(), 1);

    let mut browser = world.signed_in("plain").await;
    let (id, token) = (own_id(&mut browser).await, form_token(&mut browser).await);
    let answer = send(&mut browser, SAME_ORIGIN, &[("token", &token), ("session", &id)]).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.json()["signOutUrl"]
            .as_str()
            .unwrap()
            .contains("/session/end")
    );
    assert!(!browser.has_session());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_user_is_like_one_that_never_was() {
    let world = proxy().start().await;
    let (mut mine, mut theirs) = (world.signed_in("plain").await, world.signed_in("admin").await);
    let theirs_id = own_id(&mut theirs).await;
    let token = form_token(&mut mine).await;
    let mut answers = Vec::new();
    for id in [
        theirs_id.as_str(),
        "00112233445566778899aabbccddeeff",
        "no-such-id",
        "../../../",
    ] {
        for answer in [
            submit(&mut mine, &[("token", &token), ("session", id)]).await,
            send(&mut mine, SAME_ORIGIN, &[("token", &token), ("session", id)]).await,
        ] {
            assert_eq!(answer.status, 404, "{id}");
            assert!(!answer.body.contains(id), "{id}");
        }
        let answer = send(&mut mine, SAME_ORIGIN, &[("token", &token), ("session", id)]).await;
        answers.push(answer.json()["error"].clone());
    }
    answers.dedup();
    assert_eq!(answers, ["no_such_session"]);
    assert!(is_signed_in(&mut theirs).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_this_sessions_token_does_nothing() {
    let world = proxy().start().await;
    let (mut here, mut there) = (world.signed_in("plain").await, world.signed_in("plain").await);
    let id = own_id(&mut there).await;
    let foreign = form_token(&mut there).await;
    let old = form_token(&mut here).await;
    world.hand.advance(3_602);
    let cookie = here.cookie(NAME).unwrap().clone();
    for token in ["", "x", foreign.as_str(), old.as_str(), &cookie[1..]] {
        for wish in [("session", id.as_str()), ("others", "yes")] {
            let answer = submit(&mut here, &[("token", token), wish]).await;
            assert_eq!(answer.status, 403, "{wish:?}");
            let answer = send(&mut here, SAME_ORIGIN, &[("token", token), wish]).await;
            assert_eq!(answer.json()["error"], "stale_form");
        }
    }
    let token = form_token(&mut here).await;
    for form in [
        vec![("token", token.as_str())],
        vec![("token", token.as_str()), ("others", "no")],
        vec![
            ("token", token.as_str()),
            ("others", "yes"),
            ("session", id.as_str()),
        ],
        vec![
            ("token", token.as_str()),
            ("session", id.as_str()),
            ("session", id.as_str()),
        ],
    ] {
        assert_eq!(submit(&mut here, &form).await.status, 400, "{form:?}");
    }
    assert!(is_signed_in(&mut there).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_origin_does_nothing_even_with_the_token() {
    let world = proxy().start().await;
    let (mut here, mut there) = (world.signed_in("plain").await, world.signed_in("plain").await);
    let token = form_token(&mut here).await;
    let form = [("token", token.as_str()), ("others", "yes")];
    for fields in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "none")],
        vec![("origin", "null")],
        vec![("origin", "https://evil.test")],
        vec![("sec-fetch-site", "same-origin"), ("origin", "https://evil.test")],
        vec![
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://app.example.com"),
        ],
    ] {
        let answer = send(&mut here, &fields, &form).await;
        assert_eq!(answer.status, 403, "{fields:?}");
        assert_eq!(answer.json()["error"], "cross_site");
    }
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(
            here.send(method, revoke(), &[], Bytes::new()).await.status,
            405,
            "{method}"
        );
    }
    assert!(is_signed_in(&mut there).await);
    // A client that says nothing of its origin is no browser of today; the token is what counts.
    assert_eq!(send(&mut here, &[], &form).await.status, 200);
    assert!(!is_signed_in(&mut there).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_form_itself_makes_the_page_say_that_something_ended() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let url: Url = "https://app.example.com/.logto/sessions?ended=yes"
        .parse()
        .unwrap();
    for (site, expected) in [("same-origin", true), ("cross-site", false), ("none", false)] {
        let fields = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", site),
        ];
        let page = browser.send("GET", url.clone(), &fields, Bytes::new()).await;
        assert_eq!(page.body.contains("role=\"status\""), expected, "{site}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_ends_copies_of_the_cookie_too() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("plain").await;
    let mut copy = browser.clone();
    assert_eq!(browser.navigate("/.logto/sign-out").await.status, 303);
    assert!(!is_signed_in(&mut copy).await);
    assert_eq!(copy.fetch(PATH).await.status, 401);
}

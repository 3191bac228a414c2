//! Sessions that take several cookies, and those that take too many.

use crate::support::{Browser, World, proxy};
use logto_proxy::dev::provider::Persona;

const NAME: &str = "__Host-logto";

fn big(key: &str, id: &str, roles: usize) -> Persona {
    let mut persona = Persona::new(key, id);
    persona.name = Some(format!("{key} user"));
    // Long and unlike each other; sealed text does not compress anyway.
    persona.roles = (0..roles)
        .map(|number| format!("role-{number:04}-of-a-very-long-name"))
        .collect();
    persona
}

async fn world() -> World {
    let personas = vec![
        big("small", "smalluser001", 1),
        big("big", "bigggguser01", 120),
        big("large", "largeeuser01", 160),
        big("huge", "hugeeeuser01", 900),
    ];
    proxy()
        .provider(|settings| settings.personas = personas)
        .start()
        .await
}

fn pieces(browser: &Browser) -> Vec<String> {
    let ours = browser.cookies.keys().map(|(_, name)| name.clone());
    ours.filter(|name| name == NAME || name.starts_with("__Host-logto."))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_session_is_cut_into_cookies_that_browsers_keep() {
    let world = world().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("big", "/reports").await;
    let done = browser.open(callback).await;
    for line in done.set_cookies() {
        assert!(line.len() <= 4_096, "{} bytes", line.len());
    }
    let pieces = pieces(&browser);
    assert!(pieces.len() >= 2, "{pieces:?}");
    assert_eq!(browser.fetch("/reports").await.status, 200);
    let seen = world.upstream.last();
    assert_eq!(seen.header("x-user-sub"), Some("bigggguser01"));
    assert_eq!(seen.header("x-user-roles").unwrap().split(',').count(), 120);
    assert_eq!(seen.header("cookie"), None, "no piece goes up");
    world.hand.advance(61);
    let renewed = browser.fetch("/reports").await;
    assert!(renewed.set_cookies().len() >= pieces.len(), "renewed as a whole");
    assert_eq!(browser.fetch("/reports").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_are_missing_swapped_or_mixed_open_nothing() {
    let world = world().await;
    let good = world.signed_in("big").await;
    let other = world.signed_in("large").await;
    let names = pieces(&good);
    let last = names.last().unwrap().clone();
    let change = |apply: &dyn Fn(&mut Browser)| {
        let mut browser = good.clone();
        apply(&mut browser);
        browser
    };
    let value = |browser: &Browser, name: &str| browser.cookie(name).unwrap().clone();
    let cases: Vec<(&str, Browser)> = vec![
        (
            "first missing",
            change(&|browser| browser.cookies.retain(|(_, name), _| name != NAME)),
        ),
        (
            "last missing",
            change(&|browser| browser.cookies.retain(|(_, name), _| *name != last)),
        ),
        (
            "swapped",
            change(&|browser| {
                let (first, second) = (value(browser, NAME), value(browser, "__Host-logto.1"));
                browser.set_cookie(NAME, &second);
                browser.set_cookie("__Host-logto.1", &first);
            }),
        ),
        (
            "mixed",
            change(&|browser| browser.set_cookie(&last, &value(&other, &last))),
        ),
        (
            "fewer said",
            change(&|browser| browser.set_cookie(NAME, &format!("1{}", &value(browser, NAME)[1..]))),
        ),
        (
            "more said",
            change(&|browser| browser.set_cookie(NAME, &format!("5{}", &value(browser, NAME)[1..]))),
        ),
        (
            "last cut",
            change(&|browser| browser.set_cookie(&last, &value(browser, &last)[1..])),
        ),
        (
            "doubled",
            change(&|browser| browser.set_cookie(&last, &format!("x; {last}={}", value(browser, &last)))),
        ),
    ];
    for (name, mut browser) in cases {
        assert_eq!(browser.fetch("/").await.status, 401, "{name}");
        assert!(pieces(&browser).is_empty(), "{name}: all of it is cleared");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_session_clears_the_pieces_of_a_bigger_one() {
    let world = world().await;
    let mut browser = world.signed_in("big").await;
    world.logto.end_sessions();
    assert_eq!(
        browser
            .sign_in("small", "/.logto/sign-in?redirect=/me")
            .await
            .status,
        200
    );
    assert_eq!(pieces(&browser), [NAME]);
    assert_eq!(world.upstream.last().header("x-user-sub"), Some("smalluser001"));

    let mut stale = world.signed_in("small").await;
    stale.set_cookie("__Host-logto.4", "left over");
    assert_eq!(stale.fetch("/").await.status, 200, "a left-over piece is no harm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_fit_is_refused_with_a_clear_page() {
    let world = world().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("huge", "/reports").await;
    let answer = browser.open(callback).await;
    assert_eq!(answer.problem().as_deref(), Some("session_too_large"));
    let page = browser.open(answer.location()).await;
    assert_eq!(page.status, 500);
    assert!(page.body.contains("<h1"), "{}", page.body);
    assert!(!browser.has_session());
}

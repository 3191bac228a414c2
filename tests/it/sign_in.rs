//! Signing in: the whole way through Logto and back.

use crate::support::proxy;

#[tokio::test(flavor = "multi_thread")]
async fn a_persona_signs_in_and_the_app_reads_who_it_is() {
    let world = proxy().start().await;
    let mut browser = world.browser();
    let answer = browser.sign_in("admin", "/reports?year=2026").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.url.as_str(), "https://app.example.com/reports?year=2026");
    let seen = world.upstream.last();
    assert_eq!(seen.target, "/reports?year=2026");
    assert_eq!(seen.header("x-user-sub"), Some("adminuser001"));
    assert_eq!(seen.header("x-user-roles"), Some("admin,editor"));
    assert_eq!(seen.header("cookie"), None, "own cookies stay here");
}

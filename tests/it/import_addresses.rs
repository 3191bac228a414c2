//! After an import each address of oauth2-proxy is kept, or the file that is made says what to change.

use crate::import::{FILE, imported};
use crate::support::{Answer, proxy};

#[tokio::test(flavor = "multi_thread")]
async fn each_address_of_oauth2_proxy_is_kept_or_told_of() {
    let (_, toml, _) = imported(FILE);
    let section = toml
        .split("\n\n")
        .find(|section| section.starts_with("[routes]"))
        .unwrap();
    for address in ["start", "sign_in", "sign_out", "callback", "userinfo", "auth"] {
        let told = section
            .lines()
            .any(|line| line.starts_with(&format!("# /oauth2/{address} ")));
        assert!(told, "nothing of {address} in\n{section}");
    }
    assert!(section.contains("\n# /ping and /ready are "), "{section}");

    // It is as the comments say.
    let world = proxy()
        .section(section)
        .client(|client| client.redirect_uris = vec!["https://app.example.com/oauth2/callback".to_owned()])
        .start()
        .await;
    let begin = format!("{}/auth?", world.issuer);
    let begins = |answer: &Answer| {
        let location = answer.header("location").unwrap_or_default();
        answer.status == 302 && location.starts_with(&begin)
    };
    let mut browser = world.browser();
    let answer = browser.navigate("/oauth2/start?redirect=/page").await;
    assert!(begins(&answer), "{answer:?}");
    assert_eq!(browser.navigate("/oauth2/start?rd=/page").await.status, 400);
    let answer = browser.navigate("/oauth2/callback").await;
    assert_eq!(answer.problem().as_deref(), Some("bad_callback"), "{answer:?}");
    let document = browser.fetch("/oauth2/userinfo").await.json();
    assert_eq!(document["isAuthenticated"], false);
    assert_eq!(browser.fetch("/oauth2/auth").await.status, 403);
    assert!(world.upstream.seen().is_empty());

    let mut browser = world.signed_in("plain").await;
    world.upstream.forget();
    assert_eq!(browser.navigate("/oauth2/sign_in?rd=/page").await.status, 200);
    assert_eq!(world.upstream.only().target, "/oauth2/sign_in?rd=/page");
    let claims = &browser.fetch("/oauth2/userinfo").await.json()["claims"];
    for name in ["sub", "email", "username"] {
        assert!(claims[name].is_string(), "{claims}");
    }
    let answer = browser
        .navigate("/oauth2/sign_out?rd=https%3A%2F%2Fevil.test%2F")
        .await;
    let location = answer.header("location").unwrap();
    assert!(
        location.starts_with(&world.issuer) && !location.contains("evil"),
        "{location}"
    );
    assert!(!browser.has_session());
}

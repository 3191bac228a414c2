//! Who the app is told is calling: the claims of the session, never anything that the client sent.

use crate::support::{Browser, Seen, World, proxy};
use bytes::Bytes;
use logto_proxy::dev::provider::{Organization, Persona};

const DEFAULTS: [&str; 10] = [
    "x-user-sub",
    "x-user-name",
    "x-user-email",
    "x-user-username",
    "x-user-picture",
    "x-user-roles",
    "x-user-orgs",
    "x-user-org-roles",
    "x-user-hf-id",
    "x-user-hf-username",
];

/// What the app sees of a persona who asks for `/`.
async fn seen_of(world: &World, persona: &str) -> Seen {
    let mut browser = world.signed_in(persona).await;
    assert_eq!(browser.fetch("/").await.status, 200);
    world.upstream.only()
}

fn values(seen: &Seen) -> Vec<(&str, &str)> {
    DEFAULTS
        .iter()
        .filter_map(|name| Some((*name, seen.header(name)?)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_default_header_has_its_claim_and_an_absent_or_null_claim_has_no_header() {
    let world = proxy().start().await;
    assert_eq!(
        values(&seen_of(&world, "admin").await),
        [
            ("x-user-sub", "adminuser001"),
            ("x-user-name", "Admin User"),
            ("x-user-email", "admin@example.com"),
            ("x-user-username", "admin"),
            ("x-user-picture", "https://example.com/admin.png"),
            ("x-user-roles", "admin,editor"),
            ("x-user-orgs", "exampleorg01,exampleorg02"),
            (
                "x-user-org-roles",
                "exampleorg01:owner,exampleorg01:billing,exampleorg02:member"
            ),
        ]
    );
    // No picture, and lists without an item.
    assert_eq!(
        values(&seen_of(&world, "plain").await),
        [
            ("x-user-sub", "plainuser001"),
            ("x-user-name", "Plain User"),
            ("x-user-email", "plain@example.com"),
            ("x-user-username", "plain"),
        ]
    );
    // From Hugging Face: no user name at Logto, and userinfo fills the last two.
    assert_eq!(
        values(&seen_of(&world, "huggingface").await),
        [
            ("x-user-sub", "hfaceuser001"),
            ("x-user-name", "Hugging Face User %F0%9F%A4%97"),
            ("x-user-email", "huggingface@example.org"),
            ("x-user-picture", "https://example.org/huggingface.png"),
            ("x-user-hf-id", "65a000000000000000000001"),
            ("x-user-hf-username", "example-hf-user"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sends_no_owned_header_in_any_spelling_on_any_route() {
    const SPELLINGS: [&str; 8] = [
        "X-User-Sub",
        "x-user-sub",
        "X_USER_SUB",
        "X.User.Sub",
        "x-user_roles",
        "X-User-Picture",
        "X-User-Anything-Else",
        "X_User_HF_Id",
    ];
    let world = proxy()
        .route("/open", "public")
        .route("/maybe", "optional")
        .start()
        .await;
    let signed_in = world.signed_in("plain").await;
    for (who, browser) in [("nobody", world.browser()), ("a user", signed_in)] {
        for (path, method) in [
            ("/open", "GET"),
            ("/open", "OPTIONS"),
            ("/open", "POST"),
            ("/maybe", "GET"),
            ("/reports", "GET"),
            ("/reports", "OPTIONS"),
        ] {
            world.upstream.forget();
            let mut browser: Browser = browser.clone();
            for name in SPELLINGS {
                browser.fields.push((name.to_owned(), "admin".to_owned()));
                browser.fields.push((name.to_owned(), "root".to_owned()));
            }
            let url = format!("https://app.example.com{path}").parse().unwrap();
            let fields = [("connection", "X-User-Sub, close"), ("x-mine", "1")];
            let answer = browser.send(method, url, &fields, Bytes::new()).await;
            if who == "nobody" && path == "/reports" {
                assert_eq!(answer.status, 401);
                assert!(world.upstream.seen().is_empty());
                continue;
            }
            let seen = world.upstream.only();
            let context = format!("{who} {method} {path}: {:?}", seen.headers);
            for (name, value) in &seen.headers {
                let folded = name.as_str().replace(['_', '.'], "-");
                let is_owned = folded.starts_with("x-user-");
                assert!(!is_owned || (value != "admin" && value != "root"), "{context}");
                assert!(!is_owned || DEFAULTS.contains(&name.as_str()), "{context}");
            }
            assert_eq!(seen.header("x-mine"), Some("1"));
            let told = who == "a user" && path != "/open";
            assert_eq!(
                seen.header("x-user-sub"),
                told.then_some("plainuser001"),
                "{context}"
            );
            assert_eq!(
                seen.header("x-user-picture"),
                None,
                "an absent claim takes nobody's word"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_headers_come_as_configured_and_removed_ones_are_still_stripped() {
    let section = r#"[headers]
"X-Email" = "email"
"X-HF-Orgs" = "identities.huggingface.details.rawData.orgs"
"X-HF-User" = { claim = "identities.huggingface.details.rawData.preferred_username" }
"X-Groups" = { claim = "roles", join = "|" }
"X-Name-Utf8" = { claim = "name", encoding = "utf8" }
"X-Name-Base64" = { claim = "name", encoding = "base64" }
"X-Name-Rfc2047" = { claim = "name", encoding = "rfc2047" }
"X-Gate" = { constant = "logto-proxy" }
"X-Missing" = "no.such.claim"
"X-User-Name" = "username"
"X-User-Email" = false
"#;
    let world = proxy().section(section).route("/open", "public").start().await;
    let seen = seen_of(&world, "huggingface").await;
    assert_eq!(seen.header("x-email"), Some("huggingface@example.org"));
    assert_eq!(seen.header("x-hf-user"), Some("example-hf-user"));
    assert_eq!(
        seen.headers["x-name-utf8"].as_bytes(),
        "Hugging Face User 🤗".as_bytes()
    );
    assert_eq!(
        seen.header("x-name-base64"),
        Some("SHVnZ2luZyBGYWNlIFVzZXIg8J+klw==")
    );
    assert!(seen.header("x-name-rfc2047").unwrap().starts_with("=?UTF-8?"));
    assert_eq!(seen.header("x-gate"), Some("logto-proxy"));
    for absent in ["x-missing", "x-user-name", "x-user-email", "x-groups"] {
        assert_eq!(seen.header(absent), None, "{absent}");
    }
    let seen = seen_of(&world, "admin").await;
    assert_eq!(seen.header("x-groups"), Some("admin|editor"));
    assert_eq!(
        seen.header("x-user-name"),
        Some("admin"),
        "another claim than by default"
    );

    let mut browser = world.signed_in("plain").await;
    for name in ["x-user-email", "x_missing", "X-Gate", "x-groups", "X.Email"] {
        browser.fields.push((name.to_owned(), "forged".to_owned()));
    }
    for path in ["/", "/open"] {
        world.upstream.forget();
        browser.fetch(path).await;
        let seen = world.upstream.only();
        assert!(
            seen.headers.values().all(|value| value != "forged"),
            "{:?}",
            seen.headers
        );
        let gate = (path == "/").then_some("logto-proxy");
        assert_eq!(
            seen.header("x-gate"),
            gate,
            "constants are for signed-in users: {path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_plain_ascii_and_a_list_can_be_taken_apart_again() {
    let mut odd = Persona::new("odd", "odduser00001");
    odd.name = Some("A 100% \u{202e}täst, ".into());
    odd.roles = vec!["a,b".into(), "c d".into(), "e%2C".into(), "日本".into()];
    odd.organizations = vec![Organization {
        id: "org_1".into(),
        name: "x".into(),
        roles: vec!["r".into()],
    }];
    let mut hostile = Persona::new("hostile", "hostileuser1");
    hostile.name = Some("x\r\nX-User-Sub: root".into());
    hostile.username = Some("tab\tnul\u{0}".into());
    hostile.email = Some("a@example.com".into());
    hostile.roles = vec!["fine".into(), "bad\nadmin".into()];
    let world = proxy()
        .provider(|settings| settings.personas = vec![odd, hostile])
        .start()
        .await;
    let seen = seen_of(&world, "odd").await;
    assert_eq!(
        seen.header("x-user-name"),
        Some("A 100%25 %E2%80%AEt%C3%A4st,%20")
    );
    assert_eq!(
        seen.header("x-user-roles"),
        Some("a%2Cb,c d,e%252C,%E6%97%A5%E6%9C%AC")
    );

    let seen = seen_of(&world, "hostile").await;
    assert_eq!(seen.header("x-user-sub"), Some("hostileuser1"));
    assert_eq!(seen.header("x-user-email"), Some("a@example.com"));
    for dropped in ["x-user-name", "x-user-username"] {
        assert_eq!(
            seen.header(dropped),
            None,
            "control characters never travel: {dropped}"
        );
    }
    let roles = seen.header("x-user-roles");
    assert!(roles.is_none_or(|roles| !roles.contains("admin")), "{roles:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rules_reach_sessions_that_exist() {
    let world = proxy().start().await;
    let browser = world.signed_in("admin").await;
    let other = proxy()
        .section("[headers]\n\"X-Me\" = \"username\"\n\"X-User-Roles\" = false")
        .beside(&world)
        .start()
        .await;
    let mut there = other.browser();
    there.cookies = browser.cookies.clone();
    assert_eq!(there.fetch("/").await.status, 200);
    let seen = other.upstream.only();
    assert_eq!(seen.header("x-me"), Some("admin"));
    assert_eq!(seen.header("x-user-roles"), None);
    assert_eq!(seen.header("x-user-sub"), Some("adminuser001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_sees_no_token_and_authorization_stays_its_own() {
    let world = proxy().start().await;
    let mut browser = world.signed_in("admin").await;
    browser
        .fields
        .push(("authorization".to_owned(), "Bearer theirs".to_owned()));
    browser.fetch("/").await;
    let seen = world.upstream.only();
    assert_eq!(seen.header("authorization"), Some("Bearer theirs"));
    for (name, value) in &seen.headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        assert!(!text.contains("eyJ"), "{name}: {text}");
    }
}

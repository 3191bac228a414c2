//! The identity assertion: an app can check by itself who is calling.

use crate::bearer;
use crate::support::{Seen, World, proxy};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use logto_proxy::identity::AssertionKey;
use serde_json::{Value, json};

fn key() -> String {
    AssertionKey::generate().unwrap().expose().trim_end().to_owned()
}

fn section(keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("\"\"\"\n{key}\n\"\"\"")).collect();
    format!("[assertion]\nkey = [{}]\n", keys.join(", "))
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn jwks(world: &World) -> Value {
    let answer = world.browser().fetch("/.logto/jwks").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    answer.json()
}

/// As an app would check it.
fn checked(seen: &Seen, header: &str, jwks: &Value) -> Value {
    let assertion = seen.header(header).expect("an assertion");
    let (message, signature) = assertion.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    let head = decode(head);
    assert_eq!((&head["alg"], &head["typ"]), (&json!("ES256"), &json!("JWT")));
    let keys = jwks["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == head["kid"]).unwrap();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    UnparsedPublicKey::new(
        &ECDSA_P256_SHA256_FIXED,
        [vec![4], number("x"), number("y")].concat(),
    )
    .verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
    .expect("the proxy's own signature");
    decode(payload)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_can_check_who_is_calling_and_for_which_route() {
    let world = proxy()
        .section(&section(&[&key()]))
        .section("[[route]]\npath = \"/reports/*\"\n")
        .section(
            "[[route]]\npath = \"/admin/*\"\naudience = \"admin-app\"\naccess = { any_role = [\"admin\"] }\n",
        )
        .start()
        .await;
    let jwks = jwks(&world).await;
    assert!(jwks["keys"][0].get("d").is_none(), "the private half stays here");
    let mut browser = world.signed_in("admin").await;
    for (path, audience) in [
        ("/", "https://app.example.com/*"),
        ("/reports/1", "https://app.example.com/reports/*"),
        ("/admin/users", "admin-app"),
    ] {
        world.upstream.forget();
        let now = world.clock.now().as_u64();
        assert_eq!(browser.fetch(path).await.status, 200);
        let said = checked(&world.upstream.only(), "x-logto-assertion", &jwks);
        assert_eq!(said["aud"], audience);
        assert_eq!(
            (&said["iss"], &said["sub"]),
            (&json!("https://app.example.com"), &json!("adminuser001"))
        );
        assert_eq!(
            (&said["email"], &said["roles"]),
            (&json!("admin@example.com"), &json!(["admin", "editor"]))
        );
        let (iat, exp) = (said["iat"].as_u64().unwrap(), said["exp"].as_u64().unwrap());
        assert!((now..=now + 2).contains(&iat) && exp == iat + 60, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_send_one_and_public_routes_have_none() {
    let world = proxy()
        .route("/open", "public")
        .route("/either", "optional")
        .section(&format!("{}header = \"X-Who\"\n", section(&[&key()])))
        .start()
        .await;
    let forged = [
        ("X-Who", "forged"),
        ("x_who", "forged"),
        ("X-Logto-Assertion", "forged"),
        ("X_Logto_Assertion", "forged"),
    ];
    let (mut admin, mut nobody) = (world.signed_in("admin").await, world.browser());
    for (path, is_admin, asserted) in [
        ("/open", true, false),
        ("/either", false, false),
        ("/either", true, true),
    ] {
        let browser = if is_admin { &mut admin } else { &mut nobody };
        world.upstream.forget();
        let url = world.origin.parse::<url::Url>().unwrap().join(path).unwrap();
        browser.send("GET", url, &forged, Bytes::new()).await;
        let seen = world.upstream.only();
        assert!(
            seen.headers
                .iter()
                .all(|(_, value)| value.as_bytes() != b"forged"),
            "{path}"
        );
        assert_eq!(seen.header("x-who").is_some(), asserted, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_sent_again_for_half_its_time() {
    let world = proxy().section(&section(&[&key()])).start().await;
    let mut browser = world.signed_in("admin").await;
    let mut sent = Vec::new();
    for seconds in [0, 20, 20] {
        world.hand.advance(seconds);
        world.upstream.forget();
        browser.fetch("/").await;
        sent.push(
            world
                .upstream
                .only()
                .header("x-logto-assertion")
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(sent[0], sent[1]);
    assert_ne!(sent[1], sent[2], "after half a minute there is a new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_by_reloads_while_apps_hold_old_key_sets() {
    let (old, new) = (key(), key());
    let world = proxy().section(&section(&[&old])).start().await;
    let mut browser = world.signed_in("admin").await;
    let with = |keys: &[&str]| world.text.replace(&section(&[&old]), &section(keys));
    let mut known = jwks(&world).await;
    let mut signed_by = Vec::new();
    for keys in [&[old.as_str(), &new][..], &[&new, &old], &[&new]] {
        world.reload(&with(keys)).await;
        world.upstream.forget();
        browser.fetch("/").await;
        // The app still has the set from before this step.
        let seen = world.upstream.only();
        checked(&seen, "x-logto-assertion", &known);
        let head = seen
            .header("x-logto-assertion")
            .unwrap()
            .split('.')
            .next()
            .unwrap();
        signed_by.push(decode(head)["kid"].clone());
        known = jwks(&world).await;
    }
    assert_ne!(signed_by[0], signed_by[1]);
    assert_eq!(signed_by[1], signed_by[2]);
    assert_eq!(known["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_there_is_no_key_set() {
    let world = proxy().start().await;
    assert_eq!(world.browser().fetch("/.logto/jwks").await.status, 404);
    let mut browser = world.signed_in("admin").await;
    browser.fetch("/").await;
    assert_eq!(world.upstream.only().header("x-logto-assertion"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_by_token_are_asserted_too_and_a_program_is_no_user() {
    let world = bearer::described().section(&section(&[&key()])).start().await;
    bearer::register(&world);
    let jwks = jwks(&world).await;
    let mut said = Vec::new();
    for persona in [Some("admin"), None] {
        let token = bearer::jwt(&world, persona, &["read"]);
        bearer::call(&world, "/api/x", &token).await;
        said.push(checked(&world.upstream.only(), "x-logto-assertion", &jwks));
        world.upstream.forget();
    }
    assert_eq!(said[0]["sub"], "adminuser001");
    assert_eq!(said[1]["client_id"], "machine");
    assert_eq!(said[1].get("sub"), None);
    assert!(
        said.iter()
            .all(|said| said["aud"] == "https://app.example.com/api/*"),
        "{said:?}"
    );
}

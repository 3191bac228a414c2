//! Apps written for another authenticating proxy get its headers, and nobody else can send them.

use crate::support::{Seen, proxy};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

const ALL: &str =
    r#"use = ["oauth2-proxy", "authelia", "google-iap", "cloudflare-access", "logto-protected-app"]"#;

/// Those of the other proxies, in the order of their names.
fn of_presets(seen: &Seen) -> Vec<(&str, &str)> {
    const FAMILIES: [&str; 6] = [
        "x-forwarded-",
        "x-auth-request-",
        "remote-",
        "x-goog-",
        "cf-access-",
        "logto-",
    ];
    const FORWARDING: [&str; 4] = ["for", "host", "port", "proto"];
    let mut headers: Vec<_> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), std::str::from_utf8(value.as_bytes()).unwrap()))
        .filter(|(name, _)| FAMILIES.iter().any(|family| name.starts_with(family)))
        .filter(|(name, _)| {
            !FORWARDING
                .iter()
                .any(|field| name.strip_prefix("x-forwarded-") == Some(field))
        })
        .collect();
    headers.sort_unstable();
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_of_another_proxy_gets_that_proxys_headers() {
    let world = proxy()
        .route("/open", "public")
        .section(&format!(
            "[headers_presets]\n{ALL}\n[headers]\n\"Remote-Name\" = \"username\"\n\"Remote-Email\" = false\n"
        ))
        .start()
        .await;
    let mut browser = world.signed_in("admin").await;
    browser.fetch("/").await;
    let seen = world.upstream.only();
    let id_token = seen.header("logto-id-token").unwrap();
    let payload = URL_SAFE_NO_PAD
        .decode(id_token.split('.').nth(1).unwrap())
        .unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(
        (&payload["iss"], &payload["sub"]),
        (&world.issuer.as_str().into(), &"adminuser001".into())
    );
    assert_eq!(
        of_presets(&seen),
        [
            ("cf-access-authenticated-user-email", "admin@example.com"),
            ("logto-host", "app.example.com"),
            ("logto-id-token", id_token),
            ("remote-groups", "admin,editor"),
            // As the section [headers] says.
            ("remote-name", "admin"),
            ("remote-user", "adminuser001"),
            ("x-auth-request-email", "admin@example.com"),
            ("x-auth-request-groups", "admin,editor"),
            ("x-auth-request-preferred-username", "admin"),
            ("x-auth-request-user", "adminuser001"),
            ("x-forwarded-email", "admin@example.com"),
            ("x-forwarded-groups", "admin,editor"),
            ("x-forwarded-preferred-username", "admin"),
            ("x-forwarded-user", "adminuser001"),
            (
                "x-goog-authenticated-user-email",
                "accounts.google.com:admin@example.com"
            ),
            ("x-goog-authenticated-user-id", "accounts.google.com:adminuser001"),
        ]
    );
    // The host says nothing of the user; Logto's Protected App sends it on every request.
    world.upstream.forget();
    browser.fetch("/open").await;
    assert_eq!(
        of_presets(&world.upstream.only()),
        [("logto-host", "app.example.com")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_lacks_is_absent_whatever_the_client_sends() {
    let world = proxy()
        .section(&format!("[headers_presets]\n{ALL}\n"))
        .start()
        .await;
    let mut browser = world.signed_in("huggingface").await;
    let forged = [
        ("Remote-Groups", "admin"),
        ("remote_groups", "admin"),
        ("X-Forwarded-Preferred-Username", "admin"),
        ("X-Auth-Request-Access-Token", "forged"),
        ("X-Goog-IAP-JWT-Assertion", "forged"),
        ("Cf-Access-Jwt-Assertion", "forged"),
        ("Logto-ID-Token", "forged"),
        ("Logto-Host", "elsewhere.example.org"),
    ];
    let url = world.origin.parse().unwrap();
    browser.send("GET", url, &forged, Bytes::new()).await;
    let seen = world.upstream.only();
    let names: Vec<_> = of_presets(&seen).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "cf-access-authenticated-user-email",
            "logto-host",
            "logto-id-token",
            "remote-email",
            "remote-name",
            "remote-user",
            "x-auth-request-email",
            "x-auth-request-user",
            "x-forwarded-email",
            "x-forwarded-user",
            "x-goog-authenticated-user-email",
            "x-goog-authenticated-user-id",
        ]
    );
    assert_ne!(seen.header("logto-id-token"), Some("forged"));
    assert_eq!(seen.header("logto-host"), Some("app.example.com"));
    let name = seen.headers.get("remote-name").unwrap();
    assert_eq!(name.as_bytes(), "Hugging Face User 🤗".as_bytes());
}

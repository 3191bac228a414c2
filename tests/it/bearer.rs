//! Callers without a browser: what their tokens open, and what they and the app are told.

use crate::support::wire::Reply;
use crate::support::{RawUpstream, Wire, World, eventually, proxy, request};
use logto_proxy::clock::UnixSeconds;
use logto_proxy::dev::provider::{ApiResource, Client, Permission};
use logto_proxy::secret::SecretText;
use logto_proxy::session::{Cause, Effect, Notice, Scope};
use serde_json::json;
use std::time::Duration;

pub const API: &str = "https://api.example.com/";

/// Routes of an API beside an app, and the settings that let programs in.
pub const ROUTES: &str = r#"
[[route]]
path = "/api/*"
bearer = true

[[route]]
path = "/api/write/*"
bearer = true
access = { scope = ["write"] }

[[route]]
path = "/api/admin/*"
bearer = true
access = { any_role = ["admin"] }

[[route]]
path = "/api/org/*"
bearer = true
access = { organization = "org_alpha" }

[[route]]
path = "/api/any/*"
bearer = true
access = "optional"
"#;

pub fn described() -> crate::support::proxy::Builder {
    proxy()
        .section(ROUTES)
        .logto(&format!(
            "resources = [\"{API}\", \"urn:logto:organization:*\"]\ntrusted_clients = \"cli\""
        ))
        .client(|client| client.allow_token_exchange = true)
        .provider(|provider| {
            let permissions = vec![
                Permission::new("read", &["editor", "admin"]),
                Permission::new("write", &["admin"]),
            ];
            provider.resources = vec![ApiResource::new(API, permissions)];
        })
}

pub async fn world() -> World {
    let world = described().start().await;
    register(&world);
    world
}

pub fn register(world: &World) {
    let secret = SecretText::new("m".into());
    world
        .logto
        .register(Client::machine("machine", secret, &["editor"]));
}

/// A JWT access token: of the machine, or of a persona by the proxy's application.
pub fn jwt(world: &World, persona: Option<&str>, scopes: &[&str]) -> String {
    let app_id = if persona.is_some() {
        crate::support::proxy::APP_ID
    } else {
        "machine"
    };
    let token = world.logto.access_token(app_id, persona, API, scopes).unwrap();
    token.sign().unwrap()
}

pub async fn call(world: &World, path: &str, token: &str) -> Reply {
    let field = format!("Bearer {token}");
    world
        .ask(request("GET", path, &[("Authorization", &field)]))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_passes_by_its_token_and_is_no_user() {
    let world = world().await;
    let token = jwt(&world, None, &["read"]);
    let fields = [
        ("Authorization", format!("Bearer {token}")),
        ("X-Client-Id", "forged".to_owned()),
        ("X-User-Sub", "forged".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(world.ask(request("GET", "/api/x", &fields)).await.status, 200);
    let seen = world.upstream.only();
    assert_eq!(seen.header("x-client-id"), Some("machine"));
    assert!(
        !seen
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("x-user-")),
        "{seen:?}"
    );
    let passed_on = format!("Bearer {token}");
    assert_eq!(
        seen.header("authorization"),
        Some(passed_on.as_str()),
        "the API may read its own token"
    );

    assert_eq!(
        call(&world, "/api/write/x", &jwt(&world, None, &["read", "write"]))
            .await
            .status,
        200
    );
    assert_eq!(call(&world, "/api/any/x", &token).await.status, 200);
    for path in ["/api/admin/x", "/api/org/x"] {
        let refused = call(&world, path, &token).await;
        assert_eq!(
            (refused.status, refused.json()["error"].clone()),
            (403, json!("forbidden"))
        );
        assert!(!refused.has("www-authenticate"), "{refused:?}");
    }
    assert_eq!(world.logto.counts().code_exchanges, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_passes_by_a_token_of_each_kind() {
    let world = world().await;
    let token = jwt(&world, Some("plain"), &["read"]);
    assert_eq!(call(&world, "/api/x", &token).await.status, 200);
    let seen = world.upstream.last();
    assert_eq!(seen.header("x-user-sub"), Some("plainuser001"));
    assert_eq!(
        seen.header("x-client-id"),
        None,
        "a user, whatever application the token is of"
    );

    let personal = world.logto.issue_personal_access_token("admin", None).unwrap();
    assert_eq!(call(&world, "/api/admin/x", &personal).await.status, 200);
    let seen = world.upstream.last();
    assert_eq!(seen.header("x-user-sub"), Some("adminuser001"));
    assert!(seen.header("x-user-roles").unwrap().contains("admin"), "{seen:?}");
    assert_eq!(seen.header("authorization"), None, "it opens more than this app");
    assert_eq!(call(&world, "/api/admin/x", &personal).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_token_counts_in_its_organization_alone() {
    let world = world().await;
    for (audience, persona, status) in [
        ("urn:logto:organization:org_alpha", None, 200),
        ("urn:logto:organization:org_alpha", Some("plain"), 200),
        ("urn:logto:organization:org_beta", None, 403),
        // Member of both, by claims; but this token was asked for the other one.
        ("urn:logto:organization:org_beta", Some("plain"), 403),
    ] {
        let app_id = persona.map_or("machine", |_| crate::support::proxy::APP_ID);
        let made = world.logto.access_token(app_id, persona, API, &[]).unwrap();
        let token = made
            .claim("aud", json!(audience))
            .claim("organizations", json!(["org_alpha", "org_beta"]))
            .sign()
            .unwrap();
        let answer = call(&world, "/api/org/x", &token).await;
        assert_eq!(answer.status, status, "{audience} {persona:?} {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_scopes_are_named_and_other_conditions_are_not() {
    let world = world().await;
    let refused = call(&world, "/api/write/x", &jwt(&world, Some("plain"), &["read"])).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.field("www-authenticate"),
        Some("Bearer error=\"insufficient_scope\", scope=\"write\"")
    );
    assert!(refused.json()["decision_id"].is_string());
    // A person's browser that sends a token is a program all the same.
    let field = format!("Bearer {}", jwt(&world, Some("plain"), &[]));
    let page = [
        ("Authorization", field.as_str()),
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
    ];
    let refused = world.ask(request("GET", "/api/admin/x", &page)).await;
    assert_eq!(
        (refused.status, refused.field("content-type")),
        (403, Some("application/json"))
    );
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_both_ways_in_are_named() {
    let world = world().await;
    let answer = world.ask(request("GET", "/api/x", &[])).await;
    assert_eq!(answer.status, 401);
    let offered: Vec<&str> = answer
        .fields
        .iter()
        .filter(|(name, _)| name == "www-authenticate")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(offered, ["Session realm=\"logto-proxy\"", "Bearer"]);
    let elsewhere = world.ask(request("GET", "/x", &[])).await;
    assert_eq!(
        elsewhere.field("www-authenticate"),
        Some("Session realm=\"logto-proxy\"")
    );
    let page = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    assert_eq!(
        world.ask(request("GET", "/api/x", &page)).await.status,
        302,
        "a person signs in"
    );
    assert_eq!(world.ask(request("GET", "/api/any/x", &[])).await.status, 200);
    let mut browser = world.signed_in("admin").await;
    assert_eq!(
        browser.fetch("/api/admin/x").await.status,
        200,
        "a session does as well"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_the_field_is_the_apps_own() {
    let world = world().await;
    let mut browser = world.signed_in("plain").await;
    let url = world.origin.parse::<url::Url>().unwrap();
    for field in ["Bearer the-apps-own", "Basic dTpw"] {
        let fields = [("authorization", field), ("accept", "application/json")];
        let answer = browser
            .send("GET", url.join("/x").unwrap(), &fields, Vec::new().into())
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(world.upstream.last().header("authorization"), Some(field));
    }
    // On a route for programs another scheme is the app's affair, too.
    let fields = [("authorization", "Basic dTpw"), ("accept", "application/json")];
    let answer = browser
        .send("GET", url.join("/api/x").unwrap(), &fields, Vec::new().into())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.upstream.last().header("authorization"), Some("Basic dTpw"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxys_own_authorization_takes_the_place_of_the_callers() {
    let world = described()
        .section("[headers]\nAuthorization = { constant = \"Basic c2VjcmV0\" }\nX-Client-Id = false")
        .start()
        .await;
    register(&world);
    assert_eq!(call(&world, "/api/x", &jwt(&world, None, &[])).await.status, 200);
    let seen = world.upstream.only();
    assert_eq!(seen.header("authorization"), Some("Basic c2VjcmV0"));
    assert_eq!(seen.header("x-client-id"), None);
    assert_eq!(call(&world, "/api/x", "not.a.token").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_tokens_outlasts_a_reload_unless_whose_count_changes() {
    let world = world().await;
    let personal = world.logto.issue_personal_access_token("plain", None).unwrap();
    assert_eq!(call(&world, "/api/x", &personal).await.status, 200);
    let machine = jwt(&world, None, &[]);
    let exchanges = || world.logto.counts().token_exchanges;
    assert_eq!(exchanges(), 1);
    world
        .reload(&format!("{}\n[pages]\ntitle = \"Another\"", world.text))
        .await;
    assert_eq!(call(&world, "/api/x", &personal).await.status, 200);
    assert_eq!(exchanges(), 1, "nothing was asked again");
    assert_eq!(call(&world, "/api/x", &machine).await.status, 200);
    world
        .reload(&world.text.replace(API, "https://other.example.com/"))
        .await;
    let refused = call(&world, "/api/x", &machine).await;
    assert_eq!(refused.status, 401, "not for this API any more");
}

/// An app whose answers last until the proxy hangs up.
async fn endless() -> RawUpstream {
    RawUpstream::start(|mut wire: Wire, _| async move {
        wire.head().await;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await;
        wire.lasts().await;
    })
    .await
}

/// The notice that the persona `plain` was suspended.
pub(crate) fn suspension(now: UnixSeconds) -> Notice {
    Notice {
        scope: Scope::Subject {
            subject: "plainuser001".into(),
            except: None,
        },
        effect: Effect::End(Cause::Suspended),
        at: now,
        until: now.plus(Duration::from_secs(3_600)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_token_or_its_user() {
    for reason in ["revoked", "expired"] {
        let app = endless().await;
        let world = described().upstream_url(app.url()).start().await;
        register(&world);
        let mut open = Vec::new();
        for persona in ["plain", "admin"] {
            let field = format!("Bearer {}", jwt(&world, Some(persona), &["read"]));
            let mut wire = world.wire().await;
            wire.send(request("GET", "/api/events", &[("Authorization", &field)]))
                .await;
            assert!(wire.head().await.0.contains("200"));
            assert_eq!(wire.chunk().await.as_deref(), Some(&b"first"[..]));
            open.push(wire);
        }
        let mut others = open.pop().unwrap();
        let mut theirs = open.pop().unwrap();
        let now = world.clock.now();
        if reason == "revoked" {
            assert!(world.revocations.apply(&suspension(now)));
            theirs.is_cut().await;
            assert!(
                others.is_silent_for(Duration::from_millis(300)).await,
                "another user's stays"
            );
        } else {
            world.hand.advance(3_600 + 30);
            assert!(
                theirs.is_silent_for(Duration::from_millis(700)).await,
                "clocks may differ"
            );
            world.hand.advance(31);
            theirs.is_cut().await;
            others.is_cut().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logto_is_asked_for_what_is_worth_it_and_an_outage_is_no_refusal() {
    let world = world().await;
    let (machine, personal) = (
        jwt(&world, None, &[]),
        world.logto.issue_personal_access_token("plain", None).unwrap(),
    );
    for _ in 0..5 {
        assert_eq!(call(&world, "/api/x", &personal).await.status, 200);
        assert_eq!(call(&world, "/api/x", &machine).await.status, 200);
    }
    assert_eq!(world.logto.counts().token_exchanges, 1);
    world.stop_provider().await;
    assert_eq!(
        call(&world, "/api/x", &machine).await.status,
        200,
        "its signature says all"
    );
    assert_eq!(
        call(&world, "/api/x", &personal).await.status,
        200,
        "asked a moment ago"
    );
    let unknown = format!("pat_{}", "q".repeat(40));
    eventually("Logto is away", || async {
        call(&world, "/api/x", &unknown).await.status == 503
    })
    .await;
    let answer = call(&world, "/api/x", &unknown).await;
    assert_eq!(
        (
            answer.status,
            answer.has("retry-after"),
            answer.has("www-authenticate")
        ),
        (503, true, false)
    );
}

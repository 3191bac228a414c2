//! Bearer tokens where somebody else stands between: scripts of other origins, gRPC clients, proxies that only ask.

use crate::bearer::{API, ROUTES, described, jwt, register};
use crate::support::wire::Reply;
use crate::support::{World, proxy, request};
use logto_proxy::dev::provider::AccessTokenFault;

const SITE: &str = "https://www.example.com";

fn fields_of<'a>(reply: &'a Reply, wanted: &str) -> Vec<&'a str> {
    let fields = reply.fields.iter().filter(|(name, _)| name == wanted);
    fields.map(|(_, value)| value.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_of_other_origins_can_read_why_a_token_did_not_do() {
    let cors = format!("bearer = true\ncors = {{ origins = [\"{SITE}\"], headers = [\"Authorization\"] }}");
    let routes = ROUTES.replace("bearer = true", &cors);
    let world = proxy()
        .section(&routes)
        .logto(&format!("resources = \"{API}\""))
        .start()
        .await;
    register(&world);
    let good = format!("Bearer {}", jwt(&world, Some("plain"), &["read"]));
    for (path, token, status) in [
        ("/api/x", Some(good.as_str()), 200),
        ("/api/x", Some("Bearer not.a.token"), 401),
        ("/api/x", Some("Bearer"), 400),
        ("/api/x", None, 401),
        ("/api/write/x", Some(&good), 403),
    ] {
        let mut fields = vec![("Origin", SITE), ("Sec-Fetch-Mode", "cors")];
        fields.extend(token.map(|token| ("Authorization", token)));
        let reply = world.ask(request("GET", path, &fields)).await;
        assert_eq!(reply.status, status, "{path} {reply:?}");
        assert_eq!(
            fields_of(&reply, "access-control-allow-origin"),
            [SITE],
            "{path} {reply:?}"
        );
        assert_eq!(reply.has("www-authenticate"), status != 200, "{path} {reply:?}");
    }
    world.upstream.forget();
    let preflight = [
        ("Origin", SITE),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "authorization"),
    ];
    let reply = world.ask(request("OPTIONS", "/api/x", &preflight)).await;
    assert_eq!(
        reply.status, 204,
        "a browser sends it without the token: {reply:?}"
    );
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_client_is_told_in_its_own_words() {
    let world = crate::bearer::world().await;
    let good = format!("Bearer {}", jwt(&world, Some("plain"), &["read"]));
    for (path, token, status, code) in [
        ("/api/pkg.Service/Call", Some("Bearer not.a.token"), 401, "16"),
        ("/api/pkg.Service/Call", None, 401, "16"),
        ("/api/write/pkg.Service/Call", Some(good.as_str()), 403, "7"),
    ] {
        let mut fields = vec![("Content-Type", "application/grpc"), ("Content-Length", "0")];
        fields.extend(token.map(|token| ("Authorization", token)));
        let reply = world.ask(request("POST", path, &fields)).await;
        assert_eq!(
            (
                reply.status,
                reply.field("grpc-status"),
                reply.field("content-type")
            ),
            (status, Some(code), Some("application/grpc")),
            "{path} {reply:?}"
        );
        assert!(
            reply.has("www-authenticate") && reply.body.is_empty(),
            "{path} {reply:?}"
        );
    }
}

/// Asks whether a request may pass, in each of the forms: as Traefik, nginx and Envoy do.
async fn checks(world: &World, path: &str, fields: &[(&str, &str)]) -> [Reply; 3] {
    let url = format!("https://app.example.com{path}");
    let forwarded = [
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Host", "app.example.com"),
        ("X-Forwarded-Uri", path),
    ];
    let original = [("X-Original-Method", "GET"), ("X-Original-URL", url.as_str())];
    let forwarded = request("GET", "/.logto/auth", &[fields, &forwarded].concat());
    let original = request("GET", "/.logto/auth", &[fields, &original].concat());
    let target = request("GET", &format!("/.logto/auth{path}"), fields);
    [
        world.ask(forwarded).await,
        world.ask(original).await,
        world.ask(target).await,
    ]
}

async fn asking() -> World {
    let world = described()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .start()
        .await;
    register(&world);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_asks_gets_the_judgement_of_the_token() {
    let world = asking().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    let machine = format!("Bearer {}", jwt(&world, None, &["read"]));
    let bad = world.logto.access_token("machine", None, API, &["read"]).unwrap();
    let bad = bad.fault(AccessTokenFault::WrongAudience).sign().unwrap();
    let bad = format!("Bearer {bad}");
    for (path, token, status, challenge) in [
        ("/api/x", machine.as_str(), 200, None),
        (
            "/api/write/x",
            &machine,
            403,
            Some("Bearer error=\"insufficient_scope\", scope=\"write\""),
        ),
        // Beside it a session that would do.
        ("/api/admin/x", &machine, 403, None),
        ("/api/x", &bad, 401, Some("Bearer error=\"invalid_token\"")),
        ("/api/any/x", &bad, 401, Some("Bearer error=\"invalid_token\"")),
        ("/api/x", "Bearer", 400, Some("Bearer error=\"invalid_request\"")),
    ] {
        let fields = [
            ("Authorization", token),
            ("Cookie", &cookies),
            ("X-Client-Id", "forged"),
        ];
        for reply in checks(&world, path, &fields).await {
            assert_eq!(reply.status, status, "{path} {reply:?}");
            match challenge {
                Some(challenge) => {
                    assert!(
                        reply.field("www-authenticate").unwrap().starts_with(challenge),
                        "{reply:?}"
                    );
                }
                None => assert!(!reply.has("www-authenticate"), "{reply:?}"),
            }
            let named = (status == 200).then_some("machine");
            assert_eq!(reply.field("x-client-id"), named, "{reply:?}");
            assert!(!reply.has("x-user-sub"), "a program is no user: {reply:?}");
        }
    }
    for reply in checks(&world, "/api/x", &[]).await {
        assert_eq!(
            fields_of(&reply, "www-authenticate"),
            ["Session realm=\"logto-proxy\"", "Bearer"]
        );
    }
    assert!(world.upstream.seen().is_empty(), "nothing was forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_can_be_told_takes_tokens_out_that_the_app_must_not_have() {
    let world = asking().await;
    let personal = world.logto.issue_personal_access_token("plain", None).unwrap();
    for (token, is_withheld) in [(personal, true), (jwt(&world, None, &[]), false)] {
        let field = format!("Bearer {token}");
        for reply in checks(&world, "/api/x", &[("Authorization", &field)]).await {
            assert_eq!(reply.status, 200, "{reply:?}");
            assert!(!reply.has("authorization"), "{reply:?}");
            let Some(removed) = reply.field("x-envoy-auth-headers-to-remove") else {
                continue;
            };
            let is_removed = removed.split(',').any(|name| name == "authorization");
            assert_eq!(is_removed, is_withheld, "{removed}");
        }
    }
    assert_eq!(world.logto.counts().token_exchanges, 1);
}

//! Who asks for what is asked about: sessions, people, tokens, preflights.

use crate::bearer;
use crate::forward_auth::{FORMS, Form, NAVIGATION, ROUTES, ask, check, with, world};
use crate::support::{proxy, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_session_is_handed_out() {
    let world = world().await;
    let cookie = world.signed_in("plain").await.cookie_field();
    world.hand.advance(120);
    for form in FORMS {
        let reply = check(&world, form, "GET", "/", &[("Cookie", &cookie)]).await;
        let line = reply.field("set-cookie").unwrap().to_owned();
        assert!(line.starts_with("__Host-logto="), "{line}");
        let single = (form == Form::Original).then_some(line.as_str());
        assert_eq!(reply.field("x-logto-set-cookie-1"), single);
    }
    world.hand.advance(600);
    for form in FORMS {
        let reply = check(&world, form, "GET", "/", &[("Cookie", &cookie)]).await;
        assert_eq!(reply.status, 200, "confirmed with Logto: {reply:?}");
        assert!(reply.has("set-cookie"));
    }
    assert!(world.upstream.seen().is_empty(), "nothing was forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_sent_to_the_sign_in_and_back() {
    let world = world().await;
    for form in [Form::Forwarded, Form::Target] {
        let reply = check(&world, form, "GET", "/reports?q=1", NAVIGATION).await;
        assert_eq!(reply.status, 302);
        assert!(reply.field("location").unwrap().starts_with(&world.issuer));
        assert!(reply.field("set-cookie").unwrap().contains("-browser="));
    }
    let nginx = check(&world, Form::Original, "GET", "/reports?q=1", NAVIGATION).await;
    assert_eq!(nginx.status, 401);
    assert!(!nginx.has("location") && !nginx.has("set-cookie"), "{nginx:?}");
    assert_eq!(
        nginx.field("x-auth-request-redirect"),
        Some("https://app.example.com/.logto/sign-in?redirect=%2Freports%3Fq%3D1")
    );
    let script = check(&world, Form::Original, "GET", "/reports", &[("Accept", "*/*")]).await;
    assert_eq!(script.status, 401);
    assert!(!script.has("x-auth-request-redirect") && script.has("www-authenticate"));
    let mut browser = world.browser();
    let back = browser
        .sign_in("plain", "/.logto/sign-in?redirect=%2Freports%3Fq%3D1")
        .await;
    assert_eq!(back.url.as_str(), "https://app.example.com/reports?q=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_the_one_that_the_peer_names() {
    let world = proxy()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .section("[[route]]\npath = \"/inside\"\naccess = { ip = [\"198.51.100.0/24\"] }\n")
        .start()
        .await;
    let cookie = world.signed_in("plain").await.cookie_field();
    for form in FORMS {
        for (chain, expected) in [("198.51.100.7", 200), ("198.51.100.7, 203.0.113.1", 403)] {
            let fields = [("Cookie", cookie.as_str()), ("X-Forwarded-For", chain)];
            assert_eq!(
                check(&world, form, "GET", "/inside", &fields).await.status,
                expected
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_is_over_at_once() {
    let world = world().await;
    let mut browser = world.signed_in("plain").await;
    let cookie = browser.cookie_field();
    browser.navigate("/.logto/sign-out").await;
    for form in FORMS {
        let reply = check(&world, form, "GET", "/", &[("Cookie", &cookie)]).await;
        assert_eq!(reply.status, 401);
        assert_eq!(
            form == Form::Original,
            reply.has("x-logto-set-cookie-1"),
            "the dead cookie goes: {reply:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_is_judged_where_the_route_takes_one() {
    let world = bearer::described()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .start()
        .await;
    bearer::register(&world);
    let machine = bearer::jwt(&world, None, &["read"]);
    let person = bearer::jwt(&world, Some("plain"), &["read"]);
    let cookie = world.signed_in("admin").await.cookie_field();
    for form in FORMS {
        let ask = async |target: &str, token: &str| {
            let token = format!("Bearer {token}");
            let fields = [
                ("Authorization", token.as_str()),
                ("Cookie", cookie.as_str()),
                ("X-Client-Id", "forged"),
                ("X-User-Sub", "forged"),
            ];
            check(&world, form, "GET", target, &fields).await
        };
        let reply = ask("/api/x", &machine).await;
        assert_eq!(reply.status, 200, "{form:?}: {reply:?}");
        assert_eq!(reply.field("x-client-id"), Some("machine"));
        assert!(
            !reply.has("x-user-sub") && !reply.has("authorization"),
            "{reply:?}"
        );
        let reply = ask("/api/x", &person).await;
        assert_eq!(reply.field("x-user-sub"), Some("plainuser001"), "{reply:?}");
        // The token counts, although the cookie is an administrator's, and the challenge comes through in each form.
        for (target, token, status, error) in [
            ("/api/x", "bad", 401, "invalid_token"),
            ("/api/write/x", machine.as_str(), 403, "insufficient_scope"),
        ] {
            let reply = ask(target, token).await;
            assert_eq!(reply.status, status, "{form:?} {target}: {reply:?}");
            let challenge = reply.field("www-authenticate").unwrap_or_default();
            assert!(challenge.contains(error), "{form:?} {target}: {reply:?}");
        }
        // Elsewhere it is the application's own.
        assert_eq!(ask("/", "bad").await.status, 200);
    }
    assert!(world.upstream.seen().is_empty(), "nothing was forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_gets_a_permit_where_it_passes_and_as_nobodys() {
    let world = proxy()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .section("[[route]]\npath = \"/app/*\"\naccess = { any_role = [\"admin\"] }\ncors = \"pass\"")
        .section("[[route]]\npath = \"/api/*\"\ncors = { origins = \"https://www.example.com\", credentials = true }")
        .start()
        .await;
    let preflight = [
        ("Origin", "https://www.example.com"),
        ("Access-Control-Request-Method", "PUT"),
    ];
    for form in FORMS {
        let passed = check(
            &world,
            form,
            "OPTIONS",
            "/app/x",
            &with(&preflight, &[("X-User-Sub", "forged")]),
        )
        .await;
        assert_eq!(passed.status, 200, "{form:?}: {passed:?}");
        assert!(!passed.has("x-user-sub"), "{form:?}: {passed:?}");
        // The proxy's own yes to a preflight is no leave to send it on.
        let held = check(&world, form, "OPTIONS", "/api/x", &preflight).await;
        assert_eq!(held.status, 401, "{form:?}: {held:?}");
        // An OPTIONS that is none needs what the route asks for.
        let plain = check(&world, form, "OPTIONS", "/app/x", &preflight[..1]).await;
        assert_eq!(plain.status, 401, "{form:?}: {plain:?}");
        // A refusal tells other origins what the route does.
        let refused = check(&world, form, "GET", "/api/x", &preflight[..1]).await;
        assert_eq!(refused.status, 401);
        assert_eq!(
            refused.field("access-control-allow-origin"),
            Some("https://www.example.com"),
            "{form:?}: {refused:?}"
        );
    }
    assert!(world.upstream.seen().is_empty(), "nothing was forwarded");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_of_the_clients_changes_the_described_method() {
    let world = world().await;
    for form in FORMS {
        for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
            let reply = check(&world, form, "POST", "/read/x", &[(name, "GET")]).await;
            assert_eq!(reply.status, 401, "{form:?} {name}: {reply:?}");
        }
    }
    // Nor does the method of the question, where another is described.
    for form in [Form::Forwarded, Form::Original] {
        let text = String::from_utf8(ask(form, "POST", "app.example.com", "/read/x", &[])).unwrap();
        for method in ["GET", "HEAD", "PUT"] {
            let bytes = text.replacen("GET ", &format!("{method} "), 1).into_bytes();
            let mut wire = world.wire().await;
            wire.send(bytes).await;
            let reply = match method {
                "HEAD" => wire.reply_to_head().await,
                _ => wire.reply().await,
            };
            assert_eq!(reply.status, 401, "{form:?} {method}: {reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_can_be_moved() {
    let world = proxy()
        .top("trusted_proxies = [\"127.0.0.0/8\"]")
        .section("[routes]\nauth = \"/verify\"")
        .section(ROUTES)
        .start()
        .await;
    assert_eq!(world.ask(request("GET", "/verify/open/x", &[])).await.status, 200);
    assert!(world.upstream.seen().is_empty());
    assert_eq!(
        world.ask(request("GET", "/.logto/auth/open/x", &[])).await.status,
        401,
        "a path like any other"
    );
}

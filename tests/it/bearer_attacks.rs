//! Tokens that are no good: whatever else the request carries, it does not pass, and Logto is not troubled.

use crate::bearer::{API, call, described, jwt, register, suspension, world};
use crate::support::proxy::APP_ID;
use crate::support::{Wire, World, proxy, request};
use logto_proxy::dev::provider::{AccessTokenFault, Client, Hook, HookEvent};
use logto_proxy::secret::SecretText;
use serde_json::json;

/// JWTs that are wrong in one way each.
fn wrong_ones(world: &World) -> Vec<(String, String)> {
    use AccessTokenFault as Fault;
    let made = || {
        world
            .logto
            .access_token(APP_ID, Some("admin"), API, &["read"])
            .unwrap()
    };
    let faults = [
        Fault::WrongIssuer,
        Fault::WrongAudience,
        Fault::NoAudience,
        Fault::Expired,
        Fault::IssuedInTheFuture,
        Fault::NotYetValid,
        Fault::NoClient,
        Fault::NoSubject,
        Fault::WrongType,
        Fault::NoType,
        Fault::AlgorithmNone,
        Fault::Hs256WithClientSecret,
        Fault::BadSignature,
        Fault::StolenKeyId,
        Fault::Malformed,
        Fault::Giant,
    ];
    let mut wrong: Vec<(String, String)> = faults
        .into_iter()
        .map(|fault| (format!("{fault:?}"), made().fault(fault).sign().unwrap()))
        .collect();
    for (name, text) in [
        ("empty", ""),
        ("short", "abc"),
        ("five parts", "a.b.c.d.e"),
        ("two tokens", "aaaa.bbbb.cccc aaaa.bbbb.cccc"),
        ("quotes", "\"aaaa.bbbb.cccc\""),
    ] {
        wrong.push((name.to_owned(), text.to_owned()));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_never_falls_back_to_the_cookie() {
    let world = world().await;
    let mut browser = world.signed_in("admin").await;
    let cookies = browser.cookie_field();
    assert_eq!(
        browser.fetch("/api/x").await.status,
        200,
        "the session alone opens it"
    );
    world.upstream.forget();
    let before = world.logto.counts();
    for (name, token) in wrong_ones(&world) {
        for path in ["/api/x", "/api/any/x"] {
            let field = format!("Bearer {token}");
            let fields = [("Authorization", field.as_str()), ("Cookie", &cookies)];
            let answer = world.ask(request("GET", path, &fields)).await;
            let (status, error) = match name.as_str() {
                "empty" => (400, "invalid_request"),
                _ => (401, "invalid_token"),
            };
            assert_eq!(answer.status, status, "{name} {path}: {answer:?}");
            assert_eq!(answer.json()["error"], json!(error), "{name}");
            let challenge = answer.field("www-authenticate").unwrap();
            assert!(
                challenge.starts_with(&format!("Bearer error=\"{error}\"")),
                "{challenge}"
            );
            assert_eq!(answer.field("cache-control"), Some("no-store"), "{name}");
            assert!(!answer.has("set-cookie") && !answer.text().contains(&token) || token.is_empty());
        }
    }
    let two = [
        ("Authorization", "Basic dTpw"),
        ("Authorization", "Bearer aaaa.bbbb.cccc"),
        ("Cookie", &cookies),
    ];
    assert_eq!(world.ask(request("GET", "/api/x", &two)).await.status, 400);
    let raw =
        b"GET /api/x HTTP/1.1\r\nHost: app.example.com\r\nAuthorization: Bearer \xff\xfe.\xff.\xff\r\n\r\n";
    assert_eq!(world.ask(raw).await.status, 401);
    assert_eq!(
        world.logto.counts(),
        before,
        "no call that the token did not earn"
    );
    assert!(world.upstream.seen().is_empty(), "{:?}", world.upstream.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cookie_adds_to_what_a_good_token_may() {
    let world = world().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    let field = format!("Bearer {}", jwt(&world, None, &["read"]));
    let fields = [("Authorization", field.as_str()), ("Cookie", &cookies)];
    assert_eq!(
        world.ask(request("GET", "/api/admin/x", &fields)).await.status,
        403
    );
    assert_eq!(world.ask(request("GET", "/api/x", &fields)).await.status, 200);
    let seen = world.upstream.only();
    assert_eq!(
        (seen.header("x-client-id"), seen.header("x-user-sub")),
        (Some("machine"), None)
    );
    assert_eq!(seen.header("cookie"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opaque_token_of_another_application_is_nobodys() {
    let world = world().await;
    for (app_id, status) in [("cli", 200), ("stranger", 401)] {
        let mut client = Client::new(app_id, SecretText::new("s".into()), "http://127.0.0.1:9/callback");
        client.allow_token_exchange = true;
        world.logto.register(client);
        let token = exchanged(&world, app_id).await;
        let answer = call(&world, "/api/x", &token).await;
        assert_eq!(answer.status, status, "{app_id}: {answer:?}");
    }
    let seen = world.upstream.only();
    assert_eq!(seen.header("x-user-sub"), Some("plainuser001"));
    assert_eq!(seen.header("authorization"), None, "it opens more than this app");
}

/// An opaque access token that an application was given for a user.
async fn exchanged(world: &World, app_id: &str) -> String {
    let personal = world.logto.issue_personal_access_token("plain", None).unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .append_pair("subject_token_type", "urn:logto:token-type:personal_access_token")
        .append_pair("subject_token", &personal)
        .append_pair("scope", "openid profile email roles")
        .append_pair("client_id", app_id)
        .append_pair("client_secret", "s")
        .finish();
    let address = world.logto_url.trim_start_matches("http://");
    let mut wire = Wire::connect(address.parse().unwrap()).await;
    wire.send(format!(
        "POST /oidc/token HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    ))
    .await;
    let reply = wire.reply().await;
    reply.json()["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply:?}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_user_who_was_shut_out_is_over_at_once() {
    let world = world().await;
    let personal = world.logto.issue_personal_access_token("plain", None).unwrap();
    let token = jwt(&world, Some("plain"), &[]);
    for token in [&token, &personal] {
        assert_eq!(call(&world, "/api/x", token).await.status, 200);
    }
    world.logto.suspend("plain");
    let now = world.clock.now();
    assert!(world.revocations.apply(&suspension(now)));
    for token in [&token, &personal] {
        assert_eq!(call(&world, "/api/x", token).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_nothing_where_the_route_takes_none() {
    let world = proxy().logto(&format!("resources = \"{API}\"")).start().await;
    register(&world);
    let token = jwt(&world, Some("admin"), &["read"]);
    assert_eq!(call(&world, "/api/x", &token).await.status, 401);
    let world = described().route("/api/open/*", "public").start().await;
    register(&world);
    let token = jwt(&world, Some("admin"), &["read"]);
    assert_eq!(call(&world, "/x", &token).await.status, 401);
    assert_eq!(call(&world, "/api/open/../x", &token).await.status, 400);
    assert!(world.upstream.seen().is_empty());
    assert_eq!(
        call(&world, "/api/open/x", "not-for-the-proxy").await.status,
        200,
        "nobody is asked about"
    );
    assert_eq!(
        world.upstream.last().header("authorization"),
        Some("Bearer not-for-the-proxy")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_nothing_that_takes_none_in_another_letter_case() {
    let world = described()
        .section("[[route]]\npath = \"/api/account/*\"")
        .section("[[route]]\npath = \"/Jobs/*\"\nbearer = true\naccess = { scope = [\"read\"] }")
        .start()
        .await;
    register(&world);
    let token = jwt(&world, None, &["read"]);
    for (path, status) in [
        ("/api/x", 200),
        ("/api/account/x", 401),
        // The app may take it for the path above, where a session is needed.
        ("/api/ACCOUNT/x", 401),
        ("/Jobs/x", 200),
        // The app may tell it from the path above, and then it is as any other, where a session is needed.
        ("/jobs/x", 401),
    ] {
        assert_eq!(call(&world, path, &token).await.status, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_come_back_when_no_session_from_before_can_be_alive() {
    let key = "h8GJ2tVxQ0mZk3Yw7cRd5sLp9bNfTa1E";
    let world = described()
        .section(&format!("[webhook]\nsigning_key = \"{key}\""))
        .session("lifetime = \"20m\"")
        .start()
        .await;
    register(&world);
    let public = "https://app.example.com";
    world.logto.route(public, world.address);
    world.logto.set_hook(Hook {
        url: format!("{public}/.logto/webhook"),
        signing_key: SecretText::new(key.to_owned()),
    });
    let token = jwt(&world, Some("plain"), &[]);
    assert_eq!(call(&world, "/api/x", &token).await.status, 200);
    assert!(world.logto.suspend("plain"));
    let webhook = world
        .logto
        .webhook(HookEvent::SuspensionUpdated, "plain")
        .unwrap();
    assert_eq!(world.logto.send_webhook(&webhook).await.unwrap(), 200);
    assert_eq!(call(&world, "/api/x", &token).await.status, 401);
    // The token lives for an hour, sessions for a third of that.
    world.hand.advance(30 * 60);
    world.revocations.forget_expired(world.clock.now());
    assert_eq!(call(&world, "/api/x", &token).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_in_the_one_field_that_is_for_it() {
    let world = world().await;
    let token = jwt(&world, Some("admin"), &["read"]);
    let bearer = format!("Bearer {token}");
    let joined = format!("Basic dTpw, Bearer {token}");
    let (tabbed, quoted, dpop) = (
        format!("Bearer\t{token}"),
        format!("Bearer \"{token}\""),
        format!("DPoP {token}"),
    );
    let query = format!("/api/x?access_token={token}");
    for (path, name, value, status) in [
        ("/api/x", "Proxy-Authorization", &bearer, 401),
        ("/api/x", "X-Forwarded-Authorization", &bearer, 401),
        ("/api/x", "X-Forwarded-Access-Token", &token, 401),
        (
            "/api/x",
            "Cookie",
            &format!("access_token={token}; Authorization={token}"),
            401,
        ),
        ("/api/x", "Authorization", &joined, 401),
        ("/api/x", "Authorization", &quoted, 401),
        ("/api/x", "Authorization", &dpop, 401),
        ("/api/x", "Authorization", &token, 401),
        (query.as_str(), "Accept", &"*/*".to_owned(), 401),
        ("/api/x", "Authorization", &tabbed, 200),
    ] {
        let answer = world.ask(request("GET", path, &[(name, value)])).await;
        assert_eq!(answer.status, status, "{name} {path}: {answer:?}");
    }
    let form = format!("access_token={token}");
    let fields = [
        ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
        ("Content-Length", form.len().to_string()),
    ];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut posted = request("POST", "/api/x", &fields);
    posted.extend_from_slice(form.as_bytes());
    assert_eq!(world.ask(posted).await.status, 401);
    assert_eq!(world.upstream.seen().len(), 1);
}

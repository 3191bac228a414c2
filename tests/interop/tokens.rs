//! Tokens for the app, issued by the real `oidc-provider` to a session: opaque, for resources (RFC 8707), for organizations in
//! the way of Logto, and the ID token. What reaches the app is proved with the provider's own keys.

mod setting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use logto_proxy::clock::monotonic;
use serde_json::json;
use tokio::time::sleep;

use self::setting::{ADMIN, PEOPLE, PLAIN, ROUTES, Setting, THINGS, decoded, header, now, signed_in, token};
use crate::support::oidc_provider::{CLIENT_ID, VERSIONS};
use crate::support::redis::Redis;
use crate::support::replicas::Replicas;
use crate::support::runner::Scenarios;
use crate::support::visitor::Visitor;
use crate::support::wait;
use crate::support::webhook;

/// Adds every scenario once for each version.
pub fn add_to(scenarios: &mut Scenarios) {
    for version in VERSIONS {
        scenarios.add_patient(format!("tokens_{version}::they_are_renewed_ahead"), move || {
            they_are_renewed_ahead(version)
        });
        scenarios.add(format!("tokens_{version}::each_is_its_users_own"), move || {
            each_is_its_users_own(version)
        });
        scenarios.add(format!("tokens_{version}::one_call_serves_all"), move || {
            one_call_serves_all(version)
        });
        scenarios.add(
            format!("tokens_{version}::for_an_organization_of_members_only"),
            move || for_an_organization_of_members_only(version),
        );
        scenarios.add(
            format!("tokens_{version}::none_after_the_grant_is_gone"),
            move || none_after_the_grant_is_gone(version),
        );
        scenarios.add(
            format!("tokens_{version}::none_that_the_sign_in_did_not_ask_for"),
            move || none_that_the_sign_in_did_not_ask_for(version),
        );
    }
    scenarios.add("tokens::replicas_take_turns", replicas_take_turns);
}

async fn each_is_its_users_own(version: u8) {
    let setting = Setting::new(version, json!({})).await;
    let proxy = setting.proxy().await;
    let issuer = format!("{}/oidc", setting.provider.endpoint());
    let mut people: BTreeMap<&str, Visitor> = BTreeMap::new();
    for persona in ["admin", "plain"] {
        people.insert(persona, signed_in(&proxy, persona).await);
    }
    for (persona, subject) in [("admin", ADMIN), ("plain", PLAIN), ("admin", ADMIN)] {
        let visitor = people.get_mut(persona).expect("signed in");

        let answer = visitor.fetch(&proxy.url("/headers")).await;
        let opaque = token(&answer, "x-access-token");
        assert_eq!(setting.user_of(&opaque).await.as_deref(), Some(subject));
        let (claims, _) = setting.verified(&token(&answer, "x-id-token")).await;
        assert_eq!(
            (&claims["aud"], &claims["iss"], &claims["sub"]),
            (&json!(CLIENT_ID), &json!(issuer), &json!(subject))
        );

        // The client's own is not added to, but replaced; permissions are those that were asked for and exist.
        let forged = [("authorization", "Bearer forged"), ("X_People-Token", "forged")];
        let things = proxy.url("/api/things");
        let answer = visitor
            .request(Method::GET, &things, &forged, "", String::new())
            .await;
        let bearer = token(&answer, "authorization");
        let jwt = bearer.strip_prefix("Bearer ").expect("a Bearer credential");
        setting.assert_is_for(jwt, THINGS, subject, "read write").await;
        assert!(!answer.body.contains("forged"), "{answer:?}");
        assert_eq!(setting.user_of(jwt).await, None, "for that API alone");

        let answer = visitor.fetch(&proxy.url("/api/people")).await;
        let jwt = token(&answer, "x-people-token");
        setting.assert_is_for(&jwt, PEOPLE, subject, "read write").await;

        let answer = visitor.fetch(&proxy.url("/api/other")).await;
        for name in ["authorization", "x-people-token", "x-access-token", "x-id-token"] {
            assert_eq!(header(&answer, name), None, "{name}");
        }
    }
    // Each session with two resources was confirmed with each.
    assert_eq!(setting.refreshes().await, 8);
    assert_eq!(setting.provider.count("grant.error").await, 0);
}

async fn one_call_serves_all(version: u8) {
    let setting = Setting::new(version, json!({ "rotate_refresh_token": "always" })).await;
    let proxy = setting.proxy().await;
    let mut visitor = signed_in(&proxy, "admin").await;
    assert_eq!(setting.refreshes().await, 0);
    setting.provider.fault("refresh_token", "slow", 200, None).await;

    let address = proxy.url("/api/things");
    let fetches = (0..20).map(|_| {
        let mut tab = visitor.copied();
        let address = &address;
        async move { token(&tab.fetch(address).await, "authorization") }
    });
    let tokens: BTreeSet<String> = join_all(fetches).await.into_iter().collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(
        setting.refreshes().await,
        2,
        "the session, and what it gave, the token"
    );

    // Those of two routes at once: none uses the refresh token of another.
    let fetches = (0..20).map(|number| {
        let mut tab = visitor.copied();
        let path = ["/api/people", "/api/team", "/api/things", "/headers"][number % 4];
        let address = proxy.url(path);
        async move { tab.fetch(&address).await.status }
    });
    assert!(join_all(fetches).await.iter().all(StatusCode::is_success));
    let asked = setting.refreshes().await;
    assert!(asked <= 7, "{asked}");
    for path in ["/api/people", "/api/team", "/api/things", "/headers"] {
        assert_eq!(visitor.fetch(&proxy.url(path)).await.status, StatusCode::OK);
    }
    assert_eq!(setting.refreshes().await, asked, "kept");
    assert_eq!(setting.provider.count("refresh token again").await, 0);
    assert_eq!(setting.provider.rotations().await, asked);
}

/// Every use of a refresh token replaces it, and to use one again ends the grant at once, while re-checks and renewals of all
/// tokens meet: a session that goes on has used none twice.
async fn they_are_renewed_ahead(version: u8) {
    let short = json!({
        "rotate_refresh_token": "always",
        "refresh_token_leeway_ms": 0,
        "access_token_ttl": 6,
        "id_token_ttl": 6,
        "resource_token_ttl": 6,
    });
    let setting = Setting::new(version, short).await;
    let proxy = setting.proxy().await;
    let visitor = signed_in(&proxy, "admin").await;
    let asleep = visitor.copied();
    let end = monotonic() + wait::PATIENCE;
    let routes = [
        ("/headers", "x-access-token"),
        ("/headers", "x-id-token"),
        ("/api/things", "authorization"),
        ("/api/people", "x-people-token"),
        ("/api/team", "x-team-token"),
        ("/api/team", "x-team-things-token"),
    ];
    let tabs = routes.map(|(path, name)| {
        let (mut tab, address) = (visitor.tab(), proxy.url(path));
        let setting = &setting;
        async move {
            let mut seen = BTreeSet::new();
            while seen.len() < 3 && monotonic() < end {
                let before = now();
                let token = token(&tab.fetch(&address).await, name);
                let jwt = token.strip_prefix("Bearer ").unwrap_or(&token);
                if jwt.contains('.') {
                    let payload = jwt.split('.').nth(1).expect("a JWT");
                    let ends = decoded(payload)["exp"].as_u64().expect("an end");
                    assert!(ends > before, "{name} ended at {ends}, and it is {before}");
                } else if !seen.contains(&token) {
                    assert_eq!(setting.user_of(jwt).await.as_deref(), Some(ADMIN));
                }
                seen.insert(token);
                sleep(Duration::from_millis(90)).await;
            }
            assert!(seen.len() >= 3, "{name}: {}", seen.len());
        }
    });
    let rechecks = async {
        for _ in 0..4 {
            sleep(Duration::from_millis(1_300)).await;
            webhook::user_changed(&proxy.url(""), ADMIN).await;
        }
    };
    tokio::join!(join_all(tabs), rechecks);

    let provider = &setting.provider;
    let (asked, rotations) = (setting.refreshes().await, provider.rotations().await);
    println!("  tokens of 6 s: {asked} token calls, {rotations} rotations");
    assert_eq!(provider.count("refresh token again").await, 0);
    assert_eq!(provider.count("grant.error").await, 0);
    assert_eq!(asked, rotations);
    // A browser that comes back with the cookies of the sign-in, whose refresh token is spent long since.
    for mut tab in [visitor.tab(), asleep] {
        assert_eq!(tab.fetch(&proxy.url("/api/people")).await.status, StatusCode::OK);
    }
    assert_eq!(provider.count("refresh token again").await, 0);
}

async fn for_an_organization_of_members_only(version: u8) {
    let setting = Setting::new(version, json!({ "rotate_refresh_token": "always" })).await;
    let proxy = setting.proxy().await;
    let address = proxy.url("/api/team");
    let mut member = signed_in(&proxy, "admin").await;
    let answer = member.fetch(&address).await;
    let team = token(&answer, "x-team-token");
    setting
        .assert_is_for(&team, "urn:logto:organization:org_alpha", ADMIN, "manage:members")
        .await;
    let things = token(&answer, "x-team-things-token");
    let claims = setting.assert_is_for(&things, THINGS, ADMIN, "read write").await;
    assert_eq!(claims["organization_id"], "org_alpha");

    // The refusal is remembered, and no end of the session.
    let mut other = signed_in(&proxy, "plain").await;
    let before = setting.refreshes().await;
    for _ in 0..3 {
        let answer = other.fetch(&address).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert_eq!(answer.json()["error"], "token_not_granted");
    }
    assert_eq!(
        setting.refreshes().await - before,
        3,
        "the session, and each token"
    );
    let answer = other.fetch(&proxy.url("/api/people")).await;
    setting
        .assert_is_for(&token(&answer, "x-people-token"), PEOPLE, PLAIN, "read write")
        .await;

    // Who leaves has no token any more as soon as Logto has been asked.
    let left = json!({ "organizations": [], "organization_roles": [] });
    setting.provider.change_user(ADMIN, left).await;
    webhook::user_changed(&proxy.url(""), ADMIN).await;
    assert_eq!(member.fetch(&address).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        member.fetch(&proxy.url("/api/things")).await.status,
        StatusCode::OK
    );
}

async fn none_after_the_grant_is_gone(version: u8) {
    let setting = Setting::new(version, json!({})).await;
    let proxy = setting.proxy().await;
    let paths = ["/api/things", "/api/people", "/headers", "/api/other"];
    // With tokens at hand, at the next re-check.
    for (subject, persona, gone) in [(ADMIN, "admin", true), (PLAIN, "plain", false)] {
        let mut visitor = signed_in(&proxy, persona).await;
        let mut copy = visitor.copied();
        for path in paths {
            assert_eq!(visitor.fetch(&proxy.url(path)).await.status, StatusCode::OK);
        }
        if gone {
            setting.provider.evict_grants(subject).await;
        } else {
            let denied = json!({ "access_denied": true });
            setting.provider.change_user(subject, denied).await;
        }
        webhook::user_changed(&proxy.url(""), subject).await;
        for path in paths {
            for tab in [&mut visitor, &mut copy] {
                let answer = tab.fetch(&proxy.url(path)).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}: {answer:?}");
            }
        }
    }
    // With none at hand, at once.
    let mut visitor = signed_in(&proxy, "huggingface").await;
    setting.provider.evict_grants("hugging00001").await;
    for path in ["/api/things", "/api/other"] {
        let answer = visitor.fetch(&proxy.url(path)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}: {answer:?}");
    }
}

/// A session from before the route had its token: the provider says `invalid_target` of a resource that the sign-in did not
/// name. The session goes on without; the next sign-in brings the token.
async fn none_that_the_sign_in_did_not_ask_for(version: u8) {
    let setting = Setting::new(version, json!({})).await;
    let proxy = setting.deployment().start().await;
    let mut visitor = signed_in(&proxy, "admin").await;
    proxy.stop().await;
    let proxy = setting.proxy().await;
    for _ in 0..3 {
        let answer = visitor.fetch(&proxy.url("/api/things")).await;
        assert_eq!(header(&answer, "authorization"), None);
        let answer = visitor.fetch(&proxy.url("/api/people")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    }
    assert_eq!(setting.refreshes().await, 4, "not asked for again at once");
    visitor
        .open(&proxy.url("/.logto/sign-in?redirect=/api/other"))
        .await;
    let answer = visitor.fetch(&proxy.url("/api/people")).await;
    setting
        .assert_is_for(&token(&answer, "x-people-token"), PEOPLE, ADMIN, "read write")
        .await;
}

/// Each gets tokens of its own, with a refresh token that is spent by every use of it, for whichever of them.
async fn replicas_take_turns() {
    let Some(redis) = Redis::start() else { return };
    let strict = json!({ "rotate_refresh_token": "always", "refresh_token_leeway_ms": 0 });
    let setting = Setting::new(9, strict).await;
    let store = format!("[store]\nkind = \"redis\"\nurl = \"{}\"", redis.url());
    let deployment = setting.deployment().section(ROUTES).section(&store);
    let replicas = Replicas::start(&setting.place, deployment, 2, |_| Vec::new()).await;
    let visitor = signed_in(&replicas.proxies[0], "admin").await;
    for round in 0..3 {
        let paths = [
            "/api/things",
            "/api/people",
            "/api/team",
            "/headers",
            "/api/other",
        ];
        let fetches = paths.iter().flat_map(|path| {
            // Those without the cookies of the answers come late each time.
            [visitor.tab(), visitor.copied(), visitor.copied()].map(|mut tab| {
                let address = replicas.url(path);
                async move { tab.fetch(&address).await.status }
            })
        });
        let statuses = join_all(fetches).await;
        assert!(
            statuses.iter().all(StatusCode::is_success),
            "{round}: {statuses:?}"
        );
        webhook::user_changed(&replicas.url(""), ADMIN).await;
    }
    let provider = &setting.provider;
    let asked = setting.refreshes().await;
    println!("  tokens of two replicas: {asked} token calls");
    assert_eq!(provider.count("refresh token again").await, 0);
    assert_eq!(provider.count("grant.error").await, 0);
    assert_eq!(provider.rotations().await, asked);
}

//! Access that ends: at the provider with back-channel logout, by signing out here, by an administrator.

use std::time::Duration;

use http::StatusCode;
use logto_proxy::clock::monotonic;
use serde_json::json;
use tokio::time::sleep;

use crate::refresh::RECHECK;
use crate::support::chromium::Chromium;
use crate::support::oidc_provider::OidcProvider;
use crate::support::proxy::Place;
use crate::support::runner::Scenarios;
use crate::support::setting::{Around, metric};
use crate::support::socket::Socket;
use crate::support::visitor::Visitor;
use crate::support::wait::eventually;

pub fn add_to(scenarios: &mut Scenarios) {
    for (name, with_sid) in [("with_sid", true), ("without_sid", false)] {
        scenarios.add(format!("logout::back_channel_{name}"), move || {
            back_channel(with_sid)
        });
    }
    scenarios.add("logout::the_other_tab_sees_it", the_other_tab_sees_it);
    scenarios.add("logout::a_copied_cookie_is_dead", a_copied_cookie_is_dead);
    scenarios.add_patient(
        "logout::access_withdrawn_is_found_by_the_recheck",
        access_withdrawn_is_found_by_the_recheck,
    );
}

/// Two browsers of one user. Logto names the session of the one that signs out, or the user only.
async fn back_channel(with_sid: bool) {
    let place = Place::choose();
    let logout = OidcProvider::back_channel_logout(&place.public_url(), with_sid);
    let around = Around::new(place, logout).await;
    let proxy = around.proxy().await;
    let address = proxy.url("/headers");
    let (mut leaving, mut staying) = (Visitor::new(), Visitor::new());
    leaving.sign_in(&address, "plain").await;
    staying.sign_in(&address, "plain").await;
    let socket = Socket::open(&leaving, &proxy).await;
    let mut other = Socket::open(&staying, &proxy).await;
    let mut stolen = leaving.copied();

    let end_session = format!("{}/oidc/session/end", around.provider.endpoint());
    let page = leaving.open(&end_session).await;
    let began = monotonic();
    let waiting = async {
        let code = socket.closed().await;
        (code, began.elapsed())
    };
    let told = async {
        leaving.post_only_form(&page).await;
        let answered = began.elapsed();
        (stolen.fetch(&address).await, answered)
    };
    let ((code, closed_after), (answer, answered)) = tokio::join!(waiting, told);
    println!(
        "  the provider let the browser go after {} ms, the cookie was dead then; WebSocket closed after {} ms",
        answered.as_millis(),
        closed_after.as_millis()
    );
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    assert_eq!(code, Some(1008));
    assert!(closed_after < Duration::from_secs(2), "{closed_after:?}");
    assert_eq!(around.provider.count("backchannel.success").await, 1);

    if with_sid {
        assert!(other.echoes().await, "it belongs to another session at Logto");
        assert!(staying.fetch(&address).await.user().is_some());
    } else {
        assert_eq!(other.closed().await, Some(1008));
        assert_eq!(staying.fetch(&address).await.status, StatusCode::UNAUTHORIZED);
    }
    let accepted = metric(
        &proxy,
        "logto_proxy_back_channel_logouts_total{outcome=\"accepted\"",
    )
    .await;
    assert!((accepted - 1.0).abs() < f64::EPSILON, "{accepted}");
}

/// A page of the app in one tab, with a WebSocket and server-sent events; the user signs out at Logto in another.
async fn the_other_tab_sees_it() {
    let place = Place::choose();
    let logout = OidcProvider::back_channel_logout(&place.public_url(), true);
    let around = Around::new(place, logout).await;
    let proxy = around.proxy().await;
    let browser = Chromium::start().await;
    browser.open(&proxy.url("/headers")).await;
    browser.click("button[name=persona][value=plain]").await;
    browser.arrives_at(&proxy.url("/headers")).await;
    let ready = browser
        .run_async(
            "window.seen = {};
             const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
             socket.onclose = (event) => { seen.code = event.code; seen.socket = Date.now(); };
             const source = new EventSource('/events');
             source.onerror = () => { seen.events ??= Date.now(); seen.state = source.readyState; };
             await Promise.all([
                 new Promise((done) => { socket.onopen = done; }),
                 new Promise((done) => { source.addEventListener('tick', done, { once: true }); }),
             ]);
             return 'ready';",
        )
        .await;
    assert_eq!(ready, "ready");
    let app = browser.current_tab().await;

    browser.new_tab().await;
    let began = browser.run("return Date.now()").await.as_f64().expect("a time");
    browser
        .open(&format!("{}/oidc/session/end", around.provider.endpoint()))
        .await;

    browser.show_tab(&app).await;
    let seen = eventually("the page's connections end", || async {
        let seen = browser.run("return window.seen").await;
        // The stream breaks; the browser asks for it again, is refused, and gives up (2: closed).
        (seen["socket"].is_number() && seen["state"] == 2).then_some(seen)
    })
    .await;
    let after = |name: &str| seen[name].as_f64().expect("a time") - began;
    println!(
        "  from the navigation to Logto's sign-out in the other tab: WebSocket closed after {} ms, events after {} ms",
        after("socket"),
        after("events")
    );
    assert_eq!(seen["code"], 1008, "{seen}");
    assert!(after("socket") < 5_000.0 && after("events") < 5_000.0, "{seen}");
    browser.close().await;
}

async fn a_copied_cookie_is_dead() {
    let around = Around::new(Place::choose(), json!({})).await;
    let proxy = around.proxy().await;
    let address = proxy.url("/headers");
    let mut visitor = Visitor::new();
    visitor.sign_in(&address, "plain").await;
    let mut stolen = visitor.copied();
    let socket = Socket::open(&stolen, &proxy).await;
    assert!(stolen.fetch(&address).await.user().is_some());

    let page = visitor.open(&proxy.url("/.logto/sign-out")).await;
    assert_eq!(stolen.fetch(&address).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(socket.closed().await, Some(1008));
    visitor.post_only_form(&page).await;
    let page = stolen.open(&address).await;
    assert!(page.is_sign_in(), "{page:?}");
    assert_eq!(around.provider.count("POST /oidc/token/revocation").await, 1);
}

/// Nobody tells the proxy; it finds out by itself.
async fn access_withdrawn_is_found_by_the_recheck() {
    let around = Around::new(Place::choose(), json!({})).await;
    let (proxy, provider) = (around.proxy().await, &around.provider);
    let address = proxy.url("/headers");
    provider
        .change_user("suspended001", json!({ "suspended": false }))
        .await;
    let mut visitors = Vec::new();
    for persona in ["plain", "huggingface", "suspended", "admin"] {
        let mut visitor = Visitor::new();
        let page = if persona == "huggingface" {
            visitor
                .sign_in(&proxy.url("/.logto/sign-in?redirect=/headers"), persona)
                .await
        } else {
            visitor.sign_in(&address, persona).await
        };
        assert!(page.user().is_some(), "{page:?}");
        visitors.push(visitor);
    }
    let idle = Socket::open(&visitors[0], &proxy).await;
    provider.evict_grants("plain0000001").await;
    provider
        .change_user("hugging00001", json!({ "deleted": true }))
        .await;
    provider
        .change_user("suspended001", json!({ "access_denied": true }))
        .await;
    provider
        .change_user("admin0000001", json!({ "roles": ["auditor"] }))
        .await;
    for visitor in &mut visitors {
        assert!(
            visitor.fetch(&address).await.user().is_some(),
            "not asked about yet"
        );
    }

    // The first of them makes no request: the WebSocket alone is enough to have its session looked at.
    sleep(RECHECK).await;
    assert_eq!(idle.closed().await, Some(1008));
    for visitor in &mut visitors[..3] {
        let answer = visitor.fetch(&address).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    }
    let headers = visitors[3].fetch(&address).await.json();
    assert_eq!(headers["x-user-roles"], json!(["auditor"]));
    let page = visitors[0].open(&address).await;
    assert_eq!(
        page.user().as_deref(),
        Some("plain0000001"),
        "Logto still knows who it is: {page:?}"
    );
    let page = visitors[1].open(&address).await;
    assert!(page.is_sign_in(), "{page:?}");
}

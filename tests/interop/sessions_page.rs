//! The page of sessions in Chromium: one browser ends the other's session; the page is sound in both languages and schemes.
//!
//! `LOGTO_PROXY_SCREENSHOTS=<folder>` keeps pictures of it.

use serde_json::{Value, json};

use crate::support::chromium::Chromium;
use crate::support::proxy::{Place, Proxy};
use crate::support::runner::Scenarios;
use crate::support::setting::Around;
use crate::support::wait::eventually;

pub fn add_to(scenarios: &mut Scenarios) {
    scenarios.add(
        "sessions_page::one_browser_ends_the_other",
        one_browser_ends_the_other,
    );
}

async fn sign_in(browser: &Chromium, proxy: &Proxy) {
    browser.open(&proxy.url("/headers")).await;
    browser.click("button[name=persona][value=plain]").await;
    browser.arrives_at(&proxy.url("/headers")).await;
}

/// As a reader with these wishes sees it.
async fn read_as(browser: &Chromium, language: &str, scheme: &str) {
    browser.tell("Network.enable", json!({})).await;
    browser
        .tell(
            "Network.setExtraHTTPHeaders",
            json!({ "headers": { "Accept-Language": language } }),
        )
        .await;
    let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
    browser
        .tell("Emulation.setEmulatedMedia", json!({ "features": features }))
        .await;
}

/// Least contrast of any text on the page, and what a reader by ear or keyboard would miss.
const AUDIT: &str = r"
    const channel = (value) => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
    const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const numbers = (color) => color.match(/[\d.]+/g).map(Number);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = numbers(getComputedStyle(at).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
        return [255, 255, 255];
    };
    let contrast = 21;
    for (const element of document.body.querySelectorAll('*')) {
        if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
        const pair = [luminance(numbers(getComputedStyle(element).color)), luminance(behind(element))].sort((a, b) => b - a);
        contrast = Math.min(contrast, (pair[0] + 0.05) / (pair[1] + 0.05));
    }
    const controls = [...document.querySelectorAll('button, a')];
    return {
        contrast,
        language: document.documentElement.lang,
        title: document.title,
        h1: document.querySelectorAll('h1').length,
        main: document.querySelectorAll('main').length,
        nameless: controls.filter((control) => !control.textContent.trim()).length,
        small: controls.filter((control) => control.getBoundingClientRect().height < 24 && !control.closest('p, dd')).length,
        wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    };
";

async fn audit(browser: &Chromium, language: &str) {
    let found = browser.run(AUDIT).await;
    assert!(
        found["contrast"].as_f64().is_some_and(|contrast| contrast >= 4.5),
        "{found}"
    );
    assert_eq!(found["language"], language, "{found}");
    assert_eq!(
        [&found["h1"], &found["main"], &found["nameless"], &found["small"]],
        [&json!(1), &json!(1), &json!(0), &json!(0)],
        "{found}"
    );
    assert_eq!(found["wide"], json!(false), "{found}");
}

/// What the browser complained of: errors of scripts, violations of the policy, what did not load.
async fn assert_no_complaint(browser: &Chromium) {
    let complaints: Vec<Value> = browser
        .complaints()
        .await
        .into_iter()
        // Chromium asks every site for one; it is the app that has none.
        .filter(|entry| {
            !entry["message"]
                .as_str()
                .is_some_and(|text| text.contains("/favicon.ico"))
        })
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

async fn one_browser_ends_the_other() {
    let around = Around::new(Place::choose(), json!({})).await;
    let proxy = around.proxy().await;
    let page = proxy.url("/.logto/sessions");
    let (here, there) = (Chromium::start().await, Chromium::start().await);
    sign_in(&here, &proxy).await;
    sign_in(&there, &proxy).await;

    for (language, scheme) in [("en", "light"), ("en", "dark"), ("ja", "light"), ("ja", "dark")] {
        read_as(&here, language, scheme).await;
        for (size, width) in [("wide", 1_000), ("narrow", 340)] {
            here.tell(
                "Emulation.setDeviceMetricsOverride",
                json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false }),
            )
            .await;
            here.open(&page).await;
            audit(&here, language).await;
            here.keep_picture(&format!("sessions-{language}-{scheme}-{size}"))
                .await;
        }
    }
    here.tell("Emulation.clearDeviceMetricsOverride", json!({})).await;
    read_as(&here, "en", "light").await;

    // The first is this browser's own.
    here.open(&page).await;
    let listed = here
        .run("return document.querySelectorAll('.list > li').length")
        .await;
    assert_eq!(listed, 2);
    assert_eq!(
        there.run_async("return (await fetch('/headers')).status").await,
        200
    );
    here.click(".list > li:nth-child(2) button").await;
    eventually("the page says so", || async {
        here.has("[role=status]").await.then_some(())
    })
    .await;
    here.keep_picture("sessions-ended").await;
    let listed = here
        .run("return document.querySelectorAll('.list > li').length")
        .await;
    assert_eq!(listed, 1);
    assert_eq!(
        there.run_async("return (await fetch('/headers')).status").await,
        401
    );

    // Signed in once more, it is ended with "all others".
    there.open(&proxy.url("/headers")).await;
    there.arrives_at(&proxy.url("/headers")).await;
    assert_eq!(
        there.run_async("return (await fetch('/headers')).status").await,
        200
    );
    here.open(&page).await;
    here.click("button[name=others]").await;
    eventually("the page says so", || async {
        here.has("[role=status]").await.then_some(())
    })
    .await;
    assert_eq!(
        there.run_async("return (await fetch('/headers')).status").await,
        401
    );

    assert_no_complaint(&here).await;
    // It would have been seen: the policy lets nothing be fetched.
    here.run_async("await fetch('/headers')").await;
    let complaints = here.complaints().await;
    assert!(
        complaints.iter().any(|entry| entry["source"] == "security"
            || entry["message"]
                .as_str()
                .is_some_and(|text| text.contains("Content Security Policy"))),
        "{complaints:?}"
    );

    // Its own end is a sign-out, at Logto too.
    here.click(".list > li:first-child button").await;
    eventually("nobody is signed in at the provider", || async {
        (around.provider.signed_in().await.len() == 1).then_some(())
    })
    .await;
    here.open(&page).await;
    assert!(
        here.has("button[name=persona]").await,
        "signed in again without being asked"
    );
    assert_no_complaint(&here).await;
    here.close().await;
    there.close().await;
}

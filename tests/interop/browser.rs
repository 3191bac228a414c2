//! What a person's browser goes through, in Chromium: once with `logto-proxy dev` and its built-in stand-in for Logto,
//! once with the proxy before a plain app and the real `oidc-provider`.

use std::future::Future;

use serde_json::json;

use crate::support::app::App;
use crate::support::chromium::Chromium;
use crate::support::oidc_provider::OidcProvider;
use crate::support::proxy::{Place, Proxy};
use crate::support::runner::Scenarios;
use crate::support::wait::eventually;

/// Adds every scenario once for each provider.
pub fn add_to(scenarios: &mut Scenarios) {
    for kind in [Kind::Dev, Kind::OidcProvider] {
        add(
            scenarios,
            kind,
            "hugging_face_sign_in_keeps_deep_link",
            hugging_face_sign_in_keeps_deep_link,
        );
        add(
            scenarios,
            kind,
            "two_tabs_both_end_signed_in",
            two_tabs_both_end_signed_in,
        );
        add(
            scenarios,
            kind,
            "back_button_after_sign_in",
            back_button_after_sign_in,
        );
        add(scenarios, kind, "sign_out_asks_again", sign_out_asks_again);
        add(scenarios, kind, "fetch_gets_401", fetch_gets_401);
        add(
            scenarios,
            kind,
            "a_form_without_a_session_says_so",
            a_form_without_a_session_says_so,
        );
        add(scenarios, kind, "web_socket_echoes", web_socket_echoes);
        add(
            scenarios,
            kind,
            "events_arrive_one_by_one",
            events_arrive_one_by_one,
        );
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Dev,
    OidcProvider,
}

fn add<F>(scenarios: &mut Scenarios, kind: Kind, name: &str, scenario: fn(Setting) -> F)
where
    F: Future<Output = Setting> + Send + 'static,
{
    let provider = match kind {
        Kind::Dev => "dev",
        Kind::OidcProvider => "oidc_provider",
    };
    scenarios.add(format!("browser_{provider}::{name}"), move || async move {
        scenario(Setting::new(kind).await).await.browser.close().await;
    });
}

/// A browser, and what it goes to. Dropped in this order.
struct Setting {
    browser: Chromium,
    proxy: Proxy,
    provider: Option<OidcProvider>,
    _app: Option<App>,
}

impl Setting {
    async fn new(kind: Kind) -> Self {
        let browser = Chromium::start().await;
        match kind {
            Kind::Dev => Self {
                browser,
                proxy: Proxy::start_dev().await,
                provider: None,
                _app: None,
            },
            Kind::OidcProvider => {
                let app = App::start().await;
                let place = Place::choose();
                let provider = OidcProvider::start(9, &place.public_url()).await;
                let proxy = Proxy::start(&place, app.address(), &provider).await;
                Self {
                    browser,
                    proxy,
                    provider: Some(provider),
                    _app: Some(app),
                }
            }
        }
    }

    fn url(&self, path: &str) -> String {
        self.proxy.url(path)
    }

    /// Picks a persona on the sign-in page that is shown, by way of the Hugging Face page where that is the way.
    async fn choose(&self, persona: &str) {
        let choice = format!("button[name=persona][value={persona}]");
        let connector = format!("button[name=social][value={persona}]");
        let sign_in = "button[name=social]";
        eventually("a sign-in page", || async {
            self.browser.has(sign_in).await.then_some(())
        })
        .await;
        if self.browser.has(&connector).await {
            self.browser.click(&connector).await;
            eventually("the connector's page", || async {
                (!self.browser.has(sign_in).await).then_some(())
            })
            .await;
        }
        self.browser.click(&choice).await;
    }

    /// Goes to an address of the app and signs in on the way.
    async fn sign_in(&self, path: &str, persona: &str) {
        self.browser.open(&self.url(path)).await;
        self.choose(persona).await;
        self.browser.arrives_at(&self.url(path)).await;
    }

    /// What the page's own script reads of the request headers that reached the app.
    async fn headers(&self) -> serde_json::Value {
        self.browser
            .run_async("return await (await fetch('/headers')).json()")
            .await
    }

    async fn assert_signed_in(&self) {
        let headers = self.headers().await;
        assert!(headers["x-user-sub"].is_array(), "nobody is signed in: {headers}");
    }
}

async fn hugging_face_sign_in_keeps_deep_link(setting: Setting) -> Setting {
    setting
        .sign_in("/headers?page=2&q=%E7%8C%AB", "huggingface")
        .await;

    let headers = setting.headers().await;
    assert!(headers["x-user-sub"].is_array(), "{headers}");
    assert!(headers["x-user-hf-id"].is_array(), "{headers}");
    assert!(headers["x-user-hf-username"].is_array(), "{headers}");
    setting
}

async fn two_tabs_both_end_signed_in(setting: Setting) -> Setting {
    let Setting { browser, .. } = &setting;
    let first = browser.current_tab().await;
    browser.open(&setting.url("/first")).await;
    let second = browser.new_tab().await;
    browser.open(&setting.url("/second")).await;

    // The first tab finishes, and Logto finishes it with the second tab's `state`.
    browser.show_tab(&first).await;
    setting.choose("plain").await;
    browser.arrives_at(&setting.url("/second")).await;
    setting.assert_signed_in().await;

    // The second tab's sign-in page is dead at Logto, but its owner is signed in.
    browser.show_tab(&second).await;
    browser.open(&setting.url("/second")).await;
    browser.arrives_at(&setting.url("/second")).await;
    setting.assert_signed_in().await;
    setting
}

async fn back_button_after_sign_in(setting: Setting) -> Setting {
    let Setting { browser, .. } = &setting;
    setting.sign_in("/one", "plain").await;
    browser.open(&setting.url("/two")).await;

    browser.back().await;
    browser.arrives_at(&setting.url("/one")).await;
    setting.assert_signed_in().await;

    // One further back is the provider's page; the way forward leads into the app, still signed in.
    browser.back().await;
    let app = setting.url("/");
    browser
        .arrives("the browser leaves the app", |url| {
            !url.as_str().starts_with(&app)
        })
        .await;
    browser.forward().await;
    browser.arrives_at(&setting.url("/one")).await;
    setting.assert_signed_in().await;
    setting
}

async fn sign_out_asks_again(setting: Setting) -> Setting {
    let Setting {
        browser, provider, ..
    } = &setting;
    setting.sign_in("/headers", "plain").await;

    browser.run("location.href = '/.logto/sign-out'").await;

    // Logto's page posts its form by script; then the app is entered only through a new sign-in.
    if let Some(provider) = provider {
        eventually("the provider's session ends", || async {
            provider.signed_in().await.is_empty().then_some(())
        })
        .await;
    }
    eventually("the proxy's session ends", || async {
        browser.open(&setting.url("/.logto/user")).await;
        browser
            .text()
            .await
            .contains("\"isAuthenticated\":false")
            .then_some(())
    })
    .await;
    setting.sign_in("/again", "admin").await;
    let roles = &setting.headers().await["x-user-roles"];
    assert!(
        roles[0].as_str().is_some_and(|roles| roles.contains("admin")),
        "{roles}"
    );
    setting
}

async fn fetch_gets_401(setting: Setting) -> Setting {
    setting.browser.open(&setting.url("/open")).await;

    let answer = setting
        .browser
        .run_async(
            "const answer = await fetch('/headers');
             return { status: answer.status, type: answer.headers.get('content-type'), cache: answer.headers.get('cache-control'),
                      redirected: answer.redirected, body: await answer.json() };",
        )
        .await;

    assert_eq!(answer["status"], 401, "{answer}");
    assert_eq!(answer["redirected"], json!(false), "{answer}");
    assert!(
        answer["type"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("application/json")),
        "{answer}"
    );
    assert!(
        answer["cache"]
            .as_str()
            .is_some_and(|cache| cache.contains("no-store")),
        "{answer}"
    );
    assert!(answer["body"]["error"].is_string(), "{answer}");
    assert!(answer["body"]["sign_in_url"].is_string(), "{answer}");
    setting
}

async fn a_form_without_a_session_says_so(setting: Setting) -> Setting {
    let Setting { browser, .. } = &setting;
    let page = "/headers?draft=7";
    setting.sign_in(page, "plain").await;
    // A short form arrives with its header, a long one is still on its way when it is answered.
    for length in [10, 3_000_000] {
        browser.forget_cookie("logto").await;
        browser
            .run(&format!(
                "const form = document.createElement('form');
                 form.method = 'post'; form.action = '/headers';
                 const text = document.createElement('textarea');
                 text.name = 'text'; text.value = 'x'.repeat({length});
                 form.append(text); document.body.append(form); form.submit();"
            ))
            .await;
        eventually("a page that says what became of the form", || async {
            browser
                .text()
                .await
                .contains("Your form was not sent")
                .then_some(())
        })
        .await;
        browser.click("a.action").await;
        // Logto knows its user, and asks nothing.
        browser.arrives_at(&setting.url(page)).await;
        setting.assert_signed_in().await;
    }
    setting
}

async fn web_socket_echoes(setting: Setting) -> Setting {
    let script = "return await new Promise((done) => {
        const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
        socket.onopen = () => socket.send('hello, 世界');
        socket.onmessage = (message) => { socket.close(); done(message.data); };
        socket.onerror = () => done('refused');
    });";
    setting.browser.open(&setting.url("/open")).await;
    assert_eq!(setting.browser.run_async(script).await, "refused");

    setting.sign_in("/headers", "plain").await;
    assert_eq!(setting.browser.run_async(script).await, "hello, 世界");
    setting
}

async fn events_arrive_one_by_one(setting: Setting) -> Setting {
    setting.sign_in("/headers", "plain").await;

    let between = setting
        .browser
        .run_async(
            "return await new Promise((done) => {
                 const source = new EventSource('/events');
                 const arrived = [];
                 const count = (event) => {
                     arrived.push(performance.now());
                     if (arrived.length === 2) { source.close(); done(arrived[1] - arrived[0]); }
                 };
                 source.addEventListener('tick', count);
                 source.onerror = () => { source.close(); done(-1); };
             });",
        )
        .await;

    let milliseconds = between.as_f64().expect("a number");
    assert!(
        milliseconds > 300.0,
        "two events came {milliseconds} ms apart: they were held back, or the stream broke"
    );
    setting
}

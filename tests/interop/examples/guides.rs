//! The apps of Logto's own guides with the SDK taken out: they have a home page for everybody, with the URLs of the guide,
//! and a page for signed-in users.

use serde_json::json;

use crate::support::example::{Example, ExampleApp};
use crate::support::oidc_provider::OidcProvider;
use crate::support::proxy::{Deployment, Place};
use crate::support::runner::Scenarios;
use crate::support::visitor::Visitor;

struct Guide {
    name: &'static str,
    /// What is clicked on the home page.
    sign_in: &'static str,
    sign_out: &'static str,
    /// A page that needs a sign-in and says who it is.
    protected: &'static str,
    /// Where the guide's users know these.
    callback: &'static str,
}

const GUIDES: [Guide; 4] = [
    Guide {
        name: "nextjs",
        sign_in: "button",
        sign_out: "button",
        protected: "/profile",
        callback: "/api/logto/sign-in-callback",
    },
    Guide {
        name: "express",
        sign_in: "a[href='/sign-in']",
        sign_out: "a[href='/sign-out']",
        protected: "/protected",
        callback: "/callback",
    },
    Guide {
        name: "flask",
        sign_in: "a[href='/sign-in']",
        sign_out: "a[href='/sign-out']",
        protected: "/protected",
        callback: "/callback",
    },
    Guide {
        name: "ruby",
        sign_in: "a[href='/sign_in']",
        sign_out: "a[href='/sign_out']",
        protected: "/protected",
        callback: "/callback",
    },
];

pub fn add_to(scenarios: &mut Scenarios) {
    for guide in GUIDES {
        scenarios.add(format!("examples::{}", guide.name), || visit(guide));
    }
    scenarios.add("examples::flask_sessions_survive_restarts", restarts);
}

/// The app, the proxy and even both may start again: nobody has to sign in twice, and what the SDK kept in the app's session
/// is nowhere to be lost.
async fn restarts() {
    let mut app = ExampleApp::start("flask").await;
    let place = Place::choose();
    let settings = json!({ "always_issue_refresh_token": true });
    let provider = OidcProvider::start_with(9, &place.public_url(), settings).await;
    let home = "[[route]]\npath = \"/\"\naccess = \"optional\"";
    let deployment = Deployment::new(&place, &app.address(), &provider).section(home);
    let mut proxy = deployment.start().await;
    let mut visitor = Visitor::new();
    let page = visitor.sign_in(&proxy.url("/protected"), "plain").await;
    let sub = page.json()["sub"].clone();
    assert!(sub.is_string(), "{page:?}");

    for round in ["app", "proxy", "both"] {
        if round != "app" {
            proxy.terminate().await;
        }
        if round != "proxy" {
            app.restart().await;
        }
        if round != "app" {
            proxy.restart().await;
        }
        visitor = visitor.reconnected();
        let page = visitor.open(&proxy.url("/protected")).await;
        assert_eq!(page.json()["sub"], sub, "{round}: {page:?}");
        let home = visitor.open(&proxy.url("/")).await;
        assert!(home.body.contains("Signed in as"), "{round}: {home:?}");
    }
}

async fn visit(guide: Guide) {
    let example = Example::start(guide.name).await;
    let browser = &example.browser;
    let (sub, name) = ("hfaceuser001", "Hugging Face User 🤗");

    // Signed out: the home page offers a sign-in.
    browser.open(&example.url("/")).await;
    browser.appears(guide.sign_in).await;
    assert!(!browser.has("#user").await);
    browser.keep_picture(&format!("{}-signed-out", guide.name)).await;

    // In, through Hugging Face, and back on the home page.
    browser.click(guide.sign_in).await;
    example.choose("huggingface").await;
    browser.arrives_at(&example.url("/")).await;
    browser.appears("#user").await;
    example.shows(name).await;
    browser.keep_picture(&format!("{}-signed-in", guide.name)).await;

    // The server knows too, and believes nobody who says so themselves.
    example.opens(guide.protected, sub).await;
    let forged = "{ headers: { 'X-User-Sub': 'adminuser001', 'X-User-Name': 'Admin' } }";
    let (status, body) = example.fetch(guide.protected, forged).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(sub) && !body.contains("adminuser001"), "{body}");
    let anonymous =
        "{ credentials: 'omit', headers: { 'X-User-Sub': 'adminuser001', 'X-User-Name': 'Admin' } }";
    let (status, body) = example.fetch("/", anonymous).await;
    assert_eq!(status, 200, "{body}");
    assert!(
        !body.contains("adminuser001") && !body.contains("Admin"),
        "{body}"
    );
    let (status, _) = example.fetch(guide.protected, anonymous).await;
    assert_eq!(status, 401);
    example.app.assert_out_of_reach().await;

    if guide.name == "nextjs" {
        data_of_pages_are_as_closed_as_the_pages(&example, sub).await;
    }

    // Out, of Logto's session too: the next sign-in asks again.
    browser.open(&example.url("/")).await;
    browser.appears("#user").await;
    browser.click(guide.sign_out).await;
    browser.arrives_at(&example.url("/")).await;
    browser.appears(guide.sign_in).await;
    assert!(!browser.has("#user").await);
    browser.open(&example.url(guide.protected)).await;
    example.choose("admin").await;
    browser.arrives_at(&example.url(guide.protected)).await;
    example.shows("adminuser001").await;

    // A callback that nobody began is the proxy's to answer, not the app's.
    browser.open(&example.url(guide.callback)).await;
    browser.arrives_at(&example.url("/")).await;
    example.browser.close().await;
}

/// Next.js serves what `getServerSideProps` gives beside the page too, below `/_next`.
async fn data_of_pages_are_as_closed_as_the_pages(example: &Example, sub: &str) {
    let (_, home) = example.fetch("/", "{}").await;
    let (_, build) = home.split_once("\"buildId\":\"").expect("a build");
    let build = build.split('"').next().unwrap();
    let data = format!("/_next/data/{build}/profile.json");
    let (status, body) = example.fetch(&data, "{ credentials: 'omit' }").await;
    assert_eq!(status, 401, "{body}");
    let (status, body) = example.fetch(&data, "{}").await;
    assert!(status == 200 && body.contains(sub), "{status} {body}");
}

//! Apps as people publish them on Hugging Face: events by SSE and WebSocket, uploads, and a page that lives for hours
//! while its session is confirmed again and again.

use std::time::Duration;

use logto_proxy::clock::monotonic;

use crate::support::example::Example;
use crate::support::ports::free_port;
use crate::support::runner::Scenarios;
use crate::support::visitor::Visitor;

/// How long each app is used by the script, in seconds: a minute or what `LOGTO_PROXY_USE_SECONDS` says.
fn use_for() -> Duration {
    let seconds = std::env::var("LOGTO_PROXY_USE_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(45))
}

#[derive(Clone, Copy)]
struct Space {
    name: &'static str,
    /// What the page has when its script is ready.
    ready: &'static str,
    /// Starts the count to five.
    count: &'static str,
    /// Script that gives the progress shown now.
    progress: &'static str,
    /// Where a file goes.
    upload: &'static str,
    /// Script that gives the size shown for it.
    size: &'static str,
    sign_out: &'static str,
}

const SPACES: [Space; 2] = [
    Space {
        name: "gradio",
        ready: "#who strong",
        count: "#count",
        progress: "document.querySelector('#progress textarea, #progress input').value",
        upload: "#upload input[type=file]",
        size: "document.querySelector('#size textarea, #size input').value",
        sign_out: "a[href='/.logto/sign-out']",
    },
    Space {
        name: "streamlit",
        ready: "[data-testid=stMarkdown] strong",
        count: "[data-testid=stButton] button",
        progress: "(document.body.innerText.match(/step \\d of 5/) ?? [''])[0]",
        upload: "[data-testid=stFileUploader] input[type=file]",
        size: "(document.body.innerText.match(/\\d+ bytes/) ?? [''])[0]",
        sign_out: "a[href='/.logto/sign-out']",
    },
];

pub fn add_to(scenarios: &mut Scenarios) {
    for space in SPACES {
        scenarios.add(format!("examples::{}", space.name), move || visit(space));
        let name = format!("examples::{}_used_for_long", space.name);
        scenarios.add_lasting(name, use_for(), move || use_for_long(space));
    }
}

/// A browser on the app, signed in through Hugging Face.
async fn enter(space: Space, flags: &[&str]) -> Example {
    let example = Example::start_with(space.name, flags).await;
    example.browser.open(&example.url("/")).await;
    example
        .browser
        .keep_picture(&format!("{}-signed-out", space.name))
        .await;
    example.choose("huggingface").await;
    example.browser.appears(space.ready).await;
    example.browser.appears(space.count).await;
    example
}

/// Counts to five, and gives what the page showed on the way.
async fn count(space: Space, example: &Example) -> Vec<String> {
    let script = format!(
        "const shown = () => {};
         const left = shown(), seen = [];
         document.querySelector({:?}).click();
         const end = Date.now() + 15000;
         while (Date.now() < end && seen.at(-1) !== 'step 5 of 5') {{
             const now = shown();
             if (now && now !== (seen.at(-1) ?? left)) seen.push(now);
             await new Promise((done) => setTimeout(done, 15));
         }}
         return seen;",
        space.progress, space.count
    );
    let seen = example.browser.run_async(&script).await;
    let seen = seen.as_array().unwrap_or_else(|| panic!("{seen}"));
    seen.iter()
        .filter_map(|text| text.as_str())
        .map(str::to_owned)
        .collect()
}

/// All five steps are there, in order.
fn assert_complete(seen: &[String]) {
    let steps: Vec<String> = (1..=5).map(|step| format!("step {step} of 5")).collect();
    assert!(seen == steps, "some events are missing: {seen:?}");
}

async fn visit(space: Space) {
    let example = enter(space, &[]).await;
    let browser = &example.browser;
    example.shows("Hugging Face User 🤗").await;
    example.shows("example-hf-user").await;

    assert_complete(&count(space, &example).await);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("weights.bin");
    std::fs::write(&file, vec![7_u8; 3_000_000]).expect("a file");
    browser.upload(space.upload, &file).await;
    example.evaluates(space.size, "3000000 bytes").await;
    browser.keep_picture(&format!("{}-signed-in", space.name)).await;

    // Nobody gets in by saying who they are, and nobody around the proxy.
    let forged = "{ credentials: 'omit', headers: { 'X-User-Sub': 'adminuser001' } }";
    let (status, _) = example.fetch("/", forged).await;
    assert_eq!(status, 401);
    example.app.assert_out_of_reach().await;

    browser.click(space.sign_out).await;
    // A sign-out ends at the app's root, and there the next sign-in begins. Streamlit's link opens a tab of its own.
    browser.close_tabs_but_last().await;
    let app = example.url("/");
    browser
        .arrives("the next sign-in", |url| {
            !url.as_str().starts_with(&app) && url.path().starts_with("/huggingface/")
        })
        .await;
    example.browser.close().await;
}

async fn use_for_long(space: Space) {
    let admin = format!("admin.listen=127.0.0.1:{}", free_port());
    let example = enter(space, &["--set", "session.recheck=10s", "--set", &admin]).await;
    let browser = &example.browser;
    browser.run("window.isTheSamePage = true").await;
    let (begun, mut rounds) = (monotonic(), 0);
    while begun.elapsed() < use_for() {
        assert_complete(&count(space, &example).await);
        rounds += 1;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let is_same = browser.run("return window.isTheSamePage === true").await;
    assert_eq!(is_same, true, "the page was loaded again");

    let metrics = admin.replace("admin.listen=", "http://") + "/metrics";
    let metrics = Visitor::new().open(&metrics).await.body;
    let confirmed: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("logto_proxy_rechecks_total") && line.contains("\"confirmed\""))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum();
    let seconds = use_for().as_secs_f64();
    assert!(
        confirmed >= (seconds / 15.0).floor(),
        "{confirmed} re-checks in {seconds} s"
    );
    println!(
        "{}: {rounds} rounds, {confirmed} re-checks in {seconds} s",
        space.name
    );
    example.browser.close().await;
}

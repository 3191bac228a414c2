//! A real browser: Debian's Chromium, driven through ChromeDriver.

use std::process;
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, TimeoutConfiguration, WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::process::Program;
use super::wait::{PATIENCE, eventually};

/// Without these Chromium looks up its maker's hosts at every start, or does not start as root.
const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=HttpsFirstBalancedModeAutoEnable",
];

/// A browser with an empty profile.
pub struct Chromium {
    client: Client,
    _profile: TempDir,
    // Last, so that the driver ends after the browser has been told to.
    _driver: Program,
}

impl Chromium {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut driver = Program::start(
            "chromedriver",
            process::Command::new("chromedriver").arg("--port=0"),
        );
        let port: u16 = driver
            .line("says its port", |line| {
                line.split_once("started successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .parse()
                    .ok()
            })
            .await;
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), json!({ "args": arguments }));
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser session starts");
        client
            .update_timeouts(TimeoutConfiguration::new(
                Some(PATIENCE),
                Some(PATIENCE),
                Some(Duration::ZERO),
            ))
            .await
            .expect("timeouts are set");
        Self {
            client,
            _profile: profile,
            _driver: driver,
        }
    }

    /// Ends the browser in good order. A test that fails before leaves that to the driver's end.
    pub async fn close(self) {
        self.client.close().await.expect("the browser closes");
    }

    pub async fn open(&self, address: &str) {
        self.client
            .goto(address)
            .await
            .unwrap_or_else(|error| panic!("{address} does not open: {error}"));
    }

    pub async fn back(&self) {
        self.client.back().await.expect("there is a page to go back to");
    }

    pub async fn forward(&self) {
        self.client
            .forward()
            .await
            .expect("there is a page to go forward to");
    }

    pub async fn address(&self) -> Url {
        self.client
            .current_url()
            .await
            .expect("the browser has an address")
    }

    /// Waits until the address is exactly this.
    pub async fn arrives_at(&self, address: &str) {
        self.arrives(&format!("the browser arrives at {address}"), |url| {
            url.as_str() == address
        })
        .await;
    }

    /// Waits until the address is one that is wanted; says where the browser was when it never is.
    pub async fn arrives(&self, what: &str, wanted: impl Fn(&Url) -> bool) {
        let waiting = eventually(what, || async { wanted(&self.address().await).then_some(()) });
        let page = async {
            tokio::time::sleep(PATIENCE.saturating_sub(Duration::from_secs(1))).await;
            eprintln!(
                "{what}, but it is at {}:\n{}",
                self.address().await,
                self.text().await
            );
            std::future::pending().await
        };
        tokio::select! {
            () = waiting => {}
            () = page => {}
        }
    }

    /// The text of the page as a reader sees it.
    pub async fn text(&self) -> String {
        let text = self
            .run("return document.body ? document.body.innerText : ''")
            .await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page has an element and clicks it.
    pub async fn click(&self, selector: &str) {
        eventually(&format!("{selector} is there to click"), || async {
            match self.client.find(Locator::Css(selector)).await {
                Ok(element) => element.click().await.ok(),
                Err(_) => None,
            }
        })
        .await;
    }

    /// Waits until the page has an element.
    pub async fn appears(&self, selector: &str) {
        eventually(&format!("{selector} is there"), || async {
            self.has(selector).await.then_some(())
        })
        .await;
    }

    /// Gives a file to an input of the page.
    pub async fn upload(&self, selector: &str, file: &std::path::Path) {
        let input = self
            .client
            .find(Locator::Css(selector))
            .await
            .unwrap_or_else(|error| panic!("{selector}: {error}"));
        input
            .send_keys(&file.to_string_lossy())
            .await
            .unwrap_or_else(|error| panic!("{selector} takes no file: {error}"));
    }

    /// Whether the page has an element now.
    pub async fn has(&self, selector: &str) -> bool {
        match self.client.find(Locator::Css(selector)).await {
            Ok(_) => true,
            Err(CmdError::Standard(_)) => false,
            Err(error) => panic!("the browser does not answer: {error}"),
        }
    }

    /// Runs a script in the page; what it returns comes back.
    pub async fn run(&self, script: &str) -> Value {
        self.client
            .execute(script, Vec::new())
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Runs the body of an async function in the page; what it returns comes back, what it throws as `{"threw": …}`.
    pub async fn run_async(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{ {body} }})().then(done, (error) => done({{ threw: String(error) }}));"
        );
        self.client
            .execute_async(&script, Vec::new())
            .await
            .unwrap_or_else(|error| panic!("{body}: {error}"))
    }

    /// Takes a cookie of the page away, `HttpOnly` or not.
    pub async fn forget_cookie(&self, name: &str) {
        self.client
            .delete_cookie(name)
            .await
            .expect("a cookie is deleted");
    }

    /// A command of the DevTools protocol to the tab that is shown.
    pub async fn tell(&self, command: &'static str, parameters: Value) {
        let told = Command::DevTools { command, parameters };
        self.client
            .issue_cmd(told)
            .await
            .expect("Chromium knows the command");
    }

    /// What stands in the browser's console since it was asked last.
    pub async fn complaints(&self) -> Vec<Value> {
        let entries = self.client.issue_cmd(Command::Console).await.expect("a log");
        entries.as_array().cloned().unwrap_or_default()
    }

    /// A picture of the page, where `LOGTO_PROXY_SCREENSHOTS` names a folder.
    pub async fn keep_picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("LOGTO_PROXY_SCREENSHOTS") {
            let picture = self.client.screenshot().await.expect("a picture");
            let path = std::path::Path::new(&folder).join(format!("{name}.png"));
            std::fs::write(path, picture).expect("a picture is written");
        }
    }

    pub async fn current_tab(&self) -> WindowHandle {
        self.client.window().await.expect("the browser has a tab")
    }

    /// Shows the tab that was opened last, and closes all others.
    pub async fn close_tabs_but_last(&self) {
        let mut tabs = self.client.windows().await.expect("the browser has tabs");
        let last = tabs.pop();
        for tab in tabs {
            self.show_tab(&tab).await;
            self.client.close_window().await.expect("a tab closes");
        }
        self.show_tab(&last.expect("there is a tab")).await;
    }

    /// Opens a tab and shows it.
    pub async fn new_tab(&self) -> WindowHandle {
        let tab = self.client.new_window(true).await.expect("a tab opens").handle;
        self.show_tab(&tab).await;
        tab
    }

    pub async fn show_tab(&self, tab: &WindowHandle) {
        self.client
            .switch_to_window(tab.clone())
            .await
            .expect("a tab can be shown");
    }
}

/// Commands of ChromeDriver beyond the standard ones.
#[derive(Debug)]
enum Command {
    DevTools {
        command: &'static str,
        parameters: Value,
    },
    Console,
}

impl WebDriverCompatibleCommand for Command {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let path = match self {
            Self::DevTools { .. } => "goog/cdp/execute",
            Self::Console => "se/log",
        };
        base.join(&format!("session/{}/{path}", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        let body = match self {
            Self::DevTools { command, parameters } => json!({ "cmd": command, "params": parameters }),
            Self::Console => json!({ "type": "browser" }),
        };
        (http::Method::POST, Some(body.to_string()))
    }
}

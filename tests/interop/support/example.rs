//! One of `examples/` as its README says to start it, and a browser before it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::chromium::Chromium;
use super::ports::free_port;
use super::process::Program;
use super::proxy::Proxy;
use super::wait::eventually;

/// The folder of an example.
pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).join(name)
}

/// The app of an example, alone. Until dropped.
pub struct ExampleApp {
    name: String,
    port: u16,
    variables: Vec<(String, String)>,
    program: Option<Program>,
}

impl ExampleApp {
    /// Starts it, and waits until it takes connections. `examples/run --prepare` has run before.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, &[]).await
    }

    /// The same with these environment variables.
    pub async fn start_with(name: &str, variables: &[(&str, &str)]) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| (String::from(*name), String::from(*value)));
        let mut app = Self {
            name: name.to_owned(),
            port: free_port(),
            variables: variables.collect(),
            program: None,
        };
        app.restart().await;
        app
    }

    /// Ends it, if it runs, and starts it again.
    pub async fn restart(&mut self) {
        self.program = None;
        // Its workers hold its socket until they are gone, too.
        eventually("the app lets go of its port", || async {
            (!connects(Ipv4Addr::LOCALHOST, self.port).await).then_some(())
        })
        .await;
        let mut command = Command::new(folder("run"));
        command
            .args(["--app", &self.name])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PORT", self.port.to_string());
        self.program = Some(Program::start(format!("the app {}", self.name), &mut command));
        // Python imports a lot on a cold disk.
        tokio::time::timeout(Duration::from_secs(60), async {
            while !connects(Ipv4Addr::LOCALHOST, self.port).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("the app {} does not listen", self.name));
    }

    /// What `upstream` is set to.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Nobody on another machine reaches it: it listens on `127.0.0.1` and on no other address.
    pub async fn assert_out_of_reach(&self) {
        for address in [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 9, 9, 9)] {
            assert!(
                !connects(address, self.port).await,
                "the app {} listens on every address",
                self.name
            );
        }
    }
}

async fn connects(address: Ipv4Addr, port: u16) -> bool {
    tokio::net::TcpStream::connect(SocketAddr::from((address, port)))
        .await
        .is_ok()
}

/// An example behind `logto-proxy dev`, by its own `proxy.toml`. Dropped in this order.
pub struct Example {
    pub browser: Chromium,
    pub proxy: Proxy,
    pub app: ExampleApp,
}

impl Example {
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, &[]).await
    }

    /// With further flags for `dev`.
    pub async fn start_with(name: &str, flags: &[&str]) -> Self {
        Self::start_around(name, free_port(), &[], flags).await
    }

    /// The same with the stand-in on this port, and environment variables for the app.
    pub async fn start_around(
        name: &str,
        logto_port: u16,
        variables: &[(&str, &str)],
        flags: &[&str],
    ) -> Self {
        let app = ExampleApp::start_with(name, variables).await;
        let file = folder(name).join("proxy.toml");
        let (file, upstream) = (file.to_string_lossy().into_owned(), app.address());
        let mut all = vec!["--config", file.as_str(), "--upstream", upstream.as_str()];
        all.extend(flags);
        Self {
            browser: Chromium::start().await,
            proxy: Proxy::start_dev_around(logto_port, &all).await,
            app,
        }
    }

    pub fn url(&self, path: &str) -> String {
        self.proxy.url(path)
    }

    /// Opens a page of the app and waits until it shows a text.
    pub async fn opens(&self, path: &str, text: &str) {
        self.browser.open(&self.url(path)).await;
        self.shows(text).await;
    }

    /// Waits until the page shows a text.
    pub async fn shows(&self, text: &str) {
        eventually(&format!("the page shows {text:?}"), || async {
            self.browser.text().await.contains(text).then_some(())
        })
        .await;
    }

    /// Waits until a script gives a text.
    pub async fn evaluates(&self, script: &str, text: &str) {
        let script = format!("return {script}");
        eventually(&format!("the page shows {text:?}"), || async {
            (self.browser.run(&script).await == text).then_some(())
        })
        .await;
    }

    /// On the sign-in page that is shown: picks a persona, by way of the Hugging Face page where that is the way.
    pub async fn choose(&self, persona: &str) {
        let choice = format!("button[name=persona][value={persona}]");
        let connector = format!("button[name=social][value={persona}]");
        eventually("a sign-in page", || async {
            let is_there = self.browser.has(&choice).await || self.browser.has(&connector).await;
            is_there.then_some(())
        })
        .await;
        if self.browser.has(&connector).await {
            self.browser.click(&connector).await;
        }
        self.browser.click(&choice).await;
    }

    /// What a script of the page is answered: status and body.
    pub async fn fetch(&self, path: &str, options: &str) -> (u64, String) {
        let script = format!(
            "const answer = await fetch({path:?}, {options});
             return {{ status: answer.status, body: await answer.text() }};"
        );
        let answer = self.browser.run_async(&script).await;
        (
            answer["status"].as_u64().unwrap_or_else(|| panic!("{answer}")),
            answer["body"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

//! Several replicas of one deployment: in this process, or as programs of their own.

use super::program::{Ended, Running, Setup};
use super::{Balancer, Browser, Upstream, World, proxy::Builder, raw};
use logto_proxy::dev::provider::Control;
use std::net::SocketAddr;
use tokio_util::sync::DropGuard;

/// Replicas in this process: one Logto, one upstream, one clock, the same keys and origin.
pub struct Fleet {
    pub worlds: Vec<World>,
    each: Box<dyn Fn(usize) -> Builder>,
}

impl Fleet {
    /// Starts so many replicas; `each` describes one by its number, starting from 0. What it says about Logto and the
    /// upstream counts for the first.
    pub async fn start(replicas: usize, each: impl Fn(usize) -> Builder + 'static) -> Self {
        let mut worlds: Vec<World> = vec![each(0).start().await];
        for number in 1..replicas {
            worlds.push(beside(&worlds[0], each(number)).await);
        }
        Self {
            worlds,
            each: Box::new(each),
        }
    }

    /// The first replica, through which Logto, the upstream and the clock are reached.
    pub fn first(&self) -> &World {
        &self.worlds[0]
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.worlds.iter().map(|world| world.address).collect()
    }

    /// A browser whose requests go to one replica after the other.
    pub fn browser(&self) -> Browser {
        let mut browser = self.first().browser();
        browser.spread_over(self.addresses());
        browser
    }

    /// The same, signed in as a persona.
    pub async fn signed_in(&self, persona: &str) -> Browser {
        let mut browser = self.first().signed_in(persona).await;
        browser.spread_over(self.addresses());
        browser
    }

    /// Ends a replica in good order and starts one like it, on another port. Browsers must be told.
    pub async fn restart(&mut self, number: usize) {
        self.worlds[number].shut_down().await;
        let next = beside(&self.worlds[number], (self.each)(number)).await;
        self.worlds[number] = next;
    }
}

async fn beside(world: &World, builder: Builder) -> World {
    builder
        .beside(world)
        .upstream(world.upstream.clone())
        .start()
        .await
}

/// Replicas as programs of their own, which can be killed, behind one address. Their time is the real one.
pub struct Processes {
    pub logto: Control,
    pub upstream: Upstream,
    pub balancer: Balancer,
    origin: String,
    setup: Setup,
    arguments: Vec<Vec<String>>,
    addresses: Vec<SocketAddr>,
    running: Vec<Option<Running>>,
    _stop_provider: DropGuard,
}

impl Processes {
    /// Starts one process for each list of arguments, such as `--set store.path="/tmp/x"`; waits until all know Logto.
    pub async fn start(builder: Builder, arguments: Vec<Vec<String>>) -> Self {
        let (text, parts) = builder.for_processes().await;
        let setup = Setup::new(&text);
        let mut processes = Self {
            logto: parts.logto,
            upstream: parts.upstream,
            balancer: Balancer::start(Vec::new()).await,
            origin: parts.origin,
            setup,
            arguments,
            addresses: Vec::new(),
            running: Vec::new(),
            _stop_provider: parts.stop_provider,
        };
        for number in 0..processes.arguments.len() {
            let running = processes.setup.serve_with(&processes.arguments[number]);
            processes.addresses.push(running.address());
            processes.running.push(Some(running));
        }
        processes.balancer.set(processes.addresses.clone());
        for number in 0..processes.running.len() {
            processes.until_ready(number).await;
        }
        // Logto calls the deployment, not a replica.
        processes
            .logto
            .route(&processes.origin, processes.balancer.address());
        processes
    }

    /// Where each of them listens; the same after a restart.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where a running one answers about its health.
    pub fn admin(&self, number: usize) -> SocketAddr {
        let running = self.running[number].as_ref().expect("it runs");
        running.addresses.last().unwrap().parse().unwrap()
    }

    /// A browser that comes through the balancer.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.origin, self.balancer.address())
    }

    /// The same, signed in as a persona.
    pub async fn signed_in(&self, persona: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(persona, "/.logto/sign-in").await;
        assert!(answer.status < 400, "signed in: {answer:?}");
        self.upstream.forget();
        browser
    }

    /// One more process like that one, while that one runs; returns how it ended.
    pub fn run_beside(&self, number: usize) -> Ended {
        let arguments = self.arguments[number].iter().map(String::as_str);
        let arguments: Vec<&str> = std::iter::once("run").chain(arguments).collect();
        self.setup.run(&arguments)
    }

    /// Waits until a process says this.
    pub fn until_said(&mut self, number: usize, words: &str) -> String {
        let running = self.running[number].as_mut().expect("it runs");
        if running.said.contains(words) {
            return running.said.clone();
        }
        running.until_said(words)
    }

    /// What its health listener answers: status and body.
    pub async fn health(&self, number: usize, path: &str) -> (u16, String) {
        raw::health(self.admin(number), path).await
    }

    /// Puts a changed configuration in force everywhere, and waits until it is.
    pub fn reload(&mut self, change: impl FnOnce(String) -> String) {
        let path = self.setup.path("proxy.toml");
        let text = change(std::fs::read_to_string(&path).unwrap());
        // In one step, as editors do: every process follows the file.
        std::fs::write(self.setup.path("next.toml"), text).unwrap();
        std::fs::rename(self.setup.path("next.toml"), path).unwrap();
        for running in self.running.iter_mut().flatten() {
            running.hang_up();
            running.until_said("is in force");
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self, number: usize) {
        self.running[number].take().expect("it runs").kill();
    }

    /// SIGTERM, and waits for its end; its output.
    pub fn terminate(&mut self, number: usize) -> String {
        let running = self.running[number].take().expect("it runs");
        running.terminate();
        let ended = running.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    }

    /// Starts a process that ended, on its former address.
    pub async fn restart(&mut self, number: usize) {
        let mut arguments = self.arguments[number].clone();
        arguments.push("--set".to_owned());
        arguments.push(format!("listen={}", self.addresses[number]));
        self.running[number] = Some(self.setup.serve_with(&arguments));
        self.until_ready(number).await;
    }

    async fn until_ready(&self, number: usize) {
        super::eventually("the process knows Logto", || async {
            let mut browser = Browser::new(&self.origin, self.addresses[number]);
            browser.navigate("/.logto/sign-in").await.status == 302
                && self.health(number, "/readyz").await.0 == 200
        })
        .await;
    }
}

//! A real Redis for a test: on a port of its own, with nothing on the disk, gone with the test.

use super::super::redis::address::Address;
use super::*;
use ::redis::aio::MultiplexedConnection;
use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

/// A running Redis, or one that was killed.
pub(super) struct Redis {
    child: Child,
    port: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one with these arguments; `None` where there is no `redis-server`, which the CI must have.
    pub(super) fn start(arguments: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            assert!(env::var_os("CI").is_none(), "the CI needs redis-server");
            println!("skipped: there is no redis-server (Debian: apt-get install redis-server)");
            return None;
        }
        let port = free_port();
        let folder = folder();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let child = spawn(port, &arguments, folder.path());
        let redis = Self {
            child,
            port,
            arguments,
            folder,
        };
        redis.ready();
        Some(redis)
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL: whatever it held is gone.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, empty, in the same place.
    pub(super) fn restart(&mut self) {
        self.child = spawn(self.port, &self.arguments, self.folder.path());
        self.ready();
    }

    /// It is there, and answers nothing.
    pub(super) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub(super) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    fn ready(&self) {
        for _ in 0..1_000 {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            if TcpStream::connect(address).is_ok() || UnixStream::connect(self.socket()).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("redis-server does not listen");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, arguments: &[String], folder: &Path) -> Child {
    let tls = arguments.iter().any(|argument| argument == "--tls-port");
    let mut command = Command::new("redis-server");
    command
        .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
        .args(["--unixsocket", "redis.sock", "--dir"])
        .arg(folder)
        .args(["--port", &if tls { 0 } else { port }.to_string()]);
    for argument in arguments {
        command.arg(argument.replace("{port}", &port.to_string()));
    }
    command.current_dir(folder).stdout(Stdio::null()).spawn().unwrap()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A store with the tasks it runs on.
pub(super) struct Replica {
    pub(super) store: Store,
    pub(super) tasks: Tasks,
    pub(super) metrics: Metrics,
}

impl Replica {
    /// Starts one, and does not wait.
    pub(super) fn begin(settings: Settings) -> Self {
        let (tasks, metrics) = (Tasks::new(), Metrics::new());
        let store = Store::open(settings, Clock::system(), tasks.clone(), metrics.clone()).unwrap();
        store.start();
        Self {
            store,
            tasks,
            metrics,
        }
    }

    /// Starts one, and waits until it has read everything.
    pub(super) async fn start(url: &str) -> Self {
        let replica = Self::begin(at_url(url));
        let caught_up = replica.store.caught_up();
        tokio::time::timeout(Duration::from_secs(5), caught_up)
            .await
            .unwrap();
        replica
    }

    /// Waits until it knows that the Redis is away, or there.
    pub(super) async fn knows(&self, available: bool) {
        let what = if available { "found" } else { "lost" };
        within(Duration::from_secs(9), what, || {
            self.store.health().available == available
        })
        .await;
    }

    /// Waits until a session is over here too.
    pub(super) async fn hears(&self, number: u32) {
        let what = format!("notice {number}");
        within(Duration::from_secs(9), &what, || is_over(&self.store, number)).await;
    }

    /// How often a metric's line was counted.
    pub(super) fn count(&self, line: &str) -> u64 {
        let text = self.metrics.render();
        let found = text.lines().find_map(|found| found.strip_prefix(line));
        found.map_or(0, |count| count.trim().parse().unwrap())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.store.stop();
    }
}

/// A client of a test's own, to look and to meddle.
pub(super) async fn client(url: &str) -> MultiplexedConnection {
    let address = Address::read(&SecretText::new(url.to_owned()), &[]).unwrap();
    let (connection, driver) = match address.connect(Duration::from_secs(5)).await {
        Ok(connected) => connected,
        Err(fault) => panic!("{fault:?}"),
    };
    Tasks::new().spawn(driver);
    connection
}

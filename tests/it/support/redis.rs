//! A real `redis-server` of the test's own, on a loopback port, kept in memory only. It uses nothing but the standard
//! library and `tempfile`, so unit tests and the interoperability tests may include this file too.
#![allow(dead_code, reason = "each crate that includes this file needs a part of it")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often an answer is asked for before the test fails; with [`PAUSE`] it makes ten seconds.
const ATTEMPTS: usize = 500;
const PAUSE: Duration = Duration::from_millis(20);
/// How often another port is tried when somebody else took the one chosen.
const PORTS: usize = 5;

/// A Redis that a test may kill, freeze, empty and start again. It ends with the test.
pub struct Redis {
    address: SocketAddr,
    options: Vec<String>,
    password: Option<String>,
    child: Option<Child>,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one on a free port. `None` where `redis-server` is not installed: the test is then skipped, and says
    /// so; in CI (the variable `CI` is set) that is a failure.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same with more options, such as `["--requirepass", "secret"]`.
    pub fn start_with(options: &[&str]) -> Option<Self> {
        if Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            assert!(
                std::env::var_os("CI").is_none(),
                "redis-server is not installed, and CI leaves nothing out (tests/run installs it)"
            );
            eprintln!("skipped: redis-server is not installed (apt-get install redis-server)");
            return None;
        }
        let password = options
            .iter()
            .position(|option| *option == "--requirepass")
            .and_then(|at| options.get(at + 1))
            .map(|password| (*password).to_owned());
        let mut redis = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            password,
            child: None,
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        for _ in 0..PORTS {
            redis.address = free_address();
            if redis.run() {
                return Some(redis);
            }
        }
        panic!("redis-server does not start:\n{}", redis.log());
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a configuration calls it: `redis://127.0.0.1:PORT`, with the password if there is one.
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@{}", self.address),
            None => format!("redis://{}", self.address),
        }
    }

    /// Ends it with SIGKILL; all that it held is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        for _ in 0..PORTS {
            if self.run() {
                return;
            }
        }
        panic!("redis-server does not start again:\n{}", self.log());
    }

    /// Stops it in its tracks (SIGSTOP): connections stand, nothing is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Empties it.
    pub fn flush(&self) {
        assert_eq!(self.command(&["FLUSHALL"]), "+OK\r\n");
    }

    /// Cuts every connection but this one; clients must connect anew.
    pub fn disconnect_all(&self) {
        self.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    }

    /// Sends one command and returns the answer as it stands on the wire (RESP2).
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", self.log()))
    }

    /// How many commands of a kind were served since the start, such as `xadd`.
    pub fn calls(&self, command: &str) -> u64 {
        let name = format!("cmdstat_{}:calls=", command.to_ascii_lowercase());
        self.command(&["INFO", "commandstats"])
            .lines()
            .find_map(|line| line.strip_prefix(&name)?.split(',').next()?.parse().ok())
            .unwrap_or(0)
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn try_command(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        if let Some(password) = &self.password {
            stream.write_all(encode(&["AUTH", password]).as_bytes())?;
            read_answer(&mut stream)?;
        }
        stream.write_all(encode(words).as_bytes())?;
        read_answer(&mut stream)
    }

    /// Starts the program; false when it ended at once, its port being taken.
    fn run(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &self.address.port().to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--daemonize", "no", "--dir"])
            .arg(self.folder.path())
            .args(["--logfile", "log"])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server can be started");
        for _ in 0..ATTEMPTS {
            if child.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            if self
                .try_command(&["PING"])
                .is_ok_and(|answer| answer == "+PONG\r\n")
                && self.serves(child.id())
            {
                self.child = Some(child);
                return true;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// Whether this process is the one that answers, and not somebody else's Redis on the same port.
    fn serves(&self, process: u32) -> bool {
        self.try_command(&["INFO", "server"])
            .is_ok_and(|answer| answer.lines().any(|line| line == format!("process_id:{process}")))
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("redis-server runs");
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // SIGKILL ends a frozen one too.
        self.kill();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a loopback port is free")
}

fn encode(words: &[&str]) -> String {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text
}

/// One answer: a line, or a bulk string behind its length; of an array the first line alone.
fn read_answer(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    match line
        .strip_prefix('$')
        .and_then(|length| length.trim().parse::<usize>().ok())
    {
        Some(length) => {
            let mut body = vec![0; length + 2];
            stream.read_exact(&mut body)?;
            Ok(String::from_utf8_lossy(&body[..length]).into_owned())
        }
        None => Ok(line),
    }
}

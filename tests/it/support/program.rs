//! The real program, started as an operator starts it.

use super::proxy::{APP_ID, APP_SECRET, SESSION_KEY};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A directory with a configuration.
pub struct Setup {
    pub directory: TempDir,
}

impl Setup {
    /// `proxy.toml` with this text.
    pub fn new(toml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("proxy.toml"), toml).unwrap();
        Self { directory }
    }

    /// A configuration that works, with more top-level keys and sections.
    pub fn valid(top: &str, sections: &str) -> Self {
        Self::new(&valid(top, sections))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logto-proxy"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command that ends by itself.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[])
    }

    /// The same with environment variables.
    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        Running::new(command.spawn().unwrap()).wait()
    }

    /// Starts serving; returns when the program says where it listens.
    pub fn serve(&self) -> Running {
        self.serve_with(&[])
    }

    /// The same with more arguments.
    pub fn serve_with(&self, arguments: &[String]) -> Running {
        let mut command = self.command(&["run"]);
        let mut running = Running::new(command.args(arguments).spawn().unwrap());
        running.until_listening();
        running
    }
}

/// A configuration that works: everything on ports that the system chooses.
pub fn valid(top: &str, sections: &str) -> String {
    let or = |key: &str, line: &str| {
        if top.contains(key) {
            String::new()
        } else {
            format!("{line}\n")
        }
    };
    let admin = if sections.contains("[admin]") {
        ""
    } else {
        "[admin]\nlisten = \"127.0.0.1:0\"\n"
    };
    let top_lines = if top.is_empty() {
        String::new()
    } else {
        format!("{top}\n")
    };
    format!(
        "public_url = \"https://app.example.com\"\n{}{}{top_lines}[logto]\nendpoint = \"http://127.0.0.1:9\"\n\
         app_id = \"{APP_ID}\"\napp_secret = \"{APP_SECRET}\"\n[session]\nkeys = [\"{SESSION_KEY}\"]\n{admin}{sections}",
        or("listen", "listen = \"127.0.0.1:0\""),
        or("upstream =", "upstream = \"http://127.0.0.1:9\""),
    )
}

/// A running program; killed when the test ends without it.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// What it logged so far.
    pub said: String,
    /// Where it listens, as it says.
    pub addresses: Vec<String>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            lines,
            said: String::new(),
            addresses: Vec::new(),
        }
    }

    fn until_listening(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        // The health listener's line is the last.
        while !self.said.contains("health listener") {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("it never listened: {}", self.said));
            if let Some(address) = line
                .split("\"address\":\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
            {
                self.addresses.push(address.to_owned());
            }
            self.said.push_str(&line);
            self.said.push('\n');
        }
    }

    /// The first address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
            .parse()
            .unwrap_or_else(|_| panic!("{:?} in {}", self.addresses, self.said))
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line says this that was not waited for before, and returns it; fails the test after fifteen seconds.
    pub fn until_said(&mut self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{words:?} was never said: {}", self.said));
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Sends SIGKILL and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, ten seconds at most.
    pub fn wait(mut self) -> Ended {
        let deadline = Instant::now() + Duration::from_secs(10);
        let code = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if Instant::now() > deadline => panic!("it never ended: {}", self.said),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(1)) {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        Ended {
            code,
            stdout: std::mem::take(&mut self.said),
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

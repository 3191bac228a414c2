//! A program under test: started, listened to, and ended with the test, whatever way the test ends.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use super::wait::eventually;

/// How much of its output is shown when the test fails.
const SHOWN_LINES: usize = 60;

/// A running program. Dropping it kills it and what it started; if the test is failing, its last output is shown first.
pub struct Program {
    name: String,
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts a command with its output kept line by line and its standard input held open until it is dropped.
    pub fn start(name: impl Into<String>, command: &mut Command) -> Self {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what it starts (a driver its browser) ends with it.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error} ({command:?})"));
        let output = Arc::new(Mutex::new(Vec::new()));
        keep_lines(child.stdout.take().expect("stdout is piped"), Arc::clone(&output));
        keep_lines(child.stderr.take().expect("stderr is piped"), Arc::clone(&output));
        Self { name, child, output }
    }

    /// All lines that it printed until now, both streams.
    pub fn output(&self) -> Vec<String> {
        self.output.lock().expect("no reader panics").clone()
    }

    /// Waits for a line that `find` makes something of. Panics when the program ends before it prints one.
    pub async fn line<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let what = format!("{}: {what}", self.name);
        eventually(&what, || {
            let ended = self.child.try_wait().expect("a child can be asked");
            let found = self.output().iter().find_map(|line| find(line));
            if let (None, Some(status)) = (&found, ended) {
                panic!("{what}: it ended with {status}");
            }
            std::future::ready(found)
        })
        .await
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.child.id().to_string())
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "{}: SIG{signal} was not delivered",
            self.name
        );
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let what = format!("{} ends after SIGTERM", self.name);
        eventually(&what, || {
            std::future::ready(self.child.try_wait().expect("a child can be asked"))
        })
        .await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Before it is waited for: until then its group cannot be another's.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let lines = self.output();
            let skipped = lines.len().saturating_sub(SHOWN_LINES);
            eprintln!("---- last output of {} ----", self.name);
            for line in lines.iter().skip(skipped) {
                eprintln!("{line}");
            }
        }
    }
}

fn keep_lines(stream: impl Read + Send + 'static, output: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            output.lock().expect("no reader panics").push(line);
        }
    });
}

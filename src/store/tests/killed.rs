//! Processes of their own: killed while they write, kept out by permissions, stopped by a full disk.
//!
//! They are this test binary, which is told by a variable what to be.

use super::*;
use std::env;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

/// What the process is to do, and to which file.
const ROLE: &str = "LOGTO_PROXY_TEST_STORE_ROLE";
const FILE: &str = "LOGTO_PROXY_TEST_STORE_FILE";

fn role(role: &str, path: &Path, command: &mut Command) -> Child {
    command
        .args([
            "--exact",
            "store::tests::killed::the_process",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn this_binary() -> Command {
    Command::new(env::current_exe().unwrap())
}

fn lines(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

/// The first line that begins like this, without that.
fn next(lines: &mut Lines<BufReader<ChildStdout>>, start: &str) -> String {
    let found = lines.find_map(|line| line.unwrap().split_once(start).map(|(_, rest)| rest.to_owned()));
    found.unwrap_or_else(|| panic!("the process ended without {start}"))
}

fn say(word: &str) {
    println!("{word}");
    std::io::stdout().flush().unwrap();
}

/// Not a test of its own: what the other processes run.
#[test]
fn the_process() {
    let (Ok(role), Ok(path)) = (env::var(ROLE), env::var(FILE)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let path = Path::new(&path);
        let store = match Store::open(at_path(path), Clock::system(), Tasks::new(), Metrics::new()) {
            Ok(store) => store,
            Err(error) => return say(&format!("refused: {error:?}")),
        };
        match role.as_str() {
            "publish for ever" => {
                let first = u32::try_from(store.revocations().len()).unwrap();
                for number in first.. {
                    store.publish_notice(ending(number)).await.unwrap();
                    say(&format!("published: {number}"));
                }
            }
            "fill the disk" => {
                let mut number = 0_u32;
                let error = loop {
                    let large = Notice {
                        scope: Scope::LogtoSession(format!("{number}{}", "x".repeat(20_000))),
                        ..ending(0)
                    };
                    match store.publish_notice(large).await {
                        Ok(()) => number += 1,
                        Err(error) => break error,
                    }
                };
                assert_eq!(
                    store.revocations().len(),
                    number as usize + 1,
                    "in force all the same"
                );
                assert!(!store.health().available);
                say(&format!("failed: {number} {error:?}"));
                // The disk has room again.
                let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
                let more = rustix::process::Rlimit {
                    current: limit.maximum,
                    ..limit
                };
                rustix::process::setrlimit(rustix::process::Resource::Fsize, more).unwrap();
                within(Duration::from_secs(5), "found again", || store.health().available).await;
                store.publish_notice(ending(1)).await.unwrap();
                say(&format!("recovered: {}", store.revocations().len()));
            }
            _ => {}
        }
    });
}

#[test]
fn what_was_published_survives_a_kill() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    let mut published = 0;
    for round in 0..20_usize {
        let mut child = role("publish for ever", &path, &mut this_binary());
        let mut lines = lines(&mut child);
        // At another moment each time, mostly in the middle of the next commit.
        for _ in 0..=round % 4 {
            published = next(&mut lines, "published: ").parse().unwrap();
        }
        if round == 0 {
            let error = super::file::refusal(&path);
            assert!(matches!(error, OpenError::Locked(_)), "{error}");
        }
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(at_path(&path));
        for number in 0..=published {
            assert!(
                is_over(&store, number),
                "round {round}: notice {number} of {published} is gone"
            );
        }
    }
}

#[test]
fn a_directory_that_may_not_be_used_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let path = folder.path().join("sessions.redb");
    let mut command = this_binary();
    if rustix::process::geteuid().is_root() {
        // Root may do anything; a nobody may not.
        command.uid(65_534).gid(65_534);
    }
    let mut child = role("open", &path, &mut command);
    let mut lines = lines(&mut child);
    let text = next(&mut lines, "refused: ");
    assert!(lines.all(|line| line.is_ok()));
    child.wait().unwrap();
    assert!(text.starts_with("Denied("), "{text}");
    let text = OpenError::Denied(path).to_string();
    assert!(
        text.contains("sessions.redb: permission denied; let the user"),
        "{text}"
    );
}

#[test]
fn a_full_disk_is_told_and_gotten_over() {
    let folder = folder();
    let path = folder.path().join("sessions.redb");
    // A limit on the size of files acts like a disk without space; without the signal it is an error to handle.
    drop(open(at_path(&path)));
    let blocks = std::fs::metadata(&path).unwrap().len() / 512 + 64;
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\""));
    command.arg(env::current_exe().unwrap());
    let mut child = role("fill the disk", &path, &mut command);
    let mut lines = lines(&mut child);
    let failed = next(&mut lines, "failed: ");
    assert!(failed.contains("File("), "{failed}");
    let in_force: usize = next(&mut lines, "recovered: ").parse().unwrap();
    child.wait().unwrap();
    let store = open(at_path(&path));
    assert!(in_force > 2 && is_over(&store, 1));
    assert_eq!(
        store.revocations().len(),
        in_force,
        "what was refused is written when there is room again"
    );
}

//! The program follows its configuration: on SIGHUP, and when a file changes.

use crate::support::program::{Running, Setup, valid};
use crate::support::proxy::{APP_SECRET, SESSION_KEY};
use crate::support::{Upstream, Wire, get};

const APPLIED: &str = "is in force";
const REFUSED: &str = "the one before stays in force";

async fn status(running: &Running, path: &str) -> u16 {
    let mut wire = Wire::connect(running.address()).await;
    wire.send(get(path)).await;
    wire.reply().await.status
}

fn public(path: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\naccess = \"public\"\n")
}

/// Writes the configuration beside the old one and puts it in its place, as editors do.
fn replace(setup: &Setup, name: &str, text: &str) {
    std::fs::write(setup.path("new"), text).unwrap();
    std::fs::rename(setup.path("new"), setup.path(name)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_puts_a_new_configuration_in_force_and_a_wrong_one_is_named_by_its_place() {
    let upstream = Upstream::start().await;
    let top = format!("upstream = \"http://{}\"", upstream.address);
    let setup = Setup::valid(&top, &public("/one"));
    let mut running = setup.serve();
    assert_eq!(
        (status(&running, "/one").await, status(&running, "/two").await),
        (200, 401)
    );

    replace(&setup, "proxy.toml", &valid(&top, &public("/two")));
    running.hang_up();
    running.until_said(APPLIED);
    assert_eq!(
        (status(&running, "/one").await, status(&running, "/two").await),
        (401, 200)
    );

    let wrong = valid(
        &format!("{top}\nupstrem = \"x\""),
        "[limits]\nidle_timeout = 75\n",
    );
    replace(&setup, "proxy.toml", &wrong);
    running.hang_up();
    let said = running.until_said(REFUSED);
    for words in [
        "proxy.toml:4:1: upstrem: unknown key",
        "`upstream`",
        "limits.idle_timeout",
    ] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    assert_eq!(
        (status(&running, "/one").await, status(&running, "/two").await),
        (401, 200)
    );

    let restart = format!("{top}\nworkers = 7\nlisten = \"127.0.0.1:1\"");
    let sections = format!(
        "[admin]\nlisten = \"127.0.0.1:2\"\n[limits]\nconnections = 77\n{}",
        public("/one")
    );
    replace(&setup, "proxy.toml", &valid(&restart, &sections));
    running.hang_up();
    running.until_said(APPLIED);
    let said = running.until_said("need a restart");
    for key in ["listen", "workers", "admin.listen", "limits.connections"] {
        assert!(said.contains(key), "{said}");
    }
    assert_eq!(
        (status(&running, "/one").await, status(&running, "/two").await),
        (200, 401)
    );
    running.hang_up();
    running.until_said("says what it said before");

    running.terminate();
    let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert_eq!(
        ended.stdout.matches(REFUSED).count(),
        1,
        "said once: {}",
        ended.stdout
    );
    for secret in [APP_SECRET, SESSION_KEY] {
        assert!(!ended.stdout.contains(secret), "a secret was logged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_replaced_are_noticed_without_a_signal() {
    let directory = Setup::new("");
    let key = directory.path("key");
    std::fs::write(&key, SESSION_KEY).unwrap();
    let secret = format!("{{ file = \"{}\" }}", key.display());
    let text = |sections: &str| valid("", sections).replace(&format!("\"{SESSION_KEY}\""), &secret);
    let setup = Setup::new(&text(""));
    let mut running = setup.serve();
    replace(&directory, "key", "another session key, and as hard to guess\n");
    running.until_said(APPLIED);
    replace(&setup, "proxy.toml", &text("[nonsense]\n"));
    assert!(running.until_said(REFUSED).contains("proxy.toml:"));
    replace(&setup, "proxy.toml", &text("[pages]\ntitle = \"x\"\n"));
    running.until_said(APPLIED);
    running.terminate();
    let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    assert_eq!(
        ended.stdout.matches(REFUSED).count(),
        1,
        "said once: {}",
        ended.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_missing_is_noticed_when_it_comes() {
    let setup = Setup::valid("", "");
    let mut running = setup.serve();
    let late = setup.path("late");
    let text = valid("", "").replace(
        &format!("\"{SESSION_KEY}\""),
        &format!("\"{SESSION_KEY}\", {{ file = \"{}\" }}", late.display()),
    );
    replace(&setup, "proxy.toml", &text);
    running.hang_up();
    assert!(running.until_said(REFUSED).contains("there is no such file"));
    replace(&setup, "late", "a session key that came late, hard to guess\n");
    running.until_said(APPLIED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_follows() {
    let setup = Setup::valid("", "");
    let mut running = setup.serve();
    status(&running, "/one").await;
    running.until_said("\"path\":\"/one\"");
    replace(
        &setup,
        "proxy.toml",
        &valid(
            "",
            "[log]\nformat = \"pretty\"\nlevel = \"debug\"\naccess = false\n",
        ),
    );
    running.hang_up();
    let said = running.until_said(APPLIED);
    assert!(said.contains("INFO") && !said.starts_with('{'), "{said}");
    let mut wire = Wire::connect(running.address()).await;
    wire.send("GET /two HTTP/1.1\r\nHost: app.example.com\r\nCookie: __Host-logto=forged\r\n\r\n")
        .await;
    assert_eq!(wire.reply().await.status, 401);
    running.until_said("open no session");
    replace(
        &setup,
        "proxy.toml",
        &valid("", "[log]\nlevel = \"error\"\naccess = true\n"),
    );
    running.hang_up();
    // No line says that this one is in force: it is no error.
    let admin = running.addresses[1].clone();
    crate::support::eventually("it is in force", || async {
        let mut wire = Wire::connect(admin.parse().unwrap()).await;
        wire.send(get("/metrics")).await;
        let applied = "logto_proxy_config_reloads_total{outcome=\"applied\"} 2\n";
        wire.reply().await.text().contains(applied)
    })
    .await;
    replace(&setup, "proxy.toml", "");
    running.hang_up();
    let said = running.until_said(REFUSED);
    assert!(said.starts_with('{'), "{said}");
    assert!(!running.said.contains("/two"), "{}", running.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_signals_leave_no_descriptor_and_no_thread_behind() {
    let upstream = Upstream::start().await;
    let top = format!("upstream = \"http://{}\"", upstream.address);
    let setup = Setup::valid(&top, &public("/one"));
    let mut running = setup.serve();
    // The system shows a process that forbids core dumps to root alone.
    let count = |running: &Running, what: &str| {
        let entries = std::fs::read_dir(format!("/proc/{}/{what}", running.id()));
        entries.map_or(0, Iterator::count)
    };
    let mut before = (0, 0);
    for round in 0..105 {
        let sections = format!(
            "{}[limits]\nupstream_connect_timeout = \"{}s\"\n[headers]\n\"X-Other\" = \"claim{round}\"\n",
            public("/one"),
            round + 1,
        );
        replace(&setup, "proxy.toml", &valid(&top, &sections));
        running.hang_up();
        running.until_said(APPLIED);
        assert_eq!(status(&running, "/one").await, 200);
        if round == 5 {
            before = (count(&running, "fd"), count(&running, "task"));
        }
    }
    // Threads for blocking work come and go.
    assert!(count(&running, "task") <= before.1 + 3);
    crate::support::eventually("no more descriptors than before", || async {
        count(&running, "fd") <= before.0 + 3
    })
    .await;
    assert_eq!(running.said.matches(APPLIED).count(), 105);
}

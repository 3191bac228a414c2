//! With a file, what was ended stays ended and what was rotated is known, however the process dies.

use crate::support::program::Setup;
use crate::support::proxy::{APP_ID, Builder};
use crate::support::{Browser, Processes, drill, eventually, ms, proxy};
use logto_proxy::dev::provider::{Hook, HookEvent};
use logto_proxy::secret::SecretText;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NAME: &str = "__Host-logto";
const KEY: &str = "h8GJ2tVxQ0mZk3Yw7cRd5sLp9bNfTa1E";

fn stored(path: &Path) -> Builder {
    proxy()
        .section(&format!("[store]\nkind = \"file\"\npath = {path:?}"))
        .section(&format!("[webhook]\nsigning_key = \"{KEY}\""))
}

async fn one(builder: Builder) -> Processes {
    let processes = Processes::start(builder, vec![Vec::new()]).await;
    let url = "https://app.example.com/.logto/webhook".to_owned();
    let signing_key = SecretText::new(KEY.to_owned());
    processes.logto.set_hook(Hook { url, signing_key });
    processes
}

fn folder() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    (folder, path)
}

async fn listed(browser: &mut Browser) -> serde_json::Value {
    browser.fetch("/.logto/sessions").await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_channel_logout_survives_a_kill_right_after_its_answer() {
    let (_folder, path) = folder();
    let mut processes = one(stored(&path).back_channel_logout(true)).await;
    let mut kept = processes.signed_in("admin").await;
    for round in 0..3 {
        let mut ended = processes.signed_in("plain").await;
        let begun = Instant::now();
        assert_eq!(processes.logto.send_logout(APP_ID, "plain").await, Ok(200));
        processes.kill(0);
        if round == 0 {
            drill("back-channel logout on the disk, answered and killed", ms(begun));
        }
        processes.restart(0).await;
        assert!(!ended.is_signed_in().await, "round {round}");
        assert_eq!(ended.fetch("/").await.status, 401);
        assert!(kept.is_signed_in().await, "nobody else's");
    }
    // A token that was taken before the kill is not known any more, and ends nothing that was not ended.
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_survives_a_kill_with_a_file_and_not_with_memory() {
    let (_folder, path) = folder();
    for (builder, survives) in [(stored(&path), true), (proxy(), false)] {
        // Without a refresh token to revoke there is nothing else that could tell.
        let mut processes = one(builder.client(|client| client.always_issue_refresh_token = false)).await;
        let mut browser = processes.signed_in("plain").await;
        let mut copy = browser.clone();
        assert_eq!(browser.navigate("/.logto/sign-out").await.status, 303);
        assert!(!copy.is_signed_in().await);
        processes.kill(0);
        processes.restart(0).await;
        assert_eq!(copy.is_signed_in().await, !survives);
        if !survives {
            let said = processes.until_said(0, "store of sessions that have ended");
            assert!(
                said.contains("memory: a restart forgets which sessions have ended"),
                "{said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_refresh_token_survives_a_kill() {
    let (_folder, path) = folder();
    let builder = stored(&path).client(|client| client.refresh_token_ttl = Duration::from_secs(10));
    let mut processes = one(builder).await;
    let logto = processes.logto.clone();
    let mut browser = processes.signed_in("plain").await;
    let old = browser.clone();
    logto.update_client(APP_ID, |client| {
        client.refresh_token_ttl = Duration::from_secs(86_400)
    });
    tokio::time::sleep(Duration::from_millis(7_050)).await;
    let change = || logto.webhook(HookEvent::DataUpdated, "plain").unwrap();
    assert_eq!(logto.send_webhook(&change()).await, Ok(200));
    let answer = browser.fetch("/").await;
    assert_eq!((answer.status, logto.counts().rotations), (200, 1));
    processes.kill(0);
    // The browser never got the answer, and Logto forgives the old token no longer.
    tokio::time::sleep(Duration::from_millis(4_100)).await;
    processes.restart(0).await;
    let mut late = old.clone();
    assert_eq!(logto.send_webhook(&change()).await, Ok(200));
    assert_eq!(late.fetch("/").await.status, 200);
    assert_ne!(late.cookie(NAME), old.cookie(NAME));
    assert_eq!(
        (logto.counts().refreshes, logto.grants_revoked()),
        (2, 0),
        "asked with the new token"
    );
    let mut both = [late, browser];
    for browser in &mut both {
        assert!(browser.is_signed_in().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_for_one_process() {
    let (_folder, path) = folder();
    let processes = one(stored(&path)).await;
    let ended = processes.run_beside(0);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for words in ["in use by another process", "redis", path.to_str().unwrap()] {
        assert!(ended.stderr.contains(words), "no {words:?} in {ended:?}");
    }
    let mut browser = processes.signed_in("plain").await;
    assert_eq!(browser.fetch("/").await.status, 200, "the first goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_an_error_and_is_left_alone() {
    let (_folder, path) = folder();
    let mut processes = one(stored(&path)).await;
    let mut browser = processes.signed_in("plain").await;
    assert_eq!(browser.navigate("/.logto/sign-out").await.status, 303);
    processes.terminate(0);
    let whole = std::fs::read(&path).unwrap();
    let mut overwritten = whole.clone();
    overwritten[64..4_096].fill(0xa5);
    for (damage, words) in [
        (whole[..whole.len() / 3].to_vec(), "damaged"),
        (overwritten, "damaged"),
        (b"a letter, and not a store".repeat(400), "not a store"),
    ] {
        std::fs::write(&path, &damage).unwrap();
        let ended = processes.run_beside(0);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.stderr.contains(words) && ended.stderr.contains(path.to_str().unwrap()),
            "{ended:?}"
        );
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        assert_eq!(std::fs::read(&path).unwrap(), damage, "nothing was repaired away");
    }
    std::fs::write(&path, &whole).unwrap();
    processes.restart(0).await;
}

#[test]
fn a_directory_that_is_missing_is_named() {
    let setup = Setup::valid(
        "",
        "[store]\nkind = \"file\"\npath = \"/no/such/directory/store.redb\"\n",
    );
    let ended = setup.run(&["run"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("/no/such/directory/store.redb"),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_sessions_survives_a_kill_with_a_file_and_says_what_memory_knows() {
    let (_folder, path) = folder();
    for (builder, survives) in [(stored(&path), true), (proxy(), false)] {
        let mut processes = one(builder).await;
        let mut here = processes.signed_in("plain").await;
        let mut there = processes.signed_in("plain").await;
        let list = listed(&mut here).await;
        assert_eq!(list["sessions"].as_array().unwrap().len(), 2);
        assert_eq!(
            list["isComplete"], false,
            "sessions from before the store began may live"
        );
        // Records are not worth a wait for the disk each: they are written within a second or so.
        tokio::time::sleep(Duration::from_millis(if survives { 1_600 } else { 0 })).await;
        processes.kill(0);
        processes.restart(0).await;
        let list = listed(&mut here).await;
        let sessions = list["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), if survives { 2 } else { 1 }, "{list}");
        assert!(list["knownSince"].is_u64(), "{list}");
        let page = here.navigate("/.logto/sessions").await;
        assert!(page.body.contains("keeps its list since"));
        if !survives {
            continue;
        }
        let other = sessions
            .iter()
            .find(|session| session["isCurrent"] == false)
            .unwrap();
        let form = [
            ("token", list["formToken"].as_str().unwrap()),
            ("session", other["id"].as_str().unwrap()),
        ];
        let url = "https://app.example.com/.logto/sessions/revoke".parse().unwrap();
        assert_eq!(here.submit(url, &form).await.status, 303);
        processes.kill(0);
        processes.restart(0).await;
        assert!(!there.is_signed_in().await && here.is_signed_in().await);
        eventually("it is no longer listed", || {
            let mut asking = here.clone();
            async move { listed(&mut asking).await["sessions"].as_array().unwrap().len() == 1 }
        })
        .await;
    }
}

//! Against a server on loopback that answers with what it is given.

use super::{Account, AccountFailure, HuggingFace};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

struct Server {
    asks: HuggingFace,
    answer: Arc<Mutex<String>>,
    calls: Arc<AtomicU32>,
    seen: Arc<Mutex<String>>,
}

async fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (answer, calls, seen) = <(Arc<Mutex<String>>, Arc<AtomicU32>, Arc<Mutex<String>>)>::default();
    let (answers, counted, noted) = (Arc::clone(&answer), Arc::clone(&calls), Arc::clone(&seen));
    drop(Tasks::new().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            *noted.lock().unwrap() = String::from_utf8_lossy(&request[..length]).into_owned();
            let answer = answers.lock().unwrap().clone();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }));
    let userinfo = format!("http://{address}/oauth/userinfo").parse().unwrap();
    Server {
        asks: HuggingFace::new(userinfo).unwrap(),
        answer,
        calls,
        seen,
    }
}

impl Server {
    async fn answers(&self, status: u16, body: &str) -> Result<Account, AccountFailure> {
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        self.asks.account(&SecretText::new("hf_oauth_x".into())).await
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn an_account_is_read_with_the_organizations_that_its_owner_may_use() {
    let server = server().await;
    let body = json!({
        "sub": "65a000000000000000000001", "name": "Someone", "orgs": [
            {"sub": "65b000000000000000000001", "name": "Lab", "preferred_username": "lab", "roleInOrg": "admin",
             "isEnterprise": true, "picture": "https://example.org/x.png", "resourceGroups": [{"sub": "x"}]},
            {"sub": "65b000000000000000000002", "preferred_username": "strict", "pendingSSO": true},
            {"sub": "65b000000000000000000003", "preferred_username": "safe", "missingMFA": true},
            {"sub": "65b000000000000000000004", "preferred_username": "open", "pendingSSO": false, "missingMFA": null},
        ]
    });
    let account = server.answers(200, &body.to_string()).await.unwrap();
    assert_eq!(account.id, "65a000000000000000000001");
    assert_eq!(
        json!(account.organizations),
        json!([
            {"sub": "65b000000000000000000001", "name": "Lab", "preferred_username": "lab", "roleInOrg": "admin",
             "isEnterprise": true},
            {"sub": "65b000000000000000000004", "preferred_username": "open"},
        ])
    );
    let seen = server.seen.lock().unwrap().to_ascii_lowercase();
    assert!(seen.starts_with("get /oauth/userinfo http/1.1\r\n"), "{seen}");
    assert!(seen.contains("authorization: bearer hf_oauth_x\r\n"), "{seen}");
}

#[tokio::test]
async fn what_does_not_say_it_says_nothing() {
    let server = server().await;
    let huge = format!(
        "{{\"sub\":\"x\",\"orgs\":[],\"padding\":\"{}\"}}",
        "x".repeat(300_000)
    );
    for (status, body, expected) in [
        (401, "{}", AccountFailure::Refused),
        (403, "{}", AccountFailure::Refused),
        (200, "{\"sub\":\"x\"}", AccountFailure::NotTold),
        (200, "{\"orgs\":[]}", AccountFailure::NotTold),
        (200, "{\"sub\":\"x\",\"orgs\":[1]}", AccountFailure::NotTold),
        (200, "<html>", AccountFailure::NotTold),
        (200, &huge, AccountFailure::NotTold),
        (302, "", AccountFailure::NotTold),
        (404, "{}", AccountFailure::NotTold),
        (429, "{}", AccountFailure::Away),
        (503, "{}", AccountFailure::Away),
    ] {
        assert_eq!(
            server.answers(status, body).await,
            Err(expected),
            "{status} {body:.40}"
        );
    }
    let unsendable = server.asks.account(&SecretText::new("a\nb".into())).await;
    assert_eq!(unsendable, Err(AccountFailure::Refused));
}

#[tokio::test]
async fn while_it_is_away_few_calls_are_made_and_one_users_limit_is_nobody_elses() {
    let server = server().await;
    for _ in 0..5 {
        assert_eq!(server.answers(429, "").await, Err(AccountFailure::Away));
    }
    assert_eq!(server.calls(), 5, "a limit of one token");
    for _ in 0..20 {
        assert_eq!(server.answers(500, "").await, Err(AccountFailure::Away));
    }
    assert_eq!(server.calls(), 5 + 3);
}

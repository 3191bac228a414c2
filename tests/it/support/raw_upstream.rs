//! An app that is a script for a socket: for answers that no HTTP server gives, and for those whose timing the
//! test decides.

use super::wire::Wire;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

/// A listener whose connections are handed to a script.
pub struct RawUpstream {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl RawUpstream {
    /// The script gets each connection and its number, from 0.
    pub async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Wire, usize) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let (counted, opened) = (Arc::clone(&connections), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let running = script(Wire::over(stream), counted.fetch_add(1, Ordering::SeqCst));
                opened.fetch_add(1, Ordering::SeqCst);
                let opened = Arc::clone(&opened);
                tokio::spawn(async move {
                    running.await;
                    opened.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            connections,
            open,
        }
    }

    /// One that answers every connection's first request with these bytes and closes.
    pub async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<Vec<u8>> = Arc::new(answer.into());
        Self::start(move |mut wire, _| {
            let answer = Arc::clone(&answer);
            async move {
                wire.head().await;
                wire.send(answer.as_slice()).await;
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many scripts are running.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

//! A balancer of connections: one address, the replicas behind it in turn, dead ones left out. The interoperability tests
//! include this file too.
#![allow(dead_code, reason = "each crate that includes this file needs a part of it")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use logto_proxy::tasks::Tasks;

/// Until dropped; connections that stand by then live on.
pub struct Balancer {
    address: SocketAddr,
    backends: Arc<Mutex<Backends>>,
    _stop: DropGuard,
}

struct Backends {
    addresses: Vec<SocketAddr>,
    turn: usize,
}

impl Balancer {
    /// On a port that the system chooses.
    pub async fn start(backends: Vec<SocketAddr>) -> Self {
        Self::start_at(0, backends).await
    }

    /// On this loopback port.
    pub async fn start_at(port: u16, backends: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("the balancer's port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let backends = Arc::new(Mutex::new(Backends {
            addresses: backends,
            turn: 0,
        }));
        let stop = CancellationToken::new();
        let (known, stopped) = (Arc::clone(&backends), stop.clone());
        let tasks = Tasks::new();
        let connections = tasks.clone();
        drop(tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => {
                        if let Ok((client, _)) = accepted {
                            drop(connections.spawn(carry(client, Arc::clone(&known))));
                        }
                    }
                }
            }
        }));
        Self {
            address,
            backends,
            _stop: stop.drop_guard(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go to these from now on.
    pub fn set(&self, backends: Vec<SocketAddr>) {
        self.backends.lock().expect("no holder panics").addresses = backends;
    }
}

async fn carry(mut client: TcpStream, backends: Arc<Mutex<Backends>>) {
    let order: Vec<SocketAddr> = {
        let mut backends = backends.lock().expect("no holder panics");
        let count = backends.addresses.len().max(1);
        let first = backends.turn % count;
        backends.turn += 1;
        let (before, after) = backends.addresses.split_at(first.min(backends.addresses.len()));
        [after, before].concat()
    };
    for address in order {
        if let Ok(mut server) = TcpStream::connect(address).await {
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

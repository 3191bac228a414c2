//! The app to stand behind the proxy: the demo app, which knows nothing of authentication and shows what reaches it.

use std::net::{Ipv4Addr, SocketAddr};

use logto_proxy::dev::demo_app::DemoApp;
use logto_proxy::tasks::Tasks;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The app on a loopback port, until dropped.
pub struct App {
    address: String,
    _running: DropGuard,
}

impl App {
    pub async fn start() -> Self {
        let app = DemoApp::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "/.logto")
            .await
            .expect("a loopback port is free");
        let address = app.base_url();
        let end = CancellationToken::new();
        let tasks = Tasks::new();
        drop(tasks.spawn(app.serve(end.clone(), tasks.clone())));
        Self {
            address,
            _running: end.drop_guard(),
        }
    }

    /// What `upstream` is set to.
    pub fn address(&self) -> &str {
        &self.address
    }
}

//! App, provider and the proxy between them.

use serde_json::{Value, json};

use super::app::App;
use super::oidc_provider::OidcProvider;
use super::proxy::{Deployment, Place, Proxy};
use super::replicas::Replicas;
use super::webhook;

/// What stands around the proxies of a scenario.
pub struct Around {
    pub place: Place,
    pub provider: OidcProvider,
    pub app: App,
}

impl Around {
    /// The provider gives every sign-in a refresh token, as Logto does with "Always issue refresh token"; `more` are
    /// further settings of server.mjs. `place` is where the proxy will be.
    pub async fn new(place: Place, more: Value) -> Self {
        let mut settings = json!({ "always_issue_refresh_token": true });
        for (name, value) in more.as_object().expect("settings are an object") {
            settings[name] = value.clone();
        }
        let app = App::start().await;
        let provider = OidcProvider::start_with(9, &place.public_url(), settings).await;
        Self { place, provider, app }
    }

    /// A deployment between them, which takes webhooks and re-checks as often as the configuration allows.
    pub fn deployment(&self) -> Deployment {
        self.deployment_with_recheck("10s")
    }

    /// The same with another `session.recheck`.
    pub fn deployment_with_recheck(&self, recheck: &str) -> Deployment {
        Deployment::new(&self.place, self.app.address(), &self.provider)
            .session(&format!("recheck = \"{recheck}\""))
            .section(&webhook::section())
    }

    /// One proxy of that deployment.
    pub async fn proxy(&self) -> Proxy {
        self.deployment().start().await
    }

    /// Several, joined by this Redis.
    pub async fn replicas(&self, count: usize, redis_url: &str) -> Replicas {
        let store = format!("[store]\nkind = \"redis\"\nurl = \"{redis_url}\"");
        let deployment = self.deployment().section(&store);
        Replicas::start(&self.place, deployment, count, |_| Vec::new()).await
    }
}

/// A number of `/metrics`: the sum of all lines that begin so.
pub async fn metric(proxy: &Proxy, begins: &str) -> f64 {
    let text = super::visitor::Visitor::new()
        .open(&proxy.admin_url("/metrics"))
        .await
        .body;
    text.lines()
        .filter(|line| line.starts_with(begins))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

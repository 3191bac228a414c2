//! `proxy().route("/open/*", "public").start()`: the proxy with everything around it.

use super::{Upstream, World};
use logto_proxy::app::App;
use logto_proxy::clock::{Clock, ClockHand};
use logto_proxy::config::{self, Environment};
use logto_proxy::dev::provider::{Client, Control, Persona, Provider, ProviderSettings};
use logto_proxy::live::{self, ListenAddress};
use logto_proxy::secret::SecretText;
use logto_proxy::tasks::Tasks;
use std::sync::{Arc, Mutex};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where browsers believe the proxy to be. The test browser stands for the TLS-terminating balancer too.
pub const ORIGIN: &str = "https://app.example.com";
pub const APP_ID: &str = "test-app";
pub const APP_SECRET: &str = "a secret with : and / and ü in it";
pub const SESSION_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Describes a world; [`Builder::start`] makes it.
pub struct Builder {
    upstream: Option<Upstream>,
    upstream_url: Option<String>,
    origin: String,
    top: String,
    sections: String,
    scopes: Vec<&'static str>,
    secrets: Vec<String>,
    keys: Vec<String>,
    logto: String,
    session: String,
    beside: Option<Beside>,
    provider: ProviderSettings,
    provider_at_start: bool,
    change_client: Box<dyn FnOnce(&mut Client)>,
}

/// The Logto and the time of another world.
struct Beside {
    logto: Control,
    issuer: String,
    logto_url: String,
    clock: Clock,
    hand: ClockHand,
    stop_provider: Arc<Mutex<CancellationToken>>,
}

/// What stands around a proxy that runs as a program of its own.
pub struct Surroundings {
    pub logto: Control,
    pub upstream: Upstream,
    pub origin: String,
    pub stop_provider: DropGuard,
}

/// A proxy with default settings before an upstream that notes what arrives.
pub fn proxy() -> Builder {
    Builder {
        upstream: None,
        upstream_url: None,
        origin: ORIGIN.to_owned(),
        top: String::new(),
        sections: String::new(),
        scopes: vec![
            "profile",
            "email",
            "roles",
            "urn:logto:scope:organizations",
            "urn:logto:scope:organization_roles",
            "identities",
        ],
        secrets: vec![APP_SECRET.to_owned()],
        keys: vec![SESSION_KEY.to_owned()],
        logto: String::new(),
        session: String::new(),
        beside: None,
        provider: ProviderSettings {
            personas: Persona::built_in(),
            ..ProviderSettings::default()
        },
        provider_at_start: true,
        change_client: Box::new(|_| {}),
    }
}

impl Builder {
    /// Before this upstream.
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(upstream);
        self
    }

    /// Before whatever listens there.
    pub fn upstream_url(mut self, url: impl Into<String>) -> Self {
        self.upstream_url = Some(url.into());
        self
    }

    /// Reached by browsers at this origin instead of [`ORIGIN`].
    pub fn origin(mut self, origin: &str) -> Self {
        origin.clone_into(&mut self.origin);
        self
    }

    /// With a `[[route]]`.
    pub fn route(self, path: &str, access: &str) -> Self {
        self.section(&format!("[[route]]\npath = \"{path}\"\naccess = \"{access}\"\n"))
    }

    /// With a section of the configuration, as TOML. `[logto]` and `[session].keys` are there already.
    pub fn section(mut self, toml: &str) -> Self {
        self.sections.push_str(toml);
        self.sections.push('\n');
        self
    }

    /// With a top-level key, as TOML.
    pub fn top(mut self, toml: &str) -> Self {
        self.top.push_str(toml);
        self.top.push('\n');
        self
    }

    pub fn scopes(mut self, scopes: Vec<&'static str>) -> Self {
        self.scopes = scopes;
        self
    }

    /// With these client secrets.
    pub fn secrets(mut self, secrets: &[&str]) -> Self {
        self.secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        self
    }

    /// With these session keys.
    pub fn keys(mut self, keys: &[&str]) -> Self {
        self.keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self
    }

    /// With a key of `[logto]`, as TOML.
    pub fn logto(mut self, toml: &str) -> Self {
        self.logto.push_str(toml);
        self.logto.push('\n');
        self
    }

    /// With a key of `[session]`, as TOML.
    pub fn session(mut self, toml: &str) -> Self {
        self.session.push_str(toml);
        self.session.push('\n');
        self
    }

    /// Another replica or another configuration: at the Logto of that world, and in its time.
    pub fn beside(mut self, world: &World) -> Self {
        self.beside = Some(Beside {
            logto: world.logto.clone(),
            issuer: world.issuer.clone(),
            logto_url: world.logto_url.clone(),
            clock: world.clock.clone(),
            hand: world.hand.clone(),
            stop_provider: Arc::clone(&world.stop_provider),
        });
        self
    }

    /// With another provider.
    pub fn provider(mut self, change: impl FnOnce(&mut ProviderSettings)) -> Self {
        change(&mut self.provider);
        self
    }

    /// With the application registered otherwise; changes add up.
    pub fn client(mut self, change: impl FnOnce(&mut Client) + 'static) -> Self {
        let former = self.change_client;
        self.change_client = Box::new(|client| {
            former(client);
            change(client);
        });
        self
    }

    /// With the proxy's back-channel logout URI registered at Logto, which reaches it; with `sid` or without.
    pub fn back_channel_logout(self, session_required: bool) -> Self {
        let uri = format!("{}/.logto/back-channel-logout", self.origin);
        self.client(move |client| {
            client.backchannel_logout_uri = Some(uri);
            client.backchannel_logout_session_required = session_required;
        })
    }

    /// Logto is down until [`World::start_provider`].
    pub fn logto_down_at_start(mut self) -> Self {
        self.provider_at_start = false;
        self
    }

    pub async fn start(mut self) -> World {
        let (provider, beside) = match self.beside.take() {
            Some(beside) => (None, beside),
            None => self.own_provider().await,
        };
        let provider_at_start = self.provider_at_start;
        let upstream = self.take_upstream().await;
        let text = self.text(&upstream, &beside.logto_url);
        let config = config::parse_str("test.toml", &text, Environment::new(Vec::new()))
            .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        let app = App::bind(&config, beside.clock.clone()).await.unwrap();
        let (reloads, arriving) = live::reloads();
        let ListenAddress::Tcp(address) = app.addresses().remove(0) else {
            panic!("the test listens on TCP");
        };
        let admin = match app.admin_address() {
            Some(ListenAddress::Tcp(address)) => Some(address),
            _ => None,
        };
        if provider.is_some() {
            beside.logto.route(&self.origin, address);
        }
        let stop = CancellationToken::new();
        let revocations = Arc::clone(app.store().revocations());
        let mut world = World {
            address,
            admin,
            upstream,
            logto: beside.logto,
            issuer: beside.issuer,
            logto_url: beside.logto_url,
            clock: beside.clock,
            hand: beside.hand,
            origin: self.origin,
            running: tokio::spawn(app.run(stop.clone(), arriving)),
            reloads,
            text,
            stop: stop.clone(),
            revocations,
            provider,
            stop_provider: beside.stop_provider,
            _stop_on_drop: stop.drop_guard(),
        };
        if provider_at_start {
            world.start_provider();
            world.until_ready().await;
        }
        world
    }

    /// The configuration and what is around it, for programs; Logto serves already.
    pub async fn for_processes(mut self) -> (String, Surroundings) {
        let (provider, beside) = self.own_provider().await;
        let upstream = self.take_upstream().await;
        let text = self.text(&upstream, &beside.logto_url);
        let stop = CancellationToken::new();
        if let Some(provider) = provider {
            tokio::spawn(provider.serve(stop.clone(), Tasks::new()));
        }
        let surroundings = Surroundings {
            logto: beside.logto,
            upstream,
            origin: self.origin,
            stop_provider: stop.drop_guard(),
        };
        (text, surroundings)
    }

    async fn take_upstream(&mut self) -> Upstream {
        match self.upstream.take() {
            Some(upstream) => upstream,
            None => Upstream::start().await,
        }
    }

    /// The configuration, everything on ports that the system chooses.
    fn text(&self, upstream: &Upstream, logto_url: &str) -> String {
        let upstream_url = match &self.upstream_url {
            Some(url) => url.clone(),
            None => format!("http://{}", upstream.address),
        };
        // Tests run side by side, so none may take the default health address.
        let admin = if self.sections.contains("[admin]") {
            ""
        } else {
            "[admin]\nlisten = \"127.0.0.1:0\"\n"
        };
        format!(
            "public_url = \"{}\"\nlisten = \"127.0.0.1:0\"\nupstream = \"{upstream_url}\"\nworkers = 2\n{}\n\
             [logto]\nendpoint = \"{logto_url}\"\napp_id = \"{APP_ID}\"\napp_secret = {:?}\nscopes = {:?}\n{}\
             [session]\nkeys = {:?}\n{}{}{admin}",
            self.origin,
            self.top,
            self.secrets,
            self.scopes,
            self.logto,
            self.keys,
            self.session,
            self.sections,
        )
    }

    async fn own_provider(&mut self) -> (Option<Provider>, Beside) {
        let (clock, hand) = Clock::movable();
        let mut client = Client::new(
            APP_ID,
            SecretText::new(APP_SECRET.to_owned()),
            format!("{}/.logto/callback", self.origin),
        );
        client.post_logout_redirect_uris.push(format!("{}/", self.origin));
        // As the documentation advises.
        client.always_issue_refresh_token = true;
        std::mem::replace(&mut self.change_client, Box::new(|_| {}))(&mut client);
        let settings = ProviderSettings {
            clients: vec![client],
            clock: clock.clone(),
            ..std::mem::take(&mut self.provider)
        };
        let provider = Provider::bind("127.0.0.1:0".parse().unwrap(), settings)
            .await
            .unwrap();
        let beside = Beside {
            logto: provider.control(),
            issuer: provider.issuer(),
            logto_url: provider.base_url(),
            clock,
            hand,
            stop_provider: Arc::default(),
        };
        (Some(provider), beside)
    }
}

//! Bearer tokens against the stand-in for Logto.

mod jwt;
mod load;
mod opaque;
mod personal;
mod revocation;

use super::{BearerCaller, BearerError, Bearers, Parts, Presented, Settings};
use crate::clock::{Clock, ClockHand, UnixSeconds};
use crate::dev::provider::{ApiResource, Client, Control, Permission, Provider, ProviderSettings};
use crate::logto::{self, Logto, RefreshMode, Userinfo};
use crate::secret::SecretText;
use crate::session::revocation::Revocations;
use crate::session::{Cause, Effect, Notice, Scope};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

const API: &str = "https://api.example.com/";

struct World {
    control: Control,
    endpoint: Url,
    clock: Clock,
    hand: ClockHand,
    tasks: Tasks,
    revocations: Arc<Revocations>,
    metrics: Metrics,
    bearers: Bearers,
    _stop: DropGuard,
}

async fn world() -> World {
    world_with(&[]).await
}

/// A stand-in with three applications: this proxy's, another, and a machine. `clients` are those that count besides.
async fn world_with(clients: &[&str]) -> World {
    let (clock, hand) = Clock::movable();
    let settings = ProviderSettings {
        clock: clock.clone(),
        resources: vec![ApiResource::new(API, vec![Permission::new("read", &["editor"])])],
        ..ProviderSettings::default()
    };
    let provider = Provider::bind("127.0.0.1:0".parse().unwrap(), settings)
        .await
        .unwrap();
    let (control, endpoint) = (provider.control(), Url::parse(&provider.base_url()).unwrap());
    for app_id in ["app", "another"] {
        let mut client = Client::new(
            app_id,
            SecretText::new("secret".into()),
            "http://127.0.0.1:9/callback",
        );
        client.allow_token_exchange = true;
        control.register(client);
    }
    control.register(Client::machine(
        "machine",
        SecretText::new("m".into()),
        &["editor"],
    ));
    let (stop, tasks) = (CancellationToken::new(), Tasks::new());
    drop(tasks.spawn(provider.serve(stop.clone(), tasks.clone())));
    let (revocations, metrics) = (Arc::new(Revocations::new(100)), Metrics::default());
    let parts = Parts {
        logto: client_of(&endpoint, "app", &clock, &tasks, &metrics),
        revocations: Arc::clone(&revocations),
        clock: clock.clone(),
        tasks: tasks.clone(),
        metrics: metrics.clone(),
    };
    let settings = Settings {
        resources: vec![API.into(), "urn:logto:organization:org-1".into()],
        clients: clients.iter().map(|client| (*client).to_owned()).collect(),
        kept_claims: ["sub", "roles", "email"]
            .iter()
            .map(|path| path.parse().unwrap())
            .collect(),
    };
    World {
        control,
        endpoint,
        clock,
        hand,
        tasks,
        revocations,
        metrics,
        bearers: Bearers::new(settings, parts),
        _stop: stop.drop_guard(),
    }
}

fn client_of(endpoint: &Url, app_id: &str, clock: &Clock, tasks: &Tasks, metrics: &Metrics) -> Logto {
    let settings = logto::Settings {
        endpoint: endpoint.clone(),
        internal_endpoint: None,
        app_id: app_id.into(),
        app_secrets: vec![SecretText::new("secret".into())],
        extra_roots: Vec::new(),
        redirect_uri: "http://127.0.0.1:9/callback".into(),
        scopes: vec!["profile".into(), "email".into(), "roles".into()],
        sign_in_resources: Vec::new(),
        userinfo: Userinfo::Never,
        refresh: RefreshMode::Session,
    };
    Logto::new(settings, clock.clone(), tasks.clone(), metrics.clone()).unwrap()
}

fn headers(token: &str) -> HeaderMap {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

fn fields(headers: &HeaderMap) -> Vec<&HeaderValue> {
    headers.get_all(AUTHORIZATION).iter().collect()
}

impl World {
    async fn present(&self, token: &str) -> Result<Arc<BearerCaller>, BearerError> {
        match self.bearers.authenticate(&fields(&headers(token))).await {
            Presented::Caller(caller) => Ok(caller),
            Presented::Invalid(error) => Err(error),
            Presented::None => panic!("a token was presented"),
        }
    }

    /// Why a token is refused.
    async fn refusal(&self, token: &str) -> &'static str {
        self.present(token).await.expect_err("a refusal").reason()
    }

    /// A personal access token.
    fn personal(&self, persona: &str) -> String {
        self.control.issue_personal_access_token(persona, None).unwrap()
    }

    /// An opaque access token that an application was given for a persona, by an exchange.
    async fn opaque(&self, app_id: &str, persona: &str) -> String {
        let logto = client_of(&self.endpoint, app_id, &self.clock, &self.tasks, &self.metrics);
        let personal = SecretText::new(self.personal(persona));
        let exchanged = logto.exchange_personal_access_token(&personal).await.unwrap();
        exchanged.access_token.expose().to_owned()
    }

    fn jwt(&self, persona: Option<&str>) -> String {
        let app_id = if persona.is_some() { "another" } else { "machine" };
        let token = self
            .control
            .access_token(app_id, persona, API, &["read"])
            .unwrap();
        token.sign().unwrap()
    }

    fn notice(&self, subject: &str, effect: Effect, at: UnixSeconds) {
        let scope = Scope::Subject {
            subject: subject.to_owned(),
            except: None,
        };
        let until = at.plus(Duration::from_secs(86_400));
        let notice = Notice {
            scope,
            effect,
            at,
            until,
        };
        assert!(self.revocations.apply(&notice));
    }

    fn end(&self, subject: &str) {
        self.notice(subject, Effect::End(Cause::Suspended), self.clock.now());
    }
}

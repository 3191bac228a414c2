//! `logto-proxy dev`: the proxy, a stand-in for Logto and an app to guard, on this machine only.
//!
//! The proxy is configured and built exactly as `run` does it; only the tenant and the app are stand-ins. It
//! listens on loopback and answers to loopback names alone.

use super::output::say;
use super::run::{control_runtime, start_failed, stop_on_signals};
use super::{FAILED, WRONG_SETUP};
use crate::app::{App, StartError};
use crate::clock::Clock;
use crate::config::{self, Config, Environment};
use crate::dev::demo_app::DemoApp;
use crate::dev::provider::{Client, HostName, Persona, Provider, ProviderSettings};
use crate::dev::{self};
use crate::live::{self, Reloads};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use crate::telemetry::{self, LogFormat, Metrics};
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

const APP_ID: &str = "logto-proxy-dev";
const DEFAULT_PREFIX: &str = "/.logto";

/// Flags of the command.
#[derive(Debug, Args)]
pub(super) struct DevFlags {
    /// Guard this app instead of the demo app: http://127.0.0.1:8080 or unix:/path
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Port of the proxy on localhost
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Port of the stand-in for Logto on localhost
    #[arg(long, default_value_t = 3001)]
    logto_port: u16,
    /// Paths that are open to everyone, as /assets/* (may be repeated)
    #[arg(long = "public", value_name = "PATH")]
    public: Vec<String>,
    /// Skip Logto's page and go straight to a connector, as social:huggingface
    #[arg(long, value_name = "METHOD")]
    direct: Option<String>,
    /// Log every request
    #[arg(long)]
    access_log: bool,
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(flags: &DevFlags) -> ExitCode {
    telemetry::start_logging(LogFormat::Pretty, tracing::Level::INFO);
    let runtime = match control_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return start_failed(&error.into()),
    };
    match runtime.block_on(serve(flags)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Start(error)) => start_failed(&error),
        Err(Failure::Config(errors)) => {
            super::output::complain(errors);
            ExitCode::from(WRONG_SETUP)
        }
        Err(Failure::Bind {
            what,
            port,
            error,
            flag,
        }) => {
            super::output::complain(format_args!(
                "error: {what} cannot listen on localhost:{port}: {error}\n  choose another port with {flag}"
            ));
            ExitCode::from(WRONG_SETUP)
        }
        Err(Failure::Secret) => {
            super::output::complain("error: the system gives no random numbers");
            ExitCode::from(FAILED)
        }
    }
}

enum Failure {
    Start(StartError),
    Config(config::ConfigErrors),
    Bind {
        what: &'static str,
        port: u16,
        error: std::io::Error,
        flag: &'static str,
    },
    Secret,
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn fresh_secret() -> Result<SecretText, Failure> {
    config::generate_session_key().map_err(|_| Failure::Secret)
}

async fn serve(flags: &DevFlags) -> Result<(), Failure> {
    let public_url = format!("http://localhost:{}", flags.port);
    let app_secret = fresh_secret()?;
    let provider = bind_provider(flags, &public_url, &app_secret).await?;
    let demo = match &flags.upstream {
        Some(_) => None,
        None => Some(bind_demo().await?),
    };
    let upstream = match (&flags.upstream, &demo) {
        (Some(url), _) => url.clone(),
        (None, Some(demo)) => demo.base_url(),
        (None, None) => String::new(),
    };
    let config = configure(flags, &public_url, &provider.base_url(), &upstream, &app_secret)?;
    let tasks = Tasks::on(tokio::runtime::Handle::current());
    let mut compiled = live::compile(&config, Clock::system(), &tasks, &Metrics::new())
        .map_err(|error| Failure::Start(error.into()))?;
    compiled.gate.sanitizer.allowed_hosts = Some(|host| dev::names_loopback(host.as_str()));
    let app = App::bind_compiled(compiled, tasks)
        .await
        .map_err(|error| match error {
            StartError::Listen { error, .. } => Failure::Bind {
                what: "the proxy",
                port: flags.port,
                error,
                flag: "--port",
            },
            other => Failure::Start(other),
        })?;
    let stop = stop_on_signals().map_err(|error| Failure::Start(error.into()))?;
    say(welcome(&public_url, &provider.base_url(), &upstream, flags));

    let stand_ins = Tasks::new();
    let stop_stand_ins = CancellationToken::new();
    drop(stand_ins.spawn(provider.serve(stop_stand_ins.clone(), stand_ins.clone())));
    if let Some(demo) = demo {
        drop(stand_ins.spawn(demo.serve(stop_stand_ins.clone(), stand_ins.clone())));
    }
    let served = app.run(stop, Reloads::none()).await;
    stop_stand_ins.cancel();
    stand_ins.drained().await;
    served.map(|_| ()).map_err(Failure::Start)
}

async fn bind_provider(
    flags: &DevFlags,
    public_url: &str,
    app_secret: &SecretText,
) -> Result<Provider, Failure> {
    let mut client = Client::new(
        APP_ID,
        app_secret.clone(),
        format!("{public_url}{DEFAULT_PREFIX}/callback"),
    );
    client.post_logout_redirect_uris.push(format!("{public_url}/"));
    client.always_issue_refresh_token = true;
    client.backchannel_logout_uri = Some(format!("{public_url}{DEFAULT_PREFIX}/back-channel-logout"));
    client.backchannel_logout_session_required = true;
    let settings = ProviderSettings {
        clients: vec![client],
        personas: Persona::built_in(),
        host_name: HostName::Localhost,
        ..ProviderSettings::default()
    };
    Provider::bind(loopback(flags.logto_port), settings)
        .await
        .map_err(|error| Failure::Bind {
            what: "the stand-in for Logto",
            port: flags.logto_port,
            error,
            flag: "--logto-port",
        })
}

async fn bind_demo() -> Result<DemoApp, Failure> {
    DemoApp::bind(loopback(0), DEFAULT_PREFIX)
        .await
        .map_err(|error| Failure::Bind {
            what: "the demo app",
            port: 0,
            error,
            flag: "--upstream",
        })
}

/// The configuration, written as a `proxy.toml` and read like one.
fn configure(
    flags: &DevFlags,
    public_url: &str,
    endpoint: &str,
    upstream: &str,
    app_secret: &SecretText,
) -> Result<Config, Failure> {
    let text = |value: &str| toml::Value::from(value);
    let mut logto = toml::Table::new();
    logto.insert("endpoint".into(), text(endpoint));
    logto.insert("app_id".into(), text(APP_ID));
    logto.insert("app_secret".into(), text(app_secret.expose()));
    let scopes = [
        "profile",
        "email",
        "roles",
        "urn:logto:scope:organizations",
        "urn:logto:scope:organization_roles",
        "identities",
    ];
    logto.insert("scopes".into(), scopes.map(text).to_vec().into());
    let mut session = toml::Table::new();
    session.insert("keys".into(), vec![text(fresh_secret()?.expose())].into());
    let mut log = toml::Table::new();
    log.insert("access".into(), flags.access_log.into());
    // Several may run side by side, and nobody probes them.
    let mut admin = toml::Table::new();
    admin.insert("listen".into(), text(""));
    let mut sign_in = toml::Table::new();
    if let Some(direct) = &flags.direct {
        sign_in.insert("direct".into(), text(direct));
    }
    let mut routes: Vec<toml::Value> = Vec::new();
    let mut open = |path: &str, access: &str| {
        let route = toml::Table::from_iter([
            ("path".to_owned(), text(path)),
            ("access".to_owned(), text(access)),
        ]);
        routes.push(route.into());
    };
    for path in &flags.public {
        open(path, "public");
    }
    if flags.upstream.is_none() {
        open("/", "optional");
        open("/public", "public");
    }
    let mut file = toml::Table::new();
    file.insert("public_url".into(), text(public_url));
    file.insert("listen".into(), text(&loopback(flags.port).to_string()));
    file.insert("upstream".into(), text(upstream));
    file.insert("logto".into(), logto.into());
    file.insert("session".into(), session.into());
    file.insert("log".into(), log.into());
    file.insert("admin".into(), admin.into());
    file.insert("sign_in".into(), sign_in.into());
    file.insert("route".into(), routes.into());
    config::parse_str("logto-proxy dev", &file.to_string(), Environment::new(Vec::new()))
        .map_err(Failure::Config)
}

fn welcome(public_url: &str, endpoint: &str, upstream: &str, flags: &DevFlags) -> String {
    let guarded = match &flags.upstream {
        Some(_) => format!("your app at {upstream}"),
        None => "a demo app that shows the headers it receives".to_owned(),
    };
    format!(
        "\n  Open    {public_url}\n  Guards  {guarded}\n  Logto   {endpoint} (a stand-in with invented users, on this machine only)\n  Who?    {public_url}{DEFAULT_PREFIX}/user\n  Where?  {public_url}{DEFAULT_PREFIX}/sessions\n  Leave   {public_url}{DEFAULT_PREFIX}/sign-out\n\n  Ctrl-C ends it.\n"
    )
}

//! `logto-proxy dev`: the proxy, a stand-in for Logto and an app to guard, on this machine only.
//!
//! The proxy is configured and built exactly as `run` does it; only the tenant and the app are stand-ins. It
//! listens on loopback and answers to loopback names alone.

mod api;
mod configuration;

use super::output::say;
use super::run::{control_runtime, start_failed, stop_on_signals};
use super::{FAILED, WRONG_SETUP, key_and_value};
use crate::app::{App, StartError};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::dev::demo_app::DemoApp;
use crate::dev::provider::{Client, Connector, HostName, Persona, Provider, ProviderSettings, TokenStorage};
use crate::dev::{self};
use crate::live::{self, Reloads};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use crate::telemetry::{self, LogFormat, Metrics};
use clap::Args;
use configuration::{Tenant, configure};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const APP_ID: &str = "logto-proxy-dev";
const DEFAULT_PREFIX: &str = "/.logto";
const HUGGING_FACE_TOKEN_LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// So short that an app is seen to get a renewed one.
const ACME_TOKEN_LIFETIME: Duration = Duration::from_secs(30);

/// Flags of the command.
#[derive(Debug, Args)]
pub(super) struct DevFlags {
    /// Follow this proxy.toml, with the stand-in for Logto in place of the tenant
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["public", "direct"])]
    config: Option<PathBuf>,
    /// Guard this app instead of the demo app or the one of the file: http://127.0.0.1:8080 or unix:/path
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
    /// Set a key of that file: --set session.recheck=10s
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value, requires = "config")]
    overrides: Vec<(String, String)>,
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
    let provider = bind_provider(flags).await?;
    let demo = match (&flags.upstream, &flags.config) {
        (None, None) => Some(bind_demo().await?),
        _ => None,
    };
    let tenant = Tenant {
        endpoint: provider.base_url(),
        app_id: APP_ID,
        app_secret: fresh_secret()?,
    };
    let config = configure(flags, &tenant, demo.as_ref().map(DemoApp::base_url))?;
    provider.control().register(client(&config, tenant.app_secret));
    let call = api::register(&config, &provider.control(), fresh_secret()?);
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
    say(welcome(&config, demo.is_some(), call.as_deref()));

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

async fn bind_provider(flags: &DevFlags) -> Result<Provider, Failure> {
    let settings = ProviderSettings {
        personas: Persona::built_in(),
        host_name: HostName::Localhost,
        // As docs/hugging-face.md says to set Logto up.
        account_center: true,
        connectors: vec![
            storing(Connector::hugging_face(), HUGGING_FACE_TOKEN_LIFETIME),
            storing(Connector::acme(), ACME_TOKEN_LIFETIME),
        ],
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

/// The connector with "store tokens" on.
fn storing(connector: Connector, lifetime: Duration) -> Connector {
    let token_storage = Some(TokenStorage {
        lifetime: Some(lifetime),
        renews: true,
    });
    Connector {
        token_storage,
        ..connector
    }
}

/// The application as the README says to register it.
fn client(config: &Config, app_secret: SecretText) -> Client {
    let mut client = Client::new(APP_ID, app_secret, config.redirect_uri());
    client
        .post_logout_redirect_uris
        .push(config.post_sign_out_redirect_uri());
    client.always_issue_refresh_token = true;
    client.allow_token_exchange = true;
    client.backchannel_logout_uri = Some(config.back_channel_logout_uri());
    client.backchannel_logout_session_required = true;
    client
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

/// `call`: what calls the API as a program.
fn welcome(config: &Config, is_demo: bool, call: Option<&str>) -> String {
    let guarded = match is_demo {
        false => format!("your app at {}", config.upstream),
        true => "a demo app that shows the headers it receives".to_owned(),
    };
    let logto = config.logto.endpoint.as_str().trim_end_matches('/');
    let (open, endpoints) = (config.public_url.origin(), &config.endpoints);
    let lab = match is_demo {
        false => String::new(),
        true => format!(
            "  Lab     {open}/lab (for members of example-lab, which can be left at {logto}/huggingface/settings/organizations)\n"
        ),
    };
    let api = call.map_or_else(String::new, |call| format!("\n  As a program:\n\n{call}\n"));
    format!(
        "\n  Open    {open}\n  Guards  {guarded}\n  Logto   {} (a stand-in with invented users, on this machine only)\n{lab}  Who?    {open}{}\n  Where?  {open}{}\n  Leave   {open}{}\n{api}\n  Ctrl-C ends it.\n",
        logto, endpoints.user, endpoints.sessions, endpoints.sign_out
    )
}

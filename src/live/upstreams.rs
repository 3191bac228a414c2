//! Where requests go, from `upstream`, `[upstream_tls]` and what routes say of it.

use super::error::CompileError;
use crate::config::{self, Config, RouteConfig, UpstreamTlsConfig};
use crate::upstream::{self, UpstreamHost, UpstreamId, Upstreams};
use rustls::pki_types::ServerName;
use std::time::Duration;

/// Every upstream, and which of them each route's requests go to.
pub(super) fn upstreams(config: &Config) -> Result<(Upstreams, Vec<UpstreamId>), CompileError> {
    let usual = config.limits.upstream_response_timeout;
    let mut upstreams = Upstreams::new(settings(config, &config.upstream, &config.upstream_tls, usual)?);
    let of_route = |route: &RouteConfig| {
        let timeout = route.timeout.unwrap_or(usual);
        let settings = settings(config, &route.upstream, &route.upstream_tls, timeout)?;
        Ok(upstreams.add(settings))
    };
    let routes: Result<_, CompileError> = config.routes.iter().map(of_route).collect();
    Ok((upstreams, routes?))
}

/// What Host an upstream sees.
pub(super) fn host(host: &config::UpstreamHost) -> UpstreamHost {
    match host {
        config::UpstreamHost::Keep => UpstreamHost::Keep,
        config::UpstreamHost::Rewrite(host) | config::UpstreamHost::Value(host) => {
            UpstreamHost::Replace(host.clone())
        }
    }
}

fn settings(
    config: &Config,
    address: &config::UpstreamAddress,
    tls: &UpstreamTlsConfig,
    response_timeout: Duration,
) -> Result<upstream::Settings, CompileError> {
    let address = match address {
        config::UpstreamAddress::Tcp { host, port } => upstream::Address::Tcp {
            host: host.clone(),
            port: *port,
        },
        config::UpstreamAddress::Tls { host, port } => {
            let server_name = match &tls.server_name {
                Some(name) => name.clone(),
                None => ServerName::try_from(host.clone()).map_err(|_| CompileError::ServerName)?,
            };
            upstream::Address::Tls {
                host: host.clone(),
                port: *port,
                server_name,
            }
        }
        config::UpstreamAddress::Unix(path) => upstream::Address::Unix(path.clone()),
    };
    let mut settings = upstream::Settings::new(address);
    settings.connect_timeout = config.limits.upstream_connect_timeout;
    settings.response_header_timeout = response_timeout;
    settings.extra_roots.clone_from(&tls.ca);
    Ok(settings)
}

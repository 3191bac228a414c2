//! Where requests go, from `upstream`, `[upstream_tls]` and what routes say of it.

use super::error::CompileError;
use crate::config::{self, Config, RouteConfig};
use crate::upstream::{self, UpstreamHost, UpstreamId, Upstreams};
use rustls::pki_types::ServerName;
use std::time::Duration;

/// Every upstream, and which of them each route's requests go to.
pub(super) fn upstreams(config: &Config) -> Result<(Upstreams, Vec<UpstreamId>), CompileError> {
    let usual = config.limits.upstream_response_timeout;
    let mut upstreams = Upstreams::new(settings(config, &config.upstream, usual)?);
    let of_route = |route: &RouteConfig| {
        let timeout = route.timeout.unwrap_or(usual);
        Ok(upstreams.add(settings(config, &route.upstream, timeout)?))
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
    response_timeout: Duration,
) -> Result<upstream::Settings, CompileError> {
    let address = match address {
        config::UpstreamAddress::Tcp { host, port } => upstream::Address::Tcp {
            host: host.clone(),
            port: *port,
        },
        config::UpstreamAddress::Tls { host, port } => {
            // The name is that of one upstream; others are called by their own.
            let name = config.upstream_tls.server_name.as_ref();
            let server_name = match name.filter(|_| *address == config.upstream) {
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
    settings.extra_roots.clone_from(&config.upstream_tls.ca);
    Ok(settings)
}

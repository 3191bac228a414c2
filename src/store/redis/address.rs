//! The URL of the Redis: read once, never shown.

use crate::secret::SecretText;
use crate::store::error::OpenError;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use url::Url;

/// Where the Redis is, and who we are to it. It holds the password: no `Debug`.
pub(in crate::store) struct Address {
    pub(super) place: Place,
    pub(super) login: RedisConnectionInfo,
    pub(super) database: i64,
}

/// Where the Redis listens.
pub(super) enum Place {
    Tcp {
        host: String,
        port: u16,
    },
    Tls {
        host: String,
        port: u16,
        name: ServerName<'static>,
        connector: TlsConnector,
    },
    Unix(PathBuf),
}

impl Address {
    /// Reads a URL: `redis://[user][:password]@host[:port][/db]`, `rediss://` for TLS, or
    /// `unix:///path[?db=…&user=…&pass=…]`.
    pub(in crate::store) fn read(
        url: &SecretText,
        extra_roots: &[CertificateDer<'static>],
    ) -> Result<Self, OpenError> {
        let mut url = Url::parse(url.expose()).map_err(|_| OpenError::Url("not a URL"))?;
        let is_tls = url.scheme() == "rediss";
        if !matches!(url.scheme(), "redis" | "rediss" | "unix") {
            return Err(OpenError::Url("must begin with redis://, rediss:// or unix://"));
        }
        if url.fragment().is_some() {
            return Err(OpenError::Url(
                "must not have a part after #: certificates are always verified",
            ));
        }
        let known: &[&str] = if url.scheme() == "unix" {
            &["db", "user", "pass"]
        } else {
            &[]
        };
        if url.query_pairs().any(|(name, _)| !known.contains(&&*name)) {
            return Err(OpenError::Url(
                "has parameters that mean nothing; the database goes into the path: redis://host/2",
            ));
        }
        // TLS is ours to make: the crate would trust other roots and could not be told which provider to use.
        if is_tls && url.set_scheme("redis").is_err() {
            return Err(OpenError::Url("not a URL"));
        }
        let info: ConnectionInfo = url.into_connection_info().map_err(|_| {
            OpenError::Url(
                "needs a host, and a number for the database if any; a password is percent-encoded",
            )
        })?;
        let login = info.redis_settings().clone().set_skip_set_lib_name();
        let database = login.db();
        // Chosen by us, since the crate hides why that fails.
        let login = login.set_db(0);
        let place = match info.addr().clone() {
            ConnectionAddr::Tcp(host, port) if is_tls => Place::Tls {
                name: ServerName::try_from(host.clone())
                    .map_err(|_| OpenError::Url("its host is no name that a certificate could have"))?,
                host,
                port,
                connector: connector(extra_roots)?,
            },
            ConnectionAddr::Tcp(host, port) => Place::Tcp { host, port },
            ConnectionAddr::Unix(path) => Place::Unix(path),
            _ => return Err(OpenError::Url("must begin with redis://, rediss:// or unix://")),
        };
        Ok(Self {
            place,
            login,
            database,
        })
    }
}

fn connector(extra_roots: &[CertificateDer<'static>]) -> Result<TlsConnector, OpenError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for root in extra_roots {
        roots
            .add(root.clone())
            .map_err(|error| OpenError::Trust(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Trust(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

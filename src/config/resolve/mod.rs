//! From values by key to a [`Config`]: defaults, newtypes, and the rules that join several keys.

mod access;
mod assertion;
mod claims;
mod endpoints;
mod headers;
mod hugging_face;
mod logto;
mod presets;
mod routes;
mod session;
mod sign_in;
mod store;
mod upstream_tls;

pub use headers::DEFAULT_HEADERS;

use super::error::{Origin, Problem};
use super::model::{Config, LimitsConfig, LogConfig, LogFormat, PagesConfig, ShutdownConfig, SubjectLog};
use super::reader::Reader;
use super::value::address::{self, ListenAddress, PublicUrl, UpstreamAddress, UpstreamHost};
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;
use url::Url;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Resolves every key. All problems are left with the reader; `None` when there is one.
pub(super) fn resolve(reader: &mut Reader<'_>) -> Option<Config> {
    let public_url = reader.text("public_url", PublicUrl::parse);
    let listen = listen(reader);
    let upstream = upstream(reader, listen.as_deref());
    let upstream_host = reader.text("upstream_host", |text| {
        UpstreamHost::parse(text, upstream.as_ref())
    });
    let trusted = trusted_proxies(reader);
    let workers = workers(reader);
    let logto = logto::logto(reader);
    let hugging_face = hugging_face::hugging_face(reader);
    let sign_in = sign_in::sign_in(reader);
    let session = session::session(reader, public_url.as_ref());
    let endpoints = endpoints::endpoints(reader);
    let header_presets = presets::header_presets(reader);
    let headers = headers::headers(reader, header_presets.as_deref().unwrap_or_default());
    let set_headers = headers.as_ref().map_or(&[][..], |(set, _)| set);
    let assertion = assertion::assertion(reader, public_url.as_ref(), set_headers);
    let upstream_tls = upstream_tls::upstream_tls(reader);
    let around = routes::Around {
        endpoints: endpoints.as_ref(),
        logto: logto.as_ref(),
        sign_in: sign_in.as_ref(),
        hugging_face: hugging_face.as_ref(),
        public_url: public_url.as_ref(),
        has_assertion: assertion.as_ref().is_none_or(Option::is_some),
        cookie_domain: session
            .as_ref()
            .and_then(|session| session.cookie_domain.as_deref()),
        listen: listen.as_deref().unwrap_or_default(),
        upstream: upstream.as_ref(),
        upstream_host: upstream_host.as_ref(),
        upstream_tls: upstream_tls.as_ref(),
    };
    let routes = routes::routes(reader, &around);
    routes::warn_without_bearer(reader, routes.as_deref());
    if let Some(tls) = &upstream_tls {
        let routes = routes.as_deref().unwrap_or_default();
        upstream_tls::check(reader, tls, upstream.as_ref(), routes);
    }
    let limits = limits(reader);
    let admin_is_default = !reader.is_given("admin.listen");
    let admin = admin(reader, listen.as_deref());
    let log = log(reader);
    let shutdown = shutdown(reader);
    let pages = pages(reader, public_url.as_ref());
    let webhook_signing_key = store::webhook_signing_key(reader);
    // After every other file: the store's own must not be one of them.
    let store = store::store(reader);
    let (trusted_proxies, trust_unix_peers) = trusted?;
    let (headers, removed_headers) = headers?;
    if let Some(logto) = &logto {
        claims::warn(reader, &headers, logto);
    }
    let config = Config {
        public_url: public_url?,
        listen: listen?,
        upstream: upstream?,
        upstream_host: upstream_host?,
        upstream_tls: upstream_tls?,
        trusted_proxies,
        trust_unix_peers,
        workers: workers?,
        logto: logto?,
        hugging_face: hugging_face?,
        sign_in: sign_in?,
        session: session?,
        store: store?,
        endpoints: endpoints?,
        webhook_signing_key: webhook_signing_key?,
        headers,
        header_presets: header_presets?,
        assertion: assertion?,
        removed_headers,
        routes: routes?,
        limits: limits?,
        admin: admin?,
        admin_is_default,
        log: log?,
        shutdown: shutdown?,
        pages: pages?,
        files: reader.files.iter().cloned().collect(),
        warnings: reader.warnings.clone(),
    };
    reader.errors.is_empty().then_some(config)
}

fn listen(reader: &mut Reader<'_>) -> Option<Vec<ListenAddress>> {
    let addresses = reader.list("listen", ListenAddress::parse)?;
    if addresses.is_empty() {
        reader.fail("listen", Problem::new("expected at least one address"));
        return None;
    }
    for (index, address) in addresses.iter().enumerate() {
        let any_port = matches!(address, ListenAddress::Tcp(address) if address.port() == 0);
        if !any_port && addresses.iter().take(index).any(|earlier| earlier == address) {
            reader.fail("listen", Problem::new(format!("{address} is given twice")));
            return None;
        }
    }
    Some(addresses)
}

fn upstream(reader: &mut Reader<'_>, listen: Option<&[ListenAddress]>) -> Option<UpstreamAddress> {
    let upstream = reader.text("upstream", UpstreamAddress::parse)?;
    if listen
        .unwrap_or_default()
        .iter()
        .any(|listener| address::reaches(&upstream, listener))
    {
        reader.fail(
            "upstream",
            Problem::new("this is where the proxy itself listens: it would forward to itself"),
        );
        return None;
    }
    Some(upstream)
}

/// The certificates of a PEM file; none when no file is named.
fn certificates(reader: &mut Reader<'_>, key: &'static str) -> Option<Vec<CertificateDer<'static>>> {
    let Some(path) = reader.optional_text(key, |text| Ok(text.to_owned()))? else {
        return Some(Vec::new());
    };
    let origin = reader.origin(key);
    certificates_of(reader, &origin, key, &path)
}

/// The certificates of this PEM file.
fn certificates_of(
    reader: &mut Reader<'_>,
    origin: &Origin,
    key: &str,
    path: &str,
) -> Option<Vec<CertificateDer<'static>>> {
    let result = reader.file(origin, path).and_then(|bytes| {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let certificates = certificates.map_err(|_| Problem::new("the file is not PEM"))?;
        let mut anchors = rustls::RootCertStore::empty();
        if certificates.is_empty() {
            return Err(Problem::new("the file holds no PEM certificate"));
        }
        for certificate in &certificates {
            let added = anchors.add(certificate.clone());
            added.map_err(|_| Problem::new("the file holds something that is not a certificate"))?;
        }
        Ok(certificates)
    });
    reader.keep(origin.clone(), key, result)
}

fn trusted_proxies(reader: &mut Reader<'_>) -> Option<(Vec<IpNet>, bool)> {
    let entries = reader.list("trusted_proxies", |text| {
        if text == "unix" {
            return Ok(None);
        }
        parse_network(text)
            .map(Some)
            .map_err(|problem| problem.or_help("or `unix` for peers on a unix socket"))
    })?;
    if entries.iter().flatten().any(|network| network.prefix_len() == 0) {
        reader.warnings.push(
            "trusted_proxies holds every address: any client can claim any address, scheme and host"
                .to_owned(),
        );
    }
    let trust_unix_peers = entries.contains(&None);
    Some((entries.into_iter().flatten().collect(), trust_unix_peers))
}

/// An address or a network.
fn parse_network(text: &str) -> Result<IpNet, Problem> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| Problem::new("expected an address or a network such as `10.0.0.0/8`"))?;
    if network.addr() != network.network() {
        let help = format!(
            "write {} for the network, {} for the address",
            network.trunc(),
            network.addr()
        );
        return Err(Problem::new("the address has bits outside the network's prefix").help(help));
    }
    Ok(network)
}

fn workers(reader: &mut Reader<'_>) -> Option<NonZeroUsize> {
    if reader.is_given("workers") {
        return reader.size("workers", 1..=1024).and_then(NonZeroUsize::new);
    }
    reader.node("workers");
    Some(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

fn limits(reader: &mut Reader<'_>) -> Option<LimitsConfig> {
    let header_bytes = reader.size("limits.header_bytes", 8192..=1_048_576);
    let headers = reader.size("limits.headers", 16..=10_000);
    let target_bytes = reader.size("limits.target_bytes", 256..=1_048_576);
    let cookie_bytes = reader.size("limits.cookie_bytes", 4096..=65_536);
    let header_timeout = reader.duration("limits.header_timeout", MILLISECOND..=HOUR);
    let idle_timeout = reader.duration("limits.idle_timeout", MILLISECOND..=DAY);
    let connections = reader.size("limits.connections", 1..=1_000_000);
    let upstream_connect_timeout = reader.duration("limits.upstream_connect_timeout", MILLISECOND..=HOUR);
    let upstream_response_timeout = reader.duration("limits.upstream_response_timeout", MILLISECOND..=DAY);
    let sign_ins = reader.integer("limits.sign_ins_per_minute", 0..=1_000_000);
    let body_bytes = reader.integer("limits.body_bytes", 0..=u64::from(u32::MAX) * 1024);
    let limits = LimitsConfig {
        header_bytes: header_bytes?,
        headers: headers?,
        target_bytes: target_bytes?,
        cookie_bytes: cookie_bytes?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        connections: connections.and_then(NonZeroUsize::new)?,
        upstream_connect_timeout: upstream_connect_timeout?,
        upstream_response_timeout: upstream_response_timeout?,
        sign_ins_per_minute: u32::try_from(sign_ins?).ok().and_then(NonZeroU32::new),
        body_bytes: NonZeroU64::new(body_bytes?),
    };
    for (key, bytes) in [
        ("limits.target_bytes", limits.target_bytes),
        ("limits.cookie_bytes", limits.cookie_bytes),
    ] {
        if bytes > limits.header_bytes {
            let key = if reader.is_given(key) {
                key
            } else {
                "limits.header_bytes"
            };
            reader.fail(
                key,
                Problem::new("target_bytes and cookie_bytes must not exceed header_bytes"),
            );
        }
    }
    Some(limits)
}

fn admin(reader: &mut Reader<'_>, listen: Option<&[ListenAddress]>) -> Option<Option<ListenAddress>> {
    let admin = reader.optional_text("admin.listen", ListenAddress::parse)?;
    let any_port = matches!(admin, Some(ListenAddress::Tcp(address)) if address.port() == 0);
    let shared = admin
        .as_ref()
        .is_some_and(|admin| listen.unwrap_or_default().contains(admin));
    if shared && !any_port {
        // The default gives way; a chosen address does not.
        if !reader.is_given("admin.listen") {
            return Some(None);
        }
        reader.fail(
            "admin.listen",
            Problem::new("health and metrics never share an address with the site"),
        );
        return None;
    }
    Some(admin)
}

fn log(reader: &mut Reader<'_>) -> Option<LogConfig> {
    use tracing::Level;
    let format = reader.choice(
        "log.format",
        &[
            ("auto", LogFormat::Auto),
            ("json", LogFormat::Json),
            ("pretty", LogFormat::Pretty),
        ],
    );
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let level = reader.choice("log.level", &levels);
    let access = reader.boolean("log.access");
    let subject = reader.choice(
        "log.subject",
        &[
            ("plain", SubjectLog::Plain),
            ("hash", SubjectLog::Hash),
            ("off", SubjectLog::Off),
        ],
    );
    Some(LogConfig {
        format: format?,
        level: level?,
        access: access?,
        subject: subject?,
    })
}

fn shutdown(reader: &mut Reader<'_>) -> Option<ShutdownConfig> {
    let delay = reader.duration("shutdown.delay", Duration::ZERO..=HOUR);
    let timeout = reader.duration("shutdown.timeout", Duration::ZERO..=DAY);
    Some(ShutdownConfig {
        delay: delay?,
        timeout: timeout?,
    })
}

fn pages(reader: &mut Reader<'_>, public_url: Option<&PublicUrl>) -> Option<PagesConfig> {
    const TITLE_CHARACTERS: usize = 100;
    let title = reader.optional_text("pages.title", |text| {
        let fits = text.chars().count() <= TITLE_CHARACTERS && !text.trim().is_empty();
        if fits {
            Ok(text.to_owned())
        } else {
            Err(Problem::new("expected a title of at most 100 characters"))
        }
    });
    let support_url = reader.optional_text("pages.support_url", |text| {
        let problem = || Problem::new("expected an https:, http: or mailto: URL");
        let url = Url::parse(text).map_err(|_| problem())?;
        if matches!(url.scheme(), "https" | "http" | "mailto") {
            Ok(url)
        } else {
            Err(problem())
        }
    });
    let host = public_url.map(PublicUrl::host).unwrap_or_default();
    Some(PagesConfig {
        title: title?.unwrap_or_else(|| host.to_owned()),
        support_url: support_url?,
    })
}

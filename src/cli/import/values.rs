//! Single values: addresses, durations, an upstream.

use super::routes::Upstream;
use std::time::Duration;
use url::{Host, Url};

/// A day.
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Scheme, host and port of the redirect URL.
pub(super) fn public_url(redirect_url: Option<&str>) -> Result<String, &'static str> {
    const MISSING: &str = "redirect_url names no host: put down where browsers reach this proxy.";
    let url = redirect_url.and_then(|url| Url::parse(url).ok()).ok_or(MISSING)?;
    let host = url.host_str().ok_or(MISSING)?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    match url.scheme() {
        "https" => Ok(format!("https://{host}{port}")),
        "http" if is_loopback(&url) => Ok(format!("http://{host}{port}")),
        "http" => Err("redirect_url is http on a host that is not this machine: put down its https address."),
        _ => Err(MISSING),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Logto's endpoint, where an issuer is Logto's: its path is `/oidc`.
pub(super) fn endpoint(issuer: &str) -> Option<String> {
    let base = issuer.trim_end_matches('/').strip_suffix("/oidc")?;
    let url = Url::parse(base).ok()?;
    (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url))).then(|| base.to_owned())
}

/// Where tokens are fetched when that is not where browsers sign in.
pub(super) fn internal_endpoint(redeem_url: &str, endpoint: &str) -> Option<String> {
    let base = redeem_url.strip_suffix("/oidc/token")?;
    (base != endpoint && Url::parse(base).is_ok()).then(|| base.to_owned())
}

/// One upstream of oauth2-proxy: its path says which requests it is for, a final slash that all below it are meant.
pub(super) fn upstream(given: &str) -> Result<Upstream, &'static str> {
    if let Some(path) = given.strip_prefix("unix:") {
        let path = format!("/{}", path.trim_start_matches('/'));
        return Ok(Upstream {
            path: "/*".to_owned(),
            address: format!("unix:{path}"),
        });
    }
    let url = Url::parse(given).map_err(|_| "one of them is no URL.")?;
    let host = match url.scheme() {
        "static" => {
            return Err(
                "static:// stood for nothing to forward, with nginx or another proxy asking. They ask the endpoint `auth` here: \
                 see examples/.",
            );
        }
        "file" => return Err("files are not served: put a web server there."),
        "http" | "https" => url.host_str().ok_or("one of them has no host.")?,
        _ => return Err("one of them is neither http, https nor unix."),
    };
    let port = url.port_or_known_default().unwrap_or(80);
    let path = url.path();
    let path = match path.strip_suffix('/') {
        Some(directory) => format!("{directory}/*"),
        None => path.to_owned(),
    };
    Ok(Upstream {
        path,
        address: format!("{}://{host}:{port}", url.scheme()),
    })
}

/// A duration as Go writes it: `168h`, `1h30m`, `1.5s`; a number alone is nanoseconds, or 0. `None`: it is none.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let time = number.parse::<f64>().ok()? * seconds;
        total = total.checked_add(Duration::try_from_secs_f64(time).ok()?)?;
        rest = after;
    }
    Some(total).filter(|_| !text.is_empty())
}

/// In the unit that it is a whole number of.
pub(super) fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    if time.subsec_millis() > 0 {
        return format!("{}ms", time.as_millis());
    }
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

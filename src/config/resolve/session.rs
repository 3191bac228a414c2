//! `[session]`.

use super::super::error::Problem;
use super::super::model::{SameSite, SessionConfig};
use super::super::reader::Reader;
use super::super::secret::check_session_key;
use super::super::value::PublicUrl;
use super::super::value::duration::display;
use super::{DAY, HOUR, SECOND};
use crate::secret::SecretText;
use std::net::IpAddr;
use std::time::Duration;

/// The most keys that may open sessions at once.
const KEYS: usize = 4;
/// Browsers keep no cookie longer (RFC 6265bis §5.5).
const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);
/// An idle timeout below this ends sessions in use, since a cookie is renewed at most once a minute.
const RENEWAL: Duration = Duration::from_secs(120);
/// More often than this every page of a busy app would wait for Logto.
const SHORTEST_RECHECK: Duration = Duration::from_secs(10);

pub(super) fn session(reader: &mut Reader<'_>, public_url: Option<&PublicUrl>) -> Option<SessionConfig> {
    let keys = keys(reader);
    let cookie_domain = reader.optional_text("session.cookie_domain", |text| cookie_domain(text, public_url));
    let same_site = same_site(reader, public_url);
    let idle_timeout = reader.duration("session.idle_timeout", SECOND..=LONGEST);
    let lifetime = reader.duration("session.lifetime", SECOND..=LONGEST);
    let cookie_name = cookie_name(
        reader,
        public_url,
        cookie_domain.as_ref().is_some_and(Option::is_some),
    );
    let recheck = reader.duration("session.recheck", SHORTEST_RECHECK..=DAY);
    let recheck_grace = reader.duration("session.recheck_grace", Duration::ZERO..=LONGEST);
    let (idle_timeout, lifetime) = (idle_timeout?, lifetime?);
    let recheck = recheck.inspect(|recheck| warn_about_recheck(reader, *recheck, lifetime));
    warn_about_idle_timeout(reader, idle_timeout);
    let idle_timeout = within_lifetime(reader, "session.idle_timeout", idle_timeout, lifetime);
    let recheck_grace =
        recheck_grace.and_then(|grace| within_lifetime(reader, "session.recheck_grace", grace, lifetime));
    Some(SessionConfig {
        keys: keys?,
        cookie_name: cookie_name?,
        cookie_domain: cookie_domain?,
        same_site: same_site?,
        secure: public_url?.is_secure(),
        idle_timeout: idle_timeout?,
        lifetime,
        recheck: recheck?,
        recheck_grace: recheck_grace?,
    })
}

fn keys(reader: &mut Reader<'_>) -> Option<Vec<SecretText>> {
    let keys = reader.secrets("session.keys", KEYS)?;
    let total = keys.len();
    let strong: Vec<SecretText> = keys
        .into_iter()
        .filter_map(|(key, origin)| {
            reader
                .keep(origin, "session.keys", check_session_key(&key))
                .map(|()| key)
        })
        .collect();
    (strong.len() == total).then_some(strong)
}

fn same_site(reader: &mut Reader<'_>, public_url: Option<&PublicUrl>) -> Option<SameSite> {
    reader.text("session.same_site", |text| match text {
        "lax" => Ok(SameSite::Lax),
        "none" if public_url.is_none_or(PublicUrl::is_secure) => Ok(SameSite::None),
        "none" => Err(Problem::new(
            "`none` needs an https public_url: browsers drop such a cookie without Secure",
        )),
        "strict" => Err(Problem::new("expected `lax` or `none`")
            .help("browsers withhold a strict cookie on the way back from Logto, so nobody could sign in")),
        _ => Err(Problem::new("expected `lax` or `none`")),
    })
}

fn warn_about_idle_timeout(reader: &mut Reader<'_>, idle: Duration) {
    if idle < RENEWAL {
        reader.warnings.push(format!(
            "session.idle_timeout = \"{}\": the cookie is renewed at most once a minute, so even active users are signed out",
            display(idle)
        ));
    }
}

/// There is no switch that turns the re-check off; one that comes close is worth a word.
fn warn_about_recheck(reader: &mut Reader<'_>, recheck: Duration, lifetime: Duration) {
    if !reader.is_given("session.recheck") {
        return;
    }
    let written = display(recheck);
    if recheck >= lifetime {
        reader.warnings.push(format!(
            "session.recheck = \"{written}\" is not shorter than session.lifetime: no session is ever confirmed with Logto"
        ));
    } else if recheck > HOUR {
        reader.warnings.push(format!(
            "session.recheck = \"{written}\": a role that is withdrawn at Logto, or a user shut out there, is noticed only after that long unless a webhook tells of it"
        ));
    }
}

/// A time beyond the lifetime is a mistake when written, and follows when it is the default.
fn within_lifetime(
    reader: &mut Reader<'_>,
    key: &str,
    time: Duration,
    lifetime: Duration,
) -> Option<Duration> {
    if time <= lifetime {
        return Some(time);
    }
    if !reader.is_given(key) {
        return Some(lifetime);
    }
    reader.fail(
        key,
        Problem::new(format!("longer than session.lifetime ({})", display(lifetime))),
    );
    None
}

fn cookie_domain(text: &str, public_url: Option<&PublicUrl>) -> Result<String, Problem> {
    let domain = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.bytes().all(fits)
    };
    if !domain.split('.').all(label) || domain.parse::<IpAddr>().is_ok() || !domain.contains('.') {
        return Err(Problem::new(
            "expected a domain of at least two labels, such as example.com",
        ));
    }
    let holds =
        |host: &str| host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'));
    match public_url {
        Some(url) if !holds(url.host()) => Err(Problem::new(
            "the host of public_url is not in this domain, so browsers would refuse the cookie",
        )),
        _ => Ok(domain),
    }
}

fn cookie_name(reader: &mut Reader<'_>, public_url: Option<&PublicUrl>, has_domain: bool) -> Option<String> {
    let secure = public_url.is_none_or(PublicUrl::is_secure);
    if !reader.is_given("session.cookie_name") {
        reader.node("session.cookie_name");
        let name = match (secure, has_domain) {
            (false, _) => "logto",
            (true, true) => "__Secure-logto",
            (true, false) => "__Host-logto",
        };
        return Some(name.to_owned());
    }
    reader.text("session.cookie_name", |text| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
            return Err(Problem::new("expected 1 to 64 letters, digits, `-` and `_`"));
        }
        // Browsers compare the prefixes without regard to case (RFC 6265bis §5.4).
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("__host-") && has_domain {
            return Err(Problem::new("a `__Host-` cookie cannot have a domain")
                .help("use `__Secure-`, or no cookie_domain"));
        }
        if (lower.starts_with("__host-") || lower.starts_with("__secure-")) && !secure {
            return Err(Problem::new(
                "the `__Host-` and `__Secure-` prefixes need an https public_url",
            ));
        }
        Ok(text.to_owned())
    })
}

//! The address of a Redis or Valkey server.
//!
//! Promises: what passes here means one thing to everyone who reads it, and never switches the check of certificates off,
//! which a fragment does in some clients. No message repeats any of it: it holds a password.

use super::super::error::Problem;
use super::address::is_private;
use crate::secret::SecretText;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// A checked address.
pub(in super::super) struct RedisUrl {
    /// The address, its scheme in lower case.
    pub(in super::super) url: SecretText,
    /// Whether TLS is spoken.
    pub(in super::super) tls: bool,
    /// Whether what is said can be read on the way: no TLS, and a host that is not private.
    pub(in super::super) in_clear: bool,
}

const EXPECTED: &str =
    "expected redis://user:password@host:port/database, rediss://… for TLS, or unix:///path?db=0";

impl RedisUrl {
    pub(in super::super) fn parse(secret: &SecretText) -> Result<Self, Problem> {
        let text = secret.expose();
        let problem = || Problem::new(EXPECTED);
        // The URL parser forgives blanks and tabs; whoever wrote one meant something else.
        if text.contains([' ', '\\']) || text.chars().any(char::is_control) {
            return Err(problem());
        }
        let url = Url::parse(text).map_err(|_| problem().help(ESCAPES))?;
        match url.scheme() {
            "redis" | "rediss" => check_host(&url)?,
            "unix" | "redis+unix" => check_socket(&url)?,
            "valkey" | "valkeys" => {
                return Err(problem().help("Valkey speaks the same protocol: write redis:// or rediss://"));
            }
            _ => return Err(problem()),
        }
        // `#insecure` would switch the check of the server's certificate off.
        if url.fragment().is_some() {
            return Err(Problem::new("a fragment (`#…`) does not belong into this URL").help(ESCAPES));
        }
        let tls = url.scheme() == "rediss";
        let in_clear = url.scheme() == "redis" && !is_private(host(&url).as_ref().map(borrowed));
        Ok(Self {
            tls,
            in_clear,
            url: SecretText::new(url.into()),
        })
    }
}

const ESCAPES: &str =
    "in a user name or password, `/`, `#`, `?`, `@`, `:` and `%` are written %2F, %23, %3F, %40, %3A and %25";

fn check_host(url: &Url) -> Result<(), Problem> {
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Problem::new("the host is missing").help(ESCAPES));
    }
    let wildcard = match host(url) {
        Some(Host::Ipv4(address)) => address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_unspecified(),
        Some(Host::Domain(_)) => false,
        None => return Err(Problem::new("the host is not a name or an IP address").help(ESCAPES)),
    };
    if wildcard || url.port() == Some(0) {
        return Err(Problem::new("this address cannot be connected to"));
    }
    let database = url.path().strip_prefix('/').unwrap_or_default();
    if !database.is_empty() && !is_database(database) {
        return Err(Problem::new("the path may only be the number of a database, such as /0").help(ESCAPES));
    }
    if url.query().is_some() {
        return Err(Problem::new("a query (`?…`) does not belong into this URL").help(ESCAPES));
    }
    let readable = |text: &str| percent_decode_str(text).decode_utf8().is_ok();
    if !readable(url.username()) || !url.password().is_none_or(readable) {
        return Err(Problem::new("the user name or password is not UTF-8").help(ESCAPES));
    }
    Ok(())
}

fn check_socket(url: &Url) -> Result<(), Problem> {
    let path = url.path();
    if url.has_host() && url.host_str().is_some_and(|host| !host.is_empty()) {
        return Err(Problem::new(
            "the path of a socket follows three slashes: unix:///path",
        ));
    }
    if !path.starts_with('/') || path.ends_with('/') || percent_decode_str(path).decode_utf8().is_err() {
        return Err(Problem::new(
            "expected the absolute path of a socket: unix:///path",
        ));
    }
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "user" | "pass" => {}
            "db" if is_database(&value) => {}
            "db" => return Err(Problem::new("`db` is the number of a database")),
            _ => return Err(Problem::new("the query may hold `db`, `user` and `pass` alone").help(ESCAPES)),
        }
    }
    Ok(())
}

/// The host as connecting reads it: the URL parser leaves the address of a scheme it does not know a name.
fn host(url: &Url) -> Option<Host<String>> {
    Host::parse(url.host_str()?).ok()
}

fn borrowed(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

fn is_database(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RedisUrl, Problem> {
        RedisUrl::parse(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn servers_and_sockets_are_told_apart() {
        for (text, tls, in_clear) in [
            ("redis://redis", false, false),
            ("redis://:hunter2@redis:6379/15", false, false),
            ("redis://127.0.0.1:6379", false, false),
            ("redis://[fd00::1]:6379/", false, false),
            ("redis://10.1.2.3", false, false),
            ("redis://cache.example.com:6379", false, true),
            ("redis://203.0.113.7", false, true),
            ("redis://[2001:db8::1]", false, true),
            ("rediss://user:p%40ss%2F@cache.example.com:6380/0", true, false),
            ("REDISS://cache.example.com", true, false),
            ("unix:///run/redis.sock", false, false),
            ("redis+unix:///run/redis.sock?db=2&user=u&pass=p", false, false),
            ("unix:/run/redis.sock", false, false),
        ] {
            let Ok(url) = parse(text) else { panic!("{text}") };
            assert_eq!((url.tls, url.in_clear), (tls, in_clear), "{text}");
        }
        let Ok(url) = parse("REDISS://cache.example.com") else {
            panic!()
        };
        assert_eq!(url.url.expose(), "rediss://cache.example.com");
    }

    #[test]
    fn what_could_mean_something_else_is_refused_without_being_repeated() {
        for text in [
            "hunter2",
            "redis:hunter2",
            "redis://",
            "redis:///0",
            "redis://:hunter2@",
            "redis://u:hunter2@redis:0",
            "redis://u:hunter2@redis:port",
            "redis://u:hun#ter2@redis",
            "redis://u:hun/ter2@redis",
            "redis://u:hunter2@redis/hunter2",
            "redis://u:hunter2@redis/-1",
            "redis://u:hunter2@redis/0?timeout=hunter2",
            "redis://u:hunter2%ff@redis",
            "redis://u:hunter2@0.0.0.0",
            "redis://u:hunter2@re dis",
            "redis://u:hunter2@[::]",
            "rediss://u:hunter2@redis/#insecure",
            "rediss://u:hunter2@redis/0#hunter2",
            "http://u:hunter2@redis",
            "valkey://u:hunter2@redis",
            "unix://run/hunter2.sock",
            "unix:hunter2.sock",
            "unix:///",
            "unix:///run/redis.sock?db=hunter2",
            "unix:///run/redis.sock?password=hunter2",
            "unix:///run/redis.sock#hunter2",
        ] {
            let Err(problem) = parse(text) else {
                panic!("{text}")
            };
            assert!(!format!("{problem:?}").contains("hunter2"), "{text}: {problem:?}");
        }
    }
}

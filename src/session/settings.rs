//! How the proxy's cookies are named and scoped, and the `Set-Cookie` lines that say so.
//!
//! Promises that a cookie is set and expired with the same attributes: browsers ignore an expiry of a `__Host-` cookie
//! that lacks `Secure`. Stops settings which browsers refuse, since those end in sign-in loops. Refuses to know values.

use http::HeaderValue;
use std::time::Duration;

/// Longest cookie that every browser keeps: name, value and attributes together, in bytes (RFC 6265 §6.1).
pub(super) const COOKIE_BYTES: usize = 4096;

const LONGEST_NAME: usize = 64;
const LONGEST_DOMAIN: usize = 253;

/// On which cross-site requests browsers send the cookie (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// When a person follows a link.
    #[default]
    Lax,
    /// Never. Arriving from a link on another site then looks signed out.
    Strict,
    /// Always, inside frames too. Needs `Secure`.
    None,
}

/// The session cookie's name and attributes. `Path` is always `/`, `HttpOnly` always set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieSettings {
    /// Name of the first piece; further ones are called `name.1` and so on.
    pub name: String,
    /// Only over https.
    pub secure: bool,
    /// On which cross-site requests it is sent.
    pub same_site: SameSite,
    /// Shared with the hosts under this domain; `None`: this host only.
    pub domain: Option<String>,
    /// Most bytes of session cookie that are read and written.
    pub cookie_bytes: usize,
}

/// Why browsers would not keep such a cookie. All are the operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CookieSettingsError {
    /// Not 1 to 64 letters, digits, `-` or `_`.
    #[error("a cookie name consists of 1 to {LONGEST_NAME} letters, digits, `-` or `_`")]
    Name,
    /// `__Host-` or `__Secure-` or `SameSite=None`, but not `Secure`.
    #[error("this cookie name or `same_site` needs an https `public_url`")]
    NotSecure,
    /// `__Host-` with a domain.
    #[error("a `__Host-` cookie cannot have a domain; give `cookie_name` another name")]
    HostWithDomain,
    /// Not a domain name.
    #[error("`cookie_domain` is not a domain name such as `example.com`")]
    Domain,
}

impl SameSite {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// What the names of the proxy's other cookies end in: the binding of sign-ins to a browser, and the loop stop.
pub const SIBLINGS: [&str; 2] = ["-browser", "-rounds"];

impl CookieSettings {
    /// Would browsers keep it?
    ///
    /// # Errors
    /// See [`CookieSettingsError`].
    pub fn check(&self) -> Result<(), CookieSettingsError> {
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=LONGEST_NAME).contains(&self.name.len()) || !self.name.bytes().all(in_name) {
            return Err(CookieSettingsError::Name);
        }
        // Browsers compare the prefixes without regard to case (RFC 6265bis §4.1.3).
        let lower_case = self.name.to_ascii_lowercase();
        let (host, secure) = (
            lower_case.starts_with("__host-"),
            lower_case.starts_with("__secure-"),
        );
        if !self.secure && (host || secure || self.same_site == SameSite::None) {
            return Err(CookieSettingsError::NotSecure);
        }
        if host && self.domain.is_some() {
            return Err(CookieSettingsError::HostWithDomain);
        }
        match &self.domain {
            Some(domain) if !is_domain(domain) => Err(CookieSettingsError::Domain),
            _ => Ok(()),
        }
    }

    /// The name of a cookie that goes with the session cookie: same name, one of [`SIBLINGS`] after it.
    pub fn sibling_name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.name)
    }

    /// The `Set-Cookie` line of such a cookie, for this host only; `None` only for a value no header can hold.
    pub fn sibling_cookie(&self, suffix: &str, value: &str, max_age: Duration) -> Option<HeaderValue> {
        let name = self.sibling_name(suffix);
        let host_only = Self {
            domain: None,
            // Coming back from Logto is a cross-site navigation: `Strict` would never be sent.
            same_site: match self.same_site {
                SameSite::None => SameSite::None,
                SameSite::Lax | SameSite::Strict => SameSite::Lax,
            },
            ..self.clone()
        };
        host_only.set(&name, value, max_age)
    }

    /// A line that sets a cookie; `None` only for a name or value no header can hold.
    pub(super) fn set(&self, name: &str, value: &str, max_age: Duration) -> Option<HeaderValue> {
        let attributes = self.attributes(self.domain.as_deref());
        line(format!(
            "{name}={value}; Max-Age={}{attributes}",
            max_age.as_secs()
        ))
    }

    /// A line that makes the browser forget a cookie.
    pub(super) fn expire(&self, name: &str) -> Option<HeaderValue> {
        self.expire_in(name, self.domain.as_deref())
    }

    /// The same for a cookie of this host alone, left from before a domain was configured.
    pub(super) fn expire_host_only(&self, name: &str) -> Option<HeaderValue> {
        self.expire_in(name, None)
    }

    /// Most bytes of a value, so that browsers keep the cookie.
    pub(super) fn value_bytes(&self) -> usize {
        const LONGEST_MAX_AGE: usize = "=; Max-Age=18446744073709551615".len();
        const SUFFIX: usize = ".1".len();
        let attributes = self.attributes(self.domain.as_deref()).len();
        COOKIE_BYTES.saturating_sub(self.name.len() + SUFFIX + LONGEST_MAX_AGE + attributes)
    }

    fn expire_in(&self, name: &str, domain: Option<&str>) -> Option<HeaderValue> {
        let attributes = self.attributes(domain);
        line(format!(
            "{name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT{attributes}"
        ))
    }

    fn attributes(&self, domain: Option<&str>) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let domain = domain.map_or_else(String::new, |domain| format!("; Domain={domain}"));
        let same_site = self.same_site.as_str();
        format!("; Path=/{domain}; HttpOnly{secure}; SameSite={same_site}")
    }
}

fn line(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    // Keeps it out of every `Debug` of a header map.
    value.set_sensitive(true);
    Some(value)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= LONGEST_DOMAIN && domain.contains('.') && domain.split('.').all(is_label)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::session) fn host_cookie() -> CookieSettings {
        CookieSettings {
            name: "__Host-logto".to_owned(),
            secure: true,
            same_site: SameSite::Lax,
            domain: None,
            cookie_bytes: 16_384,
        }
    }

    pub(in crate::session) fn domain_cookie() -> CookieSettings {
        CookieSettings {
            name: "logto".to_owned(),
            domain: Some("example.com".to_owned()),
            ..host_cookie()
        }
    }

    fn text(line: Option<HeaderValue>) -> String {
        line.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn lines_carry_every_attribute() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            text(host_cookie().set("__Host-logto", "v", minute)),
            "__Host-logto=v; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        let plain = CookieSettings {
            secure: false,
            same_site: SameSite::Strict,
            ..domain_cookie()
        };
        assert_eq!(
            text(plain.set("logto.1", "v", minute)),
            "logto.1=v; Max-Age=60; Path=/; Domain=example.com; HttpOnly; SameSite=Strict"
        );
    }

    #[test]
    fn an_expiry_has_the_attributes_of_the_setting() {
        assert_eq!(
            text(host_cookie().expire("__Host-logto")),
            "__Host-logto=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        assert!(text(domain_cookie().expire("logto")).contains("; Domain=example.com;"));
        assert!(!text(domain_cookie().expire_host_only("logto")).contains("Domain"));
    }

    #[test]
    fn lines_are_hidden_from_debug() {
        let line = host_cookie().set("a", "secret", Duration::ZERO);
        assert!(!format!("{line:?}").contains("secret"));
    }

    #[test]
    fn settings_browsers_refuse_are_refused() {
        assert_eq!(host_cookie().check(), Ok(()));
        assert_eq!(domain_cookie().check(), Ok(()));
        let with = |change: fn(&mut CookieSettings)| {
            let mut settings = host_cookie();
            change(&mut settings);
            settings.check()
        };
        assert_eq!(with(|s| s.secure = false), Err(CookieSettingsError::NotSecure));
        assert_eq!(
            with(|s| (s.secure, s.name) = (false, "__secure-a".to_owned())),
            Err(CookieSettingsError::NotSecure)
        );
        assert_eq!(
            with(|s| (s.secure, s.name, s.same_site) = (false, "a".to_owned(), SameSite::None)),
            Err(CookieSettingsError::NotSecure)
        );
        assert_eq!(
            with(|s| s.domain = Some("example.com".to_owned())),
            Err(CookieSettingsError::HostWithDomain)
        );
        for name in ["", "a b", "a;b", "a=b", "a.1", "é"] {
            let settings = CookieSettings {
                name: name.to_owned(),
                ..domain_cookie()
            };
            assert_eq!(settings.check(), Err(CookieSettingsError::Name), "{name:?}");
        }
        for domain in [
            "",
            "com",
            ".example.com",
            "example.com; Path=/x",
            "a..b",
            "-a.com",
            "a_b.com",
        ] {
            let settings = CookieSettings {
                domain: Some(domain.to_owned()),
                ..domain_cookie()
            };
            assert_eq!(settings.check(), Err(CookieSettingsError::Domain), "{domain:?}");
        }
    }

    #[test]
    fn the_longest_cookie_fits_in_what_browsers_keep() {
        let settings = CookieSettings {
            name: "n".repeat(LONGEST_NAME),
            domain: Some(format!("{}.example.com", ["a".repeat(60).as_str(); 3].join("."))),
            ..domain_cookie()
        };
        assert_eq!(settings.check(), Ok(()));
        let value = "v".repeat(settings.value_bytes());
        let line = settings.set(
            &format!("{}.4", settings.name),
            &value,
            Duration::from_secs(u64::MAX),
        );
        assert_eq!(line.unwrap().len(), COOKIE_BYTES);
    }
}

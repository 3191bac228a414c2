//! The cookie that ties a sign-in to the browser that began it.
//!
//! Promises one such cookie a browser, holding 256 random bits: a sign-in's `state` keeps the hash of it, and only a
//! browser that presents the value can finish the sign-in. Stops login CSRF and code injection; and, since no sign-in has
//! a cookie of its own, tabs cannot overwrite each other and nothing piles up. Refuses to know the `state`.
//!
//! A value that is present and valid is never replaced; setting it again only makes it last longer.

use super::settings::{CookieSettings, CookieSettingsError, SIBLINGS};
use crate::http::cookies::pairs;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::header::HeaderMap;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use super::session::NoRandomness;

const VALUE_BYTES: usize = 32;
const SUFFIX: &str = SIBLINGS[0];

/// How long a browser keeps it: far longer than a sign-in takes, so that one begun shortly before the end still works.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// The value of one browser.
#[derive(Clone)]
pub struct Binding(Zeroizing<[u8; VALUE_BYTES]>);

/// SHA-256 of a [`Binding`]: what a sign-in's `state` keeps.
#[derive(Clone, Copy)]
pub struct BindingHash([u8; 32]);

/// Reads and writes the binding cookie.
#[derive(Debug, Clone)]
pub struct BindingCookie {
    name: String,
    settings: CookieSettings,
}

impl Binding {
    /// A new random value.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn make() -> Result<Self, NoRandomness> {
        let mut value = Zeroizing::new([0; VALUE_BYTES]);
        getrandom::fill(value.as_mut()).map_err(|_| NoRandomness)?;
        Ok(Self(value))
    }

    /// What the sign-in's `state` keeps.
    pub fn hash(&self) -> BindingHash {
        BindingHash(Sha256::digest(self.0.as_slice()).into())
    }

    fn from_text(text: &[u8]) -> Option<Self> {
        let mut value = Zeroizing::new([0; VALUE_BYTES]);
        let length = URL_SAFE_NO_PAD.decode_slice(text, value.as_mut_slice()).ok()?;
        (length == VALUE_BYTES).then_some(Self(value))
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl BindingHash {
    /// Reads a hash back.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Is it the hash of this value? In constant time.
    pub fn matches(&self, binding: &Binding) -> bool {
        self.0.ct_eq(&binding.hash().0).into()
    }
}

impl fmt::Debug for BindingHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BindingHash")
    }
}

impl BindingCookie {
    /// The binding cookie that goes with a session cookie: same name with `-browser` after it, this host only.
    ///
    /// # Errors
    /// See [`CookieSettingsError`].
    pub fn new(session: &CookieSettings) -> Result<Self, CookieSettingsError> {
        session.check()?;
        Ok(Self {
            name: session.sibling_name(SUFFIX),
            settings: session.clone(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value a request presents. `None` when there is none, when it is malformed, and when there are two.
    pub fn read(&self, headers: &HeaderMap) -> Option<Binding> {
        let mut values = pairs(headers).filter(|(name, _)| *name == self.name.as_bytes());
        let (_, value) = values.next()?;
        match values.next() {
            None => Binding::from_text(value),
            Some(_) => None,
        }
    }

    /// The `Set-Cookie` line that hands the value to the browser, for a day.
    pub fn set(&self, binding: &Binding) -> Option<HeaderValue> {
        let value = Zeroizing::new(URL_SAFE_NO_PAD.encode(binding.0.as_slice()));
        self.settings.sibling_cookie(SUFFIX, &value, LIFETIME)
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::SameSite;
    use super::super::settings::tests::{domain_cookie, host_cookie};
    use super::*;
    use http::header::COOKIE;
    use proptest::prelude::*;

    fn cookie() -> BindingCookie {
        BindingCookie::new(&host_cookie()).unwrap()
    }

    fn request(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    fn pair(binding: &Binding) -> String {
        let line = cookie().set(binding).unwrap();
        line.to_str().unwrap().split_once(';').unwrap().0.to_owned()
    }

    #[test]
    fn the_value_a_browser_was_given_is_read_back_and_matches() {
        let binding = Binding::make().unwrap();
        let read = cookie()
            .read(&request(&["a=b", &format!("c=d; {}", pair(&binding))]))
            .unwrap();
        assert!(binding.hash().matches(&read));
        assert!(BindingHash::from_bytes(*binding.hash().as_bytes()).matches(&read));
    }

    #[test]
    fn another_browser_does_not_match() {
        let (mine, theirs) = (Binding::make().unwrap(), Binding::make().unwrap());
        assert!(!mine.hash().matches(&theirs));
    }

    #[test]
    fn the_line_is_host_only_lax_and_lasts_a_day() {
        let line = cookie().set(&Binding::make().unwrap()).unwrap();
        let (pair, attributes) = line.to_str().unwrap().split_once("; ").unwrap();
        assert_eq!(pair.len(), "__Host-logto-browser=".len() + 43);
        assert_eq!(
            attributes,
            "Max-Age=86400; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        let strict = CookieSettings {
            same_site: SameSite::Strict,
            ..domain_cookie()
        };
        let line = BindingCookie::new(&strict)
            .unwrap()
            .set(&Binding::make().unwrap())
            .unwrap();
        let line = line.to_str().unwrap();
        assert!(
            line.ends_with("SameSite=Lax") && !line.contains("Domain"),
            "{line}"
        );
    }

    #[test]
    fn anything_but_one_well_formed_value_is_none() {
        let good = pair(&Binding::make().unwrap());
        let name = cookie().name().to_owned();
        for lines in [
            vec![],
            vec!["__Host-logto=1"],
            vec![good.as_str(), good.as_str()],
            vec![&format!("{name}=")],
            vec![&format!("{good}=")],
            vec![&format!("{good}A")],
            vec![&good[..good.len() - 1]],
            vec![&format!("\u{2000}{good}")],
            vec![&good.to_uppercase()],
        ] {
            assert!(cookie().read(&request(&lines)).is_none(), "{lines:?}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let binding = Binding::make().unwrap();
        assert_eq!(
            format!("{binding:?} {:?}", binding.hash()),
            "[secret] BindingHash"
        );
    }

    proptest! {
        #[test]
        fn any_value_is_read_without_a_panic(value in prop::collection::vec(32_u8..=255, 0..80)) {
            let mut line = b"__Host-logto-browser=".to_vec();
            line.extend(value.into_iter().filter(|byte| *byte != 127));
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_bytes(&line).unwrap());
            let _ = cookie().read(&headers);
        }
    }
}

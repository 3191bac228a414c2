//! The token in the forms of our own pages, which only this user's page can hold.
//!
//! Stops forms of other sites that act in the user's name (CSRF): the token is sealed for one session and opens for no
//! other, and only for an hour. A browser's word on where a form comes from is asked for besides, not instead.

use crate::clock::UnixSeconds;
use crate::session::SessionId;
use crate::session::{KeyRing, Purpose};
use ::http::{HeaderMap, header};
use std::time::Duration;

/// How long a page may be looked at before its buttons stop working.
const LIFETIME: Duration = Duration::from_secs(3600);
/// How far the clocks of two proxies may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A token for a page that is shown to this session now; `None` only if the system has no randomness.
pub(super) fn make(keyring: &KeyRing, session: SessionId, now: UnixSeconds) -> Option<String> {
    keyring
        .seal(Purpose::Form, session.as_bytes(), &now.as_u64().to_be_bytes())
        .ok()
}

/// Whether a token was made for this session within the last hour.
pub(super) fn is_valid(token: &str, keyring: &KeyRing, session: SessionId, now: UnixSeconds) -> bool {
    let Ok(opened) = keyring.open(Purpose::Form, session.as_bytes(), token.as_bytes()) else {
        return false;
    };
    let Ok(made_at) = <[u8; 8]>::try_from(opened.plaintext.as_slice()) else {
        return false;
    };
    let made_at = UnixSeconds::new(u64::from_be_bytes(made_at));
    now.since(made_at) <= LIFETIME && made_at.since(now) <= CLOCK_SKEW
}

/// Whether the browser says that a form was sent by a page of this very origin, in each way in which it says anything.
pub(super) fn is_same_origin(headers: &HeaderMap, public_origin: &str) -> bool {
    let site = headers.get("sec-fetch-site");
    let origin = headers.get(header::ORIGIN);
    site.is_none_or(|site| site == "same-origin") && origin.is_none_or(|origin| origin == public_origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretText;
    use crate::session::keyring::{KeyContext, SessionKey};

    fn keyring() -> KeyRing {
        let text = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let key = SessionKey::parse(&SecretText::new(text.to_owned())).unwrap();
        let context = KeyContext {
            issuer: "https://logto.test/oidc".to_owned(),
            client_id: "app".to_owned(),
            public_origin: "https://app.example.com".to_owned(),
        };
        KeyRing::new(vec![key], &context).unwrap()
    }

    #[test]
    fn a_token_is_good_for_its_session_and_an_hour() {
        let keyring = keyring();
        let (mine, yours) = (SessionId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
        let now = UnixSeconds::new(1_000_000);
        let token = make(&keyring, mine, now).unwrap();
        let is_valid = |token: &str, session, now| is_valid(token, &keyring, session, now);
        assert!(is_valid(&token, mine, now));
        assert!(is_valid(&token, mine, now.plus(LIFETIME)));
        assert!(!is_valid(
            &token,
            mine,
            now.plus(LIFETIME + Duration::from_secs(1))
        ));
        assert!(!is_valid(&token, yours, now));
        assert!(!is_valid(&token, mine, UnixSeconds::new(999_900)));
        assert!(!is_valid("", mine, now));
        // Nothing else that the proxy seals is one.
        let time = now.as_u64().to_be_bytes();
        let other = keyring.seal(Purpose::SignOut, mine.as_bytes(), &time).unwrap();
        assert!(!is_valid(&other, mine, now));
        let longer = keyring
            .seal(Purpose::Form, mine.as_bytes(), b"123456789")
            .unwrap();
        assert!(!is_valid(&longer, mine, now));
    }

    #[test]
    fn whatever_a_browser_says_must_name_this_origin() {
        let origin = "https://app.example.com";
        let says = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(*name, ::http::HeaderValue::from_static(value));
            }
            is_same_origin(&headers, origin)
        };
        assert!(says(&[]));
        assert!(says(&[("sec-fetch-site", "same-origin")]));
        assert!(says(&[("origin", "https://app.example.com")]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!says(&[("sec-fetch-site", site)]), "{site:?}");
            assert!(!says(&[
                ("sec-fetch-site", site),
                ("origin", "https://app.example.com")
            ]));
        }
        for other in [
            "null",
            "",
            "http://app.example.com",
            "https://app.example.com.evil.test",
            "https://app.example.com/",
        ] {
            assert!(!says(&[("origin", other)]), "{other:?}");
            assert!(
                !says(&[("sec-fetch-site", "same-origin"), ("origin", other)]),
                "{other:?}"
            );
        }
    }
}

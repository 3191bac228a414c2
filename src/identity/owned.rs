//! Which request headers belong to the proxy, so that what a client sent under those names is dropped.
//!
//! Promises that no spelling which an upstream could take for an owned name survives: CGI, WSGI, Rack and PHP turn every
//! sign of a name into `_`, so `X_User_Sub` and `X.User.Sub` read there as `X-User-Sub`. Names are compared folded:
//! lower case, every byte that is not a letter or digit as `-`. Refuses to know claims and routes: owned names go on
//! every request, whether or not anybody is signed in.

use crate::http::folding::{fold, fold_byte, folded_equals, folded_starts_with};
use http::header::{HeaderMap, HeaderName};

/// Families in which any name may tell an upstream who the user is: our own, and those of the proxies whose upstreams
/// run unchanged behind this one. An upstream trusts them whether or not the preset is switched on.
const FAMILIES: [&[u8]; 8] = [
    b"x-user-",
    b"x-logto-",
    b"logto-",
    b"x-auth-request-",
    b"remote-",
    b"x-goog-authenticated-user-",
    b"x-goog-iap-",
    b"cf-access-",
];

/// Single names of the same kind.
const NAMES: [&str; 7] = [
    "x-user",
    "x-client-id",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
];

/// The one name of a family that says nothing about a user: the signature of Logto's webhooks, which the proxy's own
/// endpoint needs, and an application's too. Only in this very spelling.
const WEBHOOK_SIGNATURE: &[u8] = b"logto-signature-sha-256";

/// The owned names: those built in and those the configuration adds.
#[derive(Debug, Clone)]
pub(super) struct OwnedNames {
    configured: Vec<Vec<u8>>,
    /// By folded first byte: can an owned name begin so at all?
    first_bytes: [bool; 256],
}

impl OwnedNames {
    pub(super) fn new<'a>(configured: impl Iterator<Item = &'a HeaderName>) -> Self {
        let mut owned = Self {
            configured: Vec::new(),
            first_bytes: [false; 256],
        };
        for name in FAMILIES.into_iter().chain(NAMES.map(str::as_bytes)) {
            owned.expect(name);
        }
        owned.add(configured);
        owned
    }

    /// Owns further names.
    pub(super) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a HeaderName>) {
        for name in names {
            let name = fold(name.as_str().as_bytes()).into_owned();
            self.expect(&name);
            self.configured.push(name);
        }
    }

    /// The single names among them: those built in, and those of the configuration as they are compared.
    pub(super) fn names(&self) -> impl Iterator<Item = HeaderName> {
        let configured = self.configured.iter();
        let configured = configured.filter_map(|name| HeaderName::from_bytes(name).ok());
        NAMES.into_iter().map(HeaderName::from_static).chain(configured)
    }

    fn expect(&mut self, folded: &[u8]) {
        if let Some(flag) = folded
            .first()
            .and_then(|first| self.first_bytes.get_mut(usize::from(*first)))
        {
            *flag = true;
        }
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        let Some(first) = name.first() else { return false };
        if !self
            .first_bytes
            .get(usize::from(fold_byte(*first)))
            .copied()
            .unwrap_or(true)
        {
            return false;
        }
        let of_family = || FAMILIES.iter().any(|family| folded_starts_with(name, family));
        (name != WEBHOOK_SIGNATURE && of_family())
            || NAMES.iter().any(|owned| folded_equals(name, owned.as_bytes()))
            || self.configured.iter().any(|owned| folded_equals(name, owned))
    }

    /// Removes every line of every owned name. Allocates only when there is one.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        let found: Vec<HeaderName> = headers
            .keys()
            .filter(|name| self.contains(name.as_str().as_bytes()))
            .cloned()
            .collect();
        for name in found {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn owned() -> OwnedNames {
        OwnedNames::new(
            [
                HeaderName::from_static("x-tenant"),
                HeaderName::from_static("authorization"),
            ]
            .iter(),
        )
    }

    #[test]
    fn the_signature_of_webhooks_passes_in_its_own_spelling_only() {
        assert!(!owned().contains(b"logto-signature-sha-256"));
        for name in [
            "logto_signature_sha_256",
            "logto-signature-sha-2560",
            "logto-signature",
        ] {
            assert!(owned().contains(name.as_bytes()), "{name}");
        }
        let configured = HeaderName::from_static("logto-signature-sha-256");
        assert!(OwnedNames::new([configured].iter()).contains(b"logto-signature-sha-256"));
    }

    #[test]
    fn owned_names_in_every_spelling() {
        for name in [
            "X-User-Sub",
            "x_user_sub",
            "x.user.sub",
            "X~User!Anything-Else",
            "x-user-",
            "X-User",
            "x_tenant",
            "Authorization",
            "X-Forwarded-User",
            "x_forwarded_email",
            "X-Forwarded-Groups",
            "X-Forwarded-Preferred-Username",
            "X-Forwarded-Access-Token",
            "X-Auth-Request-User",
            "X_Auth_Request_Groups",
            "Remote-User",
            "remote_groups",
            "X-Goog-Authenticated-User-Email",
            "X-Goog-IAP-JWT-Assertion",
            "Cf-Access-Jwt-Assertion",
            "Cf-Access-Authenticated-User-Email",
            "Logto-ID-Token",
            "Logto-Host",
            "X-Logto-Assertion",
            "X-Client-Id",
        ] {
            assert!(owned().contains(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in [
            "",
            "user-agent",
            "x-users",
            "x-userland",
            "x-forwarded-for",
            "x-request-id",
            "x-tenant-id",
            "cookie",
            "accept",
            "referer",
            "range",
            "cf-ray",
            "content-length",
        ] {
            assert!(!owned().contains(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn every_line_goes_and_the_rest_stays_in_order() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "a"),
            ("x-user-sub", "1"),
            ("x_user_sub", "2"),
            ("x-user-sub", "3"),
            ("accept", "b"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        owned().strip(&mut headers);
        let left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(left, [("accept", "a"), ("accept", "b")]);
    }

    proptest! {
        #[test]
        fn no_twin_of_an_owned_name_survives(
            name in prop::sample::select(vec!["x-user-sub", "x-tenant", "remote-user", "cf-access-token", "authorization"]),
            signs in prop::collection::vec(prop::sample::select(b"-_.!#$%&'*+^`|~".to_vec()), 8),
            upper in any::<[bool; 16]>(),
        ) {
            let mut signs = signs.into_iter();
            let twin: Vec<u8> = name
                .bytes()
                .zip(upper.into_iter().cycle())
                .map(|(byte, upper)| match byte {
                    b'-' => signs.next().unwrap(),
                    letter if upper => letter.to_ascii_uppercase(),
                    letter => letter,
                })
                .collect();
            prop_assert!(owned().contains(&twin));
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::from_bytes(&twin).unwrap(), HeaderValue::from_static("admin"));
            owned().strip(&mut headers);
            prop_assert!(headers.is_empty());
        }
    }
}

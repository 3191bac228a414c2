//! The headers of other authenticating proxies, so that an app written for one of them runs unchanged.
//!
//! Promises their names and the form of their values: text in UTF-8 as it is, lists with a comma. What tells users apart is
//! Logto's user ID wherever the other proxy has an identifier of its own, never a user name: users may choose theirs, so that
//! somebody could call himself what an app takes for an administrator.

use super::claims::ClaimPath;
use super::encoding::Encoding;
use super::headers::{HeaderRule, Source, TokenSource};
use http::header::HeaderName;

/// One of the other proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// oauth2-proxy: `X-Forwarded-User` and its kin, which it sends to upstreams, and `X-Auth-Request-*`, which it gives to
    /// nginx.
    OAuth2Proxy,
    /// Authelia: `Remote-*`.
    Authelia,
    /// Google's Identity-Aware Proxy: `X-Goog-Authenticated-User-*`.
    GoogleIap,
    /// Cloudflare Access: `Cf-Access-Authenticated-User-Email`.
    CloudflareAccess,
    /// Logto's Protected App: `Logto-ID-Token` and `Logto-Host`.
    LogtoProtectedApp,
}

/// Before the values of Google's headers: who knows the user.
const GOOGLE: &str = "accounts.google.com:";

impl Preset {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::OAuth2Proxy,
        Self::Authelia,
        Self::GoogleIap,
        Self::CloudflareAccess,
        Self::LogtoProtectedApp,
    ];

    /// The name used in the configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2Proxy => "oauth2-proxy",
            Self::Authelia => "authelia",
            Self::GoogleIap => "google-iap",
            Self::CloudflareAccess => "cloudflare-access",
            Self::LogtoProtectedApp => "logto-protected-app",
        }
    }

    /// Whether the apps of that proxy take an e-mail address for who the user is.
    pub const fn tells_users_by_email(self) -> bool {
        matches!(self, Self::GoogleIap | Self::CloudflareAccess)
    }

    /// The names of its headers.
    pub fn names(self) -> impl Iterator<Item = HeaderName> {
        self.rules().into_iter().map(|rule| rule.name)
    }

    /// Its headers as rules.
    pub fn rules(self) -> Vec<HeaderRule> {
        let rules = self.headers().iter().filter_map(|(name, path, prefix)| {
            Some(HeaderRule {
                name: HeaderName::from_static(name),
                source: Source::Claim {
                    path: path.parse::<ClaimPath>().ok()?,
                    encoding: Encoding::Utf8,
                    join: ",".to_owned(),
                    prefix,
                },
            })
        });
        let mut rules: Vec<HeaderRule> = rules.collect();
        if self == Self::LogtoProtectedApp {
            let further = [
                ("logto-id-token", Source::Token(TokenSource::Id)),
                ("logto-host", Source::Host),
            ];
            rules.extend(further.map(|(name, source)| HeaderRule {
                name: HeaderName::from_static(name),
                source,
            }));
        }
        rules
    }

    /// Name, claim and what stands before the value.
    const fn headers(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            // Its `user` is the claim `sub`, its groups are what Logto calls roles.
            Self::OAuth2Proxy => &[
                ("x-forwarded-user", "sub", ""),
                ("x-forwarded-email", "email", ""),
                ("x-forwarded-preferred-username", "username", ""),
                ("x-forwarded-groups", "roles", ""),
                ("x-auth-request-user", "sub", ""),
                ("x-auth-request-email", "email", ""),
                ("x-auth-request-preferred-username", "username", ""),
                ("x-auth-request-groups", "roles", ""),
            ],
            Self::Authelia => &[
                ("remote-user", "sub", ""),
                ("remote-name", "name", ""),
                ("remote-email", "email", ""),
                ("remote-groups", "roles", ""),
            ],
            Self::GoogleIap => &[
                ("x-goog-authenticated-user-email", "email", GOOGLE),
                ("x-goog-authenticated-user-id", "sub", GOOGLE),
            ],
            Self::CloudflareAccess => &[("cf-access-authenticated-user-email", "email", "")],
            Self::LogtoProtectedApp => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Claims, HeaderRules};
    use http::HeaderMap;
    use serde_json::json;

    /// What an app is sent, in the order of the names.
    fn sent(preset: Preset, claims: serde_json::Value) -> Vec<(String, String)> {
        let rules = HeaderRules::new(preset.rules()).unwrap();
        let claims = Claims::from_json(claims.to_string().as_bytes()).unwrap();
        let mut headers = HeaderMap::new();
        rules.project(&claims).apply(&rules, &mut headers);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut sent: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect();
        sent.sort();
        sent
    }

    #[test]
    fn apps_get_what_the_other_proxies_send() {
        let user = json!({
            "sub": "k3vqk4f8mu7s", "name": "Café 100%", "email": "cafe+x@example.com", "username": "cafe",
            "roles": ["admin", "a,b"]
        });
        let expected: [(Preset, &[(&str, &str)]); 4] = [
            (
                Preset::OAuth2Proxy,
                &[
                    ("x-auth-request-email", "cafe+x@example.com"),
                    ("x-auth-request-groups", "admin,a%2Cb"),
                    ("x-auth-request-preferred-username", "cafe"),
                    ("x-auth-request-user", "k3vqk4f8mu7s"),
                    ("x-forwarded-email", "cafe+x@example.com"),
                    ("x-forwarded-groups", "admin,a%2Cb"),
                    ("x-forwarded-preferred-username", "cafe"),
                    ("x-forwarded-user", "k3vqk4f8mu7s"),
                ],
            ),
            (
                Preset::Authelia,
                &[
                    ("remote-email", "cafe+x@example.com"),
                    ("remote-groups", "admin,a%2Cb"),
                    ("remote-name", "Café 100%"),
                    ("remote-user", "k3vqk4f8mu7s"),
                ],
            ),
            (
                Preset::GoogleIap,
                &[
                    (
                        "x-goog-authenticated-user-email",
                        "accounts.google.com:cafe+x@example.com",
                    ),
                    ("x-goog-authenticated-user-id", "accounts.google.com:k3vqk4f8mu7s"),
                ],
            ),
            (
                Preset::CloudflareAccess,
                &[("cf-access-authenticated-user-email", "cafe+x@example.com")],
            ),
        ];
        for (preset, headers) in expected {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(sent(preset, user.clone()), headers, "{}", preset.as_str());
        }
    }

    #[test]
    fn an_absent_or_hostile_claim_leaves_the_header_absent_and_no_bare_prefix() {
        let user = json!({"sub": "u1", "email": "a@example.com\r\nRemote-User: root", "username": null});
        for (preset, left) in [
            (
                Preset::OAuth2Proxy,
                &["x-auth-request-user", "x-forwarded-user"][..],
            ),
            (Preset::Authelia, &["remote-user"]),
            (Preset::GoogleIap, &["x-goog-authenticated-user-id"]),
            (Preset::CloudflareAccess, &[]),
        ] {
            let names: Vec<_> = sent(preset, user.clone())
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            assert_eq!(names, left, "{}", preset.as_str());
        }
    }

    #[test]
    fn presets_go_together_and_their_names_are_owned_without_them() {
        let all: Vec<_> = Preset::ALL.into_iter().flat_map(Preset::rules).collect();
        let total: usize = Preset::ALL.into_iter().map(|preset| preset.headers().len()).sum();
        assert_eq!(all.len(), total + 2, "every claim path is one");
        let defaults = HeaderRules::new(HeaderRules::defaults()).unwrap();
        for rule in &all {
            assert!(defaults.is_owned(rule.name.as_str().as_bytes()), "{}", rule.name);
        }
        let with_defaults = HeaderRules::defaults().into_iter().chain(all).collect();
        assert!(HeaderRules::new(with_defaults).is_ok());
    }

    #[test]
    fn no_header_that_says_who_the_user_is_comes_from_what_a_user_may_choose() {
        for preset in Preset::ALL {
            for (name, claim, _) in preset.headers() {
                let names_the_user = name.ends_with("-user") || name.ends_with("-user-id");
                assert!(!names_the_user || *claim == "sub", "{name}");
            }
        }
    }
}

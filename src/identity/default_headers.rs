//! The headers that there are unless the configuration says otherwise.

use super::headers::{HeaderRule, HeaderRules, Source};
use http::header::HeaderName;

impl HeaderRules {
    /// The default headers: [`standard`](Self::standard) and [`hugging_face`](Self::hugging_face).
    pub fn defaults() -> Vec<HeaderRule> {
        let mut rules = Self::standard();
        rules.extend(Self::hugging_face());
        rules
    }

    /// The headers any Logto user can fill.
    pub fn standard() -> Vec<HeaderRule> {
        default_rules(&[
            ("x-user-sub", "sub"),
            ("x-user-name", "name"),
            ("x-user-email", "email"),
            ("x-user-username", "username"),
            ("x-user-picture", "picture"),
            ("x-user-roles", "roles"),
            ("x-user-orgs", "organizations"),
            ("x-user-org-roles", "organization_roles"),
        ])
    }

    /// The headers of users who come from Hugging Face. Their claim, `identities`, normally costs a userinfo call at
    /// sign-in: Logto's ID tokens leave it out unless the tenant says otherwise.
    pub fn hugging_face() -> Vec<HeaderRule> {
        default_rules(&[
            ("x-user-hf-id", "identities.huggingface.userId"),
            (
                "x-user-hf-username",
                "identities.huggingface.details.rawData.preferred_username",
            ),
        ])
    }

    /// The header of programs, which have no claims. Beside it they are given constants alone.
    pub fn programs() -> Vec<HeaderRule> {
        vec![HeaderRule {
            name: HeaderName::from_static("x-client-id"),
            source: Source::ClientId,
        }]
    }
}

fn default_rules(pairs: &[(&'static str, &str)]) -> Vec<HeaderRule> {
    let rules = pairs.iter().filter_map(|(name, path)| {
        let name = HeaderName::from_static(name);
        let path = path.parse().ok()?;
        Some(HeaderRule::claim(name, path))
    });
    rules.collect()
}

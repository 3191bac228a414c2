//! Which tokens a route hands on, and in which headers.

use crate::identity::TokenHeaders;
use crate::recheck::Want;
use http::header::{self, HeaderName};
use std::fmt;
use std::sync::Arc;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOf {
    /// One of Logto's.
    Logto(Want),
    /// The one that Logto keeps for this target of a social connector.
    Social(Arc<str>),
}

/// In words, for an operator.
impl fmt::Display for TokenOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logto(Want::Access) => formatter.write_str("the access token"),
            Self::Logto(Want::Id) => formatter.write_str("the ID token"),
            Self::Logto(Want::For {
                resource,
                organization,
            }) => {
                formatter.write_str("an access token for ")?;
                let organization = organization.as_ref().map(|id| format!("organization {id}"));
                match (resource, organization) {
                    (Some(resource), Some(organization)) => write!(formatter, "{resource} in {organization}"),
                    (resource, organization) => formatter.write_str(
                        resource
                            .as_ref()
                            .or(organization.as_ref())
                            .map_or("", String::as_str),
                    ),
                }
            }
            Self::Social(target) => write!(formatter, "the token that Logto stores for {target}"),
        }
    }
}

/// What a request without the token gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenAbsent {
    /// It goes on without the header.
    #[default]
    Omit,
    /// It does not go on.
    Refuse,
}

/// One token for an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRule {
    /// Where it goes. In `Authorization` it is a Bearer credential, elsewhere it stands alone.
    pub header: HeaderName,
    /// Which.
    pub token: TokenOf,
    /// What happens without.
    pub when_absent: WhenAbsent,
}

/// `header: which token`, for an operator.
impl fmt::Display for TokenRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.header, self.token)?;
        match self.when_absent {
            WhenAbsent::Omit => Ok(()),
            WhenAbsent::Refuse => formatter.write_str(", or no request"),
        }
    }
}

/// All tokens of a route; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules(Vec<TokenRule>);

impl TokenRule {
    pub(super) fn is_authorization(&self) -> bool {
        self.header == header::AUTHORIZATION
    }
}

impl TokenRules {
    /// `None` without any.
    pub fn new(rules: Vec<TokenRule>) -> Option<Self> {
        (!rules.is_empty()).then_some(Self(rules))
    }

    /// Each of them.
    pub fn rules(&self) -> &[TokenRule] {
        &self.0
    }

    /// Whether one of them takes the place of the client's `Authorization`.
    pub fn take_authorization(&self) -> bool {
        self.0.iter().any(TokenRule::is_authorization)
    }

    /// Whether one of them has to be there.
    pub fn insist(&self) -> bool {
        self.0.iter().any(|rule| rule.when_absent == WhenAbsent::Refuse)
    }

    /// The headers of a request that has no session to take a token from: none, whatever the client sent.
    pub fn without(&self) -> TokenHeaders {
        TokenHeaders::new(self.0.iter().map(|rule| (rule.header.clone(), None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(token: TokenOf, when_absent: WhenAbsent) -> TokenRule {
        TokenRule {
            header: HeaderName::from_static("x-token"),
            token,
            when_absent,
        }
    }

    fn wanted(resource: Option<&str>, organization: Option<&str>) -> TokenOf {
        TokenOf::Logto(Want::For {
            resource: resource.map(str::to_owned),
            organization: organization.map(str::to_owned),
        })
    }

    #[test]
    fn a_rule_is_put_in_words() {
        let api = "https://api.example.com";
        for (token, words) in [
            (TokenOf::Logto(Want::Access), "the access token"),
            (TokenOf::Logto(Want::Id), "the ID token"),
            (
                wanted(Some(api), None),
                "an access token for https://api.example.com",
            ),
            (wanted(None, Some("a")), "an access token for organization a"),
            (
                wanted(Some(api), Some("a")),
                "an access token for https://api.example.com in organization a",
            ),
            (
                TokenOf::Social("huggingface".into()),
                "the token that Logto stores for huggingface",
            ),
        ] {
            assert_eq!(
                rule(token, WhenAbsent::Omit).to_string(),
                format!("x-token: {words}")
            );
        }
        let refusing = rule(TokenOf::Logto(Want::Id), WhenAbsent::Refuse);
        assert_eq!(refusing.to_string(), "x-token: the ID token, or no request");
    }

    #[test]
    fn what_rules_insist_on_and_take() {
        assert!(TokenRules::new(Vec::new()).is_none());
        let one = |rule| TokenRules::new(vec![rule]).unwrap();
        let omitting = one(rule(TokenOf::Logto(Want::Id), WhenAbsent::Omit));
        assert!(!omitting.insist() && !omitting.take_authorization());
        let refusing = one(TokenRule {
            header: header::AUTHORIZATION,
            ..rule(TokenOf::Logto(Want::Id), WhenAbsent::Refuse)
        });
        assert!(refusing.insist() && refusing.take_authorization());
    }

    #[test]
    fn without_a_session_the_clients_own_goes() {
        let rules = TokenRules::new(vec![TokenRule {
            header: header::AUTHORIZATION,
            ..rule(TokenOf::Logto(Want::Access), WhenAbsent::Omit)
        }]);
        let mut headers = http::HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            http::HeaderValue::from_static("Bearer forged"),
        );
        rules.unwrap().without().apply(&mut headers);
        assert!(headers.is_empty());
    }
}

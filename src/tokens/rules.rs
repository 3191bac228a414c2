//! Which tokens a route hands on, and in which headers.

use crate::identity::TokenHeaders;
use crate::recheck::Want;
use http::header::{self, HeaderName};
use std::sync::Arc;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOf {
    /// One of Logto's.
    Logto(Want),
    /// The one that Logto keeps for this target of a social connector.
    Social(Arc<str>),
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

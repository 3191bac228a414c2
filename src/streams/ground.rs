//! Because of what a request was let pass.

use crate::clock::UnixSeconds;
use crate::policy::Route;
use crate::secret::SecretText;
use crate::session::{Marks, SessionId, SessionView};
use std::net::IpAddr;
use std::sync::Arc;

/// Because of what a request was let pass.
#[derive(Debug, Clone)]
pub enum Ground {
    /// A session.
    Session(Arc<SessionView>),
    /// A bearer token.
    Token(Box<TokenGround>),
}

/// What revocations judge a bearer token by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGround {
    /// The user; of a program its application ID.
    pub subject: String,
    /// When the token was made.
    pub issued_at: UnixSeconds,
    /// The token itself, where Logto can be asked about it again.
    pub presented: Option<SecretText>,
    /// When it was last presented, or asked about since.
    pub asked_at: UnixSeconds,
}

/// The rule that let a request pass, where it asks more of the caller than to be known.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The route.
    pub route: Arc<Route>,
    /// Others whose conditions had to hold as well.
    pub also: Vec<Arc<Route>>,
    /// The address that the request came from.
    pub address: Option<IpAddr>,
}

impl TokenGround {
    /// What revocations judge it by. A token is of no session that has an id.
    pub fn marks(&self) -> Marks<'_> {
        Marks {
            id: SessionId::from_bytes([0; 16]),
            sid: None,
            subject: &self.subject,
            signed_in_at: self.issued_at,
        }
    }
}

impl Ground {
    /// What revocations judge it by.
    pub(super) fn marks(&self) -> Marks<'_> {
        match self {
            Self::Session(view) => view.marks(),
            Self::Token(token) => token.marks(),
        }
    }

    pub(super) const fn session(&self) -> Option<&Arc<SessionView>> {
        match self {
            Self::Session(view) => Some(view),
            Self::Token(_) => None,
        }
    }

    /// A token that can be asked about again, with what it is.
    pub(super) fn presented(&self) -> Option<(&TokenGround, &SecretText)> {
        match self {
            Self::Session(_) => None,
            Self::Token(token) => token.presented.as_ref().map(|presented| (&**token, presented)),
        }
    }
}

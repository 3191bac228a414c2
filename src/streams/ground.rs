//! Because of what a request was let pass.

use crate::clock::UnixSeconds;
use crate::session::{Marks, SessionId, SessionView};
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
}

impl Ground {
    /// What revocations judge it by. A token is of no session that has an id.
    pub(super) fn marks(&self) -> Marks<'_> {
        match self {
            Self::Session(view) => view.marks(),
            Self::Token(token) => Marks {
                id: SessionId::from_bytes([0; 16]),
                sid: None,
                subject: &token.subject,
                signed_in_at: token.issued_at,
            },
        }
    }

    pub(super) const fn session(&self) -> Option<&Arc<SessionView>> {
        match self {
            Self::Session(view) => Some(view),
            Self::Token(_) => None,
        }
    }
}

//! What a decision is made of: facts about a request, and who sent it.

use crate::http::target::AmbiguousPath;
use crate::identity::{Claims, ProjectedHeaders};
use std::net::IpAddr;

/// What policy may know of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// The method as sent.
    pub method: &'a str,
    /// The one host that the request names, in lower case and without a port.
    pub host: &'a str,
    /// The canonical path, or what is known where there is none.
    pub path: Result<&'a str, AmbiguousPath<'a>>,
    /// The client's address, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
}

/// Who sent a request, as far as it was proved.
#[derive(Debug)]
pub enum Caller<'a> {
    /// Nobody knows.
    Nobody,
    /// A user: by a session, or by an access token of theirs.
    User(User<'a>),
    /// A program with an account of its own, by an access token of client credentials. Conditions on users are never
    /// fulfilled by it.
    Machine(Machine<'a>),
}

/// A user.
#[derive(Debug)]
pub struct User<'a> {
    /// Logto's user ID.
    pub subject: &'a str,
    /// What Logto says of the user. Only read when [`Matched::reads_claims`](super::Matched::reads_claims).
    pub claims: &'a Claims,
    /// Scopes of the access token that the request came with; `None` with a session.
    pub scopes: Option<&'a [String]>,
    /// The organization that this access token is for. Such a token counts in that one alone.
    pub organization: Option<&'a str>,
    /// What the upstream is told about the user.
    pub identity: ProjectedHeaders,
}

/// A program.
#[derive(Debug)]
pub struct Machine<'a> {
    /// Its application's ID, which is also the `sub` of its tokens.
    pub client_id: &'a str,
    /// Scopes of its access token.
    pub scopes: &'a [String],
    /// The organization that the access token is for.
    pub organization: Option<&'a str>,
    /// What the upstream is told about the program.
    pub identity: ProjectedHeaders,
}

impl Caller<'_> {
    pub(super) fn into_identity(self) -> Option<ProjectedHeaders> {
        match self {
            Self::Nobody => None,
            Self::User(user) => Some(user.identity),
            Self::Machine(machine) => Some(machine.identity),
        }
    }
}

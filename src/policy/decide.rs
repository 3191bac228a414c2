//! The decision: the one place that says a request may go on.

use super::caller::Caller;
use super::requirement::Unmet;
use super::route::{Access, Route};
use super::table::Matched;
use crate::http::cors::Preflight;
use crate::http::target::Ambiguity;
use crate::identity::ProjectedHeaders;
use std::fmt;
use std::sync::Arc;

/// Proof that the policy let a request pass. Nothing is sent to the upstream without one, and only
/// [`decide`] makes it: the fields are private to this module.
#[derive(Debug)]
pub struct Permit<'routes> {
    route: &'routes Arc<Route>,
    also: Vec<&'routes Arc<Route>>,
    identity: Option<ProjectedHeaders>,
    depends_on_method: bool,
}

impl<'routes> Permit<'routes> {
    /// The rule that let the request pass.
    pub const fn route(&self) -> &'routes Arc<Route> {
        self.route
    }

    /// The rules whose conditions hold, if any has some.
    pub fn conditional(&self) -> impl Iterator<Item = &'routes Arc<Route>> {
        let all = std::iter::once(self.route).chain(self.also.iter().copied());
        all.filter(|route| route.requirement().is_some())
    }

    /// What the upstream is to be told about the caller; `None` where it is told nothing.
    pub fn identity(&self) -> Option<&ProjectedHeaders> {
        self.identity.as_ref()
    }

    /// Whether another method might have been judged by another rule. The upstream must then not be told to take this one for
    /// another.
    pub const fn depends_on_method(&self) -> bool {
        self.depends_on_method
    }
}

/// What is to become of a request.
#[derive(Debug)]
pub enum Decision<'routes> {
    /// It goes to the upstream.
    Forward(Permit<'routes>),
    /// It must be known first who sends it, by this rule.
    SignIn(&'routes Arc<Route>),
    /// It is known who sends it, and they may not.
    Refuse(Refusal<'routes>),
}

/// Who asked may not pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal<'routes> {
    /// By this rule.
    pub route: &'routes Arc<Route>,
    /// For this reason: for the log and the operator, never for whoever asked.
    pub reason: Reason<'routes>,
}

/// Why a caller may not pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason<'routes> {
    /// A condition of the rule does not hold.
    Unmet(Unmet<'routes>),
    /// The path may be read in more than one way, so no rule can be said to be about it.
    Ambiguous(Ambiguity),
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmet(unmet) => write!(formatter, "{}: {}", unmet.condition.key(), unmet.why),
            Self::Ambiguous(ambiguity) => ambiguity.fmt(formatter),
        }
    }
}

/// Judges a request for a caller.
pub fn decide<'routes>(matched: Matched<'routes>, caller: Caller<'_>) -> Decision<'routes> {
    let route = matched.route;
    let refuse = |route, reason| Decision::Refuse(Refusal { route, reason });
    if let Some(ambiguity) = matched.refused_path() {
        return match caller {
            Caller::Nobody => Decision::SignIn(route),
            _ => refuse(route, Reason::Ambiguous(ambiguity)),
        };
    }
    let identity = match (&route.access, caller) {
        (Access::Public, _) => None,
        (Access::Optional, caller) => caller.into_identity(),
        (Access::Authenticated | Access::Required(_), Caller::Nobody) => return Decision::SignIn(route),
        (Access::Authenticated | Access::Required(_), caller) => match matched.first_unmet(&caller) {
            Some((route, unmet)) => return refuse(route, Reason::Unmet(unmet)),
            None => caller.into_identity(),
        },
    };
    Decision::Forward(Permit {
        route,
        depends_on_method: matched.depends_on_method,
        also: matched.also,
        identity,
    })
}

/// The permit of a CORS preflight, on a route that leaves the answer to the app. `matched` is what the request that the browser
/// asks about would fall under. It goes on as nobody's, so never with an ambiguous path, and no field may make another method of
/// its `OPTIONS`.
pub fn permit_preflight<'routes>(matched: Matched<'routes>, _: &Preflight<'_>) -> Option<Permit<'routes>> {
    let passes = matched.asked().all(|route| route.passes_preflights) && matched.ambiguity.is_none();
    passes.then_some(Permit {
        route: matched.route,
        also: Vec::new(),
        identity: None,
        depends_on_method: true,
    })
}

//! The decision: the one place that says a request may go on.

use super::route::{Access, Route, RouteTable};
use crate::identity::ProjectedHeaders;
use std::sync::Arc;

/// Proof that the policy let a request pass. Nothing is sent to the upstream without one, and only
/// [`decide`] makes it: the fields are private to this module.
#[derive(Debug)]
pub struct Permit<'routes> {
    route: &'routes Arc<Route>,
    identity: Option<ProjectedHeaders>,
}

impl<'routes> Permit<'routes> {
    /// The rule that let the request pass.
    pub const fn route(&self) -> &'routes Arc<Route> {
        self.route
    }

    /// What the upstream is to be told about the user; `None` where it is told nothing.
    pub fn identity(&self) -> Option<&ProjectedHeaders> {
        self.identity.as_ref()
    }
}

/// What is to become of a request.
#[derive(Debug)]
pub enum Decision<'routes> {
    /// It goes to the upstream.
    Forward(Permit<'routes>),
    /// It needs a session first, by this rule.
    SignIn(&'routes Arc<Route>),
}

/// Judges a canonical path for a caller: `identity` is what a valid session says, `None` without one.
pub fn decide<'routes>(
    routes: &'routes RouteTable,
    canonical_path: &str,
    identity: Option<ProjectedHeaders>,
) -> Decision<'routes> {
    let route = routes.find(canonical_path);
    let permit = |identity| Decision::Forward(Permit { route, identity });
    match (route.access, identity) {
        (Access::Public, _) => permit(None),
        (Access::Optional, identity) => permit(identity),
        (Access::Authenticated, Some(identity)) => permit(Some(identity)),
        (Access::Authenticated, None) => Decision::SignIn(route),
    }
}

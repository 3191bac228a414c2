//! What each sign-in asks Logto for: by the route of the page that needs it, or that it leads back to.
//!
//! It says which way of signing in is offered, never who may pass: a session counts on every route, however it was made.

use super::return_path::ReturnPath;
use super::sign_in::SignInDefaults;
use crate::http::RequestTarget;
use crate::http::forwarded::PublicOrigin;
use crate::http::host::HostAndPort;
use crate::policy::{RequestFacts, Route, RouteTable};
use crate::request::CleanRequest;
use ::http::{Method, Uri};
use std::time::Duration;
use url::Url;

/// The parameters of every sign-in, and those of routes that have their own.
#[derive(Debug)]
pub struct SignIns {
    usual: SignInDefaults,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    routes: RouteTable,
    /// In the order in which the table was given its routes.
    by_place: Vec<Option<SignInDefaults>>,
}

impl SignIns {
    /// `own` has an item for each route that the table was given, in that order.
    pub fn new(usual: SignInDefaults, routes: &RouteTable, own: Vec<Option<SignInDefaults>>) -> Self {
        Self {
            usual,
            own: own.iter().any(Option::is_some).then(|| Own {
                routes: routes.clone(),
                by_place: own,
            }),
        }
    }

    /// What holds where no route says otherwise, and which parameters a sign-in URL may set anywhere.
    pub(super) const fn usual(&self) -> &SignInDefaults {
        &self.usual
    }

    /// Those of a route; `None`: the usual ones.
    pub fn own(&self, route: &Route) -> Option<&SignInDefaults> {
        // The table gave place 0 to what falls under no route.
        let index = route.place.checked_sub(1)?;
        self.own.as_ref()?.by_place.get(index)?.as_ref()
    }

    /// The `max_age` of every sign-in, which no route changes.
    pub(super) fn max_age(&self) -> Option<Duration> {
        self.usual.max_age()
    }

    /// For a request that may not pass without a sign-in.
    pub(super) fn of_request(&self, request: &CleanRequest) -> &SignInDefaults {
        self.found(request.method(), request.host(), request.target())
    }

    /// For a sign-in that leads to a page: what that page would have begun itself.
    pub(super) fn of_destination(&self, destination: &ReturnPath, origin: &PublicOrigin) -> &SignInDefaults {
        if self.own.is_none() {
            return &self.usual;
        }
        // As the browser will ask for it: without a fragment, and with dot segments resolved.
        let asked = || {
            let url = Url::parse(&destination.on(origin)).ok()?;
            let uri: Uri = url.path().parse().ok()?;
            let host: HostAndPort = url.authority().parse().ok()?;
            Some((host, RequestTarget::parse(&uri, usize::MAX).ok()?))
        };
        match asked() {
            Some((host, target)) => self.found(&Method::GET, &host, &target),
            None => &self.usual,
        }
    }

    fn found(&self, method: &Method, host: &HostAndPort, target: &RequestTarget) -> &SignInDefaults {
        let Some(own) = &self.own else {
            return &self.usual;
        };
        let matched = own.routes.find(&RequestFacts {
            method: method.as_str(),
            host: host.host(),
            path: target.judged_path(),
            address: None,
        });
        self.own(matched.route()).unwrap_or(&self.usual)
    }
}

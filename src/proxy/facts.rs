//! What policy is told of a request, and the one thing that is settled before anyone asks who sent it: whether its path can be
//! judged at all.

use super::gate::Gate;
use crate::http::Ambiguity;
use crate::policy::{Matched, RequestFacts};
use crate::request::CleanRequest;

pub(super) fn facts(clean: &CleanRequest) -> RequestFacts<'_> {
    RequestFacts {
        method: clean.method().as_str(),
        host: clean.host().host(),
        path: clean.target().judged_path(),
        address: clean.client().address,
    }
}

impl Gate {
    /// The route of a request.
    pub(super) fn matched(&self, clean: &CleanRequest) -> Matched<'_> {
        self.routes.find(&facts(clean))
    }

    /// Why a path is refused, whoever asks for it: it is ambiguous, and no route takes it, or it might be meant for an endpoint
    /// of the proxy's own.
    pub fn refused_path(&self, facts: &RequestFacts<'_>) -> Option<Ambiguity> {
        let ambiguous = facts.path.err()?;
        let may_be_own = |certain| self.endpoints.paths.may_be_meant(certain);
        if ambiguous.certain.is_none_or(may_be_own) {
            return Some(ambiguous.why);
        }
        self.routes.find(facts).refused_path()
    }
}

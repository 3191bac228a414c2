//! The identity assertion on a request that may pass.

use super::gate::Gate;
use super::standing::Standing;
use crate::identity::Asserted;
use crate::policy::Permit;
use crate::upstream::UpstreamRequest;

/// Adds the assertion for the route, where assertions are configured and the app is told who is calling.
pub(super) fn add(gate: &Gate, permit: &Permit<'_>, standing: &Standing, request: &mut UpstreamRequest) {
    let Some(assertions) = &gate.endpoints.assertions else {
        return;
    };
    let (Some(_), Some(name)) = (permit.identity(), gate.header_rules.assertion_header()) else {
        return;
    };
    let audience = &gate.settings.of(permit.route()).audience;
    let make = |asserted, ends_at| assertions.make(audience, asserted, ends_at, gate.clock.now());
    let assertion = match (&standing.session, &standing.token) {
        (Some(session), _) => {
            let user = Asserted::User {
                subject: session.subject(),
                claims: session.claims_json(),
            };
            make(user, session.expires_at())
        }
        (None, Some(token)) => match &token.subject {
            Some(subject) => {
                let claims = token.claims.to_json();
                let user = Asserted::User {
                    subject,
                    claims: &claims,
                };
                make(user, token.ends_at())
            }
            None => {
                let client_id = &token.client_id;
                make(Asserted::Program { client_id }, token.ends_at())
            }
        },
        (None, None) => None,
    };
    if let Some(assertion) = assertion {
        request.assert(name.clone(), assertion);
    }
}

//! The identity assertion on a request that may pass.

use super::authenticate::Standing;
use super::pipeline::Gate;
use crate::identity::Asserted;
use crate::policy::Permit;
use crate::upstream::UpstreamRequest;

/// Adds the assertion for the route, where assertions are configured and the app is told who is calling.
pub(super) fn add(gate: &Gate, permit: &Permit<'_>, standing: &Standing, request: &mut UpstreamRequest) {
    let Some(assertions) = &gate.endpoints.assertions else {
        return;
    };
    let (Some(_), Some(session), Some(name)) = (
        permit.identity(),
        &standing.session,
        gate.header_rules.assertion_header(),
    ) else {
        return;
    };
    let asserted = Asserted::User {
        subject: session.subject(),
        claims: session.claims_json(),
    };
    let audience = &gate.settings.of(permit.route()).audience;
    let now = gate.clock.now();
    if let Some(assertion) = assertions.make(audience, asserted, session.expires_at(), now) {
        request.assert(name.clone(), assertion);
    }
}

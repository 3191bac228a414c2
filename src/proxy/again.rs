//! Judging streams again, by the rule that let them pass and by what is known of their caller now.
//!
//! A rule that the configuration in force does not have any more is not judged by: what was kept of the caller since may lack
//! what it asked about.

use super::gate::Gate;
use super::standing::token_caller;
use crate::bearer::BearerCaller;
use crate::identity::ProjectedHeaders;
use crate::policy::{Caller, User};
use crate::session::SessionView;
use crate::streams::Rule;

impl Gate {
    /// Whether a session still fulfils the rule that let one of its streams pass.
    pub fn still_passes(&self, view: &SessionView, rule: &Rule) -> bool {
        let claims = view.claims();
        self.fulfils(
            rule,
            &Caller::User(User {
                subject: view.subject(),
                claims: &claims,
                scopes: None,
                organization: None,
                identity: ProjectedHeaders::default(),
            }),
        )
    }

    /// Whether a token does.
    pub fn token_still_passes(&self, token: &BearerCaller, rule: &Rule) -> bool {
        self.fulfils(
            rule,
            &token_caller(token, &token.claims, ProjectedHeaders::default()),
        )
    }

    fn fulfils(&self, rule: &Rule, caller: &Caller<'_>) -> bool {
        let mut asked = std::iter::once(&rule.route).chain(&rule.also);
        asked.all(|asked| {
            let Some(requirement) = asked.requirement() else {
                return true;
            };
            let in_force = self.routes.iter().any(|route| route == asked);
            !in_force || requirement.first_unmet(caller, rule.address).is_none()
        })
    }
}

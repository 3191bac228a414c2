//! Looking at streams again: whether what is known by now of who they were let pass for would still let them pass.

use super::{Ground, Held, Rule, Streams, TokenGround};
use crate::clock::UnixSeconds;
use crate::secret::SecretText;
use crate::session::{SessionId, SessionView};
use std::collections::HashMap;
use std::sync::Arc;

impl Streams {
    /// Ends what was let pass by a rule that the session does not fulfil any more, as its latest confirmation among all that is
    /// in flight has it. Each is looked at once for a confirmation.
    pub fn end_unfit(&self, passes: impl Fn(&SessionView, &Rule) -> bool) -> usize {
        let mut latest: HashMap<SessionId, Arc<SessionView>> = HashMap::new();
        let flights = self.lock();
        if !flights.has_rules() {
            return 0;
        }
        for view in flights.sessions() {
            let known = latest.entry(view.id()).or_insert_with(|| Arc::clone(view));
            if view.checked_at() > known.checked_at() {
                *known = Arc::clone(view);
            }
        }
        drop(flights);
        self.end_where(|held| {
            let (Some(rule), Some(view)) = (&held.rule, held.ground.session()) else {
                return false;
            };
            let view = latest.get(&view.id()).unwrap_or(view);
            if view.checked_at() <= held.judged_by {
                return false;
            }
            held.judged_by = view.checked_at();
            !passes(view, rule)
        })
    }

    /// The tokens in flight, each once, that are due to be asked about.
    pub fn tokens_due(&self, is_due: impl Fn(&TokenGround) -> bool) -> Vec<SecretText> {
        let mut due: Vec<SecretText> = Vec::new();
        for (_, presented) in self.lock().tokens().filter(|(token, _)| is_due(token)) {
            if !due.contains(presented) {
                due.push(presented.clone());
            }
        }
        due
    }

    /// Notes that a token was asked about at a moment, and ends what it is not good for any more.
    pub fn token_asked(
        &self,
        presented: &SecretText,
        at: UnixSeconds,
        passes: impl Fn(Option<&Rule>) -> bool,
    ) -> usize {
        self.end_where(|held| {
            let Held { ground, rule, .. } = held;
            match ground {
                Ground::Token(token) if token.presented.as_ref() == Some(presented) => {
                    token.asked_at = at;
                    !passes(rule.as_ref())
                }
                _ => false,
            }
        })
    }
}

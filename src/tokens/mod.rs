//! The tokens that a route hands to its upstream: Logto's, and those of third parties from Logto's Secret Vault.
//!
//! Promises that a token reaches an upstream only for the session it was issued to, and where the route says so; that one which
//! is at hand costs no wait; that it has a while to live; and that without one the header is absent, or the request is not
//! forwarded, as the route says. Stops a client's own token from passing for one of these. Refuses to know requests.

mod rules;
mod social;

pub use rules::{TokenOf, TokenRule, TokenRules, WhenAbsent};
pub use social::SocialTokens;

use crate::clock::UnixSeconds;
use crate::identity::TokenHeaders;
use crate::recheck::{Lack, Outcome, Rechecks, Token, Want};
use crate::session::SessionView;
use social::SocialLack;
use std::sync::Arc;

/// Finds the tokens of sessions.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Has Logto asked for its own.
    pub rechecks: Arc<Rechecks>,
    /// Those of third parties.
    pub social: Arc<SocialTokens>,
}

/// Why a request whose token is absent is not forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// Logto does not say; it may soon.
    Unavailable,
    /// The user may not have it.
    NotGranted,
    /// A sign-in through this target would bring it.
    NeedsConsent {
        /// The connector's target.
        target: Arc<str>,
    },
}

impl Absent {
    /// The reason in a word, for the log.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::NotGranted => "not granted",
            Self::NeedsConsent { .. } => "needs consent",
        }
    }
}

/// What is to become of a request's tokens.
#[derive(Debug)]
pub enum Found {
    /// They go on the request.
    Ready(TokenHeaders),
    /// Logto has to be asked first.
    Ask,
    /// One is absent that the route insists on.
    Refused(Absent),
}

/// What becomes of a token that is wanting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfWanting {
    /// Logto is asked for it.
    Ask,
    /// It is absent: Logto was asked a moment ago.
    GoWithout,
}

/// A token, or why there is none.
enum One {
    There(Token),
    Wanting(Option<Token>),
    Absent(Absent),
}

impl Tokens {
    /// What is at hand for a session. No I/O.
    pub fn find(
        &self,
        rules: &TokenRules,
        view: &SessionView,
        now: UnixSeconds,
        if_wanting: IfWanting,
    ) -> Found {
        let mut headers = Vec::with_capacity(rules.rules().len());
        for rule in rules.rules() {
            let token = match self.one(rule, view, now) {
                One::There(token) => Ok(token),
                One::Wanting(_) if if_wanting == IfWanting::Ask => return Found::Ask,
                One::Wanting(token) => token.ok_or(Absent::Unavailable),
                One::Absent(absent) => Err(absent),
            };
            let value = match token {
                Ok(token) if rule.is_authorization() => Some(token.bearer().clone()),
                Ok(token) => Some(token.raw().clone()),
                Err(_) if rule.when_absent == WhenAbsent::Omit => None,
                Err(absent) => return Found::Refused(absent),
            };
            headers.push((rule.header.clone(), value));
        }
        Found::Ready(TokenHeaders::new(headers))
    }

    /// Has Logto asked for what is wanting. What is returned counts for the session, which may be over, or another from now on.
    pub async fn ask(&self, rules: &TokenRules, view: &Arc<SessionView>, now: UnixSeconds) -> Outcome {
        let mut wants: Vec<Want> = Vec::new();
        let mut targets: Vec<Arc<str>> = Vec::new();
        for rule in rules.rules() {
            let want = match &rule.token {
                TokenOf::Logto(want) => want.clone(),
                TokenOf::Social(target) if matches!(self.one(rule, view, now), One::Wanting(_)) => {
                    targets.push(Arc::clone(target));
                    Want::Access
                }
                TokenOf::Social(_) => continue,
            };
            if !wants.contains(&want) {
                wants.push(want);
            }
        }
        let mut outcome = self.rechecks.confirm_tokens(view, &wants, now).await;
        for target in targets {
            if matches!(outcome, Outcome::Ended(_)) {
                break;
            }
            self.social.ask(&self.rechecks, view, &target).await;
            outcome = self.rechecks.latest(view, self.rechecks.clock.now());
        }
        outcome
    }

    fn one(&self, rule: &TokenRule, view: &SessionView, now: UnixSeconds) -> One {
        match &rule.token {
            TokenOf::Logto(want) => {
                let held = self.rechecks.token(view, want, now);
                match (held.is_wanting(now), held.token, held.lack) {
                    (true, token, _) => One::Wanting(token),
                    (false, Some(token), _) => One::There(token),
                    (false, None, Some(Lack::NotGranted)) => One::Absent(Absent::NotGranted),
                    (false, None, _) => One::Absent(Absent::Unavailable),
                }
            }
            TokenOf::Social(target) => match self.social.get(view.id(), target, now) {
                (Some(token), false) => One::There(token),
                (token, true) => One::Wanting(token),
                (None, false) => One::Absent(match self.social.lack(view.id(), target, now) {
                    Some(SocialLack::NeedsConsent) => Absent::NeedsConsent {
                        target: Arc::clone(target),
                    },
                    _ => Absent::Unavailable,
                }),
            },
        }
    }
}

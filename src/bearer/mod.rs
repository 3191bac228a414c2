//! Callers without a browser: whose token an `Authorization: Bearer` field carries.
//!
//! Promises: a token is a caller only while Logto says so, or by Logto's signature; nothing is remembered beyond the end of the
//! token, nor of a user whose sessions were ended after the token was made; no traffic, however made up, causes more than a
//! bounded number of calls to Logto, and callers that were known to be good keep a share of their own. Tokens are remembered
//! by their hash alone. Refuses to know routes, rules, cookies and answers: what is wrong is said as data ([`BearerError`]).
//!
//! Stops tokens for other APIs of the same Logto, opaque tokens that other applications were given (they name no audience, so
//! the application must be listed), refresh tokens and ID tokens in place of access tokens, and revoked tokens that live on
//! in a cache.

mod ask;
mod budget;
mod caller;
mod error;
mod known;
mod token;

#[cfg(test)]
mod tests;

pub use caller::BearerCaller;
pub use error::BearerError;
pub use token::{TokenKind, is_presented, text_of};

use crate::clock::{Clock, UnixSeconds};
use crate::identity::ClaimPath;
use crate::logto::{Logto, LogtoErrorKind};
use crate::secret::SecretText;
use crate::session::revocation::Revocations;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use ask::Questions;
use http::HeaderValue;
use known::Known;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use token::{Presentation, Token};

/// Most JWTs that are remembered. Only those that were proved are.
const MOST_PROVED: usize = 4_096;
/// How long a proved JWT is taken without looking at its signature again, so that a key which Logto withdrew is not
/// trusted for as long as its tokens say.
const PROVED_FOR: Duration = Duration::from_secs(300);

/// Whose tokens count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The `aud` of JWT access tokens, to the letter, or [`ANY_ORGANIZATION`](crate::logto::ANY_ORGANIZATION). None: no
    /// JWT counts.
    pub resources: Vec<String>,
    /// Applications, beside this proxy's own, whose opaque access tokens count.
    pub clients: Vec<String>,
    /// The claims that are kept of each caller; the rest is forgotten.
    pub kept_claims: Vec<ClaimPath>,
}

/// What callers are judged with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The client of Logto.
    pub logto: Logto,
    /// Whose sessions were ended: their tokens are over, too.
    pub revocations: Arc<Revocations>,
    /// The time.
    pub clock: Clock,
    /// Runs the calls.
    pub tasks: Tasks,
    /// Counts tokens and outcomes.
    pub metrics: Metrics,
}

/// What a request presents.
#[derive(Debug, Clone)]
pub enum Presented {
    /// No bearer token: not an API caller.
    None,
    /// A token that is good.
    Caller(Arc<BearerCaller>),
    /// A token that is not, or cannot be judged now. Whatever else the request carries, it is not to pass by that.
    Invalid(BearerError),
}

/// Judges bearer tokens. Clones share what is known.
#[derive(Clone)]
pub struct Bearers(Arc<Inner>);

struct Inner {
    settings: Settings,
    parts: Parts,
    proved: Known<Arc<BearerCaller>>,
    questions: Questions,
}

impl fmt::Debug for Bearers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bearers")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Bearers {
    /// Knows nobody yet. Sends nothing and needs no runtime.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        Self(Arc::new(Inner {
            settings,
            parts,
            proved: Known::new(MOST_PROVED),
            questions: Questions::default(),
        }))
    }

    /// What it was made with: after a reload with equal settings and the same Logto it may stay, and with it what it knows.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Whose token the `Authorization` fields of a request carry, all of them.
    ///
    /// A JWT costs a hash once it was proved. Any other token that is not known is asked about at Logto, in a task that ends
    /// whoever stops waiting; at most 12 s are waited.
    pub async fn authenticate(&self, fields: &[&HeaderValue]) -> Presented {
        let token = match token::read(fields) {
            Presentation::None => return Presented::None,
            Presentation::Unreadable(error) => {
                self.0.parts.metrics.bearer("unreadable", "refused");
                return Presented::Invalid(error);
            }
            Presentation::Token(token) => token,
        };
        let kind = token.kind;
        let result = match kind {
            TokenKind::Jwt => self.0.prove(&token).await,
            TokenKind::Opaque | TokenKind::Personal => Inner::ask(&self.0, token).await,
        };
        // What was learnt while an answer was waited for counts.
        let result = result.and_then(|caller| self.0.stands(&caller).map(|()| caller));
        let outcome = match &result {
            Ok(_) => "accepted",
            Err(BearerError::Unavailable { .. }) => "unavailable",
            Err(_) => "refused",
        };
        self.0.parts.metrics.bearer(kind.as_str(), outcome);
        match result {
            Ok(caller) => Presented::Caller(caller),
            Err(error) => Presented::Invalid(error),
        }
    }

    /// Whether a token that was good a while ago still is, and whose it is now.
    ///
    /// # Errors
    /// [`BearerError::Unavailable`] says nothing of the token.
    pub async fn again(&self, text: &SecretText) -> Result<Arc<BearerCaller>, BearerError> {
        let token =
            token::token(text.expose().as_bytes()).map_err(|check| BearerError::InvalidToken { check })?;
        let caller = match token.kind {
            TokenKind::Jwt => self.0.prove(&token).await,
            TokenKind::Opaque | TokenKind::Personal => Inner::ask(&self.0, token).await,
        }?;
        self.0.stands(&caller)?;
        Ok(caller)
    }
}

impl Inner {
    async fn prove(&self, token: &Token) -> Result<Arc<BearerCaller>, BearerError> {
        let now = self.parts.clock.now();
        let caller = match self.proved.get(&token.hash, now) {
            Some(caller) => caller,
            None => {
                let proved = self
                    .parts
                    .logto
                    .verify_access_token(token.text.expose(), &self.settings.resources)
                    .await
                    .map_err(|error| match error.kind() {
                        LogtoErrorKind::InvalidToken { check } => BearerError::InvalidToken { check },
                        _ => {
                            // Whoever sends such tokens could fill the log; that Logto is away stands there already.
                            tracing::debug!(%error, "an access token could not be judged");
                            BearerError::away()
                        }
                    })?;
                let caller = Arc::new(BearerCaller::proved(proved, &self.settings.kept_claims));
                let until = caller.expires_at.min(now.plus(PROVED_FOR));
                self.proved.insert(token.hash, Arc::clone(&caller), until, now);
                caller
            }
        };
        self.stands(&caller)?;
        Ok(caller)
    }

    /// Whether nothing was learnt since the token was made that ended its user's sessions. Of one that is older than such an
    /// ending is remembered for that cannot be said.
    fn stands(&self, caller: &BearerCaller) -> Result<(), BearerError> {
        if caller.is_too_old(self.parts.clock.now()) {
            return Err(BearerError::InvalidToken { check: "age" });
        }
        match self.parts.revocations.ended(&caller.marks(caller.issued_at)) {
            None => Ok(()),
            Some(_) => Err(BearerError::InvalidToken { check: "revoked" }),
        }
    }

    /// Whether what Logto said at a moment is still to be believed, or asked for again.
    fn must_ask_again(&self, caller: &BearerCaller, confirmed_at: UnixSeconds) -> bool {
        let marks = caller.marks(confirmed_at);
        let revocations = &self.parts.revocations;
        revocations.ended(&marks).is_some() || revocations.recheck_due(&marks, confirmed_at)
    }
}

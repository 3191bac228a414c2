//! Tokens that only Logto can judge: asked about once for all who present the same one, and remembered for a while.
//!
//! An answer counts for a minute, or until something is learnt of the user. A personal access token is exchanged once in ten
//! minutes, since each exchange leaves a grant behind at Logto; in between, userinfo is asked with what it was exchanged for,
//! which ends with the user's access but not with the personal token: one that is deleted at Logto works for up to ten minutes.

use super::Inner;
use super::budget::Budget;
use super::caller::BearerCaller;
use super::error::BearerError;
use super::known::Known;
use super::token::{Token, TokenHash, TokenKind};
use crate::clock::{UnixSeconds, monotonic};
use crate::logto::{CheckFailure, LogtoError, LogtoErrorKind};
use crate::secret::SecretText;
use serde_json::Map;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long an answer counts.
const FRESH_FOR: Duration = Duration::from_secs(60);
/// How long a token that was good is told from one that nothing is known of.
pub(super) const REMEMBERED: Duration = Duration::from_secs(600);
/// How long a refusal is remembered.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// How long what a personal access token was exchanged for is used.
const EXCHANGED_FOR: Duration = Duration::from_secs(600);
/// How long a request waits.
const PATIENCE: Duration = Duration::from_secs(12);
/// Most tokens remembered as good, and as refused. Each kind has room of its own, so that junk pushes nobody out.
const MOST: usize = 4_096;

type Answer = Result<Arc<BearerCaller>, BearerError>;
type Flight = watch::Receiver<Option<Answer>>;

/// A token that was good.
#[derive(Clone)]
struct Good {
    caller: Arc<BearerCaller>,
    /// When it was asked about: before the answer, so that what is learnt meanwhile asks again.
    confirmed_at: UnixSeconds,
    exchanged: Option<Exchange>,
}

impl Good {
    /// A clock that was set back must not make it fresh for ever.
    fn is_fresh(&self, now: UnixSeconds) -> bool {
        now < self.confirmed_at.plus(FRESH_FOR)
            && self.confirmed_at <= now.plus(FRESH_FOR)
            && now < self.caller.expires_at
            && self
                .exchanged
                .as_ref()
                .is_none_or(|exchange| now < exchange.until)
    }
}

/// What a personal access token was exchanged for.
#[derive(Clone)]
struct Exchange {
    access_token: SecretText,
    until: UnixSeconds,
}

/// What was asked, and what is being asked.
pub(super) struct Questions {
    good: Known<Good>,
    refused: Known<&'static str>,
    flights: Mutex<HashMap<TokenHash, Flight>>,
    budget: Budget,
    /// The log says that personal access tokens cannot be exchanged.
    told: AtomicBool,
}

impl Default for Questions {
    fn default() -> Self {
        Self {
            good: Known::new(MOST),
            refused: Known::new(MOST),
            flights: Mutex::default(),
            budget: Budget::default(),
            told: AtomicBool::new(false),
        }
    }
}

impl Inner {
    /// Whose token this is: as it is known, or as Logto says.
    pub(super) async fn ask(inner: &Arc<Self>, token: Token) -> Answer {
        if let Some(answer) = inner.remembered(&token) {
            return answer;
        }
        let mut flight = Self::join(inner, token)?;
        match tokio::time::timeout(PATIENCE, flight.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => answer.clone().unwrap_or(Err(BearerError::away())),
            // Nobody will say, or not soon.
            Ok(Err(_)) | Err(_) => Err(BearerError::away()),
        }
    }

    /// What needs no question.
    fn remembered(&self, token: &Token) -> Option<Answer> {
        let now = self.parts.clock.now();
        if let Some(check) = self.questions.refused.get(&token.hash, now) {
            return Some(Err(BearerError::InvalidToken { check }));
        }
        let good = self.questions.good.get(&token.hash, now)?;
        if token.kind == TokenKind::Opaque {
            // Its date does not change, so asking would not help it.
            if let Err(error) = self.stands(&good.caller) {
                return Some(Err(error));
            }
        }
        let is_fresh = good.is_fresh(now) && !self.must_ask_again(&good.caller, good.confirmed_at);
        is_fresh.then_some(Ok(good.caller))
    }

    /// The question about a token that is under way, or a new one.
    fn join(inner: &Arc<Self>, token: Token) -> Result<Flight, BearerError> {
        let questions = &inner.questions;
        let mut flights = questions.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // One whose task was ended half-way has lost its sender.
        if let Some(flight) = flights
            .get(&token.hash)
            .filter(|flight| flight.borrow().is_some() || flight.has_changed().is_ok())
        {
            return Ok(flight.clone());
        }
        // It may have been answered since it was looked for.
        if let Some(answer) = inner.remembered(&token) {
            return Ok(watch::channel(Some(answer)).1);
        }
        let known = questions.good.get(&token.hash, inner.parts.clock.now());
        let Some(permit) = questions.budget.take(known.is_some(), monotonic()) else {
            return Err(BearerError::busy());
        };
        let (answered, flight) = watch::channel(None);
        let (task, hash) = (Arc::clone(inner), token.hash);
        drop(inner.parts.tasks.spawn(async move {
            let answer = task.settle(&token, known).await;
            drop(permit);
            let mut flights = task
                .questions
                .flights
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            flights.remove(&hash);
            drop(flights);
            // Nobody may be waiting; that is no fault.
            let _ = answered.send(Some(answer));
        }));
        flights.insert(hash, flight.clone());
        Ok(flight)
    }

    /// Asks, and remembers.
    async fn settle(&self, token: &Token, known: Option<Good>) -> Answer {
        let asked_at = self.parts.clock.now();
        let answer = match token.kind {
            TokenKind::Personal => self.exchange(token, known, asked_at).await,
            TokenKind::Opaque | TokenKind::Jwt => self.introspect(token, asked_at).await,
        };
        let now = self.parts.clock.now();
        let questions = &self.questions;
        match answer {
            Ok(good) => {
                let caller = Arc::clone(&good.caller);
                questions.good.insert(token.hash, good, now.plus(REMEMBERED), now);
                self.stands(&caller)?;
                Ok(caller)
            }
            Err(BearerError::InvalidToken { check }) => {
                questions.good.remove(&token.hash);
                questions
                    .refused
                    .insert(token.hash, check, now.plus(REFUSED_FOR), now);
                Err(BearerError::InvalidToken { check })
            }
            Err(error) => Err(error),
        }
    }

    async fn introspect(&self, token: &Token, asked_at: UnixSeconds) -> Result<Good, BearerError> {
        let refused = |check| BearerError::InvalidToken { check };
        let logto = &self.parts.logto;
        let answer = logto
            .introspect(&token.text)
            .await
            .map_err(|error| undecided(&error))?;
        let told = answer.ok_or(refused("inactive"))?.into_inner();
        let is_trusted =
            told.client_id == logto.client_id() || self.settings.clients.contains(&told.client_id);
        if !is_trusted {
            return Err(refused("client_id"));
        }
        let user = told
            .subject
            .as_deref()
            .filter(|subject| *subject != told.client_id);
        let claims = match user {
            // Without the scope userinfo knows nothing of the token.
            Some(subject) if told.scopes.iter().any(|scope| scope == "openid") => {
                let asked = logto.check(&token.text, subject).await;
                asked.map_err(judged)?.into_inner()
            }
            _ => Map::new(),
        };
        let kept = &self.settings.kept_claims;
        let caller = BearerCaller::introspected(told, claims, kept, asked_at.plus(FRESH_FOR));
        Ok(Good {
            caller: Arc::new(caller),
            confirmed_at: asked_at,
            exchanged: None,
        })
    }

    async fn exchange(
        &self,
        token: &Token,
        known: Option<Good>,
        asked_at: UnixSeconds,
    ) -> Result<Good, BearerError> {
        if let Some(good) = known
            && let Some(confirmed) = self.confirm(&good, asked_at).await?
        {
            return Ok(confirmed);
        }
        let logto = &self.parts.logto;
        let exchanged = logto
            .exchange_personal_access_token(&token.text)
            .await
            .map_err(|error| self.not_exchanged(&error))?
            .into_inner();
        let life = exchanged.expires_in.map_or(FRESH_FOR, Duration::from_secs);
        let kept = &self.settings.kept_claims;
        let ends = asked_at.plus(life);
        let caller = BearerCaller::exchanged(&exchanged, logto.client_id(), kept, asked_at, ends);
        Ok(Good {
            caller: Arc::new(caller),
            confirmed_at: asked_at,
            exchanged: Some(Exchange {
                access_token: exchanged.access_token,
                until: asked_at.plus(life.min(EXCHANGED_FOR)),
            }),
        })
    }

    /// By what it was exchanged for; `None` when that is too old, is not accepted any more, or is from before something that
    /// ended the user's sessions.
    async fn confirm(&self, good: &Good, asked_at: UnixSeconds) -> Result<Option<Good>, BearerError> {
        let (Some(exchange), Some(subject)) = (&good.exchanged, &good.caller.subject) else {
            return Ok(None);
        };
        if exchange.until <= asked_at || self.stands(&good.caller).is_err() {
            return Ok(None);
        }
        match self.parts.logto.check(&exchange.access_token, subject).await {
            Ok(claims) => {
                let kept = &self.settings.kept_claims;
                Ok(Some(Good {
                    caller: Arc::new(good.caller.renewed(claims.into_inner(), kept)),
                    confirmed_at: asked_at,
                    exchanged: Some(exchange.clone()),
                }))
            }
            Err(CheckFailure::Refused) => Ok(None),
            Err(failure) => Err(judged(failure)),
        }
    }

    fn not_exchanged(&self, error: &LogtoError) -> BearerError {
        match error.kind() {
            LogtoErrorKind::Refused { error: code } => {
                if code == "unauthorized_client" && !self.questions.told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "personal access tokens are refused until \"Allow token exchange\" is on at the application"
                    );
                }
                BearerError::InvalidToken { check: "exchange" }
            }
            _ => undecided(error),
        }
    }
}

/// A question that was not answered.
fn undecided(error: &LogtoError) -> BearerError {
    if error.is_transient() {
        tracing::debug!(%error, "an access token could not be judged");
    } else {
        tracing::warn!(%error, "an access token could not be judged");
    }
    BearerError::away()
}

/// What userinfo says of a token that was good a moment ago.
fn judged(failure: CheckFailure) -> BearerError {
    match failure {
        CheckFailure::Refused => BearerError::InvalidToken { check: "userinfo" },
        CheckFailure::OtherUser => BearerError::InvalidToken { check: "sub" },
        CheckFailure::Transient(error) => undecided(&error),
    }
}

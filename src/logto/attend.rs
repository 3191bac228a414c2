//! The background task of a tenant: learns metadata and keys, renews them, and asks while Logto is away.

use super::breaker::{Breaker, PROBE_INTERVAL};
use super::{Inner, LogtoError};
use crate::clock;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Pause after the first failed attempt; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between attempts while nothing is known.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause between attempts to renew what is known.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);
/// Age at which metadata and keys are fetched anew.
const RENEWAL: Duration = Duration::from_secs(3600);

impl Inner {
    /// Metadata and keys, both anew.
    async fn learn(&self) -> Result<(), LogtoError> {
        let metadata = self.discovery.renew(&self.http).await?;
        self.keys.renew(&self.http, &metadata.jwks_uri).await?;
        Ok(())
    }

    pub(super) fn is_ready(&self) -> bool {
        self.discovery.current().is_some() && self.keys.current().is_some()
    }
}

/// Runs until told to stop. Holds the tenant only while it asks, so that a dropped one ends it.
pub(super) async fn attend(tenant: Weak<Inner>, breaker: Arc<Breaker>, stop: CancellationToken) {
    let work = async {
        let mut failures: u32 = 0;
        while let Some(inner) = tenant.upgrade() {
            let pause = attempt(&inner, &mut failures).await;
            drop(inner);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // What opened the circuit was an attempt itself, so the first probe has time.
                () = breaker.opened() => tokio::time::sleep(PROBE_INTERVAL).await,
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Asks once, and says how long to rest.
async fn attempt(inner: &Inner, failures: &mut u32) -> Duration {
    let was_ready = inner.is_ready();
    let probes = inner.http.breaker().is_open();
    let began = clock::monotonic();
    if was_ready && probes {
        return match inner.discovery.renew(&inner.http).await {
            // Keys may have changed meanwhile.
            Ok(_) => RENEWAL_PAUSE,
            Err(_) => PROBE_INTERVAL.saturating_sub(began.elapsed()),
        };
    }
    match inner.learn().await {
        Ok(()) => {
            if !was_ready && !probes {
                tracing::info!(issuer = inner.discovery.issuer(), "Logto is reachable");
            }
            *failures = 0;
            RENEWAL
        }
        Err(error) => {
            let pause = if inner.is_ready() {
                RENEWAL_PAUSE
            } else {
                pause_after(*failures)
            };
            // The first of a row is news; the rest would only fill the log.
            if *failures == 0 {
                tracing::warn!(issuer = inner.discovery.issuer(), %error, "Logto could not be asked; trying again");
            } else {
                tracing::debug!(issuer = inner.discovery.issuer(), %error, "Logto still cannot be asked");
            }
            *failures = failures.saturating_add(1);
            pause
        }
    }
}

/// 0.25 s, 0.5 s, 1 s, … 5 s.
pub(super) fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_PAUSE)
}

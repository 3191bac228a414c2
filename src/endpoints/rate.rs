//! How many sign-ins an address may begin a minute.
//!
//! Off the path of signed-in requests. Bounded: when the table is full of addresses seen this minute, new
//! addresses are let through, since refusing them would let one attacker lock everybody out.

use crate::clock::UnixSeconds;
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

const MAXIMUM_ADDRESSES: usize = 16_384;

/// Counts sign-ins by address in windows of one minute.
#[derive(Debug)]
pub struct SignInLimiter {
    per_minute: Option<NonZeroU32>,
    window: Arc<Mutex<Window>>,
}

#[derive(Debug, Default)]
struct Window {
    minute: u64,
    counts: HashMap<IpAddr, u32>,
}

impl SignInLimiter {
    /// `None` is no limit.
    pub fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self {
            per_minute,
            window: Arc::default(),
        }
    }

    /// Another limit over the same counts.
    #[must_use]
    pub fn with_limit(&self, per_minute: Option<NonZeroU32>) -> Self {
        Self {
            per_minute,
            window: Arc::clone(&self.window),
        }
    }

    /// Whether this address may begin another sign-in now. Clients without an address (unix socket) may.
    pub fn admits(&self, address: Option<IpAddr>, now: UnixSeconds) -> bool {
        let (Some(limit), Some(address)) = (self.per_minute, address) else {
            return true;
        };
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.as_u64() / 60;
        if window.minute != minute {
            window.minute = minute;
            window.counts.clear();
        }
        let key = network(address);
        if !window.counts.contains_key(&key) && window.counts.len() >= MAXIMUM_ADDRESSES {
            return true;
        }
        let count = window.counts.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        if *count == limit.get().saturating_add(1) {
            // Once a minute and address, for whoever wonders why nobody can sign in behind a balancer.
            tracing::warn!(%address, "too many sign-ins; if this is a proxy of yours, list it in trusted_proxies");
        }
        *count <= limit.get()
    }
}

/// An IPv6 user has a whole /64, so that is what is counted.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_an_address_and_a_minute() {
        let limiter = SignInLimiter::new(NonZeroU32::new(2));
        let now = UnixSeconds::new(600);
        let address = Some("192.0.2.1".parse().unwrap());
        assert!(limiter.admits(address, now) && limiter.admits(address, now));
        assert!(!limiter.admits(address, now));
        assert!(limiter.admits(Some("192.0.2.2".parse().unwrap()), now));
        assert!(limiter.admits(address, UnixSeconds::new(660)));
    }

    #[test]
    fn another_limit_goes_on_from_the_same_counts() {
        let limiter = SignInLimiter::new(NonZeroU32::new(5));
        let now = UnixSeconds::new(600);
        let address = Some("192.0.2.1".parse().unwrap());
        assert!((0..3).all(|_| limiter.admits(address, now)));
        assert!(!limiter.with_limit(NonZeroU32::new(3)).admits(address, now));
        assert!(limiter.with_limit(None).admits(address, now));
    }

    #[test]
    fn neighbours_in_a_64_count_as_one() {
        let limiter = SignInLimiter::new(NonZeroU32::new(1));
        let now = UnixSeconds::new(0);
        assert!(limiter.admits(Some("2001:db8::1".parse().unwrap()), now));
        assert!(!limiter.admits(Some("2001:db8::2".parse().unwrap()), now));
        assert!(limiter.admits(Some("2001:db8:0:1::1".parse().unwrap()), now));
    }
}

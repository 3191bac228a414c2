//! Ports for programs that must be told theirs before they start.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what the kernel hands out by itself: while a program starts, no connection takes its port away.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A loopback port that is free, and that no other call gets. Test runs side by side begin at different ones.
pub fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(127) % u32::from(COUNT);
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        assert!(given < COUNT, "no loopback port is free");
        let offset = (start + u32::from(given)) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).expect("less than the count");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

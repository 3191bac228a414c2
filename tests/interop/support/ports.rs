//! Ports for programs that must be told theirs before they start.

use std::net::{Ipv4Addr, TcpListener};

/// A loopback port that was free a moment ago. The kernel hands such ports out in turn, so two calls do not agree.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

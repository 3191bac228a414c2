//! Staying connected: one task for both connections, for as long as the store lives.

use super::address::Address;
use super::fault::Fault;
use super::follow::{BLOCK, Follower, random_part_of};
use super::shared::Shared;
use crate::clock::monotonic;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long one command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(1);
/// The first wait before connecting again, and the longest.
const BACK_OFF: Duration = Duration::from_millis(100);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// A connection that held this long was a good one: the next loss begins with the first wait.
const GOOD: Duration = Duration::from_secs(10);
/// How long the end of the process waits for what is still to be written.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// Connects, and connects again, until the store is stopped.
pub(super) async fn run(shared: Arc<Shared>, address: Arc<Address>, caught_up: watch::Sender<bool>) {
    let mut follower = Follower::new();
    let mut back_off = BACK_OFF;
    while !shared.stop.is_cancelled() {
        let began = monotonic();
        let fault = tokio::select! {
            fault = connected(&shared, &address, &mut follower, &caught_up) => fault,
            () = stopped_while_connecting(&shared) => break,
        };
        shared.set_connection(None);
        if shared.stop.is_cancelled() {
            break;
        }
        shared.condition.lost(fault.reason);
        if began.elapsed() >= GOOD {
            back_off = BACK_OFF;
        }
        // Between a half and all of it.
        let wait = back_off / 2 + random_part_of(back_off / 2);
        if shared.stop.run_until_cancelled(sleep(wait)).await.is_none() {
            break;
        }
        back_off = back_off.saturating_mul(2).min(LONGEST_BACK_OFF);
    }
    shared.set_connection(None);
}

/// Ends when the store is stopped and there is no connection through which anything could still be written.
async fn stopped_while_connecting(shared: &Shared) {
    shared.stop.cancelled().await;
    if shared.connection().is_some() {
        sleep(LAST_WRITES).await;
    }
}

async fn connected(
    shared: &Shared,
    address: &Address,
    follower: &mut Follower,
    caught_up: &watch::Sender<bool>,
) -> Fault {
    let connecting = async {
        let commands = address.connect(COMMAND_LIMIT).await?;
        let reads = address.connect(BLOCK + COMMAND_LIMIT).await?;
        Ok((commands, reads))
    };
    let ((mut commands, commands_driver), (reads, reads_driver)) = match connecting.await {
        Ok(connections) => connections,
        Err(fault) => return fault,
    };
    let work = async {
        if let Err(fault) = follower.catch_up(shared, &mut commands).await {
            return fault;
        }
        shared.set_connection(Some(commands.clone()));
        shared.condition.found();
        caught_up.send_replace(true);
        tokio::select! {
            fault = follower.follow(shared, reads, commands.clone()) => fault,
            fault = shared.outbox.deliver(commands.clone(), &shared.keys, shared.keep) => fault,
            fault = shared.writes.deliver(shared, commands.clone()) => fault,
            () = shared.stop.cancelled() => {
                let last = async {
                    let _ = shared.outbox.drain(&mut commands, &shared.keys, shared.keep).await;
                    let _ = shared.writes.drain(shared, &mut commands).await;
                };
                // What is not written by then is lost, as it would be if the Redis were away.
                let _ = timeout(LAST_WRITES, last).await;
                Fault::CLOSED
            }
        }
    };
    tokio::select! {
        // First what the work says: it knows better why.
        biased;
        fault = work => fault,
        () = commands_driver => Fault::CLOSED,
        () = reads_driver => Fault::CLOSED,
    }
}

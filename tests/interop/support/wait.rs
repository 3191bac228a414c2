//! Waiting for something to become true, never longer than told and never by a fixed sleep.

use std::future::Future;
use std::time::Duration;

/// Long enough for a cold browser on a busy two-core machine, short enough to tell of a hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is `Some`, for at most [`PATIENCE`]; panics with `what` after that.
pub async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("did not happen within {} s: {what}", PATIENCE.as_secs()),
    }
}

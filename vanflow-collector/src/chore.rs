//! Work that is done again and again, on a thread where it may wait for a disk.

use std::time::Duration;

use tokio::{
    task::{JoinError, spawn_blocking},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Which time it is that work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There will be another.
    Usual,
    /// Nothing is done after it.
    Last,
}

/// Has `worker` do its work every `every`, and a last time after `shutdown`.
///
/// # Errors
///
/// Where the work panics: it is not done any more then.
pub(crate) async fn repeat<W: Send + 'static>(
    mut worker: W,
    every: Duration,
    shutdown: CancellationToken,
    work: impl Fn(&mut W, Turn) + Clone + Send + 'static,
) -> Result<(), JoinError> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let turn = tokio::select! {
            () = shutdown.cancelled() => Turn::Last,
            _ = ticks.tick() => Turn::Usual,
        };
        let work = work.clone();
        // Disks take their time, and nobody else has to.
        worker = spawn_blocking(move || {
            work(&mut worker, turn);
            worker
        })
        .await?;
        if turn == Turn::Last {
            return Ok(());
        }
    }
}

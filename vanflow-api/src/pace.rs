//! What all watches have in common: how items are reported, when, and when a watcher is given up (faults 19).

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use vanflow_store::Revision;

use crate::{error::error_line, json::Json, network::Network};

/// How a watcher wants to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchFormat {
    /// A JSON array on the first line, and then an object a line.
    Lines,
    /// Server-sent events: a `list`, and then a `record` each.
    Events,
}

impl WatchFormat {
    /// One object, as a line or an event; `id` writes what a watcher of events can go on from, if anything.
    pub(crate) fn item(self, json: &mut Json, id: impl FnOnce(&mut Json), render: impl FnOnce(&mut Json)) {
        match self {
            Self::Lines => {
                render(json);
                json.raw("\n");
            }
            Self::Events => {
                json.raw("event: record\n");
                id(json);
                json.raw("data: ");
                render(json);
                json.raw("\n\n");
            }
        }
    }

    /// The last piece: why there are no more.
    pub(crate) fn over(self, reason: &str) -> Bytes {
        let line = error_line(reason);
        match self {
            Self::Lines => line.into(),
            Self::Events => [b"event: end\ndata: ", line.as_slice(), b"\n"].concat().into(),
        }
    }
}

/// How long a watcher may leave a piece lying while there are changes to report, before it is cut off.
///
/// A body notices when it is polled again. A client that never reads on is the transport's to notice: it should give
/// up on a connection on which a write has been pending for this long.
pub const STALL_LIMIT: Duration = Duration::from_secs(60);

/// How often a watcher of events hears something, so that whoever is between does not take the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a watcher learns what.
#[derive(Debug)]
pub(crate) struct Pace {
    keep_alive_at: Instant,
    /// When the next changes may be reported.
    report_at: Instant,
    /// When the last piece was ready to be taken.
    handed_out_at: Option<Instant>,
}

/// What ended a wait for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something changed.
    ByChange,
    /// Nothing will change any more; this says so to the watcher.
    ByTheEnd(&'static str),
    /// Nothing changed for so long that the watcher should see it.
    ToKeepAlive,
}

impl Pace {
    /// The pace of a watch that starts now.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { keep_alive_at: now + KEEP_ALIVE, report_at: now, handed_out_at: None }
    }

    /// From now on changes are gathered for so long before they are reported.
    pub(crate) fn gather(&mut self, time: Duration) {
        self.report_at = Instant::now() + time;
    }

    /// Waits until changes may be reported, and marks what there is as noticed: before it is looked at, so that nothing
    /// gets lost in between.
    pub(crate) async fn notice(&self, network: &mut Network) {
        if Instant::now() < self.report_at {
            sleep_until(self.report_at).await;
        }
        network.mark_seen();
    }

    /// Waits for a change after what was noticed.
    pub(crate) async fn change(&mut self, network: &mut Network) -> Woken {
        match timeout_at(self.keep_alive_at, network.changed()).await {
            Ok(true) => Woken::ByChange,
            Ok(false) => Woken::ByTheEnd("the collector is going down: the watch is over"),
            Err(_) => {
                self.keep_alive_at = Instant::now() + KEEP_ALIVE;
                Woken::ToKeepAlive
            }
        }
    }

    /// The same, but no longer than that: none where nothing came about within the time.
    pub(crate) async fn change_within(&mut self, network: &mut Network, time: Duration) -> Option<Woken> {
        timeout(time, self.change(network)).await.ok()
    }

    /// A piece is ready to be taken.
    pub(crate) fn hand_out(&mut self, piece: Bytes) -> Bytes {
        let now = Instant::now();
        self.handed_out_at = Some(now);
        self.keep_alive_at = now + KEEP_ALIVE;
        piece
    }

    /// Why the watch is over, if the watcher let the last piece lie for too long, with more to come than it has `seen`.
    pub(crate) fn stalled(&mut self, network: &Network, seen: Revision) -> Option<String> {
        let handed_out_at = self.handed_out_at.take()?;
        let is_stalled = handed_out_at.elapsed() > STALL_LIMIT && network.read().revision() > seen;
        is_stalled.then(|| {
            let seconds = STALL_LIMIT.as_secs();
            format!("nothing was taken for {seconds} s while there were changes to report: the watch is over")
        })
    }
}

//! The connection to a router: an address and credentials in, a stream of events out.
//!
//! [`connect`] keeps a connection to one router of a network, finds every source in the network by its beacons, listens
//! to it, and asks it to repeat what it has whenever something may have been missed. What comes of it is read from
//! [`Events`]; where nobody reads, the router waits. See [`discovery`] for when what is done.
//!
//! ```no_run
//! # use std::sync::Arc;
//! use vanflow_proto::router::{self, Config, Event};
//!
//! # async fn example(clock: router::Clock) -> Result<(), Box<dyn std::error::Error>> {
//! let (handle, mut events) = router::connect(Config::from_url("amqp://127.0.0.1:5672", clock)?);
//! while let Some(event) = events.next().await {
//!     if let Event::Records { records, .. } = event {
//!         for update in records.updates().flatten() {
//!             println!("{:?} {}", update.kind(), update.id);
//!         }
//!     }
//! }
//! handle.close().await;
//! # Ok(())
//! # }
//! ```

mod config;
mod connection;
mod driver;
mod records;
mod sasl;
mod stats;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use tokio::{sync::mpsc, task::JoinHandle};

pub use config::{Clock, Config, ConfigError, Credentials, Endpoint, Tap, TlsFiles};
pub use records::Records;
pub use stats::Stats;

use crate::{Timestamp, discovery};
use driver::{Command, Driver};
use stats::Counters;

/// Events that may wait to be taken.
const WAITING: usize = 256;

/// Connects to a router, and connects again whenever the connection is lost.
///
/// # Panics
///
/// Outside of a tokio runtime with timers and sockets.
pub fn connect(config: Config) -> (Handle, Events) {
    let (events, taken) = mpsc::channel(WAITING);
    let (commands, obeyed) = mpsc::unbounded_channel();
    let counters = Arc::new(Counters::default());
    let driver = Driver::new(config, events, obeyed, Arc::clone(&counters));
    let task = tokio::spawn(driver.run());
    (Handle { commands, counters, task }, Events { taken })
}

/// What happened.
///
/// `at` is when, by the clock of [`Config`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// There is a connection to the router.
    Attached {
        /// When.
        at: Timestamp,
    },
    /// There is none any more, or none came about. It is tried again.
    Detached {
        /// When.
        at: Timestamp,
        /// Why, in words for people.
        reason: String,
    },
    /// Something became of a source.
    Source {
        /// When.
        at: Timestamp,
        /// What.
        event: discovery::Event,
    },
    /// A source said that it is alive.
    Heartbeat {
        /// When it was received.
        at: Timestamp,
        /// The identity of the source.
        source: Arc<str>,
        /// The source's clock.
        clock: Timestamp,
    },
    /// A known source reported records.
    Records {
        /// When it was received.
        at: Timestamp,
        /// The identity of the source.
        source: Arc<str>,
        /// The records.
        records: Records,
    },
    /// A message was not taken, or a link was refused. Others are as well as before.
    Refused {
        /// When.
        at: Timestamp,
        /// The address.
        link: Arc<str>,
        /// Why, in words for people.
        why: String,
    },
}

/// What [`connect`] found out, one after the other. Dropping this closes the connection.
#[derive(Debug)]
pub struct Events {
    taken: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; `None` when the connection was closed from our side.
    pub async fn next(&mut self) -> Option<Event> {
        self.taken.recv().await
    }

    /// Appends the next events to `events`, at least one and at most `most` of them, and gives their number; 0 when the
    /// connection was closed from our side.
    pub async fn next_batch(&mut self, events: &mut Vec<Event>, most: usize) -> usize {
        self.taken.recv_many(events, most).await
    }

    /// How many events wait to be taken.
    pub fn waiting(&self) -> usize {
        self.taken.len()
    }

    /// How many may wait; what comes then waits at the router.
    pub fn may_wait(&self) -> usize {
        self.taken.max_capacity()
    }
}

/// The connection that [`connect`] keeps. Dropping this closes it.
#[derive(Debug)]
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Says whether records of that source are known by halves, so that it is asked for them.
    pub fn incomplete(&self, source: &str, incomplete: bool) {
        // A driver that is gone asks nobody any more.
        let _ = self.commands.send(Command::Incomplete { source: source.into(), incomplete });
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Closes the connection properly, if the router goes along with it; within 2 s in any case.
    pub async fn close(self) {
        let _ = self.commands.send(Command::Close);
        let _ = self.task.await;
    }
}

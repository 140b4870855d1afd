//! What HTTP clients may take: the options, and what they mean.

use std::time::Duration;

use vanflow_api::WatchLimits;

use super::{
    SettingsError,
    args::duration,
    settings::{at_least, no_shorter},
};

const LIMITS: &str = "What HTTP clients may take";

/// What was typed of it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LimitArgs {
    /// HTTP connections at a time. With more, idle ones are closed, then those of clients that have more than their share;
    /// where there are none, clients are turned away with 503. Requests for /healthz and /readyz are answered in any case.
    #[arg(long, env = "VANFLOW_CONNECTIONS", value_name = "N", default_value_t = 1024, help_heading = LIMITS)]
    pub connections: usize,

    /// HTTP connections of one client address at a time, or of one IPv6 network of 64 bits; half of --connections by
    /// default. A proxy that --auth proxy=ADDRESS names has no such bound: each client that it names has as many requests
    /// in progress. Behind any other proxy all clients have its address: give it all there are.
    #[arg(long, env = "VANFLOW_CLIENT_CONNECTIONS", value_name = "N", help_heading = LIMITS)]
    pub client_connections: Option<usize>,

    /// Answers at a time that go on as long as the client likes, such as watches and streams; any more are refused with
    /// 503. One client may have half of them, or all where --client-connections gives it all connections.
    #[arg(long, env = "VANFLOW_WATCHES", value_name = "N", default_value_t = 512, help_heading = LIMITS)]
    pub watches: usize,

    /// Cuts off an HTTP client that takes nothing of its answer for so long.
    #[arg(long, env = "VANFLOW_STALL_TIMEOUT", value_name = "TIME", default_value = "30s", help_heading = LIMITS)]
    #[arg(value_parser = duration)]
    pub stall_timeout: Duration,

    /// Gives up an answer that has not begun after so long, because it is costly or many ask at the same time, and says so
    /// with 503. Clients take turns, whatever number of questions each of them asks at a time.
    #[arg(long, env = "VANFLOW_QUERY_TIMEOUT", value_name = "TIME", default_value = "30s", help_heading = LIMITS)]
    #[arg(value_parser = duration)]
    pub query_timeout: Duration,
}

/// What HTTP clients may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time; at least 1.
    pub connections: usize,
    /// Connections of one client at a time; at least 1.
    pub client_connections: usize,
    /// Watches at a time.
    pub watches: usize,
    /// Watches of one client at a time.
    pub client_watches: usize,
    /// How long a client may take nothing of its answer.
    pub stall_timeout: Duration,
    /// How long an answer may take to begin.
    pub query_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            client_connections: 512,
            watches: 512,
            client_watches: 256,
            stall_timeout: Duration::from_secs(30),
            query_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// How many watches there may be at a time, as the API has it.
    pub(crate) fn for_watches(&self) -> WatchLimits {
        WatchLimits { total: self.watches, of_client: self.client_watches }
    }

    /// There are no more connections than that.
    pub(crate) fn bound(&mut self, connections: usize) {
        self.connections = connections;
        self.client_connections = self.client_connections.min(connections);
    }

    /// What was typed, as it is meant.
    pub(super) fn new(args: &LimitArgs) -> Result<Self, SettingsError> {
        let connections = at_least("--connections", args.connections, 1, "1 or more")?;
        let client_connections = match args.client_connections {
            Some(connections) => at_least("--client-connections", connections, 1, "1 or more")?,
            None => connections.div_ceil(2),
        };
        let watches = at_least("--watches", args.watches, 1, "1 or more")?;
        // A proxy may have all of them, too.
        let of_one = if client_connections >= connections { watches } else { watches.div_ceil(2) };
        Ok(Self {
            connections,
            client_connections: client_connections.min(connections),
            watches,
            client_watches: of_one,
            stall_timeout: no_shorter(
                "--stall-timeout",
                args.stall_timeout,
                Duration::from_secs(1),
                "1s or more",
            )?,
            query_timeout: no_shorter(
                "--query-timeout",
                args.query_timeout,
                Duration::from_millis(100),
                "100ms or more",
            )?,
        })
    }
}

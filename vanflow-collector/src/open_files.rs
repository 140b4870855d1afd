//! How many files this process may have open, of which each connection is one.
//!
//! Where that is fewer than there may be connections, clients that ask nothing would leave none for the router, for the
//! state on disk, and for whoever asks how the collector is doing. Shells allow 1,024 by habit and far more where a program
//! asks for them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::Settings;

/// Files beside connections of clients: the router, state, history, a console, probes where all places are taken.
const OTHERS: u64 = 512;

/// Has the system allow as many open files as `settings` may need. Where it allows fewer, there are fewer connections, and
/// that is logged.
pub fn allow_for(settings: &mut Settings) {
    let limits = &mut settings.http.limits;
    let listeners = 1 + u64::from(settings.metrics_listen.is_some());
    let wanted = OTHERS + listeners * limits.connections as u64;
    let allowed = allow(wanted);
    if allowed < wanted {
        let least = 16.min(limits.connections);
        let connections =
            usize::try_from(allowed.saturating_sub(OTHERS) / listeners).unwrap_or(least).max(least);
        warn!(
            "this process may have {allowed} files open, too few for --connections {}: there are {connections}; a limit of \
             {wanted} would do, as `ulimit -n` or LimitNOFILE sets it",
            limits.connections
        );
        limits.bound(connections);
    }
}

/// Asks for that many, and answers how many there are.
fn allow(wanted: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let (allowed, most) = (now.current.unwrap_or(u64::MAX), now.maximum.unwrap_or(u64::MAX));
    if allowed >= wanted {
        return allowed;
    }
    let asked = wanted.min(most);
    match setrlimit(Resource::Nofile, Rlimit { current: Some(asked), maximum: now.maximum }) {
        Ok(()) => asked,
        Err(_) => allowed,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Args;

    #[test]
    fn there_are_as_many_connections_as_files_may_be_open() {
        let settings = |line: &str| {
            let args = Args::try_parse_from(line.split_whitespace()).expect("arguments");
            Settings::new(args, |_| false).expect("they make sense")
        };
        let mut some = settings("collector --demo --connections 10");
        allow_for(&mut some);
        assert_eq!(some.http.limits.connections, 10, "every system allows that many");

        let mut many =
            settings("collector --demo --connections 1000000000000 --client-connections 1000000000000");
        allow_for(&mut many);
        let limits = many.http.limits;
        assert!(limits.connections < 1_000_000_000_000 && limits.connections >= 16, "{limits:?}");
        assert!(limits.client_connections <= limits.connections && limits.client_connections > 0);
    }
}

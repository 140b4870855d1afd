//! The one place that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use vanflow_proto::Timestamp;

/// What time it is by the clock of this machine, or the epoch where that shows a time before it.
#[expect(
    clippy::disallowed_methods,
    reason = "somebody has to read the clock; everybody else is given the time"
)]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

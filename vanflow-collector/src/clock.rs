//! The one place that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use vanflow_proto::Timestamp;

/// What the clock of this machine shows; the epoch, where it shows a time before it.
#[expect(
    clippy::disallowed_methods,
    reason = "somebody has to read the clock; everybody else is told the time"
)]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

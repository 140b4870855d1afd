//! The one place that reads the clock.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use vanflow_proto::Timestamp;

/// What both clocks showed when the collector first asked.
#[expect(
    clippy::disallowed_methods,
    reason = "somebody has to read the clock; everybody else is reported the time"
)]
static BEGAN: LazyLock<(SystemTime, Instant)> = LazyLock::new(|| (SystemTime::now(), Instant::now()));

/// What time it is. Starts as what the clock of this machine shows, or the epoch where it shows a time before it, and
/// from there on only goes forward: should that clock be set, no source counts as silent for it, and no record as old.
pub(crate) fn now() -> Timestamp {
    let (began, instant) = *BEGAN;
    let now = began.duration_since(UNIX_EPOCH).unwrap_or_default() + instant.elapsed();
    Timestamp::from_micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

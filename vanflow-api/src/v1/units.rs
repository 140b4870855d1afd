//! What fails of what connections carry: the one rule for it.
//!
//! A *unit* is a request where connections carry requests, and otherwise a connection. An error is a connection that
//! failed, or a request that ended with a result from 500 to 599 or with none: a client that asked for what there is not
//! is no error. Connections that failed before they carried a request count beside the requests. All is counted of what is
//! retained.

use vanflow_store::Lane;

use crate::v1::subject::Severity;

/// How many units there were, and how many of them were errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Units {
    pub(crate) all: u64,
    pub(crate) errors: u64,
    /// Whether any of them are requests.
    pub(crate) has_requests: bool,
}

impl Units {
    /// What passed by a lane and is retained.
    pub(crate) fn of_lane(lane: Lane<'_>) -> Self {
        let (mut requests, mut failed_requests) = (0, 0);
        for each in lane.requests() {
            requests += each.retained() as u64;
            failed_requests += each.failed() as u64;
        }
        let (connections, failed) = (lane.retained() as u64, lane.failed() as u64);
        let has_requests = requests > 0;
        Self {
            all: if has_requests { requests + failed } else { connections },
            errors: failed_requests + failed,
            has_requests,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.all += other.all;
        self.errors += other.errors;
        self.has_requests |= other.has_requests;
    }

    /// How bad the share of errors is: below 2 % it is fine, above 10 % bad.
    pub(crate) fn severity(self) -> Severity {
        match self {
            // Of nothing, nothing failed.
            Self { all, errors, .. } if errors * 50 < all || errors == 0 => Severity::Fine,
            Self { all, errors, .. } if errors * 10 <= all => Severity::Warn,
            _ => Severity::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_percent_is_worth_a_look_and_more_than_ten_is_bad() {
        for (all, errors, severity) in [
            (0, 0, Severity::Fine),
            (1000, 0, Severity::Fine),
            (1000, 19, Severity::Fine),
            (1000, 20, Severity::Warn),
            (1000, 100, Severity::Warn),
            (1000, 101, Severity::Bad),
            (1, 1, Severity::Bad),
        ] {
            let units = Units { all, errors, has_requests: false };
            assert_eq!(units.severity(), severity, "{errors} of {all}");
        }
    }
}

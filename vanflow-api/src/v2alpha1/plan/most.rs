//! The connections that have the most of something, without a look at lanes that have none of them.

use std::{cmp::Reverse, ops::Range};

use vanflow_store::{FlowKind, Lane, LaneBounds, RecordRef};

use super::Plan;
use crate::v2alpha1::best::Best;

/// What bounds a property within a lane.
fn bound(property: &str) -> Option<fn(LaneBounds) -> u64> {
    Some(match property {
        "octetCount" => |bounds| bounds.octets,
        "octetReverseCount" => |bounds| bounds.octets_reverse,
        "startTime" => |bounds| bounds.start.as_micros(),
        _ => return None,
    })
}

impl<'v> Plan<'v> {
    /// A page of connections, the most of a property first, where lanes say how much none of theirs has more of: those
    /// with the most are looked at first, until the page is full of what the others do not come up to.
    /// No more than `most` of them are looked at.
    pub(super) fn page_of_most(&self, page: Range<usize>, most: usize) -> Option<Vec<RecordRef>> {
        let property = self.query.order?.property;
        if self.kind != FlowKind::Connection {
            return None;
        }
        let bound = bound(property.name)?;
        let every: Vec<Lane<'v>> = if self.lanes.are_all() {
            self.view.snapshot.lanes().filter(|lane| lane.retained() > 0).collect()
        } else {
            self.lanes.asked.clone()
        };
        let mut lanes: Vec<_> = every.iter().map(|lane| (bound(lane.at_most()), *lane)).collect();
        lanes.sort_unstable_by_key(|(bound, lane)| Reverse((*bound, lane.at())));
        let mut left = most;
        let mut best = Best::new(page.end, true);
        for (bound, lane) in lanes {
            // One with as much as the last of the page may come before it by its identity.
            if best.last().is_some_and(|last| bound < *last) {
                break;
            }
            left = left.checked_sub(lane.retained())?;
            for record in lane.connections().filter(|record| self.has(*record)) {
                let key = self.number(property, record).unwrap_or(0);
                best.add(key, || record.flow_id(), record.at());
            }
        }
        Some(best.into_sorted(page.start))
    }
}

//! What passed over links, and so through routers, and how often links went down.
//!
//! Only LINK records report octets; a ROUTER record reports none. So those of a router are those of its links, at
//! whichever end of them it is. Routers up to 2.x report no octets of links, and have no such metrics.

use std::collections::{BTreeMap, HashMap};

use vanflow_proto::Attribute;
use vanflow_store::Record;

use crate::{
    link::{self, Ends},
    metrics::{
        ends::UNKNOWN,
        entities::{link_name, site_and_name},
        exposition::{Gathered, SampleValue},
        labels::LabelSet,
        table::Name,
    },
};

/// How many links are remembered that are not there any more, so that what happened to them meanwhile is counted when
/// they come back.
const MOST_ABSENT: usize = 10_000;

/// What was counted of links.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// What each LINK reported when it was looked at last, by its id.
    seen: HashMap<String, Seen>,
    totals: BTreeMap<(Name, Vec<String>), Total>,
    /// What a former process counted of links that were not there yet.
    saved: HashMap<(Name, Vec<String>), u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Octets to the other router and from it, and how often the link went down, each once it was reported.
    counts: [Option<u64>; 3],
    is_there: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    count: u64,
    /// Whether there is such a link.
    is_there: bool,
}

impl Links {
    /// All links will be looked at.
    pub(super) fn begin(&mut self) {
        self.seen.values_mut().for_each(|seen| seen.is_there = false);
        self.totals.values_mut().for_each(|total| total.is_there = false);
    }

    /// A link that is there. Answers how often it went down since it was looked at last, however long ago that was
    /// (faults 28).
    pub(super) fn observe(&mut self, link: Record<'_>, ends: Ends<'_>) -> u64 {
        let reported = [Attribute::Octets, Attribute::OctetsReverse, Attribute::DownCount]
            .map(|attribute| link.uint(attribute));
        if reported == [None; 3] {
            return 0;
        }
        let seen = self.seen.entry(link.id().to_string()).or_default();
        seen.is_there = true;
        let growth: [u64; 3] = std::array::from_fn(|which| {
            let Some(now) = reported[which] else { return 0 };
            // What happened before the collector first looked is no growth. A lower value is a new beginning.
            let before = seen.counts[which].replace(now);
            before.map_or(0, |before| now.checked_sub(before).unwrap_or(now))
        });
        let [sent, received, downs] = growth;
        let (connects, accepts) = (site_and_name(ends.connects), site_and_name(ends.accepts));
        let role = link::role(link).unwrap_or(UNKNOWN).to_owned();
        let between: Vec<_> =
            connects.iter().chain(&accepts).cloned().chain([role, link_name(link)]).collect();
        if reported[2].is_some() {
            self.add(Name::LinkErrors, between.clone(), downs);
        }
        if reported[..2] == [None; 2] {
            return downs;
        }
        self.add(Name::LinkSent, between.clone(), sent);
        self.add(Name::LinkReceived, between, received);
        for (end, of, sent, received) in
            [(ends.connects, connects, sent, received), (ends.accepts, accepts, received, sent)]
        {
            if end.is_some() {
                self.add(Name::RouterSent, of.to_vec(), sent);
                self.add(Name::RouterReceived, of.to_vec(), received);
            }
        }
        downs
    }

    /// All links were looked at. Answers whether what was counted of links that are not there is forgotten, since there
    /// is too much of it.
    pub(super) fn end(&mut self) -> bool {
        let is_full = self.seen.values().filter(|seen| !seen.is_there).count() > MOST_ABSENT;
        if is_full {
            self.seen.retain(|_, seen| seen.is_there);
            self.totals.retain(|_, total| total.is_there);
        }
        is_full
    }

    fn add(&mut self, name: Name, labels: Vec<String>, growth: u64) {
        let place = (name, labels);
        let saved = self.saved.remove(&place).unwrap_or(0);
        let total = self.totals.entry(place).or_default();
        total.count = total.count.saturating_add(growth).saturating_add(saved);
        total.is_there = true;
    }

    /// Goes on from what a former process counted.
    pub(super) fn restore(&mut self, saved: &HashMap<(Name, Vec<String>), u64>) {
        const ITS: [Name; 5] =
            [Name::LinkSent, Name::LinkReceived, Name::LinkErrors, Name::RouterSent, Name::RouterReceived];
        let its = saved.iter().filter(|((name, _), _)| ITS.contains(name));
        self.saved = its.map(|(place, count)| (place.clone(), *count)).collect();
    }

    /// What there is, for the next process.
    pub(super) fn saved(&self) -> impl Iterator<Item = ((Name, Vec<String>), u64)> {
        let kept = self.saved.iter().map(|(place, count)| (place.clone(), *count));
        kept.chain(self.totals.iter().map(|(place, total)| (place.clone(), total.count)))
    }

    pub(super) fn gather(&self, identity: &LabelSet, gathered: &mut Gathered) {
        for ((name, values), total) in self.totals.iter().filter(|(_, total)| total.is_there) {
            let labels = identity.of(*name, values.iter().map(String::as_str));
            gathered.add(*name, labels, SampleValue::Count(total.count));
        }
    }
}

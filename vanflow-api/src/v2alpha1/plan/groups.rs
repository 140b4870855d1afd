//! Groups of connections and requests, at the cost of lanes where lanes suffice.
//!
//! Where nothing but their number is asked for, by what is of the lane, and their ends alone decide what is in the list,
//! the lanes have counted them already: only what ended outside of the time range, or inside, is gone through, whichever
//! is less. Otherwise each record is looked at once; what it has from its lane is looked up once a lane.

use std::collections::HashMap;

use vanflow_proto::RecordKind;
use vanflow_store::{Lane, Record};

use super::{Count, Ends, Plan, of_lane, stray};
use crate::{
    query::value::Cell,
    v2alpha1::{
        group::{Group, Grouping, Measure},
        schema::Property,
        view::Subject,
    },
};

/// Groups by lanes: what is not in a lane comes last.
struct ByLane {
    groups: Vec<Option<Group>>,
}

impl ByLane {
    fn new(slots: usize) -> Self {
        Self { groups: vec![None; slots + 1] }
    }

    fn place(&self, record: Record<'_>) -> usize {
        record.lane().map_or(self.groups.len() - 1, |lane| lane.at().slot())
    }

    fn at(&mut self, place: usize, grouping: &Grouping) -> &mut Group {
        self.groups[place].get_or_insert_with(|| grouping.group())
    }
}

impl<'v> Plan<'v> {
    /// The rows of the groups that are asked for, in order.
    pub(crate) fn groups(&self, grouping: &Grouping) -> Vec<Vec<Cell<'static>>> {
        let (of_lanes, own): (Vec<_>, Vec<_>) =
            grouping.keys.iter().copied().partition(|property| property.is_of_lane);
        if !own.is_empty() || grouping.step.is_some() {
            return grouping.rows(self.by_records(grouping, &of_lanes));
        }
        let mut by_lane = if grouping.measures.is_empty() && self.filters.is_empty() && self.window.is_exact {
            self.counted(grouping)
        } else {
            self.measured(grouping)
        };
        let snapshot = self.view.snapshot;
        let mut groups = HashMap::<_, Group>::new();
        let mut add = |group: Option<Group>, subject: Option<Subject<'v>>| {
            if let Some((group, subject)) = group.filter(|group| group.records > 0).zip(subject) {
                let key = self.key(&subject, &of_lanes);
                groups.entry(key).or_insert_with(|| grouping.group()).merge(group);
            }
        };
        if let Some(any) = snapshot.flows(self.kind).next() {
            for lane in snapshot.lanes() {
                add(by_lane.groups[lane.at().slot()].take(), of_lane(lane, any));
            }
            add(by_lane.groups.pop().flatten(), stray(any));
        }
        grouping.rows(groups)
    }

    /// How many records of each lane there are, by what the lanes have counted.
    fn counted(&self, grouping: &Grouping) -> ByLane {
        let snapshot = self.view.snapshot;
        let mut by_lane = ByLane::new(snapshot.lane_slots());
        let Ends { before, after } = self.ends();
        let is_by_outside = before.len() + after.len() < self.ended.len();
        let counts = |count: Count| {
            let live = if self.window.has_live { count.live } else { 0 };
            (live + if is_by_outside { count.ended } else { 0 }) as u64
        };
        let every: Vec<Lane<'v>> =
            if self.lanes.are_all() { snapshot.lanes().collect() } else { self.lanes.asked.clone() };
        for lane in every {
            by_lane.at(lane.at().slot(), grouping).records = counts(Count::of_lane(lane, self.kind));
        }
        if self.lanes.with_strays {
            let place = by_lane.groups.len() - 1;
            by_lane.at(place, grouping).records = counts(self.strays());
        }
        let mut each = |positions, is_outside: bool| {
            for record in self.ended_at(positions).filter(|record| self.lanes.has(*record)) {
                let place = by_lane.place(record);
                let records = &mut by_lane.at(place, grouping).records;
                *records = if is_outside { *records - 1 } else { *records + 1 };
            }
        };
        // Nothing that has ended counts where the window has no ends.
        if is_by_outside {
            each(before, true);
            each(after, true);
        } else {
            each(self.ended.clone(), false);
        }
        by_lane
    }

    /// What the records of each lane come to, by a look at each.
    fn measured(&self, grouping: &Grouping) -> ByLane {
        let mut by_lane = ByLane::new(self.view.snapshot.lane_slots());
        self.each(|record| {
            if self.lanes.has(record) && self.has(record) {
                let place = by_lane.place(record);
                by_lane.at(place, grouping).add(|measure| self.measure(&grouping.measures[measure], record));
            }
        });
        by_lane
    }

    /// Groups by what not all records of a lane have in common.
    fn by_records(
        &self,
        grouping: &Grouping,
        of_lanes: &[&'static Property],
    ) -> HashMap<Vec<Cell<'v>>, Group> {
        let mut keys = HashMap::<_, Vec<Cell<'v>>>::new();
        let mut groups = HashMap::<_, Group>::new();
        let slots = self.view.snapshot.lane_slots();
        self.each(|record| {
            if !self.lanes.has(record) || !self.has(record) {
                return;
            }
            let Some(subject) = self.subject(record) else { return };
            let place = record.lane().map_or(slots, |lane| lane.at().slot());
            let known = keys.entry(place).or_insert_with(|| self.key(&subject, of_lanes));
            let mut known = known.iter();
            let keys = grouping.keys.iter().map(|property| match property.is_of_lane {
                true => known.next().cloned().unwrap_or(Cell::Absent),
                false => property.of(self.view, &subject),
            });
            let key: Vec<_> = grouping.begin(self.view, &subject).into_iter().chain(keys).collect();
            let group = groups.entry(key).or_insert_with(|| grouping.group());
            group.add(|measure| self.measure(&grouping.measures[measure], record));
        });
        groups
    }

    fn key(&self, subject: &Subject<'v>, properties: &[&'static Property]) -> Vec<Cell<'v>> {
        properties.iter().map(|property| property.of(self.view, subject)).collect()
    }

    fn measure(&self, measure: &Measure, record: Record<'v>) -> Option<u64> {
        match measure.property.reported {
            // Nothing else of the record has to be looked up, unless it is one of two.
            Some(attribute) if record.kind() != Some(RecordKind::Flow) => record.uint(attribute),
            _ => measure.of(self.view, &self.subject(record)?),
        }
    }
}

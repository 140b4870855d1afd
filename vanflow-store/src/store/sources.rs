//! Sources, as far as the store has to know of them: whether they are there, and what becomes of their records when
//! they leave, restart, or repeat what they have. Who decides that is [`vanflow_proto::discovery`].

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, discovery::Extent};

use super::Store;
use crate::{
    graph::Standing,
    merge::Changed,
    row::{Flags, RecordRef, Table},
    schema::{END, START},
    source::{OwnedSourceType, Source, SourceId},
};

/// The sources of records that several reported, each with the epoch in which it did so last.
#[derive(Debug, Default)]
pub(super) struct Sharers {
    by_record: HashMap<RecordRef, SmallVec<[Vouch; 2]>>,
}

/// A source, and one of its epochs.
type Vouch = (SourceId, u16);

impl Sharers {
    /// A source says that a record of `owner` is there.
    pub(super) fn vouch(&mut self, at: RecordRef, owner: Vouch, vouch: Vouch) {
        let sharers = self.by_record.entry(at).or_insert_with(|| SmallVec::from_slice(&[owner]));
        match sharers.iter_mut().find(|(source, _)| *source == vouch.0) {
            Some((_, epoch)) => *epoch = vouch.1,
            None => sharers.push(vouch),
        }
    }

    /// The epoch in which the source vouched for the record last.
    pub(super) fn epoch(&self, at: RecordRef, source: SourceId) -> Option<u16> {
        let sharers = self.by_record.get(&at)?;
        sharers.iter().find(|(sharer, _)| *sharer == source).map(|(_, epoch)| *epoch)
    }

    /// Takes back what a source vouched for, and answers another that still does.
    fn withdraw(&mut self, at: RecordRef, source: SourceId) -> Option<SourceId> {
        let sharers = self.by_record.get_mut(&at)?;
        sharers.retain(|(sharer, _)| *sharer != source);
        sharers.first().map(|(sharer, _)| *sharer)
    }

    pub(super) fn remove(&mut self, at: RecordRef) {
        self.by_record.remove(&at);
    }
}

impl Store {
    /// A source is there. Says so of a known one too; only then does it count as seen again.
    pub fn source_seen(&mut self, id: &str, source_type: SourceType<'_>, now: Timestamp) -> SourceId {
        self.report_time(now);
        if let Some(&known) = self.source_ids.get(id) {
            let source = self.source_mut(known);
            source.is_alive = true;
            source.last_heard = source.last_heard.max(now);
            source.source_type = OwnedSourceType::new(source_type);
            self.claim_scope(known);
            return known;
        }
        let new = SourceId(u32::try_from(self.sources.len()).expect("sources are few"));
        let source = Source::new(id, source_type, now);
        self.source_ids.insert(source.id.clone(), new);
        Arc::make_mut(&mut self.sources).push(source);
        self.claim_scope(new);
        new
    }

    /// A source is alive, and its clock shows `source_now`. Durations of live records are measured by that clock
    /// (faults 20).
    pub fn heartbeat(&mut self, source: SourceId, source_now: Timestamp, now: Timestamp) {
        self.report_time(now);
        let source = self.source_mut(source);
        source.is_alive = true;
        source.last_heard = source.last_heard.max(now);
        let offset = i128::from(source_now.as_micros()) - i128::from(now.as_micros());
        source.clock_offset = i64::try_from(offset).unwrap_or(0);
    }

    /// Something may have been missed of a source, and it is asked for all that lives (faults 3, 27). Until
    /// [`source_answered`](Store::source_answered) its records count as incomplete; they live on until
    /// [`source_settled`](Store::source_settled).
    pub fn epoch_started(&mut self, source: SourceId, now: Timestamp) {
        self.report_time(now);
        let source = self.source_mut(source);
        source.epoch = source.epoch.wrapping_add(1);
        source.is_awaited = true;
    }

    /// A source has begun to repeat what it has.
    pub fn source_answered(&mut self, source: SourceId, now: Timestamp) {
        self.report_time(now);
        self.source_mut(source).is_awaited = false;
    }

    /// A source has repeated what it has, to that extent: whatever of it was not reported since the epoch started has
    /// ended. Whether that is so is for [discovery](vanflow_proto::discovery) to say (faults 29).
    pub fn source_settled(&mut self, source: SourceId, extent: Extent, now: Timestamp) {
        self.report_time(now);
        self.source_mut(source).is_awaited = false;
        let epoch = self.sources[source.0 as usize].epoch;
        self.end_live(source, |type_code, reported| {
            let is_flow = RecordKind::from_code(type_code).is_some_and(RecordKind::is_flow);
            reported != epoch && (extent == Extent::All || !is_flow)
        });
    }

    /// A source restarted and counts its records from 0 again, under the same id (faults 6): what it reported before has
    /// ended, and the same ids mean new records from now on.
    ///
    /// A ROUTER record with a newer start says the same by itself.
    pub fn source_restarted(&mut self, source: SourceId, now: Timestamp) {
        self.report_time(now);
        self.end_live(source, |_, _| true);
        let id = self.sources[source.0 as usize].id.clone();
        self.graph.retire(&id);
    }

    /// Nothing more is received from a source (faults 4): its live records end with the time that it was last heard.
    /// They come back to life should it report them again (faults 5).
    pub fn source_lost(&mut self, source: SourceId, last_heard: Timestamp, now: Timestamp) {
        self.report_time(now);
        {
            let source = self.source_mut(source);
            source.is_alive = false;
            source.is_awaited = false;
            source.last_heard = last_heard;
        }
        self.end_live(source, |_, _| true);
    }

    /// Ends the live records of a source for which `which` holds, as of when it was last heard: of a record of that type
    /// that the source reported last in that epoch. Records for which others vouch live on (faults 13).
    fn end_live(&mut self, source: SourceId, which: impl Fn(u32, u16) -> bool) {
        let state = &self.sources[source.0 as usize];
        let end = state.clock(state.last_heard).as_micros();
        let mut ending = Vec::new();
        macro_rules! collect {
            ($table:expr, $slab:expr) => {
                for slot in $slab.rows().live() {
                    let (head, at) = (&$slab.get(slot).head, RecordRef::new($table, slot));
                    let epoch = if head.flags.has(Flags::SHARED) {
                        self.sharers.epoch(at, source)
                    } else {
                        (head.owner == source).then_some(head.epoch)
                    };
                    if epoch.is_some_and(|epoch| which(head.type_code, epoch)) {
                        ending.push(at);
                    }
                }
            };
        }
        collect!(Table::Entities, self.graph.entities);
        collect!(Table::Tports, self.graph.tports);
        collect!(Table::Apps, self.graph.apps);
        collect!(Table::Flows, self.graph.flows);
        for at in ending {
            if self.withdraw(at, source) {
                continue;
            }
            self.end(at, end);
        }
    }

    /// Presumes that a record has ended.
    pub(super) fn end(&mut self, at: RecordRef, end: u64) {
        self.merge(at, None, |row, _| {
            let row = row.any();
            let start = row.number(START).unwrap_or(0);
            row.set_number(END, Some(end.max(start)));
            row.head_mut().flags.set(Flags::PRESUMED_END, true);
            let mut changed = Changed::default();
            changed.add(Attribute::EndTime.code());
            changed
        });
    }

    /// Notes that a source vouches for a record no more, and whether others still do (faults 13).
    pub(super) fn withdraw(&mut self, at: RecordRef, source: SourceId) -> bool {
        if !self.row(at).head().flags.has(Flags::SHARED) {
            return false;
        }
        let Some(other) = self.sharers.withdraw(at, source) else { return false };
        let live = self.row(at).is_live();
        if live && self.row(at).head().owner == source {
            let standing = Standing::of(self.row(at), at.table());
            self.count_source(source, at, &standing, &Standing::default());
            self.graph.row_mut(at).head_mut().owner = other;
            self.count_source(other, at, &Standing::default(), &standing);
        }
        true
    }
}

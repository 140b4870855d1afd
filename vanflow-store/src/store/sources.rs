//! Sources, as far as the store has to know of them: whether they are there, and what becomes of their records when
//! they leave, restart, or repeat what they have. Who decides that is [`vanflow_proto::discovery`].

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;
use vanflow_proto::{Attribute, RecordKind, SourceType, Timestamp, discovery::Extent};

use super::{Reporter, Store, derivation::is_derived_site, seconds};
use crate::{
    graph::{Fold, Standing},
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
    /// A source reported a record, in that epoch of its. Answers whose it was, if it lives by this word alone now.
    #[inline]
    pub(super) fn note(
        &mut self,
        at: RecordRef,
        row: &mut dyn Fold,
        before: &Standing,
        (reporter, epoch): (Reporter, u16),
    ) -> Option<SourceId> {
        let head = row.head_mut();
        let vouch = (head.owner, head.epoch);
        head.flags.set(Flags::RESTORED, false);
        head.epoch = epoch;
        if !head.flags.has(Flags::REPORTED) {
            head.flags.set(Flags::REPORTED, true);
            head.owner = reporter.source;
        }
        if head.owner == reporter.source && !head.flags.has(Flags::SHARED) {
            return None;
        }
        self.note_shared(at, row, before, (reporter, vouch))
    }

    #[cold]
    fn note_shared(
        &mut self,
        at: RecordRef,
        row: &mut dyn Fold,
        before: &Standing,
        (reporter, vouch): (Reporter, Vouch),
    ) -> Option<SourceId> {
        let comes_back = row.is_live() && !before.live;
        let head = row.head_mut();
        if comes_back && head.owner != reporter.source {
            // Those who said so before say so no more.
            self.remove(at);
            head.flags.set(Flags::SHARED, false);
            return Some(std::mem::replace(&mut head.owner, reporter.source));
        }
        if reporter.vouches && at.table() == Table::Entities {
            head.flags.set(Flags::SHARED, true);
            self.vouch(at, vouch, (reporter.source, head.epoch));
        }
        None
    }

    /// A source says that a record of `owner` is there.
    fn vouch(&mut self, at: RecordRef, owner: Vouch, vouch: Vouch) {
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

    /// Whether the source vouches for a record.
    fn has(&self, source: SourceId) -> bool {
        self.by_record.values().flatten().any(|(sharer, _)| *sharer == source)
    }

    pub(super) fn remove(&mut self, at: RecordRef) {
        self.by_record.remove(&at);
    }
}

impl Store {
    /// A source is there. Says so of a known one too; only then does it count as seen again.
    pub fn source_seen(&mut self, id: &str, source_type: SourceType<'_>, now: Timestamp) -> SourceId {
        self.advance_clock(now);
        if let Some(&known) = self.source_ids.get(id) {
            let source = self.source_mut(known);
            source.is_alive = true;
            source.last_heard = source.last_heard.max(now);
            source.source_type = OwnedSourceType::new(source_type);
            self.claim_scope(known);
            return known;
        }
        let source = Source::new(id, source_type, now);
        let key = Arc::clone(&source.id);
        let new = match self.forgotten.pop() {
            Some(place) => {
                *self.source_mut(place) = source;
                place
            }
            None => {
                let place = SourceId(u32::try_from(self.sources.len()).expect("sources are few"));
                Arc::make_mut(&mut self.sources).push(source);
                place
            }
        };
        self.source_ids.insert(key, new);
        self.claim_scope(new);
        new
    }

    /// A source is alive, and its clock shows `source_now`. Durations of live records are measured by that clock
    /// (faults 20).
    pub fn heartbeat(&mut self, source: SourceId, source_now: Timestamp, now: Timestamp) {
        self.advance_clock(now);
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
        self.advance_clock(now);
        let source = self.source_mut(source);
        source.epoch = source.epoch.wrapping_add(1);
        source.is_awaited = true;
        source.is_settled = false;
        source.epoch_since = now;
    }

    /// A source has begun to repeat what it has.
    pub fn source_answered(&mut self, source: SourceId, now: Timestamp) {
        self.advance_clock(now);
        self.source_mut(source).is_awaited = false;
    }

    /// A source has repeated what it has, to that extent: whatever of it was not reported since the epoch started has
    /// ended. Whether that is so is for [discovery](vanflow_proto::discovery) to say (faults 29).
    pub fn source_settled(&mut self, source: SourceId, extent: Extent, now: Timestamp) {
        self.advance_clock(now);
        {
            let source = self.source_mut(source);
            source.is_awaited = false;
            source.is_settled = true;
            if source.refused_between.is_some_and(|(_, last)| last < source.epoch_since) {
                source.refused_between = None;
            }
        }
        let epoch = self.sources[source.0 as usize].epoch;
        self.end_live(source, |type_code, reported| {
            let is_flow = RecordKind::from_code(type_code).is_some_and(RecordKind::is_flow);
            reported != epoch && (extent == Extent::All || !is_flow)
        });
        self.join_sites(source);
    }

    /// A source restarted and counts its records from 0 again, under the same id (faults 6): what it reported before has
    /// ended, and the same ids mean new records from now on.
    ///
    /// A ROUTER record with a newer start says the same by itself.
    pub fn source_restarted(&mut self, source: SourceId, now: Timestamp) {
        self.advance_clock(now);
        self.end_live(source, |_, _| true);
        let id = self.sources[source.0 as usize].id.clone();
        // The id of a site that it has not reported yet means that one for those that name it.
        if !self.graph.find(&id).at.is_some_and(|at| is_derived_site(self.row(at))) {
            self.graph.retire(&id);
        }
    }

    /// Nothing more is received from a source (faults 4): its live records end with the time that it was last heard.
    /// They come back to life should it report them again (faults 5).
    pub fn source_lost(&mut self, source: SourceId, last_heard: Timestamp, now: Timestamp) {
        self.advance_clock(now);
        {
            let source = self.source_mut(source);
            source.is_alive = false;
            source.is_awaited = false;
            source.is_settled = false;
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
            let start = row.number(START).unwrap_or(0);
            row.set_number(END, Some(end.max(start)));
            row.head_mut().flags.set(Flags::PRESUMED_END, true);
            let mut changed = Changed::default();
            changed.add(Attribute::EndTime.code());
            changed
        });
    }

    /// An ended record of another is alive, and by that its reporter's own.
    pub(super) fn move_ended(&mut self, at: RecordRef, former: SourceId, octets: u32) {
        let ended = Standing { reported: true, octets, ..Standing::default() };
        self.count_source(former, at, &ended, &Standing::default());
        self.count_source(self.row(at).head().owner, at, &Standing::default(), &ended);
    }

    /// Forgets sources that were lost longer ago than the retention, once no record is theirs, or shared by them. Looks
    /// for them once a second.
    pub(super) fn forget_sources(&mut self) {
        let second = seconds(self.now);
        if std::mem::replace(&mut self.looked_at, second) == second {
            return;
        }
        for position in 0..self.sources.len() {
            let source = &self.sources[position];
            let is_due = !source.is_alive
                && !source.is_forgotten
                // It may be heard soon.
                && !source.is_awaited
                && source.retained == 0
                && self.now.micros_since(source.last_heard) > self.options.retention_micros;
            let id = SourceId(u32::try_from(position).expect("sources are few"));
            if is_due && !self.sharers.has(id) {
                self.disclaim_scope(id);
                self.source_ids.remove(&*self.sources[position].id);
                self.expiry.forget(id);
                *self.source_mut(id) = Source::forgotten();
                self.forgotten.push(id);
            }
        }
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

#[cfg(test)]
mod tests {
    use vanflow_proto::UpdateBuf;

    use super::*;
    use crate::store::StoreOptions;

    const SECOND: u64 = 1_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros((1_795_347_888 + seconds) * SECOND)
    }

    /// A source that is seen, reports a router, and is lost.
    fn passes(store: &mut Store, number: u64, now: Timestamp) -> SourceId {
        let id = format!("r{number}:0");
        let source = store.source_seen(&id, SourceType::Router, now);
        let router = UpdateBuf::new(RecordKind::Router, &*id).with(Attribute::StartTime, now);
        store.apply(source, &router, now);
        store.source_lost(source, now, now);
        source
    }

    #[test]
    fn lost_sources_are_forgotten_after_the_retention() {
        // faults 4
        let mut store = Store::new(StoreOptions { retention_micros: 60 * SECOND, ..StoreOptions::default() });
        let stays = store.source_seen("stays:0", SourceType::Router, at(0));
        for number in 0..20_000 {
            let now = at(number / 10);
            passes(&mut store, number, now);
            while store.advance(now) {}
        }
        assert!(store.sources.len() < 1000, "{}", store.sources.len());
        assert!(store.routers.len() < 1000 && store.source_ids.len() < 1000);
        // Their records leave first.
        for seconds in 3000..3002 {
            while store.advance(at(seconds)) {}
        }
        assert_eq!((store.source_ids.len(), store.routers.len()), (1, 1));
        assert_eq!(store.source_id("stays:0"), Some(stays));
        assert_eq!(
            store.snapshot().sources().map(|source| source.id().to_owned()).collect::<Vec<_>>(),
            ["stays:0"]
        );
    }

    #[test]
    fn a_source_is_kept_while_a_record_is_its_own_or_shared_by_it() {
        // faults 4, 13
        let mut store = Store::new(StoreOptions { retention_micros: 60 * SECOND, ..StoreOptions::default() });
        let [first, second] = ["one", "two"].map(|id| store.source_seen(id, SourceType::Controller, at(0)));
        let site = UpdateBuf::new(RecordKind::Site, "site").with(Attribute::StartTime, at(0));
        for source in [first, second] {
            store.apply(source, &site, at(0));
        }
        // The first's connection stays for a request that lives.
        let connection = UpdateBuf::new(RecordKind::BiflowTport, "one:1").with(Attribute::StartTime, at(0));
        let request = UpdateBuf::new(RecordKind::BiflowApp, "two:1")
            .with(Attribute::StartTime, at(0))
            .with(Attribute::Parent, "one:1");
        store.apply(first, &connection, at(0));
        store.apply(second, &request, at(0));
        store.source_lost(first, at(0), at(0));
        for second in 0..300 {
            while store.advance(at(second)) {}
        }
        let source = |store: &Store, id: &str| {
            let snapshot = store.snapshot();
            let record = snapshot.find(id).next()?;
            record.source().map(|source| source.id().to_owned())
        };
        assert_eq!(source(&store, "one:1").as_deref(), Some("one"));
        assert_eq!(source(&store, "site").as_deref(), Some("two"), "it lives by the other");
        let end = UpdateBuf::new(RecordKind::BiflowApp, "two:1").with(Attribute::EndTime, at(300));
        store.apply(second, &end, at(300));
        for second in 300..600 {
            while store.advance(at(second)) {}
        }
        assert_eq!(store.source_id("one"), None);
        assert_eq!(store.source_id("two"), Some(second));
    }
}

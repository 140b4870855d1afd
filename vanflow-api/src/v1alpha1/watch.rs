//! What changes, as it changes.
//!
//! A watch is a list, and then each record that changes, as it is by the time the watcher takes it. All that is kept
//! of a watcher is the revision that it has seen: one that is slow is reported less often, never late (faults 19). One
//! that takes nothing at all, while there is something to take, is cut off.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use vanflow_proto::{Attribute, RecordKind};
use vanflow_store::{Record, RecordRef, Revision, Snapshot};

use crate::{
    body::{CHUNK, Progress, Render},
    json::Json,
    link::Side,
    network::Network,
    pace::{Pace, WatchFormat, Woken},
    query::media::Media,
    v1alpha1::{
        address::Address,
        list::{Cursor, Frame, Item, List, Step},
        query::Query,
        render::{Face, Scene},
    },
};

/// How long changes are gathered, at least, before they are reported.
const GATHER: Duration = Duration::from_millis(100);

/// How many changes are looked at in one go, and records in one go where the changes are not remembered.
const LOOKED_AT: usize = 1024;

/// One watcher.
#[derive(Debug)]
pub(crate) struct Watch {
    network: Network,
    query: Arc<Query>,
    format: WatchFormat,
    /// What the revisions belong to.
    instance: Arc<str>,
    state: State,
    /// The changes up to here have been reported.
    seen: Revision,
    pace: Pace,
}

#[derive(Debug)]
enum State {
    Listing(Box<List>),
    /// Waiting for changes. Where they are not remembered any more, what the watcher has is worth nothing if it
    /// had it from before it was connected: it has not seen records go.
    Following {
        is_resumed: bool,
    },
    /// Looking for what changed among all records, because the changes are not remembered any more.
    Scanning {
        snapshot: Snapshot,
        cursor: Box<Cursor>,
    },
    Over,
}

impl Watch {
    /// A watch that starts with the list.
    pub(crate) fn new(
        network: Network,
        query: Arc<Query>,
        format: WatchFormat,
        instance: Arc<str>,
        resume: Option<Revision>,
    ) -> Self {
        let mut watch = Self {
            network,
            query,
            format,
            instance,
            state: State::Over,
            seen: Revision::default(),
            pace: Pace::new(),
        };
        match resume {
            Some(revision) => {
                watch.seen = revision;
                watch.state = State::Following { is_resumed: true };
            }
            None => watch.state = watch.listing(),
        }
        watch
    }

    /// Everything that there is to report.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut watch| async {
            let piece = watch.next().await?;
            Some((piece, watch))
        })
    }

    fn listing(&self) -> State {
        let snapshot = self.network.snapshot();
        let frame = match self.format {
            WatchFormat::Lines => Frame { open: "[".to_owned(), between: ",", close: "]\n" },
            WatchFormat::Events => Frame {
                open: format!("event: list\nid: {}-{}\ndata: [", self.instance, snapshot.revision()),
                between: ",",
                close: "]\n\n",
            },
        };
        State::Listing(Box::new(List::new(snapshot, Arc::clone(&self.query), frame, Media::Json)))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(reason) = self.pace.stalled(&self.network, self.seen) {
            return Some(self.over(&reason));
        }
        let mut json = Json::with_capacity(4096);
        loop {
            match &mut self.state {
                State::Over => return None,
                State::Listing(list) => {
                    if list.fill(&mut json) == Progress::Done {
                        self.seen = list.revision();
                        self.state = State::Following { is_resumed: false };
                    }
                    if json.bytes.is_empty() {
                        tokio::task::yield_now().await;
                    }
                }
                State::Scanning { .. } => {
                    self.scan(&mut json);
                    if json.bytes.is_empty() {
                        tokio::task::yield_now().await;
                    }
                }
                State::Following { .. } => {
                    if let Some(piece) = self.follow(&mut json).await {
                        return Some(self.pace.hand_out(piece));
                    }
                }
            }
            if !json.bytes.is_empty() {
                return Some(self.pace.hand_out(json.bytes.into()));
            }
        }
    }

    /// Reports some changes, or waits for them. A piece of its own is a keep-alive or the end.
    async fn follow(&mut self, json: &mut Json) -> Option<Bytes> {
        self.pace.notice(&mut self.network).await;
        let (changes, snapshot) = {
            let store = self.network.read();
            (store.changes(self.seen, LOOKED_AT), store.snapshot())
        };
        if changes.overrun {
            let is_resumed = matches!(self.state, State::Following { is_resumed: true });
            self.state = if is_resumed {
                self.listing()
            } else {
                let cursor = Box::new(Cursor::new(&snapshot, &self.query.selection, true));
                self.scan_addresses(&snapshot, json);
                State::Scanning { snapshot, cursor }
            };
            return None;
        }
        if changes.upto > self.seen {
            let is_all = changes.upto >= snapshot.revision();
            self.report_changes(json, &snapshot, &changes.records, changes.upto);
            self.seen = changes.upto;
            if is_all {
                self.pace.gather(GATHER);
                self.state = State::Following { is_resumed: false };
            }
            if json.bytes.is_empty() {
                tokio::task::yield_now().await;
            }
            return None;
        }
        match self.pace.change(&mut self.network).await {
            Woken::ByChange => None,
            Woken::ByTheEnd(reason) => Some(self.over(reason)),
            Woken::ToKeepAlive => match self.format {
                // The id says that there was nothing of interest up to here.
                WatchFormat::Events => {
                    Some(format!(": nothing new\nid: {}-{}\n\n", self.instance, self.seen).into())
                }
                WatchFormat::Lines => None,
            },
        }
    }

    fn report_changes(&self, json: &mut Json, snapshot: &Snapshot, records: &[RecordRef], upto: Revision) {
        let routers = self.query.selection.routers(snapshot);
        let scene = Scene { snapshot, routers: &routers };
        for record in records.iter().filter_map(|at| snapshot.get(*at)) {
            for dependent in self.dependents(scene, record) {
                self.report(json, scene, dependent, None);
            }
            self.report_reported_sides(json, scene, record);
            self.report(json, scene, record, Some(record.revision()));
        }
        // A change of an address can be part of a change of several of its services: it is reported with the last.
        for address in self.addresses_after(snapshot, self.seen) {
            if address.revision <= upto {
                self.line(json, Some(address.revision), Item::Address(&address, &address.id()));
            }
        }
    }

    /// Records that have not changed themselves, but are shown with something of one that has (faults 8): LINKs with
    /// the routers at their ends, CONNECTORs with their process. Flows are too many to look through; they are shown
    /// with their processes as of their own latest change.
    fn dependents<'s>(&self, scene: Scene<'s>, record: Record<'s>) -> Vec<Record<'s>> {
        let (selection, snapshot) = (&self.query.selection, scene.snapshot);
        match record.kind() {
            Some(RecordKind::Router | RecordKind::RouterAccess) if selection.shows_kind(RecordKind::Link) => {
                let is_at = |link: &Record<'_>| {
                    let peer = link.peer();
                    [link.router(), peer, peer.and_then(|access| access.router())].contains(&Some(record))
                        || link.get(Attribute::Direction).is_some()
                };
                snapshot.live_of_kind(RecordKind::Link).filter(is_at).collect()
            }
            Some(RecordKind::Link) if selection.shows_kind(RecordKind::Link) => {
                scene.ends(record).counterparts().collect()
            }
            Some(RecordKind::Process) if selection.shows_kind(RecordKind::Connector) => snapshot
                .live_of_kind(RecordKind::Connector)
                .filter(|connector| connector.process() == Some(record))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Where a side of a link is reported that was shown as the far face of the other side, that face is no more.
    fn report_reported_sides<'s>(&self, json: &mut Json, scene: Scene<'s>, record: Record<'s>) {
        if record.kind() != Some(RecordKind::Link) || !record.is_live() {
            return;
        }
        let selection = &self.query.selection;
        for link in scene.ends(record).counterparts() {
            let ends = scene.ends(link);
            let is_shown = selection.includes(link) && selection.shows(link, Face::Far);
            if is_shown && Side::of(link).is_some() && ends.silent().is_none() {
                self.line(json, None, Item::NoFarLink(scene, link));
            }
        }
    }

    fn scan_addresses(&self, snapshot: &Snapshot, json: &mut Json) {
        for address in self.addresses_after(snapshot, self.seen) {
            self.line(json, None, Item::Address(&address, &address.id()));
        }
    }

    fn addresses_after(&self, snapshot: &Snapshot, seen: Revision) -> Vec<Address> {
        let selection = &self.query.selection;
        if !selection.has_addresses() {
            return Vec::new();
        }
        let mut addresses = Address::all(snapshot);
        addresses.retain(|address| address.revision > seen && selection.includes_address(address));
        addresses.sort_by_key(|address| address.revision);
        addresses
    }

    fn scan(&mut self, json: &mut Json) {
        let State::Scanning { snapshot, mut cursor } = std::mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let routers = self.query.selection.routers(&snapshot);
        let scene = Scene { snapshot: &snapshot, routers: &routers };
        for _ in 0..LOOKED_AT {
            if json.bytes.len() >= CHUNK {
                break;
            }
            let Some(step) = cursor.next(&snapshot) else {
                self.seen = snapshot.revision();
                self.state = State::Following { is_resumed: false };
                return;
            };
            if let Step::Found(record) = step
                && record.revision() > self.seen
            {
                self.report_reported_sides(json, scene, record);
                // Not in the order of their changes: nothing to go on from before all have been reported.
                self.report(json, scene, record, None);
            }
        }
        self.state = State::Scanning { snapshot, cursor };
    }

    fn report<'s>(&self, json: &mut Json, scene: Scene<'s>, record: Record<'s>, revision: Option<Revision>) {
        let selection = &self.query.selection;
        if !selection.includes(record) {
            return;
        }
        let mut faces = selection.faces(scene, record).peekable();
        while let Some(face) = faces.next() {
            // Whoever has seen one face has not seen the other: only the last is something to go on from.
            let revision = revision.filter(|_| faces.peek().is_none());
            self.line(json, revision, Item::Record(scene, record, face));
        }
    }

    /// One object, as a line or an event to go on from, if it passes the filters.
    fn line(&self, json: &mut Json, revision: Option<Revision>, item: Item<'_>) {
        if !item.is_admitted(&self.query) {
            return;
        }
        let id = |json: &mut Json| {
            if let Some(revision) = revision {
                json.raw("id: ");
                json.raw(&self.instance);
                json.raw("-");
                json.uint(revision.as_u64());
                json.raw("\n");
            }
        };
        self.format.item(json, id, |json| item.write(json, &self.query));
    }

    fn over(&mut self, reason: &str) -> Bytes {
        self.state = State::Over;
        self.format.over(reason)
    }
}

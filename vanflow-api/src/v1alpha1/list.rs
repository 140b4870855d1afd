//! Lists, rendered piece by piece from a snapshot.
//!
//! What is kept of a list that is under way is the snapshot and the positions that are left, four octets a record.

use std::{collections::HashSet, sync::Arc, vec};

use vanflow_proto::{RecordKind, SourceType};
use vanflow_store::{Record, RecordRef, Revision, Snapshot};

use crate::{
    body::{CHUNK, Progress, Render},
    json::{Chosen, Json, Members, Object},
    link::Routers,
    query::{csv, media::Media},
    v1alpha1::{
        address::Address,
        query::{Query, Selection},
        render::{self, FAR, Face, Scene},
        row::Row,
    },
};

/// What stands around and between the items of a list.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) open: String,
    pub(crate) between: &'static str,
    pub(crate) close: &'static str,
}

impl Frame {
    /// Of a list in a form; in JSON it is an array with a line for each item.
    pub(crate) fn of(media: Media) -> Self {
        match media {
            Media::Json => Self { open: "[".to_owned(), between: ",\n", close: "]\n" },
            _ => Self { open: String::new(), between: "", close: "" },
        }
    }
}

/// A list that is under way.
#[derive(Debug)]
pub(crate) struct List {
    snapshot: Snapshot,
    query: Arc<Query>,
    frame: Frame,
    media: Media,
    /// None before the first piece.
    items: Option<Items>,
    window: Paging,
}

#[derive(Debug)]
struct Items {
    routers: Routers,
    records: Cursor,
    others: vec::IntoIter<Other>,
}

/// Items that are no reported records.
#[derive(Debug)]
enum Other {
    /// An address, and the id of its record.
    Address(Address, String),
    SilentRouter(String),
}

/// What a list has one of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'s> {
    Record(Scene<'s>, Record<'s>, Face),
    Address(&'s Address, &'s str),
    /// An address by its name alone.
    Name(&'s str),
    SilentRouter(&'s str),
    /// What was the far face of a LINK until its other side was reported.
    NoFarLink(Scene<'s>, Record<'s>),
}

impl<'s> Item<'s> {
    /// Gives the members of the object that it is shown as.
    fn show(self, object: &mut impl Members<'s>) {
        match self {
            Self::Record(scene, record, face) => render::show(object, scene, record, face),
            Self::Address(address, id) => address.show(object, id),
            Self::Name(name) => object.string("name", name),
            Self::SilentRouter(id) => render::silent_router(object, id),
            Self::NoFarLink(scene, link) => render::no_far_link(object, scene, link),
        }
    }

    fn row(self) -> Row<'s> {
        let mut row = Row::default();
        self.show(&mut row);
        row
    }

    /// Whether it passes the filters.
    pub(crate) fn is_admitted(self, query: &Query) -> bool {
        query.admits_all() || query.admits_row(&self.row())
    }

    /// Writes it as JSON, with the properties that are asked for.
    pub(crate) fn write(self, json: &mut Json, query: &Query) {
        match (self, &query.fields) {
            (Self::Name(name), _) => json.string(name),
            (_, None) => {
                let mut object = Object::open(json);
                self.show(&mut object);
                object.close();
            }
            (_, Some(fields)) => {
                let mut chosen = Chosen { object: Object::open(json), names: fields };
                self.show(&mut chosen);
                chosen.object.close();
            }
        }
    }
}

/// How many items are still to be passed over, and then to be shown.
#[derive(Debug)]
struct Paging {
    skip: u64,
    left: u64,
    is_first: bool,
}

impl Paging {
    /// Whether the next item is to be shown, with what stands before it if so.
    #[inline]
    fn admit(&mut self, frame: &Frame, json: &mut Json) -> bool {
        if self.left == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left -= 1;
        if !self.is_first {
            json.raw(frame.between);
        }
        self.is_first = false;
        true
    }
}

/// How many records one piece looks at, at most: most of them may not be shown.
const LOOKED_AT: usize = 16 * 1024;

impl List {
    pub(crate) fn new(snapshot: Snapshot, query: Arc<Query>, frame: Frame, media: Media) -> Self {
        let window = Paging { skip: query.offset, left: query.limit, is_first: true };
        Self { snapshot, query, frame, media, items: None, window }
    }

    /// The state of the network that the list shows.
    pub(crate) fn revision(&self) -> Revision {
        self.snapshot.revision()
    }
}

impl Render for List {
    fn fill(&mut self, json: &mut Json) -> Progress {
        let Self { snapshot, query, frame, media, items, window } = self;
        let items = items.get_or_insert_with(|| {
            json.raw(&frame.open);
            if *media == Media::Csv {
                csv::header(json, query.columns().into_iter());
            }
            Items {
                routers: query.selection.routers(snapshot),
                records: Cursor::new(snapshot, &query.selection, query.include_deleted),
                others: others(snapshot, query).into_iter(),
            }
        });
        let columns = query.columns();
        let show = |json: &mut Json, window: &mut Paging, item: Item<'_>| {
            let row = (!query.admits_all()).then(|| item.row());
            if !row.as_ref().is_none_or(|row| query.admits_row(row)) || !window.admit(frame, json) {
                return;
            }
            match media {
                Media::Csv => {
                    let row = row.unwrap_or_else(|| item.row());
                    csv::line(json, columns.iter().map(|name| row.get(name).clone()));
                }
                _ => item.write(json, query),
            }
            media.after(json);
        };
        let mut is_over = false;
        for _ in 0..LOOKED_AT {
            if json.bytes.len() >= CHUNK {
                return Progress::More;
            }
            if is_over || window.left == 0 {
                json.raw(frame.close);
                return Progress::Done;
            }
            if let Some(step) = items.records.next(snapshot) {
                let Step::Found(record) = step else { continue };
                if query.admits(record) {
                    let scene = Scene { snapshot, routers: &items.routers };
                    for face in query.selection.faces(scene, record) {
                        show(json, window, Item::Record(scene, record, face));
                    }
                }
            } else if let Some(other) = items.others.next() {
                match &other {
                    Other::Address(address, _) if query.selection == Selection::VanAddrs => {
                        show(json, window, Item::Name(&address.name));
                    }
                    Other::Address(address, id) => show(json, window, Item::Address(address, id)),
                    Other::SilentRouter(id) => show(json, window, Item::SilentRouter(id)),
                }
            } else {
                is_over = true;
            }
        }
        Progress::More
    }
}

fn others(snapshot: &Snapshot, query: &Query) -> Vec<Other> {
    let selection = &query.selection;
    let mut others = Vec::new();
    if selection.has_addresses() {
        let is_listed = |address: &Address| {
            let is_there =
                if *selection == Selection::VanAddrs { address.is_exposed() } else { address.is_live };
            selection.includes_address(address) && (is_there || query.include_deleted)
        };
        let listed = Address::all(snapshot).into_iter().filter(is_listed);
        others.extend(listed.map(|address| {
            let id = address.id();
            Other::Address(address, id)
        }));
    }
    let mut routers = match selection {
        Selection::Topology | Selection::Kind(RecordKind::Router) | Selection::Record { .. } => {
            silent_routers(snapshot)
        }
        _ => Vec::new(),
    };
    if let Selection::Record { wanted, .. } = selection {
        routers.retain(|id| wanted.contains(id));
    }
    others.extend(routers.into_iter().map(Other::SilentRouter));
    others
}

/// Routers that are there and whose ROUTER record is not, because their answer to FLUSH got lost (faults 1).
fn silent_routers(snapshot: &Snapshot) -> Vec<String> {
    snapshot
        .sources()
        .filter(|source| source.is_alive() && source.source_type() == SourceType::Router)
        .filter(|source| {
            !snapshot
                .find(source.id())
                .any(|record| record.kind() == Some(RecordKind::Router) && record.is_live())
        })
        .map(|source| source.id().to_owned())
        .collect()
}

/// The records of a selection, one by one.
#[derive(Debug)]
pub(crate) struct Cursor {
    left: Left,
}

#[derive(Debug)]
enum Left {
    /// These.
    Known(vec::IntoIter<RecordRef>),
    /// Those after this one, as far as they are wanted.
    After { at: Option<RecordRef>, wanted: Wanted },
    /// Those of these that are wanted.
    Among { records: vec::IntoIter<RecordRef>, wanted: Wanted },
    /// The flows under the carriers. A flow is followed by the flows within it.
    Under {
        /// What has been found and is left, innermost last.
        levels: Vec<vec::IntoIter<RecordRef>>,
        /// Where to look when that is done.
        carriers: vec::IntoIter<RecordRef>,
        /// The other direction of the flow that was found last, if nobody reported what that one is under.
        stray: Option<RecordRef>,
    },
}

/// Which of all records.
#[derive(Debug)]
enum Wanted {
    /// Those that were reported.
    Reported,
    /// Those of a type.
    Type(u32),
    /// Those under a carrier, themselves included.
    Under(HashSet<RecordRef>),
}

impl Wanted {
    fn includes(&self, record: Record<'_>) -> bool {
        match self {
            Self::Reported => !record.is_derived(),
            Self::Type(code) => record.type_code() == Some(*code),
            Self::Under(carriers) => carrier(record).is_some_and(|carrier| carriers.contains(&carrier.at())),
        }
    }
}

/// One step of a [`Cursor`].
#[derive(Debug)]
pub(crate) enum Step<'s> {
    /// A record of the selection, live or ended.
    Found(Record<'s>),
    /// A record that is none.
    Passed,
}

impl Cursor {
    /// With `ended`, ended records are found as well. Without, they may be.
    pub(crate) fn new(snapshot: &Snapshot, selection: &Selection, ended: bool) -> Self {
        let known = |records: Vec<RecordRef>| Left::Known(records.into_iter());
        let left = match selection {
            Selection::Topology => {
                let mut records = of_kind(snapshot, RecordKind::Router, ended);
                records.append(&mut of_kind(snapshot, RecordKind::Link, ended));
                known(records)
            }
            Selection::Kind(kind) => known(of_kind(snapshot, *kind, ended)),
            Selection::VanAddrs | Selection::Addresses => known(Vec::new()),
            Selection::Flows { address } => flows_of(snapshot, address, ended, GATHERED),
            Selection::Record { ids, .. } => known(find(snapshot, ids)),
            Selection::Records { type_code: None } => Left::After { at: None, wanted: Wanted::Reported },
            Selection::Records { type_code: Some(code) } => match RecordKind::from_code(*code) {
                Some(kind) if kind.is_flow() && ended => {
                    Left::After { at: None, wanted: Wanted::Type(*code) }
                }
                Some(kind) => known(of_kind(snapshot, kind, ended)),
                None => known(snapshot.of_type(*code).map(|record| record.at()).collect()),
            },
        };
        Self { left }
    }

    #[inline]
    pub(crate) fn next<'s>(&mut self, snapshot: &'s Snapshot) -> Option<Step<'s>> {
        // A list keeps to its snapshot: what was there is there, but for none to pass.
        let found = |record: Option<Record<'s>>| record.map_or(Step::Passed, Step::Found);
        Some(match &mut self.left {
            Left::Known(records) => found(snapshot.get(records.next()?)),
            Left::After { at, wanted } => {
                let record = snapshot.next_after(*at)?;
                *at = Some(record.at());
                found(Some(record).filter(|record| wanted.includes(*record)))
            }
            Left::Among { records, wanted } => {
                found(snapshot.get(records.next()?).filter(|record| wanted.includes(*record)))
            }
            Left::Under { stray, .. } if stray.is_some() => found(snapshot.get(stray.take()?)),
            Left::Under { levels, carriers, stray } => match next_under(levels) {
                Some(at) => {
                    let record = snapshot.get(at);
                    levels.extend(record.and_then(flows_in_flow));
                    *stray = record.and_then(stray_counterflow).map(|record| record.at());
                    found(record)
                }
                None => {
                    let carrier = snapshot.get(carriers.next()?);
                    levels.extend(carrier.and_then(flows_under));
                    Step::Passed
                }
            },
        })
    }
}

/// Records of a kind; lines of logs end as they start, and are asked for all the same.
fn of_kind(snapshot: &Snapshot, kind: RecordKind, ended: bool) -> Vec<RecordRef> {
    if ended || kind == RecordKind::Log {
        snapshot.of_kind(kind).map(|record| record.at()).collect()
    } else {
        snapshot.live_of_kind(kind).map(|record| record.at()).collect()
    }
}

/// A service with more flows than this is found by going through all flows there are, a piece at a time: gathering
/// its own would hold up the first piece.
const GATHERED: u64 = 20_000;

fn flows_of(snapshot: &Snapshot, address: &str, ended: bool, gathered: u64) -> Left {
    let mut records = Vec::new();
    let mut connectors = Vec::new();
    let mut flows = 0;
    for service in snapshot.services().filter(|service| service.address() == *address) {
        records.extend(service.listeners().map(|record| record.at()));
        connectors.extend(service.connectors().map(|record| record.at()));
        flows += service.total_flows();
    }
    records.append(&mut connectors);
    let carriers: HashSet<_> = records.iter().copied().collect();
    if ended && flows > gathered {
        return Left::After { at: None, wanted: Wanted::Under(carriers) };
    }
    if ended {
        let carriers = records.clone().into_iter();
        return Left::Under { carriers, levels: vec![records.into_iter()], stray: None };
    }
    // There may be a hundred ended flows for each that lives: it costs less to look at all that live.
    if !carriers.is_empty() {
        for kind in [RecordKind::BiflowTport, RecordKind::BiflowApp, RecordKind::Flow] {
            records.extend(snapshot.live_of_kind(kind).map(|record| record.at()));
        }
    }
    Left::Among { records: records.into_iter(), wanted: Wanted::Under(carriers) }
}

/// The listener or connector that carries a record. A FLOW whose own is not known has that of the other direction.
pub(crate) fn carrier(record: Record<'_>) -> Option<Record<'_>> {
    record.endpoint().or_else(|| match record.kind() {
        Some(RecordKind::Flow) => record.counterflow()?.endpoint(),
        _ => None,
    })
}

fn stray_counterflow(record: Record<'_>) -> Option<Record<'_>> {
    if record.kind() != Some(RecordKind::Flow) {
        return None;
    }
    record.counterflow().filter(|counterflow| counterflow.endpoint().is_none())
}

fn next_under(levels: &mut Vec<vec::IntoIter<RecordRef>>) -> Option<RecordRef> {
    loop {
        match levels.last_mut()?.next() {
            Some(at) => return Some(at),
            None => levels.pop(),
        };
    }
}

fn flows_in_flow(record: Record<'_>) -> Option<vec::IntoIter<RecordRef>> {
    record.kind().is_some_and(RecordKind::is_flow).then(|| flows_under(record)).flatten()
}

/// The flows directly under a record, if there are any.
fn flows_under(record: Record<'_>) -> Option<vec::IntoIter<RecordRef>> {
    let mut flows =
        record.children().filter(|child| child.kind().is_some_and(RecordKind::is_flow)).peekable();
    flows.peek()?;
    Some(flows.map(|flow| flow.at()).collect::<Vec<_>>().into_iter())
}

/// The records with those ids, each once.
fn find(snapshot: &Snapshot, ids: &[String]) -> Vec<RecordRef> {
    let mut found = Vec::new();
    for id in ids {
        let before = found.len();
        found.extend(snapshot.find(id).map(|record| record.at()));
        if found.len() == before
            && let Some(near) = id.strip_suffix(FAR)
        {
            found.extend(snapshot.find(near).map(|record| record.at()));
        }
    }
    let mut seen = HashSet::new();
    found.retain(|at| seen.insert(*at));
    found
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs::File, io::BufReader, path::Path};

    use vanflow_proto::{Body, Message, Timestamp, capture};
    use vanflow_store::{Store, StoreOptions};

    use super::*;

    fn capture(name: &str) -> Snapshot {
        let mut store = Store::new(StoreOptions::default());
        let now = Timestamp::from_micros(1_795_347_880_000_000);
        let source = store.source_seen("a:0", SourceType::Router, now);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures").join(name);
        for captured in capture::read(BufReader::new(File::open(path).unwrap())) {
            let captured = captured.unwrap();
            let Body::Records(updates) = Message::decode(&captured.message).unwrap().body else { continue };
            updates.for_each(|update| store.apply(source, update.unwrap(), now));
        }
        store.snapshot()
    }

    fn found(snapshot: &Snapshot, left: Left) -> Vec<String> {
        let mut cursor = Cursor { left };
        let steps = std::iter::from_fn(|| cursor.next(snapshot));
        let ids = steps.filter_map(|step| match step {
            Step::Found(record) => Some(record.id().to_string()),
            Step::Passed => None,
        });
        ids.collect()
    }

    #[test]
    fn the_flows_of_a_service_are_the_same_whichever_way_they_are_found() {
        for name in ["router-2.7.jsonl", "router-3.5.jsonl", "router-3.5-halves.jsonl"] {
            let snapshot = capture(name);
            for address in ["echo:7", "web", "shop", "dead"] {
                let gathered = found(&snapshot, flows_of(&snapshot, address, true, u64::MAX));
                let walked = found(&snapshot, flows_of(&snapshot, address, true, 0));
                assert!(gathered.len() > 20, "{name} {address}");
                let all: BTreeSet<_> = gathered.iter().collect();
                assert_eq!(all.len(), gathered.len(), "{name} {address}: none comes twice");
                assert_eq!(all, walked.iter().collect(), "{name} {address}");
            }
        }
    }
}

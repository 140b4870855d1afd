//! Connections and requests, whatever records they are made of.
//!
//! A router of the 3.x series reports a connection as one BIFLOW_TPORT and a request as one BIFLOW_APP, for both
//! directions. Up to 2.x there are two FLOW records, one for each direction, and they come from two routers:
//!
//! | half | whose | parent | reports |
//! |---|---|---|---|
//! | near | the client's router | of a connection a LISTENER, of a request the near half of its connection | what the client sent, how long it waited, method and result of a request |
//! | far | the server's router | of a connection a CONNECTOR, of a request the connector's own FLOW | what the server sent, how long it took; names the near half as its counterflow |
//!
//! [`Connection`] and [`Request`] read alike from either. Rules for FLOW records:
//!
//! - The near half says what a connection is: its id, when it starts and ends, and which listener it belongs to. Each
//!   half is by the clock of its own source, so that times of the two are not compared.
//! - Either half can come first, late or never. Until the near half is reported the far one stands for the connection,
//!   under the id of the near one.
//! - Where several far halves name one near half, the one that started last counts, then the one with the lowest id: a
//!   router that tries again reports another.
//! - A FLOW under a CONNECTOR without a counterflow is the connector's own: what a 2.x router keeps open to an HTTP
//!   server, or tries to. It is no connection of a client.
//! - Routers of the 2.x series route each HTTP request by itself: the connection of such a client has no far half, and
//!   what comes back through it is what its requests are answered with. Where all of those were answered through one
//!   connector, as far as that is reported, it is the connector of the connection; where through several, none is.

use std::borrow::Cow;

use vanflow_proto::{Attribute, RecordKind, Timestamp};

use crate::{
    changes::Revision,
    halves::{Counted, HalfMembership, MOST_FAR_HALVES},
    lane::{Contribution, Lane},
    record::{Record, Service},
    row::Table,
    schema::COUNTERFLOW,
    share::ConnectionShare,
    snapshot::{Snapshot, Text},
};

/// What records of traffic stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowKind {
    /// A connection of a client: a BIFLOW_TPORT, or FLOW records.
    Connection,
    /// A request within one: a BIFLOW_APP, or FLOW records.
    Request,
}

/// The halves of which a connection or request is known.
#[derive(Clone, Copy, Debug)]
enum Halves<'s> {
    /// Both, in one record.
    Whole,
    /// The near one, and perhaps the far one.
    Near(Option<Record<'s>>),
    /// The far one alone.
    Far,
}

/// The record that stands for a connection or request, and the other half of it.
#[derive(Clone, Copy, Debug)]
struct Halved<'s> {
    record: Record<'s>,
    halves: Halves<'s>,
}

impl PartialEq for Halved<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl<'s> Halved<'s> {
    /// None where the record stands for nothing of that kind.
    fn new(record: Record<'s>, kind: FlowKind) -> Option<Self> {
        if record.flow_kind() != Some(kind) {
            return None;
        }
        let halves = match record.kind()? {
            RecordKind::Flow if record.flow_id() != record.id() => Halves::Far,
            RecordKind::Flow => Halves::Near(record.far_half()),
            _ => Halves::Whole,
        };
        Some(Self { record, halves })
    }

    fn id(&self) -> Text<'s> {
        self.record.flow_id()
    }

    fn near(&self) -> Option<Record<'s>> {
        match self.halves {
            Halves::Far => None,
            Halves::Whole | Halves::Near(_) => Some(self.record),
        }
    }

    fn far(&self) -> Option<Record<'s>> {
        match self.halves {
            Halves::Whole => None,
            Halves::Near(far) => far,
            Halves::Far => Some(self.record),
        }
    }

    /// An attribute of a record for both directions, or another of the far half.
    fn reverse<T>(
        &self,
        read: impl Fn(&Record<'s>, Attribute) -> Option<T>,
        whole: Attribute,
        far: Attribute,
    ) -> Option<T> {
        match self.halves {
            Halves::Whole => read(&self.record, whole),
            Halves::Near(_) | Halves::Far => read(&self.far()?, far),
        }
    }

    /// What went wrong, as BIFLOW_TPORT records say it: the error, and the reason in parentheses.
    fn error(&self, whole: Attribute, half: Option<Record<'s>>) -> Option<Cow<'s, str>> {
        if let Halves::Whole = self.halves {
            return self.record.text(whole).map(Text::to_cow);
        }
        let half = half?;
        let result = half.text(Attribute::Result)?;
        Some(match half.text(Attribute::Reason) {
            Some(reason) => Cow::Owned(format!("{result} ({reason})")),
            None => result.to_cow(),
        })
    }

    fn revision(&self) -> Revision {
        self.far().map_or(self.record.revision(), |far| far.revision().max(self.record.revision()))
    }

    fn is_complete(&self) -> bool {
        match self.halves {
            Halves::Whole => true,
            Halves::Near(far) => far.is_some(),
            Halves::Far => false,
        }
    }
}

macro_rules! halved {
    ($name:ident) => {
        impl<'s> $name<'s> {
            /// The record that stands for it: the one that there is, or the near half while that is reported.
            pub fn record(&self) -> Record<'s> {
                self.0.record
            }

            /// Its identity: that of the record, or of the near half, reported or not.
            pub fn id(&self) -> Text<'s> {
                self.0.id()
            }

            /// Whether both directions are reported, in one record or in two.
            pub fn is_complete(&self) -> bool {
                self.0.is_complete()
            }

            /// When it started, by the clock of the source of its record.
            pub fn start(&self) -> Option<Timestamp> {
                self.0.record.start()
            }

            /// When it ended, by the same clock.
            pub fn end(&self) -> Option<Timestamp> {
                self.0.record.end()
            }

            /// Whether it is open: what the near half says, once that is reported.
            pub fn is_live(&self) -> bool {
                self.0.record.is_live()
            }

            /// See [`Record::duration_micros`].
            pub fn duration_micros(&self) -> Option<u64> {
                self.0.record.duration_micros()
            }

            /// Octets from client to server.
            pub fn octets(&self) -> Option<u64> {
                self.0.near()?.uint(Attribute::Octets)
            }

            /// Microseconds to the first octet, as the client saw it.
            pub fn latency(&self) -> Option<u64> {
                self.0.near()?.uint(Attribute::Latency)
            }

            /// The revision of the latest change of any record that it is made of.
            pub fn revision(&self) -> Revision {
                self.0.revision()
            }
        }
    };
}

/// A connection of a client. See the [module's documentation](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connection<'s>(Halved<'s>);

halved!(Connection);

impl<'s> Connection<'s> {
    /// The connection that a record stands for, if it does.
    pub fn new(record: Record<'s>) -> Option<Self> {
        Halved::new(record, FlowKind::Connection).map(Self)
    }

    /// Octets from server to client.
    pub fn octets_reverse(&self) -> Option<u64> {
        let reported = self.0.reverse(Record::uint, Attribute::OctetsReverse, Attribute::Octets);
        reported.or_else(|| match self.0.halves {
            Halves::Near(None) => self.0.record.half().map(|half| half.answered).filter(|octets| *octets > 0),
            Halves::Near(Some(_)) | Halves::Whole | Halves::Far => None,
        })
    }

    /// Microseconds to the first octet of the workload, as the connector saw it.
    pub fn process_latency(&self) -> Option<u64> {
        self.0.reverse(Record::uint, Attribute::ProcessLatency, Attribute::Latency)
    }

    /// The host that the client connects from.
    pub fn source_host(&self) -> Option<Text<'s>> {
        self.0.near()?.text(Attribute::SourceHost)
    }

    /// The port that the client connects from.
    pub fn source_port(&self) -> Option<Text<'s>> {
        self.0.near()?.text(Attribute::SourcePort)
    }

    /// The host that the connector connects from.
    pub fn proxy_host(&self) -> Option<Text<'s>> {
        self.0.reverse(Record::text, Attribute::ProxyHost, Attribute::SourceHost)
    }

    /// The port that the connector connects from.
    pub fn proxy_port(&self) -> Option<Text<'s>> {
        self.0.reverse(Record::text, Attribute::ProxyPort, Attribute::SourcePort)
    }

    /// The routers passed, as they are reported; see [`Attribute::Trace`].
    pub fn trace(&self) -> Option<Text<'s>> {
        self.0.reverse(Record::text, Attribute::Trace, Attribute::Trace)
    }

    /// What went wrong at the listener.
    pub fn error_listener_side(&self) -> Option<Cow<'s, str>> {
        self.0.error(Attribute::ErrorListenerSide, self.0.near())
    }

    /// What went wrong at the connector.
    pub fn error_connector_side(&self) -> Option<Cow<'s, str>> {
        self.0.error(Attribute::ErrorConnectorSide, self.0.far())
    }

    /// The id of the listener, if it was reported. Whether there is such a record is another question.
    pub fn listener_id(&self) -> Option<Text<'s>> {
        self.0.near()?.text(Attribute::Parent)
    }

    /// The listener.
    pub fn listener(&self) -> Option<Record<'s>> {
        self.0.near()?.parent().filter(|parent| parent.kind() == Some(RecordKind::Listener))
    }

    /// The id of the connector, if it was reported. Whether there is such a record is another question.
    pub fn connector_id(&self) -> Option<Text<'s>> {
        match self.0.halves {
            Halves::Near(None) => self.lane()?.connector_id(),
            _ => self.0.reverse(Record::text, Attribute::Connector, Attribute::Parent),
        }
    }

    /// The connector that was reported; of a connection without a far half the one that all of its requests were answered
    /// by of which that is known.
    pub fn connector(&self) -> Option<Record<'s>> {
        match self.0.halves {
            Halves::Whole => self.0.record.connector(),
            Halves::Near(None) => self.lane()?.connector(),
            Halves::Near(_) | Halves::Far => self.0.far()?.parent(),
        }
    }

    /// Where none was reported, the only connector of the service that was there when it began (faults 11).
    pub fn connector_inferred(&self) -> Option<Record<'s>> {
        self.lane()?.connector_inferred()
    }

    /// The service, by its listener or connector.
    pub fn service(&self) -> Option<Service<'s>> {
        self.lane()?.service()
    }

    /// The PROCESS of the client when it began; see [`Record::process`].
    pub fn process(&self) -> Option<Record<'s>> {
        self.lane()?.process()
    }

    /// The PROCESS behind the connector, reported or inferred, when it began.
    pub fn server_process(&self) -> Option<Record<'s>> {
        self.lane()?.server_process()
    }

    /// Its requests, live and ended, the one that was reported last first.
    pub fn requests(&self) -> impl Iterator<Item = Request<'s>> + use<'s> {
        self.0.record.children().filter_map(Request::new)
    }

    /// The lane that it is in.
    pub fn lane(&self) -> Option<Lane<'s>> {
        self.0.record.lane()
    }

    /// What it adds to the totals of its lane, beside its requests.
    pub fn contribution(&self) -> Contribution {
        let record = self.0.record;
        let (contents, slot) = (record.contents, record.at.slot());
        let share = match self.0.halves {
            Halves::Whole => {
                let row = contents.tports.get(slot);
                row.map(|row| ConnectionShare::of_row(record.at, row, &contents.texts, &contents.continued))
            }
            Halves::Near(_) | Halves::Far => record.half().and_then(|half| match half.counted {
                Counted::Connection { share, .. } => Some(share),
                Counted::Nothing | Counted::Request { .. } => None,
            }),
        };
        Contribution::new(&share.unwrap_or_default())
    }
}

/// A request within a connection. See the [module's documentation](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request<'s>(Halved<'s>);

halved!(Request);

impl<'s> Request<'s> {
    /// The request that a record stands for, if it does.
    pub fn new(record: Record<'s>) -> Option<Self> {
        Halved::new(record, FlowKind::Request).map(Self)
    }

    /// Octets from server to client.
    pub fn octets_reverse(&self) -> Option<u64> {
        self.0.reverse(Record::uint, Attribute::OctetsReverse, Attribute::Octets)
    }

    /// The client as a proxy in front of the listener reports it: the left-most address in `X-Forwarded-For`.
    pub fn client_address(&self) -> Option<Text<'s>> {
        self.0.near()?.text(Attribute::SourceHost)
    }

    /// The method.
    pub fn method(&self) -> Option<Text<'s>> {
        self.0.near()?.text(Attribute::Method)
    }

    /// The status of the response.
    pub fn result(&self) -> Option<Text<'s>> {
        self.0.near()?.text(Attribute::Result)
    }

    /// The protocol as it was reported: of FLOW records that of their listener.
    pub fn protocol(&self) -> Option<Text<'s>> {
        match self.0.halves {
            Halves::Whole => self.0.record.text(Attribute::Protocol),
            Halves::Near(_) | Halves::Far => self.connection()?.listener()?.text(Attribute::Protocol),
        }
    }

    /// The id of its connection, if it was reported.
    pub fn connection_id(&self) -> Option<Text<'s>> {
        self.0.near()?.text(Attribute::Parent)
    }

    /// Its connection.
    pub fn connection(&self) -> Option<Connection<'s>> {
        Connection::new(self.0.near()?.parent()?)
    }
}

impl<'s> Record<'s> {
    /// What it stands for: none for the half of a pair that another record stands for, for a connector's own FLOW, and
    /// for anything that is no traffic.
    pub fn flow_kind(&self) -> Option<FlowKind> {
        match self.kind()? {
            RecordKind::BiflowTport => Some(FlowKind::Connection),
            RecordKind::BiflowApp => Some(FlowKind::Request),
            RecordKind::Flow => match self.half()?.counted {
                Counted::Nothing => None,
                Counted::Connection { .. } => Some(FlowKind::Connection),
                Counted::Request { .. } => Some(FlowKind::Request),
            },
            _ => None,
        }
    }

    /// Of a FLOW, how it is counted.
    fn half(&self) -> Option<&'s HalfMembership> {
        match self.at.table() {
            Table::Flows => Some(&self.contents.flows.get(self.at.slot())?.membership),
            _ => None,
        }
    }

    /// Of a FLOW, the one that names it as its counterflow and counts.
    fn far_half(&self) -> Option<Record<'s>> {
        let naming = self.referrers(COUNTERFLOW).filter(|record| record.at.table() == Table::Flows);
        naming.take(MOST_FAR_HALVES).max_by(|left, right| {
            let by_start = left.start().cmp(&right.start());
            by_start.then_with(|| right.id().cmp(&left.id())).then_with(|| left.at.cmp(&right.at))
        })
    }

    /// The identity of the connection or request that it stands for: its own, unless it is the far half of what is known
    /// by the near one.
    pub fn flow_id(&self) -> Text<'s> {
        let key = self.half().and_then(|half| half.counted.key());
        key.and_then(|key| self.contents.id(key)).unwrap_or_else(|| self.id())
    }
}

impl Snapshot {
    /// Every record that stands for a connection or request, live and ended, in the order of
    /// [`RecordRef`](crate::RecordRef).
    pub fn flows(&self, kind: FlowKind) -> impl Iterator<Item = Record<'_>> {
        let halves = self.of_kind(RecordKind::Flow).filter(move |record| record.flow_kind() == Some(kind));
        self.of_kind(kind.biflow()).chain(halves)
    }

    /// Those that live: costs what there is that lives.
    pub fn live_flows(&self, kind: FlowKind) -> impl Iterator<Item = Record<'_>> {
        let halves =
            self.live_of_kind(RecordKind::Flow).filter(move |record| record.flow_kind() == Some(kind));
        self.live_of_kind(kind.biflow()).chain(halves)
    }

    /// How many of them live: costs nothing.
    pub fn live_flow_count(&self, kind: FlowKind) -> usize {
        self.live_count(kind.biflow()) + self.contents.halves[kind as usize].live
    }

    /// How many of them there are, live and ended: costs nothing.
    pub fn retained_flow_count(&self, kind: FlowKind) -> usize {
        self.retained_count(kind.biflow()) + self.contents.halves[kind as usize].retained
    }

    /// The record that stands for the connection or request with that id. Of several that had it, one after the other
    /// (faults 6), the present one.
    pub fn flow(&self, kind: FlowKind, id: &str) -> Option<Record<'_>> {
        let is_one = |record: &Record<'_>| record.flow_kind() == Some(kind) && record.flow_id() == *id;
        let contents = &*self.contents;
        contents.scopes.keys(id).filter_map(|key| contents.index.get(key)).find_map(|at| {
            // What only the far half is known of is found by its counterflow, which holds a place.
            let naming = contents.referrers(at, COUNTERFLOW).take(MOST_FAR_HALVES);
            contents.record(at).into_iter().chain(naming).find(is_one)
        })
    }
}

impl FlowKind {
    /// The kind of the records that stand for it wholly.
    pub fn biflow(self) -> RecordKind {
        match self {
            Self::Connection => RecordKind::BiflowTport,
            Self::Request => RecordKind::BiflowApp,
        }
    }
}

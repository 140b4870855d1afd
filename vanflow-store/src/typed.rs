//! Records by their kind, each with the attributes that its kind has.

use std::ops::Deref;

use vanflow_proto::{Attribute, RecordKind, Timestamp};

use crate::{record::Record, snapshot::Text};

macro_rules! typed {
    ($( $(#[doc = $doc:literal])+ $kind:ident { $($method:ident: $attribute:ident $what:ident,)+ } )+) => {
        /// A record by its kind. Kinds that sources do not report are left out.
        ///
        /// ```
        /// # use vanflow_store::{StoreOptions, Store, Typed};
        /// let snapshot = Store::new(StoreOptions::default()).snapshot();
        /// for record in snapshot.records() {
        ///     match record.typed() {
        ///         Some(Typed::Link(link)) => println!("{:?} costs {:?}", link.name(), link.link_cost()),
        ///         Some(Typed::Router(router)) => println!("{:?} at {:?}", router.name(), router.site()),
        ///         _ => {}
        ///     }
        /// }
        /// ```
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum Typed<'s> {
            $( $(#[doc = $doc])+ $kind($kind<'s>), )+
        }

        impl<'s> Typed<'s> {
            pub(crate) fn new(record: Record<'s>) -> Option<Self> {
                match record.kind()? {
                    $( RecordKind::$kind => Some(Self::$kind($kind(record))), )+
                    _ => None,
                }
            }
        }

        $(
            $(#[doc = $doc])+
            ///
            /// Dereferences to the [`Record`] that it is.
            #[derive(Clone, Copy, Debug)]
            pub struct $kind<'s>(Record<'s>);

            impl<'s> $kind<'s> {
                #[cfg(test)]
                const ATTRIBUTES: &'static [Attribute] = &[$(Attribute::$attribute),+];

                $( typed!(@ $method $attribute $what); )+
            }

            impl<'s> Deref for $kind<'s> {
                type Target = Record<'s>;

                fn deref(&self) -> &Record<'s> {
                    &self.0
                }
            }

            impl<'s> TryFrom<Record<'s>> for $kind<'s> {
                type Error = Record<'s>;

                /// The record as what it is; itself, if it is something else.
                fn try_from(record: Record<'s>) -> Result<Self, Record<'s>> {
                    if record.kind() == Some(RecordKind::$kind) { Ok(Self(record)) } else { Err(record) }
                }
            }
        )+

        #[cfg(test)]
        const LISTED: &[(RecordKind, &[Attribute])] = &[$( (RecordKind::$kind, $kind::ATTRIBUTES) ),+];
    };
    (@ $method:ident $attribute:ident text) => {
        #[doc = concat!("See [`Attribute::", stringify!($attribute), "`].")]
        pub fn $method(&self) -> Option<Text<'s>> {
            self.0.text(Attribute::$attribute)
        }
    };
    (@ $method:ident $attribute:ident instant) => {
        #[doc = concat!("See [`Attribute::", stringify!($attribute), "`]; by the clock of the source.")]
        pub fn $method(&self) -> Option<Timestamp> {
            self.0.uint(Attribute::$attribute).map(Timestamp::from_micros)
        }
    };
    (@ $method:ident $attribute:ident number) => {
        #[doc = concat!("See [`Attribute::", stringify!($attribute), "`], which has the unit too.")]
        pub fn $method(&self) -> Option<u64> {
            self.0.uint(Attribute::$attribute)
        }
    };
}

typed! {
    /// A site: a place where part of an application runs.
    Site {
        start_time: StartTime instant,
        end_time: EndTime instant,
        location: Location text,
        provider: Provider text,
        platform: Platform text,
        namespace: Namespace text,
        name: Name text,
        build_version: BuildVersion text,
    }
    /// A router.
    Router {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        namespace: Namespace text,
        mode: Mode text,
        image_name: ImageName text,
        image_version: ImageVersion text,
        hostname: Hostname text,
        name: Name text,
        build_version: BuildVersion text,
    }
    /// A link between two routers.
    Link {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        peer_id: Peer text,
        mode: Mode text,
        dest_host: DestHost text,
        protocol: Protocol text,
        dest_port: DestPort text,
        octets: Octets number,
        result: Result text,
        reason: Reason text,
        name: Name text,
        link_cost: LinkCost number,
        direction: Direction text,
        octet_rate: OctetRate number,
        oper_status: OperStatus text,
        role: Role text,
        up_time_stamp: UpTimeStamp instant,
        down_time_stamp: DownTimeStamp instant,
        down_count: DownCount number,
        octets_reverse: OctetsReverse number,
        octet_rate_reverse: OctetRateReverse number,
        active_tls_ordinal: ActiveTlsOrdinal number,
        http_proxy: HttpProxy text,
    }
    /// A controller of a site.
    Controller {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        image_name: ImageName text,
        image_version: ImageVersion text,
        hostname: Hostname text,
        name: Name text,
        build_version: BuildVersion text,
    }
    /// Where a router accepts connections of clients.
    Listener {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        dest_host: DestHost text,
        protocol: Protocol text,
        dest_port: DestPort text,
        van_address: VanAddress text,
        name: Name text,
        flow_count_l4: FlowCountL4 number,
        flow_count_l7: FlowCountL7 number,
        flow_rate_l4: FlowRateL4 number,
        flow_rate_l7: FlowRateL7 number,
    }
    /// Where a router connects to a workload.
    Connector {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        process_id: Process text,
        dest_host: DestHost text,
        protocol: Protocol text,
        dest_port: DestPort text,
        van_address: VanAddress text,
        name: Name text,
        flow_count_l4: FlowCountL4 number,
        flow_count_l7: FlowCountL7 number,
        flow_rate_l4: FlowRateL4 number,
        flow_rate_l7: FlowRateL7 number,
    }
    /// One direction of a connection or request, as routers up to 2.x report it.
    Flow {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        counterflow_id: Counterflow text,
        source_host: SourceHost text,
        source_port: SourcePort text,
        octets: Octets number,
        latency: Latency number,
        method: Method text,
        result: Result text,
        reason: Reason text,
        trace: Trace text,
        octet_rate: OctetRate number,
        octets_out: OctetsOut number,
        octets_unacked: OctetsUnacked number,
        window_closures: WindowClosures number,
        window_size: WindowSize number,
        stream_id: StreamId number,
    }
    /// A process: a pod, a container, a program on a host.
    Process {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        mode: Mode text,
        source_host: SourceHost text,
        image_name: ImageName text,
        image_version: ImageVersion text,
        hostname: Hostname text,
        name: Name text,
        group: Group text,
    }
    /// An image that processes run; derived by collectors.
    Image {
        name: Name text,
    }
    /// A group of processes, as 1.x controllers report it.
    ProcessGroup {
        name: Name text,
    }
    /// A host of a site, as 1.x controllers report it.
    Host {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        provider: Provider text,
        name: Name text,
    }
    /// A line of a router's log; it starts and ends in the same moment.
    Log {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        log_severity: LogSeverity number,
        log_text: LogText text,
        source_file: SourceFile text,
        source_line: SourceLine number,
    }
    /// Where a router accepts links of other routers.
    RouterAccess {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        name: Name text,
        link_count: LinkCount number,
        role: Role text,
        active_tls_ordinal: ActiveTlsOrdinal number,
    }
    /// A connection through the network, both directions in one record.
    BiflowTport {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        source_host: SourceHost text,
        source_port: SourcePort text,
        octets: Octets number,
        latency: Latency number,
        trace: Trace text,
        octets_reverse: OctetsReverse number,
        connector_id: Connector text,
        process_latency: ProcessLatency number,
        proxy_host: ProxyHost text,
        proxy_port: ProxyPort text,
        error_listener_side: ErrorListenerSide text,
        error_connector_side: ErrorConnectorSide text,
    }
    /// A request within a connection, both directions in one record.
    BiflowApp {
        parent_id: Parent text,
        start_time: StartTime instant,
        end_time: EndTime instant,
        source_host: SourceHost text,
        protocol: Protocol text,
        octets: Octets number,
        latency: Latency number,
        method: Method text,
        result: Result text,
        reason: Reason text,
        stream_id: StreamId number,
        octets_reverse: OctetsReverse number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_attributes_of_the_protocol_s_table() {
        for kind in RecordKind::ALL {
            let listed =
                LISTED.iter().find(|(listed, _)| listed == kind).map_or(&[][..], |(_, listed)| listed);
            assert_eq!(listed, kind.attributes(), "{kind}");
        }
    }
}

//! The record-kind table: every record type of VAN-Flow, once.
//!
//! A row gives the code on the wire, the name, the kind of the parent, and the attributes that routers and
//! controllers have been seen to send. A record may carry others; the list is what to expect, not what to accept.

use std::fmt;

use crate::Attribute;

macro_rules! record_kinds {
    ($( $(#[doc = $doc:literal])+ $code:literal $variant:ident $name:literal [$($parent:ident)*] { $($attribute:ident)* } )+) => {
        /// What a record describes.
        ///
        /// Codes that are not in this table travel as plain numbers beside these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum RecordKind {
            $( $(#[doc = $doc])+ $variant = $code, )+
        }

        impl RecordKind {
            /// Every kind, by ascending code.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The kind with that code on the wire, if the table has it.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$variant), )+
                    _ => None,
                }
            }

            /// The name in capitals, as VAN-Flow writes it.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// The kinds that the `parent` of such a record can have; none where it has no parent.
            pub const fn parents(self) -> &'static [Self] {
                match self { $( Self::$variant => &[ $( Self::$parent ),* ], )+ }
            }

            /// The attributes to expect, by ascending code; record type and identity go without saying.
            pub const fn attributes(self) -> &'static [Attribute] {
                match self { $( Self::$variant => &[ $( Attribute::$attribute ),* ], )+ }
            }

            /// One sentence on what such a record describes.
            pub const fn description(self) -> &'static str {
                match self { $( Self::$variant => concat!($($doc),+), )+ }
            }
        }
    };
}

record_kinds! {
    /// A site: a place where part of an application runs.
    0 Site "SITE" [] {
        StartTime EndTime Location Provider Platform Namespace Name BuildVersion
    }
    /// A router.
    1 Router "ROUTER" [Site] {
        Parent StartTime EndTime Namespace Mode ImageName ImageVersion Hostname Name BuildVersion
    }
    /// A link between two routers.
    2 Link "LINK" [Router] {
        Parent StartTime EndTime Peer Mode DestHost Protocol DestPort Octets Result Reason Name LinkCost Direction
        OctetRate OperStatus Role UpTimeStamp DownTimeStamp DownCount OctetsReverse OctetRateReverse
        ActiveTlsOrdinal HttpProxy
    }
    /// A controller of a site.
    3 Controller "CONTROLLER" [Site] {
        Parent StartTime EndTime ImageName ImageVersion Hostname Name BuildVersion
    }
    /// Where a router accepts connections of clients.
    4 Listener "LISTENER" [Router] {
        Parent StartTime EndTime DestHost Protocol DestPort VanAddress Name FlowCountL4 FlowCountL7 FlowRateL4
        FlowRateL7
    }
    /// Where a router connects to a workload.
    5 Connector "CONNECTOR" [Router] {
        Parent StartTime EndTime Process DestHost Protocol DestPort VanAddress Name FlowCountL4 FlowCountL7
        FlowRateL4 FlowRateL7
    }
    /// One direction of a connection or request, as routers up to 2.x report it.
    6 Flow "FLOW" [Listener Connector Flow] {
        Parent StartTime EndTime Counterflow SourceHost SourcePort Octets Latency Method Result Reason Trace
        OctetRate OctetsOut OctetsUnacked WindowClosures WindowSize StreamId
    }
    /// A process: a pod, a container, a program on a host.
    7 Process "PROCESS" [Site] {
        Parent StartTime EndTime Mode SourceHost ImageName ImageVersion Hostname Name Group
    }
    /// An image that processes run; derived by collectors.
    8 Image "IMAGE" [] {
        Name
    }
    /// Reserved.
    9 Ingress "INGRESS" [] {}
    /// Reserved.
    10 Egress "EGRESS" [] {}
    /// Reserved.
    11 Collector "COLLECTOR" [] {}
    /// A group of processes, as 1.x controllers report it.
    12 ProcessGroup "PROCESS_GROUP" [] {
        Name
    }
    /// A host of a site, as 1.x controllers report it.
    13 Host "HOST" [Site] {
        Parent StartTime EndTime Provider Name
    }
    /// A line of a router's log; it starts and ends in the same moment.
    14 Log "LOG" [Router] {
        Parent StartTime EndTime LogSeverity LogText SourceFile SourceLine
    }
    /// Where a router accepts links of other routers.
    15 RouterAccess "ROUTER_ACCESS" [Router] {
        Parent StartTime EndTime Name LinkCount Role ActiveTlsOrdinal
    }
    /// A connection through the network, both directions in one record.
    16 BiflowTport "BIFLOW_TPORT" [Listener] {
        Parent StartTime EndTime SourceHost SourcePort Octets Latency Trace OctetsReverse Connector ProcessLatency
        ProxyHost ProxyPort ErrorListenerSide ErrorConnectorSide
    }
    /// A request within a connection, both directions in one record.
    17 BiflowApp "BIFLOW_APP" [BiflowTport] {
        Parent StartTime EndTime SourceHost Protocol Octets Latency Method Result Reason StreamId OctetsReverse
    }
}

impl RecordKind {
    /// The code on the wire.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The kind with that name, if the table has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether such records are reported by the thousand, one for each connection or request.
    pub const fn is_flow(self) -> bool {
        matches!(self, Self::Flow | Self::BiflowTport | Self::BiflowApp)
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_returns_home_and_there_are_no_gaps() {
        for (position, kind) in RecordKind::ALL.iter().enumerate() {
            assert_eq!(kind.code() as usize, position, "{kind}");
            assert_eq!(RecordKind::from_code(kind.code()), Some(*kind));
            assert_eq!(RecordKind::from_name(kind.name()), Some(*kind));
        }
        assert_eq!(RecordKind::ALL.len(), 18);
        assert_eq!(RecordKind::from_code(18), None);
    }

    #[test]
    fn every_name_is_unique() {
        let names: HashSet<_> = RecordKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), RecordKind::ALL.len());
    }

    #[test]
    fn expected_attributes_ascend_and_name_a_parent_where_there_is_one() {
        for kind in RecordKind::ALL {
            assert!(kind.attributes().is_sorted_by_key(|attribute| attribute.code()), "{kind}");
            assert_eq!(kind.attributes().contains(&Attribute::Parent), !kind.parents().is_empty(), "{kind}");
        }
    }
}

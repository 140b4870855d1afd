//! The attribute table: every attribute of VAN-Flow, once.
//!
//! A row gives an attribute's code on the wire, its Rust name, its JSON name and its [`AttributeKind`], which
//! carries the unit. Decoding, merging, rendering and documentation all derive from this table.

use std::fmt;

/// What an attribute's values are, and so how successive values of it combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributeKind {
    /// The code of a [`RecordKind`](crate::RecordKind), a `uint`.
    RecordType,
    /// The record's own identity, a string.
    Identity,
    /// The identity of another record, a string. The other record may not have been reported yet.
    Reference,
    /// Text, a string.
    Text,
    /// Microseconds since the Unix epoch by the clock of the source, a `ulong`.
    Instant,
    /// Microseconds, a `ulong`.
    Duration,
    /// A count of octets or events so far, a `ulong`. A counter never falls: a lower value than before is stale.
    Counter,
    /// A quantity as of now, a `ulong`: it rises and falls.
    Gauge,
}

impl AttributeKind {
    /// Whether values of this kind are strings on the wire.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Identity | Self::Reference | Self::Text)
    }
}

/// The unit that an attribute's numbers are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Microseconds since the Unix epoch, or microseconds.
    Microseconds,
    /// Octets.
    Octets,
    /// Octets per second.
    OctetsPerSecond,
    /// A plain number, or no number at all.
    None,
}

macro_rules! attributes {
    ($( $(#[doc = $doc:literal])+ $code:literal $variant:ident $name:literal $kind:ident $unit:ident; )+) => {
        /// An attribute of a record.
        ///
        /// Codes that are not in this table exist today or will tomorrow; they travel as plain numbers beside these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Attribute {
            $( $(#[doc = $doc])+ $variant = $code, )+
        }

        impl Attribute {
            /// Every attribute, by ascending code.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The attribute with that code on the wire, if the table has it.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$variant), )+
                    _ => None,
                }
            }

            /// The name that the APIs use.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// What this attribute's values are.
            pub const fn kind(self) -> AttributeKind {
                match self { $( Self::$variant => AttributeKind::$kind, )+ }
            }

            /// The unit of this attribute's numbers.
            pub const fn unit(self) -> Unit {
                match self { $( Self::$variant => Unit::$unit, )+ }
            }

            /// One paragraph on what this attribute says.
            pub const fn description(self) -> &'static str {
                match self { $( Self::$variant => concat!($($doc),+), )+ }
            }
        }
    };
}

attributes! {
    /// Record type.
    0 RecordType "rtype" RecordType None;
    /// Identity of the record, unique in the network while its source lives.
    1 Identity "id" Identity None;
    /// The record that this one belongs to.
    2 Parent "parent" Reference None;
    /// When the object came to be.
    3 StartTime "startTime" Instant Microseconds;
    /// When the object went; present only on objects that are gone.
    4 EndTime "endTime" Instant Microseconds;
    /// The FLOW of the other direction.
    5 Counterflow "counterflow" Reference None;
    /// On a LINK, the ROUTER_ACCESS that it arrived at.
    6 Peer "peer" Reference None;
    /// The PROCESS behind a connector.
    7 Process "process" Reference None;
    /// Position among siblings.
    8 SibOrdinal "sibOrdinal" Gauge None;
    /// Where a site is.
    9 Location "location" Text None;
    /// Who provides the infrastructure of a site.
    10 Provider "provider" Text None;
    /// The platform of a site, such as `kubernetes` or `podman`.
    11 Platform "platform" Text None;
    /// The namespace that a site or router runs in.
    12 Namespace "namespace" Text None;
    /// `interior` or `edge`; on a PROCESS `internal`, `external` or `remote`.
    13 Mode "mode" Text None;
    /// The host that a connection comes from, or that a process runs at.
    14 SourceHost "sourceHost" Text None;
    /// The host that is listened on or connected to.
    15 DestHost "destHost" Text None;
    /// The protocol spoken, such as `tcp`, `http1`, `http2`, `amqp`, or on a request `HTTP/1.1`.
    16 Protocol "protocol" Text None;
    /// The port that a connection comes from.
    17 SourcePort "sourcePort" Text None;
    /// The port that is listened on or connected to.
    18 DestPort "destPort" Text None;
    /// The routing key of a service.
    19 VanAddress "vanAddress" Text None;
    /// The image that a process or router runs.
    20 ImageName "imageName" Text None;
    /// The version of that image.
    21 ImageVersion "imageVersion" Text None;
    /// The host that a router or process runs on.
    22 Hostname "hostname" Text None;
    /// Octets from listener to connector so far.
    23 Octets "octets" Counter Octets;
    /// Time to the first octet; on a BIFLOW_TPORT as the client saw it.
    24 Latency "latency" Duration Microseconds;
    /// Time in transit between routers.
    25 TransitLatency "transitLatency" Duration Microseconds;
    /// What waits to be sent.
    26 Backlog "backlog" Gauge None;
    /// Request method.
    27 Method "method" Text None;
    /// Response code, or the name of an error.
    28 Result "result" Text None;
    /// The reason given with the result.
    29 Reason "reason" Text None;
    /// The object's name.
    30 Name "name" Text None;
    /// Routers passed, separated by `|`, outermost first.
    31 Trace "trace" Text None;
    /// Version of the software; on a SITE, of Skupper.
    32 BuildVersion "buildVersion" Text None;
    /// Cost of a link.
    33 LinkCost "linkCost" Gauge None;
    /// `incoming` or `outgoing`.
    34 Direction "direction" Text None;
    /// Octets per second over the last 10 s.
    35 OctetRate "octetRate" Gauge OctetsPerSecond;
    /// Octets delivered so far.
    36 OctetsOut "octetsOut" Counter Octets;
    /// Octets not acknowledged yet.
    37 OctetsUnacked "octetsUnacked" Gauge Octets;
    /// How often the window closed so far.
    38 WindowClosures "windowClosures" Counter None;
    /// Size of the window.
    39 WindowSize "windowSize" Gauge Octets;
    /// Transport flows so far.
    40 FlowCountL4 "flowCountL4" Counter None;
    /// Application flows so far.
    41 FlowCountL7 "flowCountL7" Counter None;
    /// Transport flows per second.
    42 FlowRateL4 "flowRateL4" Gauge None;
    /// Application flows per second.
    43 FlowRateL7 "flowRateL7" Gauge None;
    /// How long the object has lived, or lived.
    44 Duration "duration" Duration Microseconds;
    /// The IMAGE that a process runs.
    45 Image "image" Reference None;
    /// A process's component.
    46 Group "group" Text None;
    /// The stream of a request within its connection.
    47 StreamId "streamId" Gauge None;
    /// 0 debug, 1 info, 2 warning, 3 error, 4 critical.
    48 LogSeverity "logSeverity" Gauge None;
    /// The text of a log line.
    49 LogText "logText" Text None;
    /// The source file that logged.
    50 SourceFile "sourceFile" Text None;
    /// The line in that file.
    51 SourceLine "sourceLine" Gauge None;
    /// Links there are now.
    52 LinkCount "linkCount" Gauge None;
    /// `up` or `down`.
    53 OperStatus "operStatus" Text None;
    /// What a link or access is for: `inter-router`, `edge`, `inter-network`.
    54 Role "role" Text None;
    /// When a link came up last.
    55 UpTimeStamp "upTimeStamp" Instant Microseconds;
    /// When a link went down last.
    56 DownTimeStamp "downTimeStamp" Instant Microseconds;
    /// How often a link went down so far.
    57 DownCount "downCount" Counter None;
    /// Octets from connector to listener so far.
    58 OctetsReverse "octetsReverse" Counter Octets;
    /// Octets per second from connector to listener.
    59 OctetRateReverse "octetRateReverse" Gauge OctetsPerSecond;
    /// The CONNECTOR at the far end.
    60 Connector "connector" Reference None;
    /// Latency of the workload as the connector saw it.
    61 ProcessLatency "processLatency" Duration Microseconds;
    /// The connector's own end of its connection to the workload.
    62 ProxyHost "proxyHost" Text None;
    /// The port of that end.
    63 ProxyPort "proxyPort" Text None;
    /// What went wrong at the listener.
    64 ErrorListenerSide "errorListenerSide" Text None;
    /// What went wrong at the connector.
    65 ErrorConnectorSide "errorConnectorSide" Text None;
    /// Ordinal of the TLS certificate in use.
    66 ActiveTlsOrdinal "activeTlsOrdinal" Gauge None;
    /// Whether the link goes through an HTTP proxy: `yes` or `no`.
    67 HttpProxy "httpProxy" Text None;
}

impl Attribute {
    /// The code on the wire.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The attribute with that name in the APIs, if the table has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|attribute| attribute.name() == name)
    }
}

impl fmt::Display for Attribute {
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
        for (position, attribute) in Attribute::ALL.iter().enumerate() {
            assert_eq!(attribute.code() as usize, position, "{attribute}");
            assert_eq!(Attribute::from_code(attribute.code()), Some(*attribute));
        }
        assert_eq!(Attribute::ALL.len(), 68);
        assert_eq!(Attribute::from_code(68), None);
    }

    #[test]
    fn every_name_is_unique_and_returns_home() {
        let names: HashSet<_> = Attribute::ALL.iter().map(|attribute| attribute.name()).collect();
        assert_eq!(names.len(), Attribute::ALL.len());
        for attribute in Attribute::ALL {
            assert_eq!(Attribute::from_name(attribute.name()), Some(*attribute));
        }
        assert_eq!(Attribute::from_name("octet"), None);
    }

    #[test]
    fn numbers_of_time_and_octets_have_their_unit() {
        for attribute in Attribute::ALL {
            match attribute.kind() {
                AttributeKind::Instant | AttributeKind::Duration => {
                    assert_eq!(attribute.unit(), Unit::Microseconds, "{attribute}");
                }
                kind if kind.is_text() => assert_eq!(attribute.unit(), Unit::None, "{attribute}"),
                _ => {}
            }
        }
    }
}

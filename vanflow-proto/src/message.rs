//! BEACON, HEARTBEAT, FLUSH and RECORD.

use std::fmt;

use crate::{
    codec::{Reader, Writer},
    error::{DecodeError, DecodeErrorKind},
    update::{UpdateBuf, Updates},
    value::{Timestamp, Value},
};

/// The address on which sources announce themselves.
pub const BEACON_ADDRESS: &str = "mc/sfe.all";

/// What a source's identity follows in the address that it sends to.
pub(crate) const ADDRESS_PREFIX: &str = "mc/sfe.";

/// What a source's identity follows in the address at which it takes FLUSH.
pub(crate) const DIRECT_PREFIX: &str = "sfe.";

/// What is appended to a router's address to see flows.
pub const FLOWS_SUFFIX: &str = ".flows";

/// What is appended to a router's address to see log lines.
pub const LOGS_SUFFIX: &str = ".logs";

/// What is appended to a controller's address to hear its heartbeats.
pub const HEARTBEATS_SUFFIX: &str = ".heartbeats";

/// The version of VAN-Flow that beacons and heartbeats name.
pub const VERSION: u32 = 1;

/// How a source writes AMQP.
///
/// Routers send what AMQP 1.0 does not allow: a `long` as message-id and symbols as keys of application properties.
/// They also write every list and map with sizes of four bytes. Decoding takes both dialects as they come; encoding has to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// skupper-router's, which is written in C.
    Router,
    /// The controllers', which are written in Go: AMQP 1.0 as it is specified.
    Controller,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceType<'a> {
    /// A skupper-router.
    Router,
    /// The controller of a site.
    Controller,
    /// A collector.
    Collector,
    /// Something that there was not when this was written.
    Other(&'a str),
}

impl<'a> SourceType<'a> {
    /// The source type with that name.
    pub fn from_name(name: &'a str) -> Self {
        match name {
            "ROUTER" => Self::Router,
            "CONTROLLER" => Self::Controller,
            "COLLECTOR" => Self::Collector,
            other => Self::Other(other),
        }
    }

    /// The name in a beacon.
    pub fn name(self) -> &'a str {
        match self {
            Self::Router => "ROUTER",
            Self::Controller => "CONTROLLER",
            Self::Collector => "COLLECTOR",
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for SourceType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A source says that it is there, and where it is heard and spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon<'a> {
    /// What the source is.
    pub source_type: SourceType<'a>,
    /// The source's identity.
    pub id: &'a str,
    /// The multicast address that it sends to, `mc/sfe.<id>`.
    pub address: &'a str,
    /// The address at which it takes FLUSH, `sfe.<id>`.
    pub direct: &'a str,
}

/// A source says that it is alive, and what its clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// The source's identity.
    pub id: &'a str,
    /// The source's clock.
    pub now: Timestamp,
}

/// What a message says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Body<'a> {
    /// A source is there.
    Beacon(Beacon<'a>),
    /// A source is alive.
    Heartbeat(Heartbeat<'a>),
    /// A collector asks for every live record, whole.
    Flush,
    /// Records changed.
    Records(Updates<'a>),
    /// A message of a type that there was not when this was written.
    Other {
        /// Its subject, where it has one.
        subject: Option<&'a str>,
    },
}

/// A message, borrowed from its bytes.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The address that it was sent to.
    pub to: Option<&'a str>,
    /// A router's count of the messages that it sent, over all its addresses. Controllers send none.
    pub message_id: Option<u64>,
    /// What it says.
    pub body: Body<'a>,
}

const HEADER: u64 = 0x70;
const DELIVERY_ANNOTATIONS: u64 = 0x71;
const MESSAGE_ANNOTATIONS: u64 = 0x72;
const PROPERTIES: u64 = 0x73;
const APPLICATION_PROPERTIES: u64 = 0x74;
const DATA: u64 = 0x75;
const SEQUENCE: u64 = 0x76;
const VALUE: u64 = 0x77;
const FOOTER: u64 = 0x78;

#[derive(Default)]
struct Properties<'a> {
    message_id: Option<u64>,
    to: Option<&'a str>,
    subject: Option<&'a str>,
}

#[derive(Default)]
struct ApplicationProperties<'a> {
    id: Option<&'a str>,
    now: Option<u64>,
    source_type: Option<&'a str>,
    address: Option<&'a str>,
    direct: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// Reads a bare message, in either dialect.
    ///
    /// # Errors
    ///
    /// Where the bytes are no AMQP message, or lack what a message of that subject must have. Records within a
    /// RECORD message that cannot be read are not errors here but items of [`Updates`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut properties = Properties::default();
        let mut application = ApplicationProperties::default();
        let mut body = None;
        while !reader.is_empty() {
            match section(&mut reader)? {
                PROPERTIES => properties = Properties::read(&mut reader)?,
                APPLICATION_PROPERTIES => application = ApplicationProperties::read(&mut reader)?,
                VALUE => {
                    body = Some(reader);
                    // The body is the last thing that anybody sends; what follows a torn one is not worth having.
                    break;
                }
                DATA | SEQUENCE => {
                    body = Some(reader);
                    reader.skip()?;
                }
                _ => reader.skip()?,
            }
        }
        let no_body = reader.error(DecodeErrorKind::NoBody);
        // Only RECORD says something in its body; Qpid Proton's users leave out an empty one.
        let end = body.unwrap_or(reader);
        let body = match properties.subject {
            Some("RECORD") => {
                let mut list = body.ok_or(no_body)?;
                let items = list.list()?;
                Body::Records(Updates::new(items.reader, items.count))
            }
            Some("HEARTBEAT") => Body::Heartbeat(application.heartbeat(end)?),
            Some("BEACON") => Body::Beacon(application.beacon(end)?),
            Some("FLUSH") => Body::Flush,
            subject if body.is_some() => Body::Other { subject },
            _ => return Err(no_body),
        };
        Ok(Self { to: properties.to, message_id: properties.message_id, body })
    }
}

/// The code of the section that starts here.
fn section(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let start = *reader;
    let found = reader.byte()?;
    if found != crate::codec::format::DESCRIBED {
        return Err(start.error(DecodeErrorKind::Unexpected { expected: "a section", found }));
    }
    match reader.value()? {
        Value::Uint(code @ HEADER..=FOOTER) => Ok(code),
        Value::Uint(code) => Err(start.error(DecodeErrorKind::UnknownSection(code))),
        Value::Text(name) => match name {
            "amqp:header:list" => Ok(HEADER),
            "amqp:delivery-annotations:map" => Ok(DELIVERY_ANNOTATIONS),
            "amqp:message-annotations:map" => Ok(MESSAGE_ANNOTATIONS),
            "amqp:properties:list" => Ok(PROPERTIES),
            "amqp:application-properties:map" => Ok(APPLICATION_PROPERTIES),
            "amqp:data:binary" => Ok(DATA),
            "amqp:amqp-sequence:list" => Ok(SEQUENCE),
            "amqp:amqp-value:*" => Ok(VALUE),
            "amqp:footer:map" => Ok(FOOTER),
            _ => Err(start.error(DecodeErrorKind::Unexpected { expected: "a section", found })),
        },
        _ => Err(start.error(DecodeErrorKind::Unexpected { expected: "a section", found })),
    }
}

impl<'a> Properties<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut items = reader.list()?;
        let mut properties = Self::default();
        // message-id, user-id, to, subject, and more that VAN-Flow has no use for.
        for position in 0..items.count.min(4) {
            let value = items.reader.value()?;
            match position {
                0 => properties.message_id = value.as_uint(),
                2 => properties.to = value.as_text(),
                3 => properties.subject = value.as_text(),
                _ => {}
            }
        }
        Ok(properties)
    }
}

impl<'a> ApplicationProperties<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut items = reader.map()?;
        let mut properties = Self::default();
        for _ in 0..items.count / 2 {
            let key = items.reader.value()?.as_text();
            let value = items.reader.value()?;
            match key {
                Some("id") => properties.id = value.as_text(),
                Some("now") => properties.now = value.as_uint(),
                Some("sourceType") => properties.source_type = value.as_text(),
                Some("address") => properties.address = value.as_text(),
                Some("direct") => properties.direct = value.as_text(),
                _ => {}
            }
        }
        Ok(properties)
    }

    fn heartbeat(&self, at: Reader<'_>) -> Result<Heartbeat<'a>, DecodeError> {
        let lacks = |what| at.error(DecodeErrorKind::Lacks { message: "HEARTBEAT", what });
        Ok(Heartbeat {
            id: self.id.filter(|id| !id.is_empty()).ok_or_else(|| lacks("an `id`"))?,
            now: self.now.map(Timestamp::from_micros).ok_or_else(|| lacks("a `now`"))?,
        })
    }

    fn beacon(&self, at: Reader<'_>) -> Result<Beacon<'a>, DecodeError> {
        let lacks = |what| at.error(DecodeErrorKind::Lacks { message: "BEACON", what });
        Ok(Beacon {
            source_type: SourceType::from_name(self.source_type.ok_or_else(|| lacks("a `sourceType`"))?),
            id: self.id.filter(|id| !id.is_empty()).ok_or_else(|| lacks("an `id`"))?,
            address: self.address.ok_or_else(|| lacks("an `address`"))?,
            direct: self.direct.ok_or_else(|| lacks("a `direct`"))?,
        })
    }
}

/// Writes messages in one dialect.
///
/// ```
/// use vanflow_proto::{Body, Dialect, Encoder, Heartbeat, Message, Timestamp};
///
/// let beat = Heartbeat { id: "gv_ZW:0", now: Timestamp::from_micros(1_795_347_888_689_271) };
/// let bytes = Encoder::new(Dialect::Router).heartbeat("mc/sfe.gv_ZW:0", 12, &beat);
///
/// let message = Message::decode(&bytes)?;
/// assert_eq!(message.message_id, Some(12));
/// assert!(matches!(message.body, Body::Heartbeat(decoded) if decoded == beat));
/// # Ok::<(), vanflow_proto::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    dialect: Dialect,
}

impl Encoder {
    /// An encoder for that dialect.
    pub const fn new(dialect: Dialect) -> Self {
        Self { dialect }
    }

    /// A BEACON, sent to [`BEACON_ADDRESS`]. `message_id` is left out where the dialect has none; so below.
    pub fn beacon(self, message_id: u64, beacon: &Beacon<'_>) -> Vec<u8> {
        self.write(BEACON_ADDRESS, message_id, "BEACON", |writer| {
            self.application_properties(
                writer,
                &[
                    ("v", Property::Uint(VERSION)),
                    ("sourceType", Property::Text(beacon.source_type.name())),
                    ("id", Property::Text(beacon.id)),
                    ("address", Property::Text(beacon.address)),
                    ("direct", Property::Text(beacon.direct)),
                ],
            );
            null_body(writer);
        })
    }

    /// A HEARTBEAT, sent to one of the source's addresses.
    pub fn heartbeat(self, to: &str, message_id: u64, heartbeat: &Heartbeat<'_>) -> Vec<u8> {
        self.write(to, message_id, "HEARTBEAT", |writer| {
            self.application_properties(
                writer,
                &[
                    ("v", Property::Uint(VERSION)),
                    ("now", Property::Ulong(heartbeat.now.as_micros())),
                    ("id", Property::Text(heartbeat.id)),
                ],
            );
            null_body(writer);
        })
    }

    /// A FLUSH, sent to a source's direct address.
    pub fn flush(self, to: &str, message_id: u64) -> Vec<u8> {
        self.write(to, message_id, "FLUSH", null_body)
    }

    /// A RECORD message with those updates, sent to one of the source's addresses. Routers put at most 50 in one.
    pub fn records(self, to: &str, message_id: u64, updates: &[UpdateBuf]) -> Vec<u8> {
        self.write(to, message_id, "RECORD", |writer| {
            writer.section(VALUE as u8);
            writer.list(updates.len(), |writer| {
                for update in updates {
                    update.write(writer);
                }
            });
        })
    }

    fn write(self, to: &str, message_id: u64, subject: &str, rest: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new(self.dialect == Dialect::Router);
        writer.section(PROPERTIES as u8);
        writer.list(4, |writer| {
            match self.dialect {
                Dialect::Router => writer.long(i64::try_from(message_id).unwrap_or(i64::MAX)),
                Dialect::Controller => writer.null(),
            }
            writer.null();
            writer.string(to);
            writer.string(subject);
        });
        rest(&mut writer);
        writer.into_bytes()
    }

    fn application_properties(self, writer: &mut Writer, properties: &[(&str, Property<'_>)]) {
        writer.section(APPLICATION_PROPERTIES as u8);
        writer.map(properties.len(), |writer| {
            for (key, value) in properties {
                match self.dialect {
                    Dialect::Router => writer.symbol(key),
                    Dialect::Controller => writer.string(key),
                }
                match value {
                    Property::Uint(number) => writer.uint(*number),
                    Property::Ulong(number) => writer.ulong(*number),
                    Property::Text(text) => writer.string(text),
                }
            }
        });
    }
}

enum Property<'a> {
    Uint(u32),
    Ulong(u64),
    Text(&'a str),
}

fn null_body(writer: &mut Writer) {
    writer.section(VALUE as u8);
    writer.null();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, RecordKind};

    const DIALECTS: [Dialect; 2] = [Dialect::Router, Dialect::Controller];

    #[test]
    fn what_is_encoded_decodes_to_the_same_in_both_dialects() {
        let beacon = Beacon {
            source_type: SourceType::Router,
            id: "gv_ZW:0",
            address: "mc/sfe.gv_ZW:0",
            direct: "sfe.gv_ZW:0",
        };
        for dialect in DIALECTS {
            let encoder = Encoder::new(dialect);
            let bytes = encoder.beacon(300, &beacon);
            let message = Message::decode(&bytes).expect("decodes");
            assert_eq!(message.message_id, (dialect == Dialect::Router).then_some(300));
            assert_eq!(message.to, Some(BEACON_ADDRESS));
            assert!(matches!(message.body, Body::Beacon(decoded) if decoded == beacon));

            let bytes = encoder.flush("sfe.gv_ZW:0", 0);
            assert!(matches!(Message::decode(&bytes).expect("decodes").body, Body::Flush));
        }
    }

    #[test]
    fn the_dialects_differ_where_real_ones_do() {
        let beat = Heartbeat { id: "a:0", now: Timestamp::from_micros(0x1122_3344_5566) };
        let router = Encoder::new(Dialect::Router).heartbeat("mc/sfe.a:0", 7, &beat);
        assert_eq!(&router[..4], [0x00, 0x53, 0x73, 0xd0], "properties are a list with a size of four bytes");
        assert_eq!(&router[12..14], [0x55, 7], "message-id is a small long");
        assert!(router.windows(5).any(|bytes| bytes == *b"\xa3\x03now"), "keys are symbols");
        let controller = Encoder::new(Dialect::Controller).heartbeat("mc/sfe.a:0", 7, &beat);
        assert_eq!(controller[6], 0x40, "no message-id");
        assert!(controller.windows(5).any(|bytes| bytes == *b"\xa1\x03now"), "keys are strings");
    }

    #[test]
    fn one_bad_record_costs_its_neighbours_nothing() {
        // faults 17
        let good = |id: &str| UpdateBuf::new(RecordKind::Link, id).with(Attribute::Octets, 7);
        let nameless = UpdateBuf { id: String::new(), ..good("") };
        let bytes =
            Encoder::new(Dialect::Router).records("mc/sfe.a:0", 1, &[good("a:1"), nameless, good("a:2")]);
        let Body::Records(updates) = Message::decode(&bytes).expect("decodes").body else {
            panic!("expected records")
        };
        let outcomes: Vec<_> = updates
            .map(|update| update.map(|update| update.id.to_owned()).map_err(|error| error.kind().to_string()))
            .collect();
        assert_eq!(outcomes, [Ok("a:1".into()), Err("a record lacks an identity".into()), Ok("a:2".into())]);
    }

    #[test]
    fn a_record_that_is_no_map_costs_its_neighbours_nothing() {
        // faults 17
        let mut writer = Writer::new(false);
        writer.section(PROPERTIES as u8);
        writer.list(4, |writer| {
            writer.null();
            writer.null();
            writer.null();
            writer.string("RECORD");
        });
        writer.section(VALUE as u8);
        writer.list(3, |writer| {
            writer.string("what is this?");
            writer.list(1, |writer| writer.list(1, |writer| writer.list(0, |_| {})));
            UpdateBuf::new(RecordKind::Site, "s").write(writer);
        });
        let bytes = writer.into_bytes();
        let Body::Records(updates) = Message::decode(&bytes).expect("decodes").body else {
            panic!("expected records")
        };
        let ids: Vec<_> = updates.map(|update| update.ok().map(|update| update.id)).collect();
        assert_eq!(ids, [None, None, Some("s")]);
    }

    #[test]
    fn a_flush_may_come_without_a_body() {
        // As Qpid Proton encodes a message that has a subject and an address.
        let flush = b"\0\x53\x70\x45\0\x53\x73\xc0\x11\x04\x40\x40\xa1\x05sfe.x\xa1\x05FLUSH";
        let message = Message::decode(flush).expect("decodes");
        assert!(matches!(message.body, Body::Flush));
        assert_eq!((message.to, message.message_id), (Some("sfe.x"), None));
        let record = b"\0\x53\x70\x45\0\x53\x73\xc0\x12\x04\x40\x40\xa1\x05sfe.x\xa1\x06RECORD";
        let error = Message::decode(record).expect_err("says nothing");
        assert_eq!(error.to_string(), "the message has no body section at byte 27");
    }

    #[test]
    fn a_message_that_lacks_something_says_what() {
        let error = |bytes: &[u8]| Message::decode(bytes).expect_err("does not decode").to_string();
        assert_eq!(error(&[]), "the message has no body section at byte 0");
        assert_eq!(error(b"GET / HTTP"), "expected a section, found format code 0x47 at byte 0");
        assert_eq!(error(&[0, 0x53, 0x10, 0x40]), "0x10 is no section of an AMQP message at byte 0");
        let beat = Heartbeat { id: "", now: Timestamp::from_micros(1) };
        assert_eq!(
            error(&Encoder::new(Dialect::Controller).heartbeat("x", 0, &beat)),
            "a HEARTBEAT lacks an `id` at byte 49"
        );
        let record = Encoder::new(Dialect::Controller).flush("x", 0);
        assert!(Message::decode(&record[..record.len() - 3]).is_err());
    }
}

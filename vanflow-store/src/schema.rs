//! Which attribute of a record is kept where in its row: worked out from the protocol's tables when this is compiled.

use vanflow_proto::{Attribute, AttributeKind, RecordKind};

/// Where a row keeps an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributePlace {
    /// Among its numbers.
    Number(u8),
    /// Among its texts.
    Text(u8),
    /// Among its references.
    Reference(u8),
    /// Beside everything that has no place of its own.
    Rest,
}

/// The layout of rows.
#[derive(Debug)]
pub(crate) struct Schema {
    places: [AttributePlace; Attribute::ALL.len()],
    /// How many numbers there are.
    pub(crate) numbers: usize,
    /// How many texts there are.
    pub(crate) texts: usize,
    /// How many references there are.
    pub(crate) references: usize,
    /// Whether an ended record lives again when it is reported with a newer start. A connection lives once: under a
    /// newer start its id means another one (faults 6).
    pub(crate) lives_again: bool,
}

/// Every row has its start and end first among its numbers,
pub(crate) const START: usize = 0;
/// in this order,
pub(crate) const END: usize = 1;
/// and its parent first among its references.
pub(crate) const PARENT: usize = 0;
/// The second reference of a BIFLOW_TPORT: the CONNECTOR that it goes through.
pub(crate) const CONNECTOR: usize = 1;
/// The second reference of a FLOW: the one of the other direction.
pub(crate) const COUNTERFLOW: usize = 1;
/// The second reference of an entity: of a CONNECTOR, the PROCESS that it names.
pub(crate) const PROCESS: usize = 1;
/// The last reference of an entity, which is derived: the service of a listener or connector, the image of a process.
pub(crate) const GROUP: usize = 3;

impl Schema {
    const fn of(attributes: &[Attribute]) -> Self {
        Self::of_but(attributes, usize::MAX)
    }

    /// But for one, given by its position, that few records have: a place for it would cost all others.
    const fn of_but(attributes: &[Attribute], rare: usize) -> Self {
        let mut schema = Self {
            places: [AttributePlace::Rest; Attribute::ALL.len()],
            numbers: 0,
            texts: 0,
            references: 0,
            lives_again: false,
        };
        let mut position = 0;
        while position < attributes.len() {
            let attribute = attributes[position];
            let place = match attribute.kind() {
                _ if position == rare => AttributePlace::Rest,
                AttributeKind::Reference => {
                    schema.references += 1;
                    AttributePlace::Reference(schema.references as u8 - 1)
                }
                AttributeKind::Text => {
                    schema.texts += 1;
                    AttributePlace::Text(schema.texts as u8 - 1)
                }
                _ => {
                    schema.numbers += 1;
                    AttributePlace::Number(schema.numbers as u8 - 1)
                }
            };
            schema.places[attribute.code() as usize] = place;
            position += 1;
        }
        schema
    }

    /// Where such rows keep the attribute with that code.
    #[inline]
    pub(crate) fn place(&self, code: u32) -> AttributePlace {
        self.places.get(code as usize).copied().unwrap_or(AttributePlace::Rest)
    }

    /// The attributes that have a place of their own, by ascending code.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (Attribute, AttributePlace)> {
        Attribute::ALL.iter().zip(self.places).filter_map(|(&attribute, place)| match place {
            AttributePlace::Rest => None,
            place => Some((attribute, place)),
        })
    }
}

const fn position(attributes: &[Attribute], attribute: Attribute) -> usize {
    let mut position = 0;
    while attributes[position] as u32 != attribute as u32 {
        position += 1;
    }
    position
}

/// Where connections and requests keep what lanes count.
pub(crate) mod place {
    use super::{APP_SCHEMA, Attribute, AttributePlace, FLOW_SCHEMA, Schema, TPORT_SCHEMA};

    const fn number(schema: &Schema, attribute: Attribute) -> usize {
        match schema.places[attribute.code() as usize] {
            AttributePlace::Number(place) => place as usize,
            _ => panic!("it is no number of such rows"),
        }
    }

    const fn text(schema: &Schema, attribute: Attribute) -> usize {
        match schema.places[attribute.code() as usize] {
            AttributePlace::Text(place) => place as usize,
            _ => panic!("it is no text of such rows"),
        }
    }

    pub(crate) const OCTETS: usize = number(&TPORT_SCHEMA, Attribute::Octets);
    pub(crate) const OCTETS_REVERSE: usize = number(&TPORT_SCHEMA, Attribute::OctetsReverse);
    pub(crate) const LATENCY: usize = number(&TPORT_SCHEMA, Attribute::Latency);
    pub(crate) const PROCESS_LATENCY: usize = number(&TPORT_SCHEMA, Attribute::ProcessLatency);
    pub(crate) const SOURCE_HOST: usize = text(&TPORT_SCHEMA, Attribute::SourceHost);
    pub(crate) const ERRORS: [usize; 2] = [
        text(&TPORT_SCHEMA, Attribute::ErrorListenerSide),
        text(&TPORT_SCHEMA, Attribute::ErrorConnectorSide),
    ];
    pub(crate) const PROTOCOL: usize = text(&APP_SCHEMA, Attribute::Protocol);
    pub(crate) const METHOD: usize = text(&APP_SCHEMA, Attribute::Method);
    pub(crate) const RESULT: usize = text(&APP_SCHEMA, Attribute::Result);
    pub(crate) const REQUEST_LATENCY: usize = number(&APP_SCHEMA, Attribute::Latency);

    /// The same of FLOW records.
    pub(crate) mod flow {
        use super::{Attribute, FLOW_SCHEMA, number, text};

        pub(crate) const OCTETS: usize = number(&FLOW_SCHEMA, Attribute::Octets);
        pub(crate) const LATENCY: usize = number(&FLOW_SCHEMA, Attribute::Latency);
        pub(crate) const SOURCE_HOST: usize = text(&FLOW_SCHEMA, Attribute::SourceHost);
        pub(crate) const METHOD: usize = text(&FLOW_SCHEMA, Attribute::Method);
        pub(crate) const RESULT: usize = text(&FLOW_SCHEMA, Attribute::Result);
        pub(crate) const REASON: usize = text(&FLOW_SCHEMA, Attribute::Reason);
    }
}

/// Everything but flows: what they all have, what any of them refers to, and the rest beside it.
pub(crate) static ENTITY: Schema = Schema {
    lives_again: true,
    ..Schema::of(&[
        Attribute::Parent,
        Attribute::StartTime,
        Attribute::EndTime,
        Attribute::Process,
        Attribute::Peer,
    ])
};

const TPORT_SCHEMA: Schema = Schema::of(RecordKind::BiflowTport.attributes());
/// A request has a `sourceHost` where there is a proxy in front of its listener.
const APP_SCHEMA: Schema = Schema::of_but(
    RecordKind::BiflowApp.attributes(),
    position(RecordKind::BiflowApp.attributes(), Attribute::SourceHost),
);
const FLOW_SCHEMA: Schema = Schema::of(RecordKind::Flow.attributes());

pub(crate) static TPORT: Schema = TPORT_SCHEMA;
pub(crate) static APP: Schema = APP_SCHEMA;
pub(crate) static FLOW: Schema = FLOW_SCHEMA;

/// Rows of the kind of table that their schema is for. Entities have more numbers, the [`COUNTS`], and one reference
/// more, the [`GROUP`], for what is derived.
pub(crate) type EntityRow = crate::row::Row<{ COUNTS.end }, 0, { GROUP + 1 }>;
pub(crate) type TportRow = crate::row::Row<
    { TPORT_SCHEMA.numbers },
    { TPORT_SCHEMA.texts },
    { TPORT_SCHEMA.references },
    crate::row::Membership,
>;
pub(crate) type AppRow =
    crate::row::Row<{ APP_SCHEMA.numbers }, { APP_SCHEMA.texts }, { APP_SCHEMA.references }>;
pub(crate) type FlowRow = crate::row::Row<
    { FLOW_SCHEMA.numbers },
    { FLOW_SCHEMA.texts },
    { FLOW_SCHEMA.references },
    crate::halves::HalfMembership,
>;

/// Where an entity has numbers that are counted and not reported; what they count depends on its kind.
pub(crate) const COUNTS: std::ops::Range<usize> = 2..11;
/// Of a listener or connector: how many connections it has had, ended ones that left too.
pub(crate) const TOTAL_FLOWS: usize = COUNTS.start;
/// Of a listener or connector: how many connections live.
pub(crate) const LIVE_FLOWS: usize = COUNTS.start + 1;
/// Of a listener: its `flowCountL4` when that was first seen.
pub(crate) const COUNTED_AT_FIRST: usize = COUNTS.start + 2;
/// Of a listener: when that was, by the clock of its source.
pub(crate) const COUNTED_SINCE: usize = COUNTS.start + 3;
/// Of a listener: how many of its connections had started before.
pub(crate) const FLOWS_BEFORE: usize = COUNTS.start + 4;
/// Of a listener: a value of that counter whose connections are still to come.
pub(crate) const AWAITED: usize = COUNTS.start + 5;
/// Of a listener: when that value came, by the clock of its source.
pub(crate) const AWAITED_SINCE: usize = COUNTS.start + 6;
/// Of a listener: how many connections have started after that, and been received.
pub(crate) const FLOWS_LATER: usize = COUNTS.start + 7;
/// Of a listener: how many connections were counted there and never reported.
pub(crate) const NEVER_REPORTED: usize = COUNTS.start + 8;
/// Of a service: how many listeners live.
pub(crate) const LIVE_LISTENERS: usize = COUNTS.start;
/// Of a service: how many connectors live.
pub(crate) const LIVE_CONNECTORS: usize = COUNTS.start + 1;
/// Of an image: how many processes live.
pub(crate) const LIVE_PROCESSES: usize = COUNTS.start;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_starts_with_what_all_have() {
        for schema in [&ENTITY, &TPORT, &APP, &FLOW] {
            assert_eq!(schema.place(Attribute::StartTime.code()), AttributePlace::Number(START as u8));
            assert_eq!(schema.place(Attribute::EndTime.code()), AttributePlace::Number(END as u8));
            assert_eq!(schema.place(Attribute::Parent.code()), AttributePlace::Reference(PARENT as u8));
        }
        assert_eq!(TPORT.place(Attribute::Connector.code()), AttributePlace::Reference(CONNECTOR as u8));
        assert_eq!(FLOW.place(Attribute::Counterflow.code()), AttributePlace::Reference(CONNECTOR as u8));
        assert_eq!(FLOW.place(4711), AttributePlace::Rest);
        assert_eq!(ENTITY.place(Attribute::Process.code()), AttributePlace::Reference(PROCESS as u8));
        assert_eq!(GROUP, ENTITY.references, "what is derived comes after what is reported");
    }

    #[test]
    fn a_connection_fits_into_three_cache_lines_and_a_request_into_less() {
        assert!(size_of::<TportRow>() <= 192, "{}", size_of::<TportRow>());
        assert!(size_of::<AppRow>() <= 136, "{}", size_of::<AppRow>());
    }
}

//! What a connection or a request adds to the totals of its lane.

use vanflow_proto::Attribute;

use crate::{
    failure::FailureReason,
    row::{AnyRow, Flags, RecordRef, RestValue},
    schema::{AppRow, END, FlowRow, START, TportRow, place},
    text::{Symbol, TextTable, lookup},
};

/// What a connection adds to its lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionShare {
    pub(crate) is_reported: bool,
    pub(crate) is_live: bool,
    /// Whether it was opened and closed here before: it was evicted in between.
    pub(crate) is_continued: bool,
    /// Whether either of its routers says that it failed, be it that it was counted before.
    pub(crate) has_failed: bool,
    pub(crate) start: Option<u64>,
    pub(crate) end: Option<u64>,
    pub(crate) octets: u64,
    pub(crate) octets_reverse: u64,
    /// Both, once both are known.
    pub(crate) latencies: Option<(u64, u64)>,
    /// Each, once it is known: the client's, and the server's.
    pub(crate) each_latency: [Option<u64>; 2],
    /// Why it failed, as the listener's router says and as the connector's does.
    pub(crate) failures: [Option<FailureReason>; 2],
}

impl ConnectionShare {
    pub(crate) fn of(row: &TportRow, texts: &TextTable) -> Self {
        let errors = place::ERRORS.map(|place| row.texts[place]);
        if !row.is_reported() {
            return Self::default();
        }
        let failures = errors.map(|error| failure([error, Symbol::NONE], texts));
        Self {
            is_reported: true,
            is_live: row.is_live(),
            is_continued: false,
            has_failed: failures != [None; 2],
            start: row.number(START),
            end: row.number(END),
            octets: row.numbers()[place::OCTETS],
            octets_reverse: row.numbers()[place::OCTETS_REVERSE],
            latencies: row.number(place::LATENCY).zip(row.number(place::PROCESS_LATENCY)),
            each_latency: [row.number(place::LATENCY), row.number(place::PROCESS_LATENCY)],
            failures,
        }
    }

    /// The same without what was counted before the connection was evicted, if it was (faults 28).
    #[inline]
    pub(crate) fn of_row(at: RecordRef, row: &TportRow, texts: &TextTable, continued: &Continued) -> Self {
        let share = Self::of(row, texts);
        if !row.head.flags.has(Flags::CONTINUED) {
            return share;
        }
        continued.get(&at).map_or(share, |before| share.beyond(before))
    }

    /// Of FLOW records: the near half, which is what the connection is, if it is reported, and the far half. `answered` is
    /// what went back where there is no far half.
    pub(crate) fn of_halves(
        near: Option<&FlowRow>,
        far: Option<&FlowRow>,
        answered: u64,
        texts: &TextTable,
    ) -> Self {
        let error = |row: Option<&FlowRow>| {
            let row = row?;
            failure([place::flow::RESULT, place::flow::REASON].map(|place| row.texts[place]), texts)
        };
        let number = |row: Option<&FlowRow>, place| row?.number(place);
        let stands = near.or(far);
        let is_live = stands.is_some_and(AnyRow::is_live);
        let failures = [error(near), error(far)];
        Self {
            is_reported: stands.is_some(),
            is_live,
            is_continued: false,
            has_failed: stands.is_some() && failures != [None; 2],
            start: number(stands, START),
            end: number(stands, END),
            octets: number(near, place::flow::OCTETS).unwrap_or(0),
            octets_reverse: match far {
                Some(_) => number(far, place::flow::OCTETS).unwrap_or(0),
                None => answered,
            },
            latencies: number(near, place::flow::LATENCY).zip(number(far, place::flow::LATENCY)),
            each_latency: [near, far].map(|row| number(row, place::flow::LATENCY)),
            failures,
        }
    }

    /// What it adds after it was counted with `before` and evicted. A connection that started at another time is another.
    fn beyond(self, before: &Self) -> Self {
        let is_same = self.start.zip(before.start).is_none_or(|(now, before)| now == before);
        if !is_same {
            return self;
        }
        Self {
            is_continued: true,
            octets: self.octets.saturating_sub(before.octets),
            octets_reverse: self.octets_reverse.saturating_sub(before.octets_reverse),
            latencies: self.latencies.filter(|_| before.latencies.is_none()),
            each_latency: new_only(self.each_latency, before.each_latency),
            failures: new_only(self.failures, before.failures),
            ..self
        }
    }

    /// Whether it counts as opened.
    pub(crate) fn is_opened(&self) -> bool {
        self.is_reported && !self.is_continued
    }

    /// Whether it counts as closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_opened() && !self.is_live
    }
}

/// What returned connections had come to when they were evicted, by the rows that stand for them now.
pub(crate) type Continued = imbl::HashMap<RecordRef, ConnectionShare>;

/// Those of both sides that were not known before.
fn new_only<T: Copy>(now: [Option<T>; 2], before: [Option<T>; 2]) -> [Option<T>; 2] {
    std::array::from_fn(|side| now[side].filter(|_| before[side].is_none()))
}

/// The reason that an error and what is said beside it give; none where there is no error.
#[inline]
fn failure([error, beside]: [Symbol; 2], texts: &TextTable) -> Option<FailureReason> {
    if error.is_none() {
        return None;
    }
    let reason = |text| FailureReason::of(lookup(texts, text));
    // The first of the table, as of both in one text.
    Some(if beside.is_none() { reason(error) } else { reason(error).min(reason(beside)) })
}

/// What a request adds to the lane of its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestShare {
    pub(crate) is_reported: bool,
    pub(crate) is_live: bool,
    pub(crate) start: Option<u64>,
    pub(crate) end: Option<u64>,
    pub(crate) protocol: Symbol,
    pub(crate) method: Symbol,
    pub(crate) class: Option<u8>,
    pub(crate) latency: Option<u64>,
}

impl RequestShare {
    /// Whether it ended as the server's failure, or without any result.
    pub(crate) fn has_failed(&self) -> bool {
        self.is_reported && !self.is_live && matches!(self.class, None | Some(5))
    }

    pub(crate) fn of(row: &AppRow) -> Self {
        let [protocol, method, result] =
            [place::PROTOCOL, place::METHOD, place::RESULT].map(|place| row.texts[place]);
        Self::new(row, protocol, method, result, place::REQUEST_LATENCY)
    }

    /// Of FLOW records: the near half, if it is reported, and else the far one. The protocol is that of the listener.
    pub(crate) fn of_halves(near: Option<&FlowRow>, far: Option<&FlowRow>, protocol: Symbol) -> Self {
        match (near, far) {
            (Some(near), _) => Self::new(
                near,
                protocol,
                near.texts[place::flow::METHOD],
                near.texts[place::flow::RESULT],
                place::flow::LATENCY,
            ),
            // The latency of the far half is that of the server alone.
            (None, Some(far)) => Self {
                latency: None,
                ..Self::new(far, protocol, Symbol::NONE, Symbol::NONE, place::flow::LATENCY)
            },
            (None, None) => Self::default(),
        }
    }

    #[inline]
    fn new<R: AnyRow>(row: &R, protocol: Symbol, method: Symbol, result: Symbol, latency: usize) -> Self {
        if !row.is_reported() {
            return Self::default();
        }
        let result = match result.number() {
            Some(number) => Some(u64::from(number)),
            None if result.is_none() => match row.rest_value(Attribute::Result.code()) {
                Some(RestValue::Other(value)) => value.borrow().as_uint(),
                _ => None,
            },
            None => None,
        };
        Self {
            is_reported: true,
            is_live: row.is_live(),
            start: row.number(START),
            end: row.number(END),
            protocol,
            method,
            class: result.filter(|result| (100..600).contains(result)).map(|result| (result / 100) as u8),
            latency: row.number(latency),
        }
    }
}

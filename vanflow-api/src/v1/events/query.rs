//! Which events are asked for, and in which order.

use std::sync::Arc;

use serde_json::{Value, json};
use vanflow_proto::Timestamp;

use crate::{
    error::{ApiError, excerpt},
    params::{Form, Parameter, Params},
    query::{
        document,
        filter::{Comparison, Condition, conditions},
        time::{EXPECTED, Time},
    },
    v1::events::{Kept, event::Event, list::Column},
};

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Query {
    filters: Vec<(&'static Column, Condition)>,
    /// Microseconds since the epoch.
    start: Option<u64>,
    end: Option<u64>,
    /// Only those with a higher number.
    after: Option<u64>,
    is_oldest_first: bool,
    limit: usize,
    /// When it was asked, where the answer depends on that.
    pub(crate) moment: Option<u64>,
}

const START: &str = "timeRangeStart";
const END: &str = "timeRangeEnd";
const ORDERS: [&str; 2] = ["time.desc", "time.asc"];

/// The parameters that are no filters.
pub(crate) static PARAMETERS: &[&Parameter] = &[
    &Parameter {
        name: START,
        form: Form::Text,
        required: None,
        description: "Only events that were not over by then: microseconds since the Unix epoch, RFC 3339, or relative, as in -1h. Of a time that is not in memory any more they are those of the history, where one is kept. Without it the list is of what is in memory.",
    },
    &Parameter {
        name: END,
        form: Form::Text,
        required: None,
        description: "Only events that had happened by then, likewise.",
    },
    &Parameter {
        name: "after",
        form: Form::Count,
        required: None,
        description: "Only events with a higher number: what happened since an answer whose highest number this is.",
    },
    &Parameter {
        name: "sortBy",
        form: Form::Text,
        required: None,
        description: "`time.desc`, the latest first, unless it is `time.asc`. Ties break by number.",
    },
    &Parameter {
        name: "limit",
        form: Form::Count,
        required: None,
        description: "How many events the list has at most. There is no limit unless one is asked for.",
    },
];

/// The schemas of those whose form does not say all of it.
pub(crate) fn parameter_described(name: &str) -> Option<Value> {
    match name {
        START | END => Some(document::time()),
        "sortBy" => Some(json!({ "type": "string", "enum": ORDERS })),
        _ => None,
    }
}

impl Query {
    /// Reads what is asked for at that time.
    ///
    /// # Errors
    ///
    /// Where a value makes no sense.
    pub(crate) fn new(params: &Params<'_>, now: Timestamp) -> Result<Self, ApiError> {
        let find = |name: &str| Ok(Column::named(name).expect("other parameters were refused"));
        let filters =
            conditions(params.filters(), Comparison::Beginning, find, |column: &Column| column.filtered())?;
        let time = |name| params.typed(name, EXPECTED, |text| Time::parse(text).ok());
        let (start, end) = (time(START)?, time(END)?);
        let is_moving = [start, end].into_iter().flatten().any(Time::is_moving);
        let [start, end] = [start, end].map(|time| time.map(|time| time.micros(now)));
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            let text = |name| excerpt(params.text(name).unwrap_or_default());
            return Err(ApiError::Backwards {
                parameter: START,
                given: text(START),
                later: END,
                end: text(END),
            });
        }
        let order = params.typed("sortBy", format!("{} or {}", ORDERS[0], ORDERS[1]), |text| {
            ORDERS.iter().position(|order| *order == text)
        })?;
        let limit =
            params.count("limit")?.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(Self {
            filters,
            start,
            end,
            after: params.count("after")?,
            is_oldest_first: order == Some(1),
            limit,
            moment: is_moving.then_some(now.as_micros()),
        })
    }

    /// Since when events that are asked for can have been over, and until when they can have happened, where some of them need
    /// not be among those that are in memory, all of which that is since `whole_since`.
    pub(crate) fn before(&self, whole_since: Timestamp) -> Option<(u64, u64)> {
        let start = self.start.filter(|start| *start <= whole_since.as_micros())?;
        Some((start, self.end.unwrap_or(u64::MAX)))
    }

    /// The events that are asked for, in order, and how many there are without the limit.
    pub(crate) fn select<'k>(&self, kept: &'k Kept) -> (Vec<&'k Arc<Event>>, usize) {
        let mut selected: Vec<_> = kept.events.iter().filter(|event| self.admits(event)).collect();
        let total = selected.len();
        selected.sort_unstable_by_key(|event| (event.time, event.number));
        if !self.is_oldest_first {
            selected.reverse();
        }
        selected.truncate(self.limit);
        (selected, total)
    }

    fn admits(&self, event: &Event) -> bool {
        let end = event.last().as_micros();
        self.after.is_none_or(|after| event.number > after)
            && self.start.is_none_or(|start| end >= start)
            && self.end.is_none_or(|end| event.time.as_micros() <= end)
            && self.filters.iter().all(|(column, condition)| condition.admits(&(column.read)(event), None))
    }
}

//! What can be listed: one table of columns and filters per noun.

mod connection;
mod event;
mod network;
mod request;
mod workload;

pub(crate) use self::{
    connection::CONNECTIONS,
    event::{EVENTS, severity},
    network::{CONNECTORS, LINKS, LISTENERS, ROUTERS, SITES},
    request::REQUESTS,
    workload::{COMPONENTS, PROCESSES, SERVICES},
};
use crate::{
    args::{Filter, Side, Subject},
    column::Column,
    selection::Test,
};

/// Something that there is a list of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noun {
    /// What several are called.
    pub(crate) plural: &'static str,
    /// Where the list is.
    pub(crate) path: &'static str,
    /// The columns of a table, in their order.
    pub(crate) columns: &'static [Column],
    /// The properties that an item can be named by.
    pub(crate) names: &'static [&'static str],
    /// What a filter looks at on that side; none where it does not apply.
    pub(crate) test: fn(Filter, Side) -> Option<Test>,
    /// The property that lists are in order of: when something began.
    pub(crate) time: &'static str,
}

const FILTERS: [Filter; 14] = [
    Filter::Site,
    Filter::Component,
    Filter::Process,
    Filter::Service,
    Filter::Host,
    Filter::Port,
    Filter::Protocol,
    Filter::Status,
    Filter::Method,
    Filter::Kind,
    Filter::Id,
    Filter::Error,
    Filter::MinOctets,
    Filter::MinLatency,
];

impl Noun {
    /// What can be observed under that name.
    pub(crate) fn observed(subject: Subject) -> &'static Self {
        match subject {
            Subject::Connections => &CONNECTIONS,
            Subject::Requests => &REQUESTS,
            Subject::Events => &EVENTS,
            Subject::Links => &LINKS,
        }
    }

    /// Which filters do apply, for those who gave another.
    pub(crate) fn filters(&self) -> String {
        let sides = [Side::Either, Side::From, Side::To];
        let known = FILTERS.iter().flat_map(|filter| {
            sides
                .iter()
                .filter(|side| filter.is_on(**side) && (self.test)(*filter, **side).is_some())
                .map(|side| filter.option(*side))
        });
        let known: Vec<_> = known.collect();
        if known.is_empty() { String::new() } else { format!(", which have {}", known.join(", ")) }
    }

    /// Whether items come as sites and processes do, from the lists with properties that can be chosen.
    pub(crate) fn is_v2(&self) -> bool {
        self.path.starts_with("api/v2alpha1/")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_of_columns_are_unique_and_lower_case() {
        let nouns = [
            SITES,
            ROUTERS,
            LINKS,
            SERVICES,
            COMPONENTS,
            PROCESSES,
            LISTENERS,
            CONNECTORS,
            CONNECTIONS,
            REQUESTS,
            EVENTS,
        ];
        for noun in nouns {
            let mut names = HashSet::new();
            for column in noun.columns {
                assert!(names.insert(column.name), "{} has two columns {}", noun.plural, column.name);
                assert_eq!(column.name, column.name.to_lowercase());
            }
        }
    }
}

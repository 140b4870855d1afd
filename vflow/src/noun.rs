//! What can be listed: one table of columns and filters per noun.

mod connection;
mod event;
mod network;
mod request;
mod workload;

use vanflow_api::selection::{Selection, Tests};

pub(crate) use self::{
    connection::CONNECTIONS,
    event::{EVENTS, severity},
    network::{CONNECTORS, LINKS, LISTENERS, ROUTERS, SITES},
    request::REQUESTS,
    workload::{COMPONENTS, PROCESSES, SERVICES},
};
use crate::{
    args::{Filters, Subject},
    column::Column,
    error::Error,
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
    pub(crate) test: Tests,
    /// The property that lists are in order of: when something began.
    pub(crate) time: &'static str,
}

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

    /// What of such items passes those filters.
    ///
    /// # Errors
    ///
    /// Where such items have nothing that a filter could be compared with, or a value makes no sense.
    pub(crate) fn selection(&self, filters: &Filters) -> Result<Selection, Error> {
        Selection::new(&filters.0, self.plural, self.test).map_err(|error| Error::usage(error.to_string()))
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
    fn columns_show_what_rows_of_the_history_have() {
        for table in vanflow_api::tables() {
            let noun = [CONNECTIONS, REQUESTS].into_iter().find(|noun| noun.plural == table.name);
            let noun = noun.expect("all that has rows can be observed");
            for property in noun.columns.iter().flat_map(Column::properties) {
                // Of some it is said whether they are known, of others it need not be.
                let name = property.strip_suffix("Known").unwrap_or(&property);
                assert!(table.column(name).is_some(), "{}: {property}", noun.plural);
            }
        }
    }

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

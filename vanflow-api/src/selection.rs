//! Filters as they apply to one kind of item: what of it is compared with what.
//!
//! Whatever the API filters by, each item is looked at here again: the API compares the beginnings of texts, and one
//! property at a time.

mod filter;
mod pattern;
mod traffic;
mod wanted;

use std::collections::HashMap;

use serde_json::Value;
use thiserror::Error;

pub use self::{
    filter::{Described, Filter, Given, NOT, Side, all},
    traffic::{of_connections, of_requests},
};
use self::{pattern::Pattern, wanted::Wanted};
pub use crate::query::duration;

/// What a filter looks at on that side in items of one kind; none where it does not apply to them.
pub type Tests = fn(Filter, Side) -> Option<Test>;

/// Why there is no selection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectionError {
    /// Such items have nothing to compare it with.
    #[error("{option} does not apply to {plural}{others}")]
    Inapplicable {
        /// The option.
        option: String,
        /// What the items are called.
        plural: &'static str,
        /// Which other options there are, in words.
        others: String,
    },
    /// Its value makes no sense.
    #[error("{option} is `{value}`, which has to be {expected}")]
    Senseless {
        /// The option.
        option: String,
        /// The value.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },
}

/// What sites and processes are called, and what they belong to: for what items name by identity only.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// The names of sites by their identities.
    pub sites: HashMap<String, String>,
    /// Processes by their identities.
    pub processes: HashMap<String, Process>,
}

/// What a process belongs to.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// The name of its component.
    pub component: String,
    /// The identity of that.
    pub component_id: String,
    /// The services that it serves, each name, identity and protocol.
    pub services: Vec<String>,
}

impl Directory {
    /// What a site is called.
    pub fn site_name(&self, id: &str) -> Option<&str> {
        self.sites.get(id).map(String::as_str)
    }

    /// What is known of a process.
    pub fn process(&self, id: &str) -> Option<&Process> {
        self.processes.get(id)
    }
}

/// The sum of what was reported of these numbers of an item; none where nothing was.
pub fn sum_known(item: &Value, names: &[&str]) -> Option<u64> {
    let known = names.iter().filter(|name| item[format!("{name}Known").as_str()] != Value::Bool(false));
    let mut numbers = known.filter_map(|name| item[*name].as_u64()).peekable();
    numbers.peek()?;
    Some(numbers.fold(0, u64::saturating_add))
}

/// Which filters do apply, for those who gave another.
fn others(tests: Tests) -> String {
    let known = Filter::TABLE.iter().flat_map(|described| {
        let filter = described.filter;
        let sides = Side::ALL.iter();
        sides
            .filter(move |side| filter.is_on(**side) && tests(filter, **side).is_some())
            .map(move |side| filter.option(*side))
    });
    let known: Vec<_> = known.collect();
    if known.is_empty() { String::new() } else { format!(", which have {}", known.join(", ")) }
}

/// What of an item a filter looks at, by the names of properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// One of these texts is the one that is wanted.
    Text(&'static [&'static str]),
    /// The same, of addresses: the port can be left out.
    Address(&'static [&'static str]),
    /// One of the processes with these identities is of the component that is wanted.
    Component(&'static [&'static str]),
    /// The process with this identity serves the service that is wanted.
    Serves(&'static str),
    /// The site with this identity is the one that is wanted, by identity or name.
    SiteOf(&'static str),
    /// The subject of an event is of this type, and the one that is wanted.
    Subject(&'static str),
    /// A status, or a class or range of them.
    Status(&'static str),
    /// At least so many octets in all of these together.
    Octets(&'static [&'static str]),
    /// At least so many microseconds.
    Latency(&'static str),
    /// One of these says what went wrong.
    Says(&'static [&'static str]),
    /// This property has that value.
    Is(&'static str, &'static str),
    /// A request that ended with 5xx or without a result.
    RequestFailed,
}

impl Test {
    /// The properties that it looks at.
    fn properties(&self) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        match *self {
            Self::Text(names) | Self::Address(names) | Self::Component(names) | Self::Says(names) => {
                own(names)
            }
            Self::Serves(name) | Self::SiteOf(name) | Self::Status(name) | Self::Is(name, _) => own(&[name]),
            Self::Latency(name) if !name.starts_with("latency") => own(&[name]),
            Self::Latency(name) => own(&[name, &format!("{name}Known")]),
            Self::Octets(names) => {
                names.iter().flat_map(|name| [(*name).to_owned(), format!("{name}Known")]).collect()
            }
            Self::Subject(_) => own(&["subject"]),
            Self::RequestFailed => own(&["status", "endTime"]),
        }
    }
}

/// The filters of one question, compared with items.
#[derive(Debug, Default)]
pub struct Selection {
    clauses: Vec<Clause>,
}

#[derive(Debug)]
struct Clause {
    filter: Filter,
    side: Side,
    is_negated: bool,
    test: Test,
    wanted: Vec<Wanted>,
}

impl Selection {
    /// Those filters for items of one kind, which are called so.
    ///
    /// # Errors
    ///
    /// Where such items have nothing that a filter could be compared with, or a value makes no sense.
    pub fn new(filters: &[Given], plural: &'static str, tests: Tests) -> Result<Self, SelectionError> {
        let clauses =
            filters.iter().map(|given| Clause::new(given, plural, tests)).collect::<Result<_, _>>()?;
        Ok(Self { clauses })
    }

    /// Items of which one of these properties is one of these names or identities, as well.
    pub fn named(mut self, names: &[String], properties: &'static [&'static str]) -> Self {
        if !names.is_empty() {
            let wanted = names.iter().map(|name| Wanted::Text(Pattern::new(name))).collect();
            let clause = Clause {
                filter: Filter::Id,
                side: Side::Either,
                is_negated: false,
                test: Test::Text(properties),
                wanted,
            };
            self.clauses.push(clause);
        }
        self
    }

    /// Whether anything passes.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Whether an item passes all of them.
    pub fn admits(&self, item: &Value, directory: &Directory) -> bool {
        self.clauses.iter().all(|clause| clause.is_met(item, directory) != clause.is_negated)
    }

    /// The properties of items that are looked at.
    pub fn properties(&self) -> impl Iterator<Item = String> {
        self.clauses.iter().flat_map(|clause| clause.test.properties())
    }

    /// Whether it has to be known what processes belong to.
    pub fn needs_processes(&self) -> bool {
        self.clauses.iter().any(|clause| matches!(clause.test, Test::Component(_) | Test::Serves(_)))
    }

    /// Whether it has to be known what sites are called.
    pub fn needs_sites(&self) -> bool {
        self.clauses.iter().any(|clause| matches!(clause.test, Test::SiteOf(_)))
    }

    /// Parameters by which the API can leave out some of what does not pass. Those that pass always pass them too.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        self.clauses.iter().filter(|clause| !clause.is_negated).flat_map(Clause::parameters).collect()
    }

    /// What was asked for, in words: for those who got nothing.
    pub fn describe(&self) -> String {
        let words = self.clauses.iter().map(|clause| {
            let not = if clause.is_negated { "--not " } else { "" };
            format!("{not}{}", clause.filter.option(clause.side))
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Clause {
    fn new(given: &Given, plural: &'static str, tests: Tests) -> Result<Self, SelectionError> {
        let option = || given.filter.option(given.side);
        let Some(test) = tests(given.filter, given.side) else {
            return Err(SelectionError::Inapplicable { option: option(), plural, others: others(tests) });
        };
        let wanted = given.values.iter().map(|value| {
            Wanted::parse(test, value).map_err(|expected| SelectionError::Senseless {
                option: option(),
                value: value.clone(),
                expected,
            })
        });
        Ok(Self {
            filter: given.filter,
            side: given.side,
            is_negated: given.is_negated,
            test,
            wanted: wanted.collect::<Result<_, _>>()?,
        })
    }

    fn is_met(&self, item: &Value, directory: &Directory) -> bool {
        let text = |name: &&'static str| item[*name].as_str();
        let any = |is_met: &dyn Fn(&Wanted) -> bool| self.wanted.iter().any(is_met);
        match self.test {
            Test::Text(names) => any(&|wanted| {
                names.iter().any(|name| match &item[*name] {
                    Value::Array(texts) => {
                        texts.iter().filter_map(Value::as_str).any(|text| wanted.is_text(text))
                    }
                    other => other.as_str().is_some_and(|text| wanted.is_text(text)),
                })
            }),
            Test::Address(names) => any(&|wanted| {
                names.iter().any(|name| match &item[*name] {
                    Value::Array(texts) => {
                        texts.iter().filter_map(Value::as_str).any(|text| wanted.is_served(text))
                    }
                    other => other.as_str().is_some_and(|text| wanted.is_address(text)),
                })
            }),
            Test::Component(names) => {
                let processes = names.iter().filter_map(text).filter_map(|id| directory.process(id));
                let components: Vec<_> = processes.collect();
                any(&|wanted| {
                    components.iter().any(|process| {
                        wanted.is_text(&process.component) || wanted.is_text(&process.component_id)
                    })
                })
            }
            Test::Serves(name) => {
                let process = text(&name).and_then(|id| directory.process(id));
                process.is_some_and(|process| {
                    any(&|wanted| process.services.iter().any(|service| wanted.is_served(service)))
                })
            }
            Test::SiteOf(name) => text(&name).is_some_and(|id| {
                let site = directory.site_name(id);
                any(&|wanted| wanted.is_text(id) || site.is_some_and(|site| wanted.is_text(site)))
            }),
            Test::Subject(kind) => {
                let subject = &item["subject"];
                let names = [&subject["name"], &subject["id"]];
                subject["type"] == kind
                    && any(&|wanted| {
                        names.iter().filter_map(|name| name.as_str()).any(|name| wanted.is_address(name))
                    })
            }
            Test::Status(name) => any(&|wanted| text(&name).is_some_and(|status| wanted.is_status(status))),
            Test::Octets(names) => {
                let octets = sum_known(item, names);
                any(&|wanted| octets.is_some_and(|octets| wanted.is_reached_by(octets)))
            }
            Test::Latency(name) => {
                let latency = sum_known(item, &[name]);
                any(&|wanted| latency.is_some_and(|latency| wanted.is_reached_by(latency)))
            }
            Test::Says(names) => names.iter().filter_map(text).any(|text| !text.is_empty()),
            Test::Is(name, value) => item[name] == value,
            Test::RequestFailed => match item["status"].as_str() {
                Some(status) if !status.is_empty() => status.starts_with('5'),
                _ => item["endTime"].as_u64().is_some_and(|end| end > 0),
            },
        }
    }

    /// What the API is asked to leave out: it compares beginnings, which is wider than what is wanted.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let beginnings = |name: &'static str| -> Vec<(&'static str, String)> {
            let wanted: Option<Vec<_>> = self.wanted.iter().map(Wanted::beginning).collect();
            // One that has no beginning of its own lets anything pass.
            wanted.into_iter().flatten().map(|value| (name, value)).collect()
        };
        match self.test {
            Test::Address(&["routingKey"]) => beginnings("routingKey"),
            Test::Text(
                &[name @ ("sourceHost" | "destHost" | "sourcePort" | "destPort" | "protocol" | "method")],
            ) => beginnings(name),
            Test::Status("status") => beginnings("status"),
            Test::Says(&[name]) => vec![(name, "*".to_owned())],
            _ => Vec::new(),
        }
    }
}

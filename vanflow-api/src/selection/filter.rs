//! The filters: one table, from which options, help and errors derive.

/// What can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table says what each is")]
#[non_exhaustive]
pub enum Filter {
    Site,
    Component,
    Process,
    Service,
    Host,
    Port,
    Protocol,
    Status,
    Method,
    Kind,
    Id,
    Error,
    MinOctets,
    MinLatency,
}

/// Which end of a connection a filter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// One of them.
    Either,
    /// The client's.
    From,
    /// The server's.
    To,
}

impl Side {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Either, Self::From, Self::To];

    /// What stands before the name of a filter on that side.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Either => "",
            Self::From => "from-",
            Self::To => "to-",
        }
    }
}

/// What there is to be said of a filter.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// The filter.
    pub filter: Filter,
    /// Its name, less the side.
    pub name: &'static str,
    /// What its value is; empty where it has none.
    pub value: &'static str,
    /// Whether it can be about one end.
    pub has_sides: bool,
    /// What it is, for people.
    pub help: &'static str,
}

const fn described(
    filter: Filter,
    name: &'static str,
    value: &'static str,
    has_sides: bool,
    help: &'static str,
) -> Described {
    Described { filter, name, value, has_sides, help }
}

impl Filter {
    /// Each.
    pub const TABLE: [Described; 14] = [
        described(Self::Site, "site", "NAME", true, "A site, by name or identity; `*` stands for anything"),
        described(Self::Component, "component", "NAME", true, "A component, by name or identity"),
        described(Self::Process, "process", "NAME", true, "A process, by name or identity"),
        described(
            Self::Service,
            "service",
            "ADDRESS",
            true,
            "A service, by address, with or without port, or identity",
        ),
        described(Self::Host, "host", "HOST", true, "The address of a client or server"),
        described(Self::Port, "port", "PORT", true, "A port"),
        described(Self::Protocol, "protocol", "NAME", false, "A protocol, such as tcp or http2"),
        described(
            Self::Status,
            "status",
            "STATUS",
            false,
            "A status: of requests 404, 5xx or 400-499, of links up or down",
        ),
        described(Self::Method, "method", "NAME", false, "The method of a request, such as GET"),
        described(Self::Kind, "kind", "NAME", false, "The kind of an event, such as linkDown"),
        described(Self::Id, "id", "ID", false, "The identity, or identity@start"),
        described(
            Self::Error,
            "error",
            "",
            true,
            "What failed: connections with an error, requests with 5xx or no result",
        ),
        described(
            Self::MinOctets,
            "min-octets",
            "OCTETS",
            true,
            "At least so many octets, as in 10kB; both ways together",
        ),
        described(
            Self::MinLatency,
            "min-latency",
            "TIME",
            true,
            "At least such a latency, as in 250ms; to- is the workload's",
        ),
    ];

    /// What there is to be said of it.
    pub fn row(self) -> &'static Described {
        &Self::TABLE[self as usize]
    }

    /// Whether it can be about that side.
    pub fn is_on(self, side: Side) -> bool {
        side == Side::Either || self.row().has_sides
    }

    /// Its name on that side.
    pub fn name(self, side: Side) -> String {
        format!("{}{}", side.prefix(), self.row().name)
    }

    /// The option of it on that side.
    pub fn option(self, side: Side) -> String {
        format!("--{}", self.name(side))
    }
}

/// A filter that was given, with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The filter.
    pub filter: Filter,
    /// What it is about.
    pub side: Side,
    /// Whether what it matches is what does not pass.
    pub is_negated: bool,
    /// Any of them will do. None where it has no value.
    pub values: Vec<String>,
}

/// What stands before the name of a filter that is negated.
pub const NOT: &str = "not-";

/// All there can be: filter, side, whether negated, and name.
pub fn all() -> impl Iterator<Item = (Filter, Side, bool, String)> {
    Filter::TABLE.iter().flat_map(|described| {
        let sides = if described.has_sides { &Side::ALL[..] } else { &Side::ALL[..1] };
        sides.iter().flat_map(move |side| {
            let name = described.filter.name(*side);
            let negated = (described.filter, *side, true, format!("{NOT}{name}"));
            [(described.filter, *side, false, name), negated]
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_table_are_where_their_filters_say() {
        for (at, described) in Filter::TABLE.iter().enumerate() {
            assert_eq!(described.filter as usize, at);
        }
    }
}

//! The filters: one table, from which options, help and errors derive.

use std::ffi::OsString;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches,
    builder::{NonEmptyStringValueParser, Resettable},
};

/// What can be filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Filter {
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
pub(crate) enum Side {
    /// One of them.
    Either,
    /// The client's.
    From,
    /// The server's.
    To,
}

impl Side {
    const ALL: [Self; 3] = [Self::Either, Self::From, Self::To];

    fn prefix(self) -> &'static str {
        match self {
            Self::Either => "",
            Self::From => "from-",
            Self::To => "to-",
        }
    }
}

impl Filter {
    /// Each, with its option, the name of its value (empty where it has none), whether it has sides, and its help.
    const TABLE: [(Self, &'static str, &'static str, bool, &'static str); 14] = [
        (Self::Site, "site", "NAME", true, "A site, by name or identity; `*` stands for anything"),
        (Self::Component, "component", "NAME", true, "A component, by name or identity"),
        (Self::Process, "process", "NAME", true, "A process, by name or identity"),
        (
            Self::Service,
            "service",
            "ADDRESS",
            true,
            "A service, by address, with or without port, or identity",
        ),
        (Self::Host, "host", "HOST", true, "The address of a client or server"),
        (Self::Port, "port", "PORT", true, "A port"),
        (Self::Protocol, "protocol", "NAME", false, "A protocol, such as tcp or http2"),
        (
            Self::Status,
            "status",
            "STATUS",
            false,
            "A status: of requests 404, 5xx or 400-499, of links up or down",
        ),
        (Self::Method, "method", "NAME", false, "The method of a request, such as GET"),
        (Self::Kind, "kind", "NAME", false, "The kind of an event, such as linkDown"),
        (Self::Id, "id", "ID", false, "The identity, or identity@start"),
        (
            Self::Error,
            "error",
            "",
            true,
            "What failed: connections with an error, requests with 5xx or no result",
        ),
        (
            Self::MinOctets,
            "min-octets",
            "OCTETS",
            true,
            "At least so many octets, as in 10kB; both ways together",
        ),
        (
            Self::MinLatency,
            "min-latency",
            "TIME",
            true,
            "At least such a latency, as in 250ms; to- is the workload's",
        ),
    ];

    fn row(self) -> &'static (Self, &'static str, &'static str, bool, &'static str) {
        &Self::TABLE[self as usize]
    }

    /// Whether there is an option of it on that side.
    pub(crate) fn is_on(self, side: Side) -> bool {
        side == Side::Either || self.row().3
    }

    /// The option of it on that side.
    pub(crate) fn option(self, side: Side) -> String {
        format!("--{}{}", side.prefix(), self.row().1)
    }
}

/// A filter that was given, with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) filter: Filter,
    pub(crate) side: Side,
    pub(crate) is_negated: bool,
    /// Any of them will do. None where it has no value.
    pub(crate) values: Vec<String>,
}

/// The filters that were given: what passes, passes all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters(pub(crate) Vec<Given>);

const NOT: &str = "not";
const HEADING: &str =
    "Filters, most also as --from-… (the client) and --to-… (the server); repeated is or, different is and";

/// All options there are: filter, side, whether negated, and name.
fn options() -> impl Iterator<Item = (Filter, Side, bool, String)> {
    Filter::TABLE.iter().flat_map(|(filter, name, _, has_sides, _)| {
        let sides = if *has_sides { &Side::ALL[..] } else { &Side::ALL[..1] };
        sides.iter().flat_map(move |side| {
            let name = format!("{}{name}", side.prefix());
            [(*filter, *side, false, name.clone()), (*filter, *side, true, format!("{NOT}-{name}"))]
        })
    })
}

impl Args for Filters {
    fn augment_args(command: Command) -> Command {
        let not = Arg::new(NOT)
            .long(NOT)
            .action(ArgAction::SetTrue)
            .help("Negates the filter after it, as in --not --site west")
            .help_heading(HEADING);
        options()
            .fold(command, |command, (filter, side, is_negated, name)| {
                let (_, _, value, _, help) = filter.row();
                let arg = Arg::new(name.clone()).long(name).help(*help).help_heading(HEADING);
                let arg = if value.is_empty() {
                    arg.action(ArgAction::SetTrue)
                } else {
                    let parser = NonEmptyStringValueParser::new();
                    arg.action(ArgAction::Append)
                        .value_name(Resettable::Value((*value).into()))
                        .value_parser(parser)
                };
                command.arg(arg.hide(is_negated || side != Side::Either))
            })
            .arg(not)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Filters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if matches.get_flag(NOT) {
            let text = "--not stands right before the filter that it negates, as in --not --site west\n";
            return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, text));
        }
        let given = options().filter_map(|(filter, side, is_negated, name)| {
            if filter.row().2.is_empty() {
                let given = Given { filter, side, is_negated, values: Vec::new() };
                return matches.get_flag(&name).then_some(given);
            }
            let values = matches.get_many::<String>(&name)?.cloned().collect();
            Some(Given { filter, side, is_negated, values })
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Makes one option of `--not` and the filter after it.
pub(crate) fn join_not(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined = Vec::new();
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        let filter = args.peek().and_then(|next| next.to_str()).and_then(|next| next.strip_prefix("--"));
        match filter.filter(|filter| arg == "--not" && is_filter(filter)) {
            Some(filter) => {
                joined.push(format!("--{NOT}-{filter}").into());
                args.next();
            }
            None => joined.push(arg),
        }
    }
    joined
}

fn is_filter(option: &str) -> bool {
    let name = option.split('=').next().unwrap_or_default();
    options().any(|(_, _, is_negated, known)| !is_negated && known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(args: &[&str]) -> Result<Filters, String> {
        let command = Filters::augment_args(Command::new("vflow"));
        let args = join_not(std::iter::once("vflow").chain(args.iter().copied()).map(OsString::from));
        let matches = command.try_get_matches_from(args).map_err(|error| error.to_string())?;
        Filters::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_of_the_table_are_where_their_filters_say() {
        for (at, (filter, ..)) in Filter::TABLE.iter().enumerate() {
            assert_eq!(*filter as usize, at);
        }
    }

    #[test]
    fn not_negates_the_filter_after_it_only() {
        let filters = given(&["--not", "--from-site", "west", "--to-site=east", "--not", "--error"])
            .expect("it parses");
        let one = |filter, side, is_negated, values: &[&str]| Given {
            filter,
            side,
            is_negated,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        assert_eq!(
            filters.0,
            [
                one(Filter::Site, Side::From, true, &["west"]),
                one(Filter::Site, Side::To, false, &["east"]),
                one(Filter::Error, Side::Either, true, &[]),
            ]
        );
    }

    #[test]
    fn not_alone_is_told_where_it_stands() {
        let error = given(&["--site", "west", "--not"]).expect_err("it negates nothing");
        assert_eq!(
            error,
            "error: --not stands right before the filter that it negates, as in --not --site west\n"
        );
    }
}

//! The filters as options, which derive from the one table of them.

use std::ffi::OsString;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches,
    builder::{NonEmptyStringValueParser, Resettable},
};
use vanflow_api::selection::{Described, Given, NOT, Side, all};

/// The filters that were given: what passes, passes all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters(pub(crate) Vec<Given>);

/// The option that negates the one after it.
const ALONE: &str = "not";
const HEADING: &str =
    "Filters, most also as --from-… (the client) and --to-… (the server); repeated is or, different is and";

impl Args for Filters {
    fn augment_args(command: Command) -> Command {
        let not = Arg::new(ALONE)
            .long(ALONE)
            .action(ArgAction::SetTrue)
            .help("Negates the filter after it, as in --not --site west")
            .help_heading(HEADING);
        all()
            .fold(command, |command, (filter, side, is_negated, name)| {
                let Described { value, help, .. } = filter.row();
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
        if matches.get_flag(ALONE) {
            let text = "--not stands right before the filter that it negates, as in --not --site west\n";
            return Err(clap::Error::raw(clap::error::ErrorKind::InvalidValue, text));
        }
        let given = all().filter_map(|(filter, side, is_negated, name)| {
            if filter.row().value.is_empty() {
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
                joined.push(format!("--{NOT}{filter}").into());
                args.next();
            }
            None => joined.push(arg),
        }
    }
    joined
}

fn is_filter(option: &str) -> bool {
    let name = option.split('=').next().unwrap_or_default();
    all().any(|(_, _, is_negated, known)| !is_negated && known == name)
}

#[cfg(test)]
mod tests {
    use vanflow_api::selection::Filter;

    use super::*;

    fn given(args: &[&str]) -> Result<Filters, String> {
        let command = Filters::augment_args(Command::new("vflow"));
        let args = join_not(std::iter::once("vflow").chain(args.iter().copied()).map(OsString::from));
        let matches = command.try_get_matches_from(args).map_err(|error| error.to_string())?;
        Filters::from_arg_matches(&matches).map_err(|error| error.to_string())
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

//! From a query string to typed values, and to errors that say what was wrong and what would be right.

use std::borrow::Cow;

use crate::{
    error::{ApiError, excerpt},
    query::{
        filter::operand,
        nearest::suggestion,
        string::{Pair, pairs},
    },
};

/// A parameter that a route takes.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// What to say where it is missing; none where it may be.
    pub(crate) required: Option<&'static str>,
    pub(crate) description: &'static str,
}

/// What values of a parameter look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// 1 or 0, true or false.
    Flag,
    /// A whole number, 0 or more.
    Count,
    /// Any text.
    Text,
    /// Names of properties of the list, with commas between them.
    Fields,
    /// The identity of a record; can be given several times. A `+` in it is a plus sign, not a space: routers have
    /// it in their ids, and no id has a space.
    Identities,
    /// The name or number of a record type.
    RecordType,
}

/// The parameters of one request, known to be among those of its route.
#[derive(Debug)]
pub(crate) struct Params<'q> {
    given: Vec<(&'static Parameter, Cow<'q, str>)>,
    filters: Vec<Pair<'q>>,
}

impl<'q> Params<'q> {
    /// Reads a query string. What is no parameter is a filter by one of the properties that `filters` names.
    ///
    /// # Errors
    ///
    /// Where it has what is neither, has a parameter twice, or lacks one.
    pub(crate) fn parse(
        query: Option<&'q str>,
        path: &'static str,
        parameters: &'static [&'static Parameter],
        filters: &[&'static str],
    ) -> Result<Self, ApiError> {
        let mut params = Self { given: Vec::new(), filters: Vec::new() };
        for pair in pairs(query.unwrap_or(""))? {
            let found = parameters.iter().find(|parameter| parameter.name == pair.name);
            let Some(&parameter) = found else {
                let (name, _) = operand(&pair.name);
                if !filters.contains(&name) {
                    return Err(unknown(&pair.name, path, parameters, filters));
                }
                params.filters.push(pair);
                continue;
            };
            let several = parameter.form == Form::Identities;
            if !several && params.given.iter().any(|(other, _)| other.name == parameter.name) {
                return Err(ApiError::Repeated { parameter: parameter.name });
            }
            let value = pair.plus.filter(|_| several).unwrap_or(pair.value);
            params.given.push((parameter, value));
        }
        for parameter in parameters {
            if let Some(hint) = parameter.required
                && params.texts(parameter.name).all(str::is_empty)
            {
                return Err(ApiError::Missing { parameter: parameter.name, hint });
            }
        }
        Ok(params)
    }

    /// The filters, as they were given.
    pub(crate) fn filters(&self) -> &[Pair<'q>] {
        &self.filters
    }

    /// The value as it is.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// The values of a parameter that can be given several times.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(parameter, _)| parameter.name == name).map(|(_, value)| &**value)
    }

    /// Whether a [`Form::Flag`] is set; none where it is not given.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>, ApiError> {
        self.typed(name, "1 or 0", |value| match value {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        })
    }

    /// A [`Form::Count`].
    pub(crate) fn count(&self, name: &'static str) -> Result<Option<u64>, ApiError> {
        self.typed(name, "a whole number, 0 or more", |value| {
            // `parse` would take a sign as well. More than there can be is as good as the most that there can be.
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| value.parse().unwrap_or(u64::MAX))
        })
    }

    /// A value that `read` makes of a text.
    pub(crate) fn typed<T>(
        &self,
        name: &'static str,
        expected: impl Into<String>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.text(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| ApiError::Invalid {
            parameter: name.to_owned(),
            value: excerpt(value),
            expected: expected.into(),
        })
    }
}

fn unknown(
    name: &str,
    path: &'static str,
    parameters: &'static [&'static Parameter],
    filters: &[&'static str],
) -> ApiError {
    let takes: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
    let suggestion = suggestion(name, takes.iter().chain(filters).copied());
    let takes =
        if takes.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", takes.join(", ")) };
    let filters = match filters {
        [] => String::new(),
        _ => format!(", and filters by {}", filters.join(", ")),
    };
    ApiError::Unknown { parameter: excerpt(name), path, known: format!("{suggestion}{takes}{filters}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    static LIMIT: Parameter = Parameter { name: "limit", form: Form::Count, required: None, description: "" };
    static WATCH: Parameter = Parameter { name: "watch", form: Form::Flag, required: None, description: "" };
    static ID: Parameter =
        Parameter { name: "id", form: Form::Identities, required: Some("name a record"), description: "" };
    static ADDRESS: Parameter =
        Parameter { name: "vanaddr", form: Form::Text, required: None, description: "" };
    static NEEDED: &[&Parameter] = &[&ID];
    static OPTIONAL: &[&Parameter] = &[&LIMIT, &WATCH, &ADDRESS];

    fn parse(query: &str) -> Result<Params<'_>, ApiError> {
        Params::parse(Some(query), "/list", OPTIONAL, &["name"])
    }

    #[test]
    fn values_are_decoded_and_typed() {
        let params = parse("limit=10&watch=true&vanaddr=a%2Fb+c%3A7&").unwrap();
        assert_eq!(params.count("limit"), Ok(Some(10)));
        assert_eq!(params.flag("watch"), Ok(Some(true)));
        assert_eq!(params.text("vanaddr"), Some("a/b c:7"));
        assert_eq!(parse("").unwrap().count("limit"), Ok(None));
        assert_eq!(parse("limit=99999999999999999999").unwrap().count("limit"), Ok(Some(u64::MAX)));
    }

    #[test]
    fn a_plus_in_an_id_is_a_plus() {
        let params = Params::parse(Some("id=+8aqA:0&id=%2B8aqA:1"), "/record", NEEDED, &[]).unwrap();
        assert_eq!(params.texts("id").collect::<Vec<_>>(), ["+8aqA:0", "+8aqA:1"]);
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named_with_what_would() {
        for (query, error) in [
            ("limit=ten", "`limit` is `ten`, but must be a whole number, 0 or more"),
            ("limit=-1", "`limit` is `-1`, but must be a whole number, 0 or more"),
            ("limit=%2B1", "`limit` is `+1`, but must be a whole number, 0 or more"),
            ("limit", "`limit` is ``, but must be a whole number, 0 or more"),
        ] {
            assert_eq!(parse(query).unwrap().count("limit").unwrap_err().to_string(), error);
        }
        let error = parse("watch=maybe").unwrap().flag("watch").unwrap_err();
        assert_eq!(error.to_string(), "`watch` is `maybe`, but must be 1 or 0");
    }

    #[test]
    fn a_parameter_that_is_unknown_repeated_or_missing_is_named() {
        let error = |result: Result<Params<'_>, ApiError>| result.unwrap_err().to_string();
        assert_eq!(
            error(parse("lmit=1")),
            "`lmit` is no parameter of /list; did you mean limit? it takes limit, watch, vanaddr, and filters by name"
        );
        assert_eq!(
            error(Params::parse(Some("a=1"), "/list", &[], &[])),
            "`a` is no parameter of /list; it takes none"
        );
        assert_eq!(
            error(parse("limit=1&limit=2")),
            "`limit` is given more than once, but can have one value only"
        );
        for query in ["", "id=", "id"] {
            assert_eq!(
                error(Params::parse(Some(query), "/record", NEEDED, &[])),
                "`id` is missing: name a record"
            );
        }
    }
}

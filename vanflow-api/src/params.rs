//! From a query string to typed values, and to errors that say what was wrong and what would be right.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{ApiError, excerpt};

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
}

impl<'q> Params<'q> {
    /// Reads a query string.
    ///
    /// # Errors
    ///
    /// Where it has a parameter that the route does not take, has one twice, or lacks one.
    pub(crate) fn parse(
        query: Option<&'q str>,
        path: &'static str,
        parameters: &'static [&'static Parameter],
    ) -> Result<Self, ApiError> {
        let mut given: Vec<(&'static Parameter, Cow<'q, str>)> = Vec::new();
        for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, true);
            let Some(&parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
                let known = match parameters {
                    [] => "it takes none".to_owned(),
                    _ => {
                        let names: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
                        format!("it takes {}", names.join(", "))
                    }
                };
                return Err(ApiError::Unknown { parameter: excerpt(&name), path, known });
            };
            let several = parameter.form == Form::Identities;
            if !several && given.iter().any(|(other, _)| other.name == parameter.name) {
                return Err(ApiError::Repeated { parameter: parameter.name });
            }
            given.push((parameter, decode(value, !several)));
        }
        let params = Self { given };
        for parameter in parameters {
            if let Some(hint) = parameter.required
                && params.texts(parameter.name).all(str::is_empty)
            {
                return Err(ApiError::Missing { parameter: parameter.name, hint });
            }
        }
        Ok(params)
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
            parameter: name,
            value: excerpt(value),
            expected: expected.into(),
        })
    }
}

fn decode(text: &str, plus_is_space: bool) -> Cow<'_, str> {
    if plus_is_space && text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
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
        Params::parse(Some(query), "/list", OPTIONAL)
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
        let params = Params::parse(Some("id=+8aqA:0&id=%2B8aqA:1"), "/record", NEEDED).unwrap();
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
        assert_eq!(error(parse("lmit=1")), "`lmit` is no parameter of /list; it takes limit, watch, vanaddr");
        assert_eq!(
            error(Params::parse(Some("a=1"), "/list", &[])),
            "`a` is no parameter of /list; it takes none"
        );
        assert_eq!(
            error(parse("limit=1&limit=2")),
            "`limit` is given more than once, but can have one value only"
        );
        for query in ["", "id=", "id"] {
            assert_eq!(
                error(Params::parse(Some(query), "/record", NEEDED)),
                "`id` is missing: name a record"
            );
        }
    }
}

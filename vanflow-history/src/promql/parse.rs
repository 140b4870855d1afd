//! From the text of a query to an expression.
//!
//! The parser is promql-parser. Before it sees a query, durations with a fraction are rounded to milliseconds:
//! the console writes `[60.00099992752075s]`, which Prometheus refuses. A query that nests too deep is refused here,
//! since everything that handles an expression does so recursively.

use promql_parser::parser::{self, Expr, VectorSelector};

use super::{error::QueryError, parameters::parameter};

/// How many octets a query may have.
const LENGTH: usize = 64 * 1024;

/// How many operators a query may have, together with how deep its brackets nest: no expression is deeper than that.
const NESTING: usize = 100;

/// The longest duration that is understood: 100 years.
const LONGEST_MS: f64 = 100.0 * 365.0 * 86_400_000.0;

pub(crate) fn parse(query: &str) -> Result<Expr, QueryError> {
    let refusal = |problem: String| QueryError::Parameter { name: "query", problem };
    if query.len() > LENGTH {
        return Err(refusal(format!("the query has {} octets, but may have {LENGTH} at most", query.len())));
    }
    let query = with_whole_durations(query).map_err(refusal)?;
    // An empty query has an error of its own in Prometheus.
    if query.trim().is_empty() {
        return Err(refusal("parse error: no expression found in input".to_owned()));
    }
    parser::parse(&query).map_err(|problem| refusal(format!("parse error: {problem}")))
}

/// What the parser says of a selector that would find everything.
const UNBOUNDED: &str = "must contain at least one non-empty matcher";

/// A selector of series, and nothing else.
pub(crate) fn selector(text: &str) -> Result<VectorSelector, QueryError> {
    let expression = parse(text).map_err(|error| match error {
        // Prometheus finds this one after it has parsed the selector.
        QueryError::Parameter { problem, .. } if problem.ends_with(UNBOUNDED) => {
            QueryError::BadData(format!("match[] {UNBOUNDED}"))
        }
        QueryError::Parameter { problem, .. } => QueryError::Parameter { name: "match[]", problem },
        other => other,
    })?;
    match expression {
        Expr::VectorSelector(selector) if selector.at.is_none() && selector.offset.is_none() => Ok(selector),
        _ => Err(parameter("match[]", "parse error: it must be a selector of series, such as a{b=\"c\"}")),
    }
}

/// The query with each duration that has a fraction rounded to milliseconds. Strings and comments stay as they are.
fn with_whole_durations(query: &str) -> Result<String, String> {
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    let (mut is_in_brackets, mut is_in_braces) = (false, false);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' | '`' => string_length(rest, first),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '0'..='9' | '.' => {
                let length = word_length(rest);
                let word = &rest[..length];
                // A plain number may be a duration of seconds; whichever it is, the parser must not overflow on it.
                let is_duration = is_in_brackets || is_after_offset(&out);
                match duration_ms(word, is_duration)? {
                    Some(ms) => out.push_str(&format!("{ms}ms")),
                    None => out.push_str(word),
                }
                rest = &rest[length..];
                continue;
            }
            ':' if is_in_brackets => 1,
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let length = word_length(rest);
                let word = &rest[..length];
                if ["and", "or", "unless", "atan2"].iter().any(|operator| word.eq_ignore_ascii_case(operator))
                {
                    operators += 1;
                }
                length
            }
            '(' => {
                depth += 1;
                deepest = deepest.max(depth);
                1
            }
            ')' => {
                depth = depth.saturating_sub(1);
                1
            }
            '+' | '-' | '*' | '/' | '%' | '^' | '=' | '!' | '<' | '>' => {
                operators += usize::from(!is_in_braces);
                1
            }
            _ => first.len_utf8(),
        };
        is_in_brackets = (is_in_brackets || first == '[') && first != ']';
        is_in_braces = (is_in_braces || first == '{') && first != '}';
        if deepest + operators > NESTING {
            return Err(format!("the query has more than {NESTING} operators and nested brackets"));
        }
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Ok(out)
}

/// The length of a string with its quotes, or of all the rest where it has no end.
fn string_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (position, char) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if char == '\\' {
            is_escaped = true;
        } else if char == quote {
            return position + 1;
        }
    }
    text.len()
}

fn word_length(text: &str) -> usize {
    text.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_' || char == ':' || char == '.'))
        .map_or(text.len(), |end| {
            // The colon of a subquery is no part of the duration before it.
            text[..end]
                .find(':')
                .filter(|_| text.starts_with(|char: char| char.is_ascii_digit()))
                .unwrap_or(end)
        })
}

fn is_after_offset(before: &str) -> bool {
    let before = before.trim_end().trim_end_matches(['-', '+']).trim_end();
    before.len() >= 6
        && before.is_char_boundary(before.len() - 6)
        && before[before.len() - 6..].eq_ignore_ascii_case("offset")
}

/// The milliseconds of a word where it has to be rewritten: a duration that has a fraction, or none that the parser
/// could read without harm.
fn duration_ms(word: &str, is_duration: bool) -> Result<Option<u64>, String> {
    let out_of_range = || format!("parse error: duration out of range: {word}");
    if word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') {
        let Some(seconds) = is_duration.then(|| word.parse::<f64>().ok()).flatten() else { return Ok(None) };
        return match (seconds * 1000.0).round() {
            ms if ms > LONGEST_MS => Err(out_of_range()),
            ms if ms < 1.0 => Err("parse error: duration must be greater than 0".to_owned()),
            ms => Ok(Some(ms as u64)),
        };
    }
    let mut rest = word;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !(char.is_ascii_digit() || char == '.')).unwrap_or(rest.len());
        let Ok(number) = rest[..digits].parse::<f64>() else { return not_a_duration(word, is_duration) };
        rest = &rest[digits..];
        let letters = rest.find(|char: char| !char.is_ascii_lowercase()).unwrap_or(rest.len());
        total += number
            * match &rest[..letters] {
                "ms" => 1.0,
                "s" => 1000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                "d" => 86_400_000.0,
                "w" => 604_800_000.0,
                "y" => 31_536_000_000.0,
                _ => return not_a_duration(word, is_duration),
            };
        rest = &rest[letters..];
    }
    if total > LONGEST_MS {
        return Err(out_of_range());
    }
    if !word.contains('.') {
        return Ok(None);
    }
    match total.round() {
        ms if ms < 1.0 => Err("parse error: duration must be greater than 0".to_owned()),
        ms => Ok(Some(ms as u64)),
    }
}

/// What is left to the parser, such as `0x1f` or `1e3`, unless it stands where a duration has to.
fn not_a_duration(word: &str, is_duration: bool) -> Result<Option<u64>, String> {
    if is_duration { Err(format!("parse error: not a valid duration string: {word:?}")) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(query: &str) -> String {
        with_whole_durations(query).unwrap()
    }

    #[test]
    fn a_duration_with_a_fraction_is_rounded_to_milliseconds() {
        assert_eq!(rewritten("increase(x[60.00099992752075s])"), "increase(x[60001ms])");
        assert_eq!(rewritten("x[1.5h:0.5s] offset 1.25m"), "x[5400000ms:500ms] offset 75000ms");
        assert_eq!(rewritten("x[ 1.5s ] offset -2.5s"), "x[ 1500ms ] offset -2500ms");
        assert_eq!(rewritten("x[1h30.5m]"), "x[5430000ms]");
        assert_eq!(rewritten("x[30]"), "x[30000ms]");
    }

    #[test]
    fn whole_durations_numbers_names_and_strings_stay_as_they_are() {
        for query in [
            "rate(a:b_5m[5m]) * 1.5 + 0x1f + 1e3 - .5",
            "sum by (a1) (x[1h30m:1m])",
            r#"x{a="[1.5s] \" [1.5s]", b='\'[1.5s]', c=`\`} "#,
            "x # [1.5s]\n + 1.5",
            "x offset 5m @ 1.5",
        ] {
            assert_eq!(rewritten(query), query);
        }
    }

    #[test]
    fn a_duration_that_makes_no_sense_says_so() {
        let error = |query: &str| parse(query).unwrap_err().to_string();
        let of = |problem: &str| format!("invalid parameter \"query\": parse error: {problem}");
        assert_eq!(error("x[0.0001s]"), of("duration must be greater than 0"));
        assert_eq!(error("x[1000000y]"), of("duration out of range: 1000000y"));
        assert_eq!(error("x[99999999999999999999]"), of("duration out of range: 99999999999999999999"));
        assert_eq!(error("x[1e9]"), of("not a valid duration string: \"1e9\""));
        assert_eq!(error(" "), of("no expression found in input"));
    }

    #[test]
    fn a_query_that_nests_too_deep_is_refused_before_it_is_parsed() {
        let deep = format!("{}1{}", "(".repeat(101), ")".repeat(101));
        let error = "invalid parameter \"query\": the query has more than 100 operators and nested brackets";
        assert_eq!(parse(&deep).unwrap_err().to_string(), error);
        assert_eq!(parse(&format!("1{}", "+1".repeat(101))).unwrap_err().to_string(), error);
        assert_eq!(parse(&format!("x{}", " and x".repeat(101))).unwrap_err().to_string(), error);
        assert!(parse(&format!("{}1{}", "(".repeat(100), ")".repeat(100))).is_ok());
        let wide = format!("sum by ({}a) (x{{{}a!=\"\"}})", "a,".repeat(300), "a=\"\",".repeat(300));
        assert!(parse(&wide).is_ok(), "what does not nest is not counted");
        let long = "x".repeat(LENGTH + 1);
        assert!(parse(&long).unwrap_err().to_string().contains("may have 65536 at most"));
    }

    #[test]
    fn parenthesised_range_selectors_and_subqueries_are_understood() {
        for query in
            ["rate((x[5m]))", "max_over_time(rate(x[1m])[10m:30s])", "x[5m:]", "-x offset -5m @ end()"]
        {
            assert!(parse(query).is_ok(), "{query}: {:?}", parse(query));
        }
    }
}
